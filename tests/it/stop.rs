//! The end of the program.

use std::process::Command;
use std::time::{Duration, Instant};

use super::server::Server;

fn signal(server: &Server, name: &str) {
    let status = Command::new("kill")
        .args([name, &server.child.id().to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}

#[tokio::test]
async fn it_stops_in_good_order_with_readers_attached() {
    let mut server = Server::recording();
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(server.get("/events").await);
    }
    signal(&server, "-INT");
    // The limit is there so that a test that fails ends; how fast it is stands in the benches.
    let limit = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = server.child.try_wait().expect("a child") {
            break status;
        }
        assert!(Instant::now() < limit, "still running");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(status.success(), "{status}");
    for mut reader in readers {
        // Each stream ended in good order: the last chunk was followed by its end.
        while reader.chunk().await.expect("a clean end").is_some() {}
    }
}
