//! Acting, looking inside and terminals: what is refused, and the lesson done through the page's own
//! requests on the embedded cluster.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::api::Api;
use super::events::event;
use super::server::Server;

/// Long enough for a PostgreSQL that is made anew in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(300);
const CLAIM: &str = "postgres-data-postgres-statefulset-0";
const POD: &str = "postgres-statefulset-0";

async fn act(server: &Server, action: Value) -> (u16, Value) {
    let response = server
        .client
        .post(format!("{}/act", server.url))
        .header("content-type", "application/json")
        .header("origin", &server.url)
        .body(action.to_string())
        .send()
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    (status, answer)
}

/// The action is done; what kubectl would have printed.
async fn done(server: &Server, action: Value) -> String {
    let (status, answer) = act(server, action).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["ok"], true);
    let said = answer["said"].as_array().expect("lines");
    let lines: Vec<&str> = said.iter().filter_map(Value::as_str).collect();
    lines.join("\n")
}

/// The action is refused, for this reason; the words.
async fn refused(server: &Server, action: Value, status: u16, reason: &str) -> String {
    let (got, answer) = act(server, action.clone()).await;
    assert_eq!(got, status, "{action}: {answer}");
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["reason"], reason, "{action}: {answer}");
    answer["message"].as_str().expect("words").to_owned()
}

fn delete(kind: &str, name: &str, uid: &str) -> Value {
    json!({"do": "delete", "kind": kind, "name": name, "uid": uid})
}

fn query(place: &str, sql: &str) -> Value {
    json!({"do": "query", "in": place, "sql": sql})
}

/// The embedded cluster with a page open.
struct Lesson {
    server: Server,
    events: Response,
    rest: String,
    folder: TempDir,
}

impl Lesson {
    async fn open(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().display().to_string();
        let mut all = vec!["--cluster", "embedded", "--data", &data];
        all.extend(arguments);
        let server = Server::start(&all);
        // Without the limit that a request has: this one lasts as long as the test.
        let address = format!("{}/events", server.url);
        let events = reqwest::get(address).await.expect("an answer");
        let mut lesson = Self {
            server,
            events,
            rest: String::new(),
            folder,
        };
        lesson
            .until("the cluster", |name, data| {
                let state = &data["link"]["state"];
                (name == "snapshot" || name == "link") && state == "live"
            })
            .await;
        lesson
    }

    /// The next event for which `wanted` is true; those before it are let go.
    async fn until(&mut self, what: &str, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        let search = async {
            loop {
                let (name, _, data) = event(&mut self.events, &mut self.rest).await;
                if wanted(&name, &data) {
                    return data;
                }
            }
        };
        timeout(LONG, search)
            .await
            .unwrap_or_else(|_| panic!("never heard: {what}"))
    }

    /// The card of a Pod of this name when it is Ready, with another uid than `before`.
    async fn ready(&mut self, pod: &str, before: &str) -> String {
        let data = self
            .until(pod, |name, data| {
                let card = &data["card"];
                matches!(name, "added" | "modified")
                    && card["kind"] == "Pod"
                    && card["name"] == pod
                    && card["uid"] != before
                    && card["ready"] == json!([1, 1])
            })
            .await;
        data["card"]["uid"].as_str().expect("a uid").to_owned()
    }

    async fn said(&mut self, line: &str) {
        self.until(line, |name, data| name == "said" && data["text"] == line)
            .await;
    }

    /// The next look of this key with a fault of this cause.
    async fn fault(&mut self, key: &str, cause: &str) -> Value {
        let data = self
            .until(cause, |name, data| {
                let inside = &data["inside"];
                name == "inside" && inside["key"] == key && inside["fault"]["cause"] == cause
            })
            .await;
        data["inside"].clone()
    }

