//! The real binary on a free port, ended when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::{COOKIE, HeaderMap};
use reqwest::{Client, Response};

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test, away from any cluster and settings of this machine.
pub(crate) fn eizoku() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eizoku"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EIZOKU_") {
            command.env_remove(name);
        }
    }
    command
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .stdin(Stdio::null());
    command
}

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// The address that was printed, with the key in it.
    pub(crate) address: String,
    /// The owner's cookie.
    pub(crate) cookie: String,
    /// The owner's browser.
    pub(crate) client: Client,
}

/// A client that follows nothing by itself and sends these with every request.
pub(crate) fn client(headers: HeaderMap) -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(120))
        .default_headers(headers)
        .build()
        .expect("a client")
}

/// The address in a line that the program prints.
pub(crate) fn address_in(line: &str) -> Option<&str> {
    line.split_whitespace()
        .find(|word| word.starts_with("http://"))
}

/// The cookie that an address is exchanged for, if it is.
pub(crate) fn log_in(address: &str) -> Option<String> {
    let (host, query) = address.trim_start_matches("http://").split_once('/')?;
    let mut stream = TcpStream::connect(host).expect("it listens");
    write!(
        stream,
        "GET /{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))?;
    cookie.split(';').next().map(str::to_owned)
}

impl Server {
    /// Starts the binary with these arguments and waits until it says where it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = eizoku();
        command.stderr(Stdio::null());
        Self::start_as(command, arguments)
    }

    /// The same, by another command, which says where its errors go.
    pub(crate) fn start_as(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("piped");
        let line = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.contains("http://"))
            .expect("the binary says where it listens");
        let address = address_in(&line).expect("an address").to_owned();
        let (url, _) = address.rsplit_once('/').expect("a path");
        let url = url.to_owned();
        let cookie = log_in(&address).expect("the key opens the door");
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().expect("a header"));
        Self {
            child,
            url,
            address,
            cookie,
            client: client(headers),
        }
    }

    /// The recording that ships, at full speed.
    pub(crate) fn recording() -> Self {
        Self::start(&["--cluster", "recording"])
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .expect("an answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, as some tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
