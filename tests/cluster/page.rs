//! The program beside the cluster, and everything that a page would hear from it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// So long something may take that has to come. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// One event of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// A reader of the stream of one running program.
pub(crate) struct Page {
    child: Child,
    heard: Arc<Mutex<Vec<Heard>>>,
    reading: JoinHandle<()>,
    folder: TempDir,
}

impl Page {
    /// Starts the program on this kubeconfig and namespace and reads until it is live.
    pub(crate) async fn open(kubeconfig: &str, namespace: &str) -> Self {
        let page = Self::start(kubeconfig, namespace).await;
        page.link(0, "live").await;
        page
    }

    async fn start(kubeconfig: &str, namespace: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_eizoku"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EIZOKU_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["--port", "0", "--cluster", "kube"])
            .args(["--kubeconfig", kubeconfig, "--namespace", namespace])
            .env("EIZOKU_LOG", "eizoku=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let line = BufReader::new(child.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok)
            .find(|line| line.contains("http://"))
            .expect("the binary says where it listens");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .expect("an address");
        let (url, _) = url.rsplit_once('/').expect("a path");
        let response = reqwest::get(format!("{url}/events"))
            .await
            .expect("a stream");
        let heard = Arc::default();
        let reading = tokio::spawn(read(response, Arc::clone(&heard)));
        Self {
            child,
            heard,
            reading,
            folder,
        }
    }

    /// Everything heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// A place in what was heard, to look only at what comes after it.
    pub(crate) fn mark(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// What the program wrote to its log.
    pub(crate) fn log(&self) -> String {
        let path: PathBuf = self.folder.path().join("log");
        std::fs::read_to_string(path).expect("a log")
    }

    /// The first event after `mark` for which `wanted` is true, with its place.
    pub(crate) async fn until(
        &self,
        mark: usize,
        what: &str,
        wanted: impl Fn(&Heard) -> bool,
    ) -> (usize, Value) {
        let mut at = mark;
        let search = async {
            loop {
                {
                    let heard = self.heard.lock().unwrap();
                    if let Some(found) = heard.iter().skip(at).position(&wanted) {
                        return (at + found, heard[at + found].data.clone());
                    }
                    at = heard.len().max(mark);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!(
                "never heard: {what}; heard since then:\n{}\nand the log's end:\n{}",
                self.stories(mark).join("\n"),
                tail(&self.log())
            ),
        }
    }

    /// Waits for a link in this state after `mark`.
    pub(crate) async fn link(&self, mark: usize, state: &str) -> Value {
        let (_, data) = self
            .until(mark, &format!("link {state}"), |heard| {
                heard.data["link"]["state"] == state
            })
            .await;
        data["link"].clone()
    }

    /// Waits after `mark` for these stories, in this order, each of which names `subject`. Other
    /// stories may stand between. Returns the last one's parameters.
    pub(crate) async fn told(&self, mark: usize, subject: &str, keys: &[&str]) -> Value {
        let mut at = mark;
        let mut params = Value::Null;
        for key in keys {
            let (found, data) = self
                .until(at, &format!("{key} of {subject}, after {at}"), |heard| {
                    let story = &heard.data["story"];
                    story["key"] == *key
                        && story["params"]
                            .as_object()
                            .is_some_and(|all| all.values().any(|value| value == subject))
                })
                .await;
            at = found + 1;
            params = data["story"]["params"].clone();
        }
        params
    }

    /// Everything told after `mark`, for messages and for what must not be told.
    pub(crate) fn stories(&self, mark: usize) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .skip(mark)
            .filter(|heard| !heard.data["story"].is_null())
            .map(|heard| {
                let story = &heard.data["story"];
                format!(
                    "{} {}",
                    story["key"].as_str().unwrap_or("?"),
                    story["params"]
                )
            })
            .collect()
    }

    /// The card of this kind and name as it is now on a page that heard everything.
    pub(crate) fn card(&self, kind: &str, name: &str) -> Option<Value> {
        let heard = self.heard.lock().unwrap();
        let mut now: Option<Value> = None;
        for heard in heard.iter() {
            let is = |card: &Value| card["kind"] == kind && card["name"] == name;
            match heard.event.as_str() {
                "snapshot" => {
                    let mut cards = heard.data["cards"].as_array().into_iter().flatten();
                    now = cards.find(|card| is(card)).cloned();
                }
                "added" | "modified" if is(&heard.data["card"]) => {
                    now = Some(heard.data["card"].clone());
                }
                "deleted" if is(&heard.data["card"]) => {
                    now = now.filter(|card| card["uid"] != heard.data["card"]["uid"]);
                }
                _ => {}
            }
        }
        now
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn read(mut response: reqwest::Response, heard: Arc<Mutex<Vec<Heard>>>) {
    let mut rest = Vec::new();
    // The stream ends with the program.
    while let Ok(Some(chunk)) = response.chunk().await {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
            let text: Vec<u8> = rest.drain(..end + 2).collect();
            let text = String::from_utf8(text).expect("text");
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            let event = field("event: ").expect("a name").to_owned();
            if event == "ping" {
                continue;
            }
            let data = serde_json::from_str(field("data: ").expect("data")).expect("JSON");
            heard.lock().unwrap().push(Heard { event, data });
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