    /// Looks into a Pod until the fault is of this cause: a busy machine may be too slow at first.
    async fn looked(&mut self, pod: &Value, key: &str, cause: &str) -> Value {
        for _ in 0..20 {
            done(&self.server, json!({"do": "look", "pod": pod})).await;
            let data = self
                .until("a look", |name, data| {
                    name == "inside" && data["inside"]["key"] == key
                })
                .await;
            if data["inside"]["fault"]["cause"] == cause {
                return data["inside"].clone();
            }
        }
        panic!("never seen: {cause}");
    }

    /// The next look of this key with these rows.
    async fn rows(&mut self, key: &str, rows: Value) -> Value {
        let data = self
            .until("rows", |name, data| {
                name == "inside" && data["inside"]["key"] == key && data["inside"]["rows"] == rows
            })
            .await;
        data["inside"].clone()
    }

    /// The address of the cluster's own API.
    fn api(&self) -> String {
        let path = self.folder.path().join("kubeconfig");
        let config = std::fs::read_to_string(path).expect("a kubeconfig");
        let line = config.lines().find(|line| line.contains("server: "));
        let line = line.expect("a server");
        line.trim().trim_start_matches("server: ").to_owned()
    }

    async fn uid(&self, path: &str) -> String {
        let response = self
            .server
            .client
            .get(format!("{}{path}", self.api()))
            .send()
            .await
            .expect("an answer");
        let text = response.text().await.expect("text");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        let uid = object["metadata"]["uid"].as_str();
        uid.unwrap_or_else(|| panic!("{path}: {text}")).to_owned()
    }

    async fn create(&self, path: &str, object: Value) {
        let response = self
            .server
            .client
            .post(format!("{}{path}", self.api()))
            .header("content-type", "application/json")
            .body(object.to_string())
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 201);
    }

    async fn terminal(&self, pod: &str, uid: &str, program: &str) -> Socket {
        let path = format!("/terminal?pod={pod}&uid={uid}&program={program}");
        Socket::open(&self.server, &path, &self.server.url)
            .await
            .expect("a WebSocket")
    }
}

/// A terminal as the page has it.
struct Socket {
    socket: WebSocketStream<TcpStream>,
    text: String,
}

impl Socket {
    async fn open(server: &Server, path: &str, origin: &str) -> Result<Self, Error> {
        let address = server.url.trim_start_matches("http://");
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let origin = origin.parse().expect("an origin");
        request.headers_mut().insert("origin", origin);
        let cookie = server.cookie.parse().expect("a header");
        request.headers_mut().insert("cookie", cookie);
        let stream = TcpStream::connect(address).await?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self {
            socket,
            text: String::new(),
        })
    }

    async fn keys(&mut self, keys: &str) {
        let message = Message::binary(keys.as_bytes().to_vec());
        self.socket.send(message).await.expect("sent");
    }

    async fn resize(&mut self, cols: u16, rows: u16) {
        let text = json!({"resize": {"cols": cols, "rows": rows}}).to_string();
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// Reads until the terminal shows this; what is before it is let go.
    async fn shows(&mut self, wanted: &str) {
        let reading = async {
            loop {
                if let Some(at) = self.text.find(wanted) {
                    self.text.drain(..at + wanted.len());
                    return;
                }
                match self.socket.next().await.expect("no end").expect("it") {
                    Message::Binary(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                    other => panic!("{other} while waiting for {wanted:?} after {:?}", self.text),
                }
            }
        };
        if timeout(LONG, reading).await.is_err() {
            panic!("never shown: {wanted:?}");
        }
    }

    /// How it ended; the last message but for the closing one.
    async fn ended(mut self) -> Value {
        let reading = async {
            loop {
                match self.socket.next().await.expect("no end").expect("it") {
                    Message::Text(text) => {
                        let ended: Value = serde_json::from_str(&text).expect("JSON");
                        let close = self.socket.next().await.expect("an end");
                        assert!(close.expect("it").is_close());
                        return ended["ended"].clone();
                    }
                    Message::Binary(_) => {}
                    other => panic!("{other}"),
                }
            }
        };
        timeout(LONG, reading).await.expect("an end")
    }
}

#[tokio::test]
async fn only_the_pages_own_json_is_taken() {
    let server = Server::recording();
    let address = format!("{}/act", server.url);
    assert_eq!(server.get("/act").await.status(), 405);
    let post = |kind: &str, origin: &str, body: String| {
        let request = server.client.post(&address).header("content-type", kind);
        let request = if origin.is_empty() {
            request
        } else {
            request.header("origin", origin)
        };
        request.body(body).send()
    };
    let reset = json!({"do": "reset"}).to_string();
    let other = server.url.replace("127.0.0.1", "localhost");
    for (kind, origin, body, status) in [
        ("text/plain", "", reset.clone(), 415),
        ("application/x-www-form-urlencoded", "", reset.clone(), 415),
        (
            "application/json",
            "http://evil.example",
            reset.clone(),
            403,
        ),
        ("application/json", "null", reset.clone(), 403),
        ("application/json", &other, reset.clone(), 403),
        ("application/json", "", "{".into(), 400),
        (
            "application/json",
            "",
            json!({"do": "drain"}).to_string(),
            422,
        ),
        (
            "application/json",
            "",
            format!("{{\"do\":\"{}\"}}", "x".repeat(20_000)),
            413,
        ),
        ("application/json", &server.url, reset.clone(), 403),
    ] {
        let response = post(kind, origin, body).await.expect("an answer");
        assert_eq!(response.status(), status, "{kind} {origin}");
        let text = response.text().await.expect("text");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["ok"], false);
        assert!(answer["reason"].is_string() && answer["message"].is_string());
    }
    let words = refused(&server, json!({"do": "reset"}), 403, "NotAllowed").await;
    assert!(words.contains("recording"), "{words}");
}

