//! What no request gets past.

use super::server::Server;

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let server = Server::recording();
    for path in ["/ja/", "/healthz", "/events", "/nothing"] {
        let response = server.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_refused() {
    let server = Server::recording();
    for host in ["evil.example", "evil.example:8008", "127.0.0.1:1", ""] {
        let response = server
            .client
            .get(format!("{}/events", server.url))
            .header("host", host)
            .send()
            .await
            .expect("an answer");
        assert!(
            matches!(response.status().as_u16(), 400 | 421),
            "{host}: {}",
            response.status()
        );
    }
}

#[tokio::test]
async fn another_site_may_not_read_the_stream() {
    let server = Server::recording();
    let response = server
        .client
        .get(format!("{}/events", server.url))
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "cors")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn nothing_changes_anything() {
    let server = Server::recording();
    for path in ["/", "/ja/", "/events", "/healthz"] {
        let response = server
            .client
            .post(format!("{}{path}", server.url))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 405, "{path}");
    }
}
