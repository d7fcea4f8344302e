//! A cluster for a test, and short words for what the tests do with it.

use std::path::Path;
use std::time::{Duration, Instant};

use eizoku_embedded::{Embedded, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

/// No step of a test takes longer, on a slow and busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    embedded: Embedded,
    stop: CancellationToken,
    /// A test that fails ends its cluster, too; without this it would wait for it for ever.
    _guard: DropGuard,
    client: reqwest::Client,
    /// `http://127.0.0.1:PORT/k/SECRET`
    pub(crate) url: String,
}

impl Cluster {
    pub(crate) async fn start(folder: &Path) -> Self {
        let stop = CancellationToken::new();
        let settings = Settings {
            folder: folder.to_owned(),
            port: 0,
            fresh: false,
            program: Some(env!("CARGO_BIN_EXE_eizoku").into()),
        };
        let embedded = Embedded::start_with(settings, stop.clone()).await.unwrap();
        let kubeconfig = std::fs::read_to_string(&embedded.kubeconfig).unwrap();
        let server = kubeconfig
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: "));
        let url = server.unwrap().to_owned();
        Self {
            embedded,
            _guard: stop.clone().drop_guard(),
            stop,
            client: reqwest::Client::new(),
            url,
        }
    }

    pub(crate) async fn fresh() -> (TempDir, Self) {
        let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
        let cluster = Self::start(folder.path()).await;
        // Pods are refused before their service account is there, as on any new cluster.
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        cluster
            .until(account, "the service account", |found| {
                found["kind"] == "ServiceAccount"
            })
            .await;
        (folder, cluster)
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.embedded.kubeconfig
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.embedded.ended())
            .await
            .expect("the cluster ends");
    }

    /// Sends a request; gives the code and the object of the answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let code = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (
            code,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send("GET", path, "", None).await.1
    }

    pub(crate) async fn post(&self, path: &str, object: Value) -> Value {
        let (code, made) = self
            .send("POST", path, "application/json", Some(object))
            .await;
        assert_eq!(code, 201, "{made}");
        made
    }

    pub(crate) async fn merge(&self, path: &str, patch: Value) -> Value {
        let (code, changed) = self
            .send("PATCH", path, "application/merge-patch+json", Some(patch))
            .await;
        assert_eq!(code, 200, "{changed}");
        changed
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.send("DELETE", path, "application/json", Some(json!({})))
            .await
            .1
    }

    /// Waits until what a path gives fulfils a condition.
    pub(crate) async fn until(
        &self,
        path: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.get(path).await;
            if holds(&now) {
                return now;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come: {now:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether a Pod's condition Ready is True.
pub(crate) fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"].as_array().is_some_and(|list| {
        list.iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
    })
}

/// The names in a list.
pub(crate) fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect()
}
