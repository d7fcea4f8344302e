//! Who may do what: the owner has the key, every other user of the machine reads.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, HeaderMap};
use serde_json::{Value, json};

use super::api::Api;
use super::server::{Server, address_in, client, eizoku, log_in};

/// Long enough for a program in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// The key in a printed address.
fn key(server: &Server) -> &str {
    server.address.split("key=").nth(1).expect("a key")
}

#[tokio::test]
async fn only_who_has_the_key_acts_whatever_origin_says() {
    let server = Server::recording();
    let port = server.url.rsplit(':').next().expect("a port");
    let origin = server.url.clone();
    for cookie in [
        None,
        Some(format!("eizoku-{port}=")),
        Some(format!("eizoku-{port}={}", "0".repeat(64))),
        // The key of another program on another port.
        Some(format!("eizoku-1={}", key(&server))),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = &cookie {
            headers.insert(COOKIE, cookie.parse().expect("a header"));
        }
        let stranger = client(headers);
        for origin in [None, Some(&origin)] {
            let with_origin = |request: reqwest::RequestBuilder| match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            };
            let act = stranger
                .post(format!("{}/act", server.url))
                .header("content-type", "application/json")
                .body(json!({"do": "reset"}).to_string());
            let terminal = stranger
                .get(format!("{}/terminal?pod=x&uid=y&program=sh", server.url))
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
            let recording = stranger.get(format!("{}/recording", server.url));
            for request in [act, terminal, recording] {
                let response = with_origin(request).send().await.expect("an answer");
                assert_eq!(response.status(), 403, "{cookie:?} {origin:?}");
                let text = response.text().await.expect("text");
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(answer["ok"], false);
                assert_eq!(answer["reason"], "NoKey", "{cookie:?} {origin:?}");
            }
        }
        for path in ["/ja/", "/events", "/history", "/timeline", "/healthz"] {
            let response = stranger.get(format!("{}{path}", server.url)).send().await;
            assert_eq!(response.expect("an answer").status(), 200, "{path}");
        }
        let role = stranger.get(format!("{}/role", server.url)).send().await;
        let role = role.expect("an answer").text().await.expect("text");
        assert_eq!(role, r#"{"role":"reader"}"#);
    }
    let role = server.get("/role").await.text().await.expect("text");
    assert_eq!(role, r#"{"role":"owner"}"#);
    assert_eq!(server.get("/recording").await.status(), 200);
}

#[tokio::test]
async fn the_key_in_the_address_becomes_a_cookie() {
    let server = Server::recording();
    let key = key(&server);
    assert!(key.len() >= 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let stranger = client(HeaderMap::new());
    let ask = async |path: &str| {
        let request = stranger.get(format!("{}{path}", server.url));
        request.send().await.expect("an answer")
    };
    // Any number of times, in any number of browsers.
    for (path, to) in [
        (format!("/?key={key}"), "/"),
        (format!("/?key={key}"), "/"),
        (format!("/ja/?key={key}"), "/ja/"),
        (format!("/en/?x=y&key={key}"), "/en/"),
        (format!("/en?key={key}"), "/en/"),
    ] {
        let response = ask(&path).await;
        assert_eq!(response.status(), 303, "{path}");
        let header = |name: &str| response.headers()[name].to_str().expect("text");
        assert_eq!(header("location"), to);
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let port = server.url.rsplit(':').next().expect("a port");
        let cookie = format!("eizoku-{port}={key}; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(header("set-cookie"), cookie);
    }
    // One that is not the key is taken out of the address as well; the page says what it lacks.
    for path in [
        "/?key=",
        "/ja/?key=0123",
        "/?code=0123",
        &format!("/?code={key}"),
    ] {
        let response = ask(path).await;
        assert_eq!(response.status(), 303, "{path}");
        assert!(!response.headers().contains_key("set-cookie"), "{path}");
    }
    // No address leads away from here.
    for path in [
        "//evil.example",
        "//evil.example/",
        "/%5Cevil.example/",
        "/%2Fevil.example/",
    ] {
        let response = ask(&format!("{path}?key={key}")).await;
        assert_eq!(response.status(), 404, "{path}");
        assert!(!response.headers().contains_key("location"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_stands_in_no_log_frame_or_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let api = Api::start().await;
    let mut child = eizoku()
        .args(["--port", "0", "--cluster", "kube", "--allow-actions"])
        .args(["--kubeconfig", &api.kubeconfig()])
        .env("EIZOKU_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("the binary starts");
    let printed = printed(&mut child);
    let child = Ended(child);
    let key = printed.split("key=").nth(1).expect("a key");
    let (url, _) = printed.rsplit_once('/').expect("a path");
    let limit = Instant::now() + LONG;
    // Not before it logs: what it would say of the requests is to be seen.
    while !fs::read_to_string(&log).expect("a log").contains("TRACE") {
        assert!(Instant::now() < limit, "nothing is logged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cookie = log_in(&printed).expect("a cookie");
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, cookie.parse().expect("a header"));
    let owner = client(headers);
    let get = async |path: &str| {
        let response = owner.get(format!("{url}{path}")).send().await;
        response.expect("an answer")
    };
    for path in [
        "/ja/",
        "/history",
        "/timeline",
        "/recording",
        "/role",
        "/nothing",
    ] {
        let text = get(path).await.text().await.expect("text");
        assert!(!text.contains(key), "{path}");
    }
    let mut events = get("/events").await;
    let first = events.chunk().await.expect("a piece").expect("a snapshot");
    assert!(!String::from_utf8_lossy(&first).contains(key));
    let act = owner
        .post(format!("{url}/act"))
        .header("content-type", "application/json")
        .body(json!({"do": "look", "pod": "nobody"}).to_string());
    let act = act.send().await.expect("an answer");
    assert!(!act.text().await.expect("text").contains(key));
    let id = child.0.id();
    for name in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{id}/{name}")).expect("this system has /proc");
        assert!(!String::from_utf8_lossy(&bytes).contains(key), "{name}");
    }
    drop(child);
    let log = fs::read_to_string(log).expect("a log");
    assert!(!log.contains(key), "{log}");
}

/// A program that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // `script` ends what it runs when it is asked to end, and leaves it behind when it is killed.
        if let Some(id) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// The address that a program prints.
fn printed(child: &mut Child) -> String {
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = stdout.lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("http://"));
    // Whoever reads a terminal no further ends the program behind it.
    std::thread::spawn(move || lines.for_each(drop));
    address_in(&line.expect("an address"))
        .expect("an address")
        .to_owned()
}

/// The program in a terminal of its own, on a desktop whose browser writes down what it is to open.
fn on_a_desktop(folder: &Path, arguments: &str) -> (Ended, String) {
    let opener = folder.join("xdg-open");
    fs::write(
        &opener,
        "#!/bin/sh\nprintf %s \"$1\" >\"$OPENED.part\" && mv \"$OPENED.part\" \"$OPENED\"\n",
    )
    .expect("written");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = std::env::var("PATH").expect("a path");
    let binary = env!("CARGO_BIN_EXE_eizoku");
    let line = format!("exec '{binary}' --port 0 --cluster recording {arguments}");
    let mut child = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("OPENED", folder.join("opened"))
        .env("DISPLAY", ":99")
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env_remove("SSH_CONNECTION")
        .env_remove("EIZOKU_NO_OPEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    let address = printed(&mut child);
    (Ended(child), address)
}

#[tokio::test]
async fn a_browser_at_hand_is_given_a_code_that_is_good_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_child, address) = on_a_desktop(folder.path(), "");
    let opened = folder.path().join("opened");
    let limit = Instant::now() + LONG;
    while !opened.exists() {
        assert!(Instant::now() < limit, "no browser was opened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let opened = fs::read_to_string(opened).expect("an address");
    let key = address.split("key=").nth(1).expect("a key");
    // Every user of the machine reads this argument of the browser's.
    assert!(
        opened.contains("/?code=") && !opened.contains(key),
        "{opened}"
    );
    let cookie = log_in(&opened).expect("the code opens the door");
    assert!(cookie.ends_with(key));
    assert_eq!(log_in(&opened), None);
    // The printed address still does.
    assert_eq!(log_in(&address), Some(cookie));
}

#[tokio::test]
async fn a_browser_is_left_alone_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_child, address) = on_a_desktop(folder.path(), "--no-open");
    assert!(log_in(&address).is_some());
    let (url, _) = address.rsplit_once('/').expect("a path");
    let page = client(HeaderMap::new())
        .get(format!("{url}/ja/"))
        .send()
        .await;
    assert_eq!(page.expect("an answer").status(), 200);
    assert!(!folder.path().join("opened").exists());
}
