//! `/events` over HTTP.

use reqwest::Response;
use serde_json::Value;

use super::server::Server;

/// Reads one server-sent event: its name, its id and its data.
pub(crate) async fn event(
    response: &mut Response,
    rest: &mut String,
) -> (String, Option<String>, Value) {
    loop {
        if let Some(end) = rest.find("\n\n") {
            let text: String = rest.drain(..end + 2).collect();
            let field = |name: &str| {
                text.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            let data = field("data: ").expect("data");
            return (
                field("event: ").expect("a name"),
                field("id: "),
                serde_json::from_str(&data).expect("JSON"),
            );
        }
        let chunk = response.chunk().await.expect("bytes").expect("no end");
        rest.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
}

#[tokio::test]
async fn a_snapshot_then_every_frame_with_no_hole() {
    let server = Server::start(&["--cluster", "recording", "--speed", "50"]);
    let mut response = server.get("/events").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        response.headers()["cache-control"],
        "no-cache, no-transform"
    );
    assert!(!response.headers().contains_key("content-encoding"));
    let mut rest = String::new();
    let (name, id, snapshot) = event(&mut response, &mut rest).await;
    assert_eq!(name, "snapshot");
    assert_eq!(snapshot["source"]["kind"], "recording");
    let epoch = snapshot["epoch"].as_str().expect("an epoch").to_owned();
    let mut seq = snapshot["seq"].as_u64().expect("a number");
    assert_eq!(id, Some(format!("{epoch}-{seq}")));
    let mut names = std::collections::BTreeSet::new();
    while !names.contains("deleted") || !names.contains("inside") {
        let (name, id, data) = event(&mut response, &mut rest).await;
        if name != "ping" {
            seq += 1;
            assert_eq!(data["seq"], seq);
            assert_eq!(id, Some(format!("{epoch}-{seq}")));
        }
        names.insert(name);
    }
    assert!(names.contains("added") && names.contains("modified"));
}

#[tokio::test]
async fn two_readers_see_the_same_bytes() {
    let server = Server::start(&["--cluster", "recording", "--speed", "20"]);
    let mut one = server.get("/events").await;
    let mut two = server.get("/events").await;
    let (mut rest_one, mut rest_two) = (String::new(), String::new());
    let first = event(&mut one, &mut rest_one).await;
    let second = event(&mut two, &mut rest_two).await;
    let (mut at, to) = (
        first.2["seq"].as_u64().expect("a number"),
        second.2["seq"].as_u64().expect("a number") + 20,
    );
    let mut seen = std::collections::BTreeMap::new();
    while at < to {
        let (_, id, data) = event(&mut one, &mut rest_one).await;
        at = data["seq"].as_u64().unwrap_or(at);
        seen.insert(id, data);
    }
    let mut compared = 0;
    while compared < 20 {
        let (_, id, data) = event(&mut two, &mut rest_two).await;
        if let Some(same) = seen.get(&id) {
            assert_eq!(*same, data);
            compared += 1;
        }
    }
}
