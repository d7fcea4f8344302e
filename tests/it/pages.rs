//! The pages.

use scraper::{Html, Selector};

use super::server::Server;

#[tokio::test]
async fn the_root_leads_to_the_chapter() {
    let server = Server::recording();
    let response = server.get("/").await;
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], "/ja/");
    assert_eq!(server.get("/ja").await.headers()["location"], "/ja/");
}

#[tokio::test]
async fn the_chapter_is_whole_without_scripts() {
    let server = Server::recording();
    let text = server.get("/ja/").await.text().await.expect("text");
    let page = Html::parse_document(&text);
    let count = |selector: &str| {
        page.select(&Selector::parse(selector).expect("sound"))
            .count()
    };
    assert_eq!(count("html[lang=ja]"), 1);
    for figure in ["figure-8-1", "figure-8-2", "figure-8-3"] {
        assert!(count(&format!("#{figure} svg text")) > 0, "{figure}");
    }
    // Not a single inline style, script or handler, or the policy would block it.
    assert_eq!(
        count("style, [style], script:not([src]):not([type='application/json'])"),
        0
    );
    assert!(!text.contains(" onclick="));
    // Nothing from elsewhere is loaded.
    for element in
        page.select(&Selector::parse("script[src], link[href], img[src]").expect("sound"))
    {
        let value = element.value();
        let address = value.attr("src").or(value.attr("href")).unwrap_or_default();
        assert!(
            address.starts_with('/') || address.starts_with("data:"),
            "{address}"
        );
    }
}

#[tokio::test]
async fn what_a_page_names_is_there_and_may_be_kept() {
    let server = Server::recording();
    let text = server.get("/ja/").await.text().await.expect("text");
    let page = Html::parse_document(&text);
    let mut seen = 0;
    for element in
        page.select(&Selector::parse("script[src], link[rel=stylesheet]").expect("sound"))
    {
        let value = element.value();
        let address = value
            .attr("src")
            .or(value.attr("href"))
            .expect("an address");
        let response = server.get(address).await;
        assert_eq!(response.status(), 200, "{address}");
        let cache = response.headers()["cache-control"].to_str().expect("text");
        assert!(cache.contains("immutable"), "{address}: {cache}");
        seen += 1;
    }
    assert!(seen >= 2);
}

#[tokio::test]
async fn pages_are_compressed() {
    let server = Server::recording();
    let response = server
        .client
        .get(format!("{}/ja/", server.url))
        .header("accept-encoding", "br")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.headers()["content-encoding"], "br");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_says_so() {
    let server = Server::recording();
    for (path, home) in [
        ("/xx/", "/ja/"),
        ("/xx", "/ja/"),
        ("/ja/nothing", "/ja/"),
        ("/en/nothing", "/en/"),
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 404, "{path}");
        let text = response.text().await.expect("text");
        assert!(text.contains(&format!("href=\"{home}\"")), "{path}");
    }
}

#[tokio::test]
async fn a_recording_is_ready_and_a_cluster_that_is_not_there_is_not() {
    let server = Server::recording();
    assert_eq!(server.get("/healthz").await.status(), 200);
    let mut ready = server.get("/readyz").await.status();
    for _ in 0..100 {
        if ready == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        ready = server.get("/readyz").await.status();
    }
    assert_eq!(ready, 200);

    let server = Server::start(&["--cluster", "kube"]);
    assert_eq!(server.get("/healthz").await.status(), 200);
    assert_eq!(server.get("/readyz").await.status(), 503);
}
