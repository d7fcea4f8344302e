//! The real binary on a free port, ended when dropped.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    pub(crate) client: Client,
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
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .expect("an address")
            .trim_end_matches('/')
            .to_owned();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(120))
            .build()
            .expect("a client");
        Self { child, url, client }
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
