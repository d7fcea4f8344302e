//! Clients that take connections and do not give them back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use super::server::{Server, eizoku};

/// The program as a shell starts it that lets a process have this many files.
fn with_files(files: u32) -> Command {
    let program = eizoku();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
        .arg(program.get_program())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).expect("somebody listens")
}

/// `HOST:PORT` of an address.
fn host(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn half_requests_and_unread_streams_keep_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let arguments = ["--cluster", "embedded", "--data", &data];
    let server = Server::start_as(with_files(256), &arguments);
    let kubeconfig = std::fs::read_to_string(folder.path().join("kubeconfig")).expect("it");
    let api = kubeconfig
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: "))
        .expect("an address")
        .to_owned();
    let mut held = Vec::new();
    for address in [host(&server.url), host(&api)] {
        for _ in 0..300 {
            let mut socket = connect(&address);
            write!(socket, "GET /healthz HTTP/1.1\r\nHost: 127").expect("sent");
            held.push(socket);
        }
    }
    for _ in 0..300 {
        let mut socket = connect(&host(&server.url));
        let address = host(&server.url);
        write!(socket, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("sent");
        held.push(socket);
    }
    assert_eq!(server.get("/healthz").await.status(), 200);
    let events = server.get("/events").await;
    assert_eq!(events.status(), 200);
    let namespaces = server.client.get(format!("{api}/api/v1/namespaces"));
    let answer = namespaces.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    // What does not end by itself ends with the program.
    drop(held);
}

#[tokio::test]
async fn downloads_that_nobody_reads_do_not_keep_others_from_theirs() {
    let server = Server::recording();
    let whole = server.get("/recording").await.bytes().await.expect("bytes");
    let address = host(&server.url);
    let mut held = Vec::new();
    for path in ["/recording", "/history", "/timeline"] {
        for _ in 0..100 {
            let mut socket = connect(&address);
            let cookie = &server.cookie;
            write!(
                socket,
                "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n"
            )
            .expect("sent");
            held.push(socket);
        }
    }
    for path in ["/recording", "/history", "/timeline"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_ok_and(|bytes| !bytes.is_empty()));
    }
    assert!(whole.ends_with(b"\n"));
    // Those that begin to read get all of it.
    let mut text = Vec::new();
    let mut first = held.swap_remove(0);
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("sent");
    first.read_to_end(&mut text).expect("all of it");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("\"version\":1") && text.contains("\r\n0\r\n"));
}

#[tokio::test]
async fn what_does_nothing_is_not_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let server = Server::start(&["--cluster", "embedded", "--data", &data]);
    while server.get("/readyz").await.status() != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let recording = || async {
        let recording = server.get("/recording").await;
        recording.text().await.expect("text")
    };
    let said = |text: &str| text.matches("\"say\":").count();
    let act = |action: serde_json::Value| {
        let url = format!("{}/act", server.url);
        let request = server.client.post(url);
        let request = request.header("content-type", "application/json");
        async move {
            request
                .body(action.to_string())
                .send()
                .await
                .expect("an answer")
        }
    };
    let selector = format!("app in ({})", vec!["x"; 400].join(","));
    let nothing = act(json!({"do": "delete", "kind": "Pod", "selector": selector})).await;
    assert_eq!(nothing.status(), 200);
    let refused = act(json!({"do": "delete", "kind": "Pod", "name": "x", "uid": "0e1d34b5-6c1f-4f6f-8c53-0a8f4f0f1d11"})).await;
    assert_eq!(refused.status(), 404);
    let claim = "postgres-data-postgres-statefulset-7";
    let looked = act(json!({"do": "look", "claim": claim})).await;
    assert_eq!(looked.status(), 404);
    let taped = recording().await;
    assert_eq!(said(&taped), 0, "{taped}");
    assert!(!taped.contains(claim), "{taped}");
    let applied = act(json!({"do": "apply", "folder": "stateful-app"})).await;
    assert_eq!(applied.status(), 200);
    while said(&recording().await) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
