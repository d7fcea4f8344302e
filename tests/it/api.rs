//! A Kubernetes API that does what a test tells it: lists and watches of the kinds that eizoku
//! watches, and every way in which a real one fails. It answers on loopback, in plain HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<Objects>>,
    lines: broadcast::Sender<Line>,
    serving: Arc<Mutex<Option<tokio::task::AbortHandle>>>,
    address: std::net::SocketAddr,
    folder: Arc<TempDir>,
}

#[derive(Default)]
struct Objects {
    /// Never 0: a watch from there would begin at no version at all.
    version: u64,
    /// Events up to this version are forgotten.
    compacted: u64,
    by_resource: BTreeMap<String, BTreeMap<String, Value>>,
    /// Every event since the start, with its version and resource.
    log: Vec<(u64, String, Value)>,
    forbidden: Vec<String>,
    broken: Vec<String>,
    unauthorized: bool,
    silent: bool,
    /// Requests for single objects that are answered before it falls silent.
    answers_left: Option<usize>,
}

#[derive(Clone)]
enum Line {
    /// A watch event of a resource.
    Event(String, Value),
    /// Every connection ends in the middle.
    Cut,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = Self {
            state: Arc::new(Mutex::new(Objects {
                version: 1,
                ..Objects::default()
            })),
            lines: broadcast::Sender::new(4096),
            serving: Arc::default(),
            address: listener.local_addr().expect("bound"),
            folder: Arc::new(tempfile::tempdir().expect("a folder")),
        };
        api.serve(listener);
        api
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new()
            .route("/readyz", get(readyz))
            .route("/api/v1/{resource}", get(cluster_wide))
            .route("/api/v1/namespaces/{namespace}/{resource}", get(namespaced))
            .route("/apis/{group}/v1/{resource}", get(group_wide))
            .route(
                "/apis/{group}/v1/namespaces/{namespace}/{resource}",
                get(group_namespaced),
            )
            .fallback(single)
            .with_state(self.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        *self.serving.lock().unwrap() = Some(serving.abort_handle());
    }

    /// The process is gone: every connection breaks and new ones are refused.
    pub(crate) fn die(&self) {
        let serving = self.serving.lock().unwrap().take();
        serving.expect("it lives").abort();
        self.cut();
    }

    /// The process is there again, at its old address.
    pub(crate) async fn rise(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        self.serve(listener);
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig that leads here, with the contexts `test` (current) and `other`.
    pub(crate) fn kubeconfig(&self) -> String {
        let path = self.folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": self.url()}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "other", "context": {"cluster": "c", "user": "u"}},
            ],
        });
        std::fs::write(&path, config.to_string()).expect("written");
        path.display().to_string()
    }

    /// Waits until every kind is watched, so that what happens next is seen by a watch.
    pub(crate) async fn watched(&self) {
        while self.lines.receiver_count() < 9 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Adds or replaces an object and tells the watches.
    pub(crate) fn put(&self, resource: &str, mut object: Value) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let name = object["metadata"]["name"]
            .as_str()
            .expect("named")
            .to_owned();
        let known = state.by_resource.entry(resource.into()).or_default();
        let kind = if known.insert(name, object.clone()).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let event = state.log(resource, kind, &object);
        self.tell(resource, event);
    }

    /// Removes an object and tells the watches.
    pub(crate) fn delete(&self, resource: &str, name: &str) {
        let mut state = self.state.lock().unwrap();
        if let Some(event) = state.remove(resource, name) {
            self.tell(resource, event);
        }
    }

    /// Removes an object while no watch is listening: only one that is begun later hears of it.
    pub(crate) fn vanish(&self, resource: &str, name: &str) {
        self.state.lock().unwrap().remove(resource, name);
    }

    /// RBAC says no to a resource from now on.
    pub(crate) fn forbid(&self, resource: &str) {
        self.state.lock().unwrap().forbidden.push(resource.into());
    }

    /// A resource answers nothing but errors from now on.
    pub(crate) fn break_down(&self, resource: &str) {
        self.state.lock().unwrap().broken.push(resource.into());
    }

    /// The credentials are no good from now on, or are again.
    pub(crate) fn reject(&self, rejected: bool) {
        self.state.lock().unwrap().unauthorized = rejected;
    }

    /// Connections are taken and nothing is answered, as by a stopped process.
    pub(crate) fn silence(&self, silent: bool) {
        self.state.lock().unwrap().silent = silent;
    }

    /// Answers this many requests for single objects, with nothing, and then falls silent.
    pub(crate) fn silence_after(&self, answers: usize) {
        let mut state = self.state.lock().unwrap();
        state.silent = answers == 0;
        state.answers_left = Some(answers);
    }

    /// Every watch hears that its resourceVersion is too old; what happened until now is forgotten.
    pub(crate) fn expire(&self) {
        let resources: Vec<String> = {
            let mut state = self.state.lock().unwrap();
            state.log.clear();
            state.compacted = state.version;
            state.by_resource.keys().cloned().collect()
        };
        for resource in resources {
            self.tell(&resource, expired());
        }
    }

    /// Every watch breaks off in the middle.
    pub(crate) fn cut(&self) {
        // Without a watch there is nothing to cut.
        let _ = self.lines.send(Line::Cut);
    }

    fn tell(&self, resource: &str, event: Value) {
        // Without a watch nobody has to hear it.
        let _ = self.lines.send(Line::Event(resource.into(), event));
    }

    async fn answer(&self, resource: String, query: &BTreeMap<String, String>) -> Response {
        self.hold_while_silent().await;
        let state = self.state.lock().unwrap();
        if state.unauthorized {
            return status(401, "Unauthorized", "Unauthorized");
        }
        if state.broken.contains(&resource) {
            return status(500, "InternalError", "out of order");
        }
        if state.forbidden.contains(&resource) {
            return status(403, "Forbidden", &format!("{resource} is forbidden"));
        }
        if query.get("watch").is_none_or(|watch| watch != "true") {
            let items: Vec<&Value> = state
                .by_resource
                .get(&resource)
                .into_iter()
                .flat_map(BTreeMap::values)
                .collect();
            return Json(json!({
                "kind": "List", "apiVersion": "v1", "items": items,
                "metadata": {"resourceVersion": state.version.to_string()},
            }))
            .into_response();
        }
        let from: u64 = query
            .get("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(state.version);
        if from < state.compacted {
            // It was listed before what happened since was forgotten, and would miss that.
            return format!("{}\n", expired()).into_response();
        }
        let missed: VecDeque<Value> = state
            .log
            .iter()
            .filter(|(version, of, _)| *version > from && *of == resource)
            .map(|(_, _, event)| event.clone())
            .collect();
        // Under the lock, so that nothing falls between what was missed and what comes.
        let lines = self.lines.subscribe();
        drop(state);
        Body::from_stream(follow(resource, missed, lines)).into_response()
    }

    /// A request for a single object, or to make one: there is none, and none is made.
    async fn answer_single(&self) -> Response {
        self.hold_while_silent().await;
        let mut state = self.state.lock().unwrap();
        if let Some(left) = &mut state.answers_left {
            *left = left.saturating_sub(1);
            state.silent = state.answers_left == Some(0);
        }
        status(404, "NotFound", "not found")
    }

    async fn hold_while_silent(&self) {
        while self.state.lock().unwrap().silent {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// The event with which a watch hears that it begins too early.
fn expired() -> Value {
    json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}})
}