#[tokio::test]
async fn what_no_object_is_called_is_refused_before_anything_is_asked() {
    let server = Server::recording();
    let odd = "p?;touch${IFS}/tmp/x;";
    for action in [
        query(&format!("pod/{odd}"), "SELECT 1"),
        query("pod/../../secrets/x", "SELECT 1"),
        query("statefulset/a b", "SELECT 1"),
        query("deployment/", "SELECT 1"),
        query(&format!("pod/{POD}"), "SELECT '\u{1b}[2J'"),
        delete("Pod", odd, "u"),
        delete("PersistentVolume", "a/b", "u"),
        delete("Pod", POD, "u; rm"),
        json!({"do": "delete", "kind": "Pod", "selector": "a=b\n; rm"}),
        json!({"do": "scale", "kind": "StatefulSet", "name": odd, "uid": "u", "replicas": 1}),
        json!({"do": "scale", "kind": "StatefulSet", "name": "s", "uid": "", "replicas": 1}),
        json!({"do": "retain", "name": "A", "uid": "u"}),
        json!({"do": "release", "name": "v\u{200b}", "uid": "u"}),
        json!({"do": "look", "pod": odd}),
        json!({"do": "look", "claim": "$(x)"}),
    ] {
        let words = refused(&server, action, 422, "Invalid").await;
        assert!(
            !words.contains('\n') && !words.contains('\u{200b}'),
            "{words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_acted_on_only_where_it_was_allowed() {
    let api = Api::start().await;
    let server = Server::start(&["--cluster", "kube", "--kubeconfig", &api.kubeconfig()]);
    let words = refused(&server, json!({"do": "reset"}), 403, "NotAllowed").await;
    assert!(words.contains("--allow-actions"), "{words}");
    let path = format!("/terminal?pod={POD}&uid=u&program=sh");
    let terminal = Socket::open(&server, &path, &server.url).await;
    let ended = terminal.expect("a WebSocket").ended().await;
    assert_eq!(ended["why"], "refused");
    assert!(
        ended["message"]
            .as_str()
            .expect("it")
            .contains("--allow-actions")
    );
    let mut events = server.get("/events").await;
    let mut rest = String::new();
    // The context has a name once the kubeconfig was read.
    let acting = loop {
        let (name, _, data) = event(&mut events, &mut rest).await;
        let acting = &data["source"]["acting"];
        if name == "snapshot" && acting["context"] != "" {
            break acting.clone();
        }
    };
    assert_eq!(
        (&acting["allowed"], &acting["why"]),
        (&json!(false), &json!("flag"))
    );
    assert_eq!(acting["context"], "test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_is_said_to_in_time() {
    let api = Api::start().await;
    let kubeconfig = api.kubeconfig();
    let arguments = [
        "--cluster",
        "kube",
        "--kubeconfig",
        &kubeconfig,
        "--allow-actions",
    ];
    let server = Server::start(&arguments);
    api.watched().await;
    // Silent from the start, and after one answer: in the middle of what it was asked to do.
    for (answers, action) in [
        (0, json!({"do": "apply", "folder": "stateful-app"})),
        (1, json!({"do": "apply", "folder": "stateful-app"})),
        (2, json!({"do": "apply", "folder": "stateful-app"})),
        (0, delete("Pod", POD, "u")),
        (0, json!({"do": "reset"})),
        (0, json!({"do": "look", "claim": CLAIM})),
        (0, query("statefulset/postgres-statefulset", "SELECT 1")),
    ] {
        api.silence(false);
        api.silence_after(answers);
        let began = Instant::now();
        refused(&server, action.clone(), 503, "Unreachable").await;
        assert!(began.elapsed() < Duration::from_secs(5), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_is_done_in_the_page() {
    let mut lesson = Lesson::open(&[]).await;
    let apply = json!({"do": "apply", "folder": "stateful-app"});
    let said = done(&lesson.server, apply.clone()).await;
    let want = [
        "secret/postgres-secret created",
        "service/postgres-headless-service created",
        "service/postgres-service created",
        "statefulset.apps/postgres-statefulset created",
    ];
    assert_eq!(said, want.join("\n"));
    lesson.said("kubectl apply -f stateful-app/").await;
    let said = done(&lesson.server, apply).await;
    assert_eq!(said, want.join("\n").replace("created", "unchanged"));

    // It looks by itself when the Pod turns Ready: there is no table yet.
    let fault = lesson.fault(CLAIM, "no-table").await;
    assert_eq!(fault["pod"], POD);
    assert_eq!(
        (&fault["rows"], &fault["columns"]),
        (&json!([]), &json!([]))
    );

    // Rows, and what is awkward in them.
    let place = format!("pod/{POD}");
    let sql = "CREATE TABLE inventory (id serial PRIMARY KEY, name varchar(50)); INSERT INTO inventory (name) VALUES ('apple'), ('み\"か,\nん'), (NULL)";
    let said = done(&lesson.server, query(&place, sql)).await;
    assert_eq!(said, "CREATE TABLE\nINSERT 0 3");
    let rows = json!([["1", "apple"], ["2", "み\"か,\nん"], ["3", "NULL"]]);
    let first = lesson.rows(CLAIM, rows.clone()).await;
    assert_eq!(first["columns"], json!(["id", "name"]));
    let message = refused(
        &lesson.server,
        query(&place, "SELECT * FROM nope"),
        422,
        "Failed",
    )
    .await;
    assert!(
        message.contains("relation \"nope\" does not exist"),
        "{message}"
    );

    // Another body, another uid, the same rows.
    let uid = first["podUid"].as_str().expect("a uid").to_owned();
    let words = refused(
        &lesson.server,
        delete("Pod", POD, "another"),
        409,
        "Conflict",
    )
    .await;
    assert!(words.contains("UID in precondition: another"), "{words}");
    refused(
        &lesson.server,
        delete("Pod", "nobody", "u"),
        404,
        "NotFound",
    )
    .await;
    let said = done(&lesson.server, delete("Pod", POD, &uid)).await;
    assert_eq!(said, format!("pod \"{POD}\" deleted"));
    lesson.said(&format!("kubectl delete pod {POD}")).await;
    let again = lesson.rows(CLAIM, rows).await;
    assert_ne!(again["podUid"], uid.as_str());

    // Without a Pod there is nobody to ask.
    let path = "/apis/apps/v1/namespaces/default/statefulsets/postgres-statefulset";
    let set = lesson.uid(path).await;
    let scale = |uid: &str, replicas: u32| json!({"do": "scale", "kind": "StatefulSet", "name": "postgres-statefulset", "uid": uid, "replicas": replicas});
    refused(&lesson.server, scale("another", 0), 409, "Conflict").await;
    let said = done(&lesson.server, scale(&set, 0)).await;
    assert_eq!(said, "statefulset.apps/postgres-statefulset scaled");
    lesson
        .until("the end of the Pod", |name, data| {
            name == "deleted" && data["card"]["name"] == POD
        })
        .await;
    done(&lesson.server, json!({"do": "look", "claim": CLAIM})).await;
    let fault = lesson.fault(CLAIM, "no-pod").await;
    assert_eq!(fault["claim"], CLAIM);

    // A volume that is kept goes with the rest when everything is reset.
    let claim = lesson
        .uid(&format!(
            "/api/v1/namespaces/default/persistentvolumeclaims/{CLAIM}"
        ))
        .await;
    let volume = format!("pvc-{claim}");
    let volume_uid = lesson
        .uid(&format!("/api/v1/persistentvolumes/{volume}"))
        .await;
    let retain = json!({"do": "retain", "name": volume, "uid": volume_uid});
    assert_eq!(
        done(&lesson.server, retain).await,
        format!("persistentvolume/{volume} patched")
    );
    lesson
        .until("Retain", |name, data| {
            name == "modified"
                && data["card"]["uid"] == volume_uid.as_str()
                && data["card"]["reclaim"] == "Retain"
        })
        .await;
    let said = done(&lesson.server, json!({"do": "reset"})).await;
    assert!(
        said.contains("statefulset.apps \"postgres-statefulset\" deleted"),
        "{said}"
    );
    assert!(
        said.contains(&format!("persistentvolumeclaim \"{CLAIM}\" deleted")),
        "{said}"
    );
    lesson
        .until("the end of the volume", |name, data| {
            name == "deleted" && data["card"]["uid"] == volume_uid.as_str()
        })
        .await;
    // What is gone can be reset again.
    assert_eq!(done(&lesson.server, json!({"do": "reset"})).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_none_of_the_lessons_is_left_alone() {
    let lesson = Lesson::open(&[]).await;
    let namespace = "/api/v1/namespaces/default";
    let claim = json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": "mine"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    lesson
        .create(&format!("{namespace}/persistentvolumeclaims"), claim)
        .await;
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "mine", "labels": {"app": "lane-emptydir"}}, "spec": {"containers": [{"name": "c", "image": "nothing.invalid/x"}]}});
    lesson.create(&format!("{namespace}/pods"), pod).await;
    let volume = json!({"kind": "PersistentVolume", "apiVersion": "v1", "metadata": {"name": "mine"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "none", "hostPath": {"path": "/nonexistent/mine"}}});
    lesson.create("/api/v1/persistentvolumes", volume).await;
    let claim = lesson
        .uid(&format!("{namespace}/persistentvolumeclaims/mine"))
        .await;
    let pod = lesson.uid(&format!("{namespace}/pods/mine")).await;
    let volume = lesson.uid("/api/v1/persistentvolumes/mine").await;
    for action in [
        delete("PersistentVolumeClaim", "mine", &claim),
        delete("Pod", "mine", &pod),
        delete("PersistentVolume", "mine", &volume),
        json!({"do": "retain", "name": "mine", "uid": volume}),
        json!({"do": "release", "name": "mine", "uid": volume}),
        json!({"do": "delete", "kind": "Pod", "selector": "app in (lane-emptydir,lane-deployment)"}),
        json!({"do": "apply", "folder": "stateful-app", "file": "../lanes/01-secret.yaml"}),
        json!({"do": "look", "pod": "mine"}),
        query("pod/mine", "SELECT 1"),
    ] {
        refused(&lesson.server, action, 403, "NotOfTheLesson").await;
    }
    let ended = lesson.terminal("mine", &pod, "sh").await.ended().await;
    assert_eq!(ended["why"], "refused");
    assert_eq!(done(&lesson.server, json!({"do": "reset"})).await, "");
    for (path, uid) in [
        (format!("{namespace}/persistentvolumeclaims/mine"), claim),
        (format!("{namespace}/pods/mine"), pod),
        ("/api/v1/persistentvolumes/mine".into(), volume),
    ] {
        assert_eq!(lesson.uid(&path).await, uid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_said_to_be() {
    // The chapter with looks into another database.
    let content = tempfile::tempdir().expect("a folder");
    copy(&super::server::root().join("content"), content.path());
    let path = content.path().join("lesson.toml");
    let text = std::fs::read_to_string(&path).expect("it");
    std::fs::write(&path, text.replace("\"app_db\"", "\"nowhere\"")).expect("written");
    let content = content.path().display().to_string();
    let mut lesson = Lesson::open(&["--content", &content]).await;
    for file in ["01-secret.yaml", "02-emptydir.yaml"] {
        let apply = json!({"do": "apply", "folder": "lanes", "file": file});
        done(&lesson.server, apply).await;
    }
    // Known by the workload where there is no claim.
    let card = lesson
        .until("a Pod", |name, data| {
            let card = &data["card"];
            let is_ready = card["kind"] == "Pod" && card["ready"] == json!([1, 1]);
            matches!(name, "added" | "modified") && is_ready
        })
        .await["card"]
        .clone();
    let fault = lesson
        .looked(&card["name"], "lane-emptydir", "no-database")
        .await;
    assert!(fault["claim"].is_null());
    let words = fault["fault"]["detail"].as_str().expect("psql's words");
    assert!(
        words.contains("database \"nowhere\" does not exist"),
        "{words}"
    );
    let asked = query("deployment/lane-emptydir", "SELECT 1");
    refused(&lesson.server, asked, 422, "Failed").await;
    // A body that is not Ready yet.
    let selector =
        json!({"do": "delete", "kind": "Pod", "selector": "app=lane-emptydir", "force": true});
    let said = done(&lesson.server, selector).await;
    assert!(said.ends_with(" force deleted"), "{said}");
    let before = fault["podUid"].clone();
    let added = lesson
        .until("the new body", |name, data| {
            let card = &data["card"];
            name == "added" && card["kind"] == "Pod" && card["uid"] != before
        })
        .await;
    let (pod, uid) = (&added["card"]["name"], &added["card"]["uid"]);
    done(&lesson.server, json!({"do": "look", "pod": pod})).await;
    let fault = lesson.fault("lane-emptydir", "not-ready").await;
    assert_eq!((&fault["pod"], &fault["podUid"]), (pod, uid));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).expect("made");
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_carries_both_ways_and_says_how_it_ended() {
    let mut lesson = Lesson::open(&[]).await;
    done(
        &lesson.server,
        json!({"do": "apply", "folder": "stateful-app"}),
    )
    .await;
    let uid = lesson.ready(POD, "").await;

    let path = format!("/terminal?pod={POD}&uid={uid}&program=psql");
    for origin in ["http://evil.example", "null"] {
        match Socket::open(&lesson.server, &path, origin).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403),
            _ => panic!("{origin} got in"),
        }
    }
    for (pod, uid, program) in [
        (POD, "another", "psql"),
        ("nobody", "u", "sh"),
        (POD, uid.as_str(), "vi"),
        ("x%2F..%2F..%2Fsecrets", "u", "sh"),
        (POD, "u%0A", "sh"),
    ] {
        let ended = lesson.terminal(pod, uid, program).await.ended().await;
        assert_eq!(ended["why"], "refused", "{pod} {program}");
        assert!(ended["message"].is_string());
    }

    let mut psql = lesson.terminal(POD, &uid, "psql").await;
    psql.resize(100, 30).await;
    psql.shows("app_db=#").await;
    psql.keys("SELECT 'み' || 'かん' AS fruit;\r").await;
    psql.shows("みかん").await;
    psql.shows("(1 row)").await;
    psql.keys("\\q\r").await;
    let ended = psql.ended().await;
    assert_eq!(ended, json!({"why": "exit", "code": 0}));

    let mut sh = lesson.terminal(POD, &uid, "sh").await;
    sh.keys("echo $((40+2))\r").await;
    sh.shows("42").await;
    sh.keys("exit 3\r").await;
    assert_eq!(sh.ended().await, json!({"why": "exit", "code": 3}));

    // The Pod dies under it, and the seat has another body then.
    let mut left = lesson.terminal(POD, &uid, "psql").await;
    left.shows("app_db=#").await;
    done(&lesson.server, delete("Pod", POD, &uid)).await;
    let ended = left.ended().await;
    assert_eq!(ended["why"], "pod-gone", "{ended}");
    let next = lesson.ready(POD, &uid).await;
    let mut psql = lesson.terminal(POD, &next, "psql").await;
    psql.shows("app_db=#").await;
}

/// What the page hears, in order: lines typed as `$`, stories by their keys.
async fn told_until(lesson: &mut Lesson, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let told = Mutex::new(Vec::new());
    lesson
        .until("the end", |name, data| {
            let key = match name {
                "said" => "$",
                _ => data["story"]["key"].as_str().unwrap_or_default(),
            };
            if !key.is_empty() {
                told.lock().unwrap().push(key.to_owned());
            }
            is_last(key)
        })
        .await;
    told.into_inner().unwrap()
}

/// Each kind has a watch of its own; whatever they say first, what was typed is told before what it brought about, and
/// each cause before its effect.
#[tokio::test(flavor = "multi_thread")]
async fn causes_are_told_before_their_effects() {
    let mut lesson = Lesson::open(&[]).await;
    let first = |told: &[String], of: &str| told.iter().position(|key| key.starts_with(of));
    let check = |told: &[String], pairs: &[(&str, &str)]| {
        for (cause, effect) in pairs {
            let (Some(before), Some(after)) = (first(told, cause), first(told, effect)) else {
                panic!("{cause} or {effect} was not told: {told:?}");
            };
            assert!(before < after, "{effect} before {cause}: {told:?}");
        }
    };
    done(
        &lesson.server,
        json!({"do": "apply", "folder": "stateful-app"}),
    )
    .await;
    let told = told_until(&mut lesson, |key| key == "sts.ready").await;
    check(
        &told,
        &[
            ("$", "sts.created"),
            ("sts.created", "pod.created"),
            ("pod.created", "pvc.node"),
            ("pvc.node", "pvc.asked"),
            ("pvc.asked", "pv.provisioned"),
            ("pv.provisioned", "pvc.bound"),
            ("pvc.bound", "pod.scheduled"),
            ("pod.scheduled", "pod.running"),
            ("pod.running", "pod.ready"),
            ("pod.ready", "sts.ready"),
        ],
    );
    for _ in 0..2 {
        let pod = lesson
            .uid(&format!("/api/v1/namespaces/default/pods/{POD}"))
            .await;
        done(&lesson.server, delete("Pod", POD, &pod)).await;
        let told = told_until(&mut lesson, |key| key == "sts.ready").await;
        check(
            &told,
            &[
                ("$", "pod.killing"),
                ("pod.killing", "pod.gone"),
                ("pod.gone", "pod.recreated"),
                ("pod.recreated", "pod.scheduled"),
                ("pod.scheduled", "pod.ready"),
                ("pod.ready", "sts.ready"),
            ],
        );
    }
}
