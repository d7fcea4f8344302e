//! Manifests, styles and scripts.

use super::server::{Server, root};

#[tokio::test]
async fn a_manifest_is_the_file_in_the_repository() {
    let server = Server::recording();
    let name = "stateful-app/04-statefulset.yaml";
    let response = server.get(&format!("/manifests/{name}")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/yaml; charset=utf-8"
    );
    let want = std::fs::read_to_string(root().join("content/manifests").join(name)).expect("it");
    assert_eq!(response.text().await.expect("text"), want);
}

#[tokio::test]
async fn a_folder_comes_as_an_archive() {
    let server = Server::recording();
    let response = server
        .client
        .get(format!("{}/manifests/stateful-app.tar.gz", server.url))
        .header("accept-encoding", "gzip, br")
        .send()
        .await
        .expect("an answer");
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(response.headers()["content-type"], "application/gzip");
    let bytes = response.bytes().await.expect("bytes");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
    let names: Vec<String> = archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            let entry = entry.expect("an entry");
            entry.path().expect("a path").display().to_string()
        })
        .collect();
    assert!(
        names.contains(&"stateful-app/04-statefulset.yaml".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn nothing_outside_is_served() {
    let server = Server::recording();
    for path in [
        "/manifests/nothing.yaml",
        "/manifests/../ja/00-opening.md",
        "/manifests/%2e%2e/ja/00-opening.md",
        "/static/x/js/nothing.js",
        "/static/x/%2e%2e/Cargo.toml",
        "/nothing",
    ] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn an_old_address_of_a_script_is_not_kept() {
    let server = Server::recording();
    let response = server.get("/static/0123/js/panel.js").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
}
