//! Any cluster as a kubeconfig leads to it: plain requests, watches of everything, and psql in a Pod.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use super::lives::Event;

/// So long something may take that has to come. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The kinds that are watched, with their paths.
const KINDS: [(&str, &str); 8] = [
    ("Pod", "/api/v1/namespaces/{}/pods"),
    (
        "PersistentVolumeClaim",
        "/api/v1/namespaces/{}/persistentvolumeclaims",
    ),
    ("PersistentVolume", "/api/v1/persistentvolumes"),
    ("Event", "/api/v1/namespaces/{}/events"),
    ("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets"),
    ("Deployment", "/apis/apps/v1/namespaces/{}/deployments"),
    ("ReplicaSet", "/apis/apps/v1/namespaces/{}/replicasets"),
    ("Secret", "/api/v1/namespaces/{}/secrets"),
];
/// Kinds that are made, but not watched.
const OTHERS: [(&str, &str); 3] = [
    ("Service", "/api/v1/namespaces/{}/services"),
    ("ConfigMap", "/api/v1/namespaces/{}/configmaps"),
    ("Namespace", "/api/v1/namespaces"),
];

/// A cluster and a namespace in it.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client,
    pub(crate) namespace: String,
}

/// What one watch says.
pub(crate) struct Lines(std::pin::Pin<Box<dyn futures::Stream<Item = Value> + Send>>);

impl Lines {
    pub(crate) async fn next(&mut self) -> Option<Value> {
        self.0.next().await
    }
}