/// What a watch missed, then what comes, one JSON object a line.
fn follow(
    resource: String,
    missed: VecDeque<Value>,
    lines: broadcast::Receiver<Line>,
) -> impl futures::Stream<Item = std::io::Result<String>> {
    futures::stream::unfold((missed, lines), move |(mut missed, mut lines)| {
        let resource = resource.clone();
        async move {
            if let Some(event) = missed.pop_front() {
                return Some((Ok(format!("{event}\n")), (missed, lines)));
            }
            loop {
                match lines.recv().await {
                    Ok(Line::Event(of, event)) if of == resource => {
                        return Some((Ok(format!("{event}\n")), (missed, lines)));
                    }
                    Ok(Line::Event(..)) => {}
                    Ok(Line::Cut) => {
                        return Some((Err(std::io::Error::other("cut")), (missed, lines)));
                    }
                    Err(_) => return None,
                }
            }
        }
    })
}

impl Objects {
    fn log(&mut self, resource: &str, kind: &str, object: &Value) -> Value {
        let event = json!({"type": kind, "object": object});
        self.log
            .push((self.version, resource.into(), event.clone()));
        event
    }

    fn remove(&mut self, resource: &str, name: &str) -> Option<Value> {
        let mut object = self.by_resource.get_mut(resource)?.remove(name)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        Some(self.log(resource, "DELETED", &object))
    }
}

type Words = Query<BTreeMap<String, String>>;

async fn single(State(api): State<Api>) -> Response {
    api.answer_single().await
}

async fn readyz(State(api): State<Api>) -> Result<Response, Infallible> {
    api.hold_while_silent().await;
    let unauthorized = api.state.lock().unwrap().unauthorized;
    Ok(if unauthorized {
        status(401, "Unauthorized", "Unauthorized")
    } else {
        "ok".into_response()
    })
}

async fn cluster_wide(
    State(api): State<Api>,
    Path(resource): Path<String>,
    Query(query): Words,
) -> Response {
    api.answer(resource, &query).await
}

async fn namespaced(
    State(api): State<Api>,
    Path((_, resource)): Path<(String, String)>,
    Query(query): Words,
) -> Response {
    api.answer(resource, &query).await
}

async fn group_wide(
    State(api): State<Api>,
    Path((_, resource)): Path<(String, String)>,
    Query(query): Words,
) -> Response {
    api.answer(resource, &query).await
}

async fn group_namespaced(
    State(api): State<Api>,
    Path((_, _, resource)): Path<(String, String, String)>,
    Query(query): Words,
) -> Response {
    api.answer(resource, &query).await
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    (
        StatusCode::from_u16(code).expect("a code"),
        Json(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code, "message": message})),
    )
        .into_response()
}