/// Watches of a namespace, until dropped.
pub(crate) struct Watched {
    /// What was there when they began.
    pub(crate) before: Vec<(&'static str, Vec<Value>)>,
    events: Arc<Mutex<Vec<Event>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Wire {
    pub(crate) async fn to(kubeconfig: &Path, namespace: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a sound kubeconfig");
        // A watch is silent as long as nothing happens.
        config.read_timeout = None;
        Self {
            client: Client::try_from(config).expect("a client"),
            namespace: namespace.to_owned(),
        }
    }

    fn path(&self, kind: &str) -> String {
        let (_, path) = KINDS
            .iter()
            .chain(&OTHERS)
            .find(|(known, _)| *known == kind)
            .unwrap_or_else(|| panic!("{kind} has a path"));
        path.replace("{}", &self.namespace)
    }

    /// Sends a request; an error of the API comes back as its Status.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: Option<Value>,
    ) -> Result<Value, Value> {
        let body = body.map_or_else(Vec::new, |it| it.to_string().into_bytes());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(body)
            .expect("a request");
        match self.client.request::<Value>(request).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err(serde_json::to_value(&*status).expect("JSON")),
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    pub(crate) async fn create(&self, object: Value) -> Value {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let path = self.path(&kind);
        self.send("POST", &path, "application/json", Some(object))
            .await
            .unwrap_or_else(|status| panic!("create {kind}: {status}"))
    }

    /// Makes every object of a file with manifests, in order.
    pub(crate) async fn apply(&self, manifests: &str) {
        for document in manifests.split("\n---\n") {
            self.create(serde_saphyr::from_str(document).expect("YAML"))
                .await;
        }
    }

    /// Deletes; gone already is as good.
    pub(crate) async fn delete(&self, kind: &str, name: &str, grace: Option<u32>) {
        let mut options = json!({"propagationPolicy": "Background"});
        if let Some(seconds) = grace {
            options["gracePeriodSeconds"] = seconds.into();
        }
        let path = format!("{}/{name}", self.path(kind));
        let answer = self
            .send("DELETE", &path, "application/json", Some(options))
            .await;
        if let Err(status) = answer {
            assert_eq!(status["code"], 404, "delete {kind} {name}: {status}");
        }
    }

    /// A merge patch of an object or, as `name/scale`, of a part of it.
    pub(crate) async fn merge(&self, kind: &str, name: &str, patch: Value) -> Value {
        let path = format!("{}/{name}", self.path(kind));
        self.send("PATCH", &path, "application/merge-patch+json", Some(patch))
            .await
            .unwrap_or_else(|status| panic!("patch {kind} {name}: {status}"))
    }

    pub(crate) async fn scale(&self, kind: &str, name: &str, replicas: u32) {
        self.merge(
            kind,
            &format!("{name}/scale"),
            json!({"spec": {"replicas": replicas}}),
        )
        .await;
    }

    pub(crate) async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let path = format!("{}/{name}", self.path(kind));
        match self.send("GET", &path, "", None).await {
            Ok(object) => Some(object),
            Err(status) if status["code"] == 404 => None,
            Err(status) => panic!("get {kind} {name}: {status}"),
        }
    }

    pub(crate) async fn list(&self, kind: &str) -> Vec<Value> {
        let list = self.send("GET", &self.path(kind), "", None).await;
        let mut list = list.unwrap_or_else(|status| panic!("list {kind}: {status}"));
        serde_json::from_value(list["items"].take()).expect("a list")
    }

    /// Waits until an object is as `holds` says.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let begun = Instant::now();
        loop {
            let now = self.find(kind, name).await;
            if holds(now.as_ref()) {
                return now;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{kind} {name}: {what} did not come: {now:#?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a Pod is Ready, and not the one with the uid `other`.
    pub(crate) async fn ready(&self, pod: &str, other: &str) -> String {
        let pod = self
            .until("Pod", pod, "readiness", |pod| {
                pod.is_some_and(|pod| {
                    is_ready(pod)
                        && pod["metadata"]["uid"] != other
                        && pod["metadata"]["deletionTimestamp"].is_null()
                })
            })
            .await
            .expect("there");
        pod["metadata"]["uid"].as_str().expect("a uid").to_owned()
    }

    pub(crate) async fn gone(&self, kind: &str, name: &str) {
        self.until(kind, name, "its end", |it| it.is_none()).await;
    }

    /// Asks the lesson's database in a Pod: what psql printed, or what it complained of.
    pub(crate) async fn psql(&self, pod: &str, sql: &str) -> Result<String, String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let command = ["psql", "-U", "user", "-d", "app_db", "-At", "-c", sql];
        let mut process = pods
            .exec(pod, command, &AttachParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let mut out = process.stdout().expect("attached");
        let mut err = process.stderr().expect("attached");
        let status = process.take_status().expect("not taken");
        let (mut said, mut complained) = (String::new(), String::new());
        let (one, two, status) = tokio::join!(
            out.read_to_string(&mut said),
            err.read_to_string(&mut complained),
            status
        );
        one.and(two).map_err(|error| error.to_string())?;
        match status.and_then(|it| it.status) {
            Some(word) if word == "Success" => Ok(said),
            _ => Err(complained),
        }
    }

    /// [`Wire::psql`] again until it works: PostgreSQL takes connections a moment after it says it is ready.
    pub(crate) async fn rows(&self, pod: &str, sql: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.psql(pod, sql).await {
                Ok(said) => return said,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{sql}: {error}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What PostgreSQL itself says of a statement: the rows, or an error that names a relation. Anything else means that it
    /// is not there yet, such as the server that only prepares the data, which a probe takes for the real one.
    pub(crate) async fn answer(&self, pod: &str, sql: &str) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            match self.psql(pod, sql).await {
                Err(error) if !error.contains("relation ") => {
                    assert!(begun.elapsed() < PATIENCE, "{sql}: {error}");
                }
                said => return said,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A watch line by line, read only as fast as it is asked for.
    pub(crate) async fn lines(&self, path: &str) -> Lines {
        let request = Request::get(path).body(Vec::new()).expect("a request");
        let stream = self.client.request_stream(request).await.expect("a watch");
        Lines(Box::pin(AsyncBufReadExt::lines(stream).map(|line| {
            serde_json::from_str(&line.expect("a line")).expect("JSON")
        })))
    }

    /// Watches the namespace, and the volumes of its claims, from what is there now.
    pub(crate) async fn watch(&self) -> Watched {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let (mut before, mut tasks) = (Vec::new(), Vec::new());
        for (kind, _) in KINDS {
            let list = self.send("GET", &self.path(kind), "", None).await;
            let mut list = list.expect("a list");
            let items = list["items"].take();
            before.push((kind, serde_json::from_value(items).expect("a list")));
            let version = list["metadata"]["resourceVersion"].as_str().expect("one");
            let path = format!("{}?watch=true&resourceVersion={version}", self.path(kind));
            let request = Request::get(path).body(Vec::new()).expect("a request");
            let stream = self.client.request_stream(request).await.expect("a watch");
            let (events, namespace) = (Arc::clone(&events), self.namespace.clone());
            tasks.push(tokio::spawn(async move {
                let mut lines = Box::pin(stream).lines();
                while let Some(Ok(line)) = lines.next().await {
                    let mut event: Value = serde_json::from_str(&line).expect("JSON");
                    let object = event["object"].take();
                    // Volumes belong to a namespace by their claim, or by a name that begins with it.
                    let name = object["metadata"]["name"].as_str().unwrap_or("");
                    let elsewhere = kind == "PersistentVolume"
                        && object["spec"]["claimRef"]["namespace"] != namespace.as_str()
                        && !name.starts_with(&namespace);
                    if !elsewhere {
                        events.lock().unwrap().push(Event {
                            kind: kind.to_owned(),
                            change: event["type"].as_str().expect("a type").to_owned(),
                            object,
                        });
                    }
                }
            }));
        }
        Watched {
            before,
            events,
            tasks,
        }
    }
}

impl Watched {
    /// Everything they said so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
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
