//! A cluster behind a kubeconfig, and what the page hears when it fails.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use super::api::Api;
use super::events::event;
use super::server::Server;

struct Page {
    server: Server,
    response: Response,
    rest: String,
    snapshot: Value,
}

impl Page {
    async fn open(arguments: &[&str]) -> Self {
        Self::on(Server::start(arguments)).await
    }

    async fn on(server: Server) -> Self {
        let mut response = server.get("/events").await;
        let mut rest = String::new();
        let (_, _, snapshot) = event(&mut response, &mut rest).await;
        Self {
            server,
            response,
            rest,
            snapshot,
        }
    }

    async fn of(api: &Api) -> Self {
        Self::open(&["--cluster", "kube", "--kubeconfig", &api.kubeconfig()]).await
    }

    /// The next event for which `wanted` is true; those before it are let go.
    async fn until(&mut self, what: &str, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        let search = async {
            loop {
                let (name, _, data) = event(&mut self.response, &mut self.rest).await;
                if wanted(&name, &data) {
                    return data;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), search)
            .await
            .unwrap_or_else(|_| panic!("never heard: {what}"))
    }

    async fn link(&mut self, state: &str) -> Value {
        if self.snapshot["link"]["state"] == state {
            return self.snapshot["link"].clone();
        }
        // A new source begins with a snapshot of its own, which has the link as well.
        self.until(state, |name, data| {
            matches!(name, "link" | "snapshot") && data["link"]["state"] == state
        })
        .await["link"]
            .clone()
    }
}

impl Page {
    /// The link with a fault of this cause.
    async fn fault(&mut self, cause: &str) -> Value {
        if self.snapshot["link"]["fault"]["cause"] == cause {
            return self.snapshot["link"].clone();
        }
        self.until(cause, |name, data| {
            matches!(name, "link" | "snapshot") && data["link"]["fault"]["cause"] == cause
        })
        .await["link"]
            .clone()
    }
}

fn pod(name: &str, uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-11-23T00:00:00Z"}, "spec": {"containers": [{"name": "a", "image": "x"}]}, "status": {"phase": "Pending"}})
}

// The API answers while the test waits for the binary: that takes a second thread.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_says_arrives() {
    let api = Api::start().await;
    api.put("pods", pod("a-0", "1"));
    let mut page = Page::of(&api).await;
    page.link("live").await;
    api.put("pods", pod("a-1", "2"));
    let frame = page
        .until("a-1", |name, data| {
            name == "added" && data["card"]["name"] == "a-1"
        })
        .await;
    assert_eq!(frame["story"]["key"], "pod.created.bare");
    api.delete("pods", "a-1");
    page.until("its end", |name, data| {
        name == "deleted" && data["card"]["uid"] == "2"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_watch_is_begun_anew_and_misses_nothing() {
    let api = Api::start().await;
    api.put("pods", pod("a-0", "1"));
    let mut page = Page::of(&api).await;
    page.link("live").await;
    api.watched().await;
    api.vanish("pods", "a-0");
    api.expire();
    let frame = page.until("a-0 is gone", |name, _| name == "deleted").await;
    assert_eq!(frame["story"]["key"], "gap.gone");
    api.put("pods", pod("a-1", "2"));
    page.until("a-1", |name, data| {
        name == "added" && data["card"]["uid"] == "2"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_misses_nothing() {
    let api = Api::start().await;
    api.put("pods", pod("a-0", "1"));
    let mut page = Page::of(&api).await;
    page.link("live").await;
    api.watched().await;
    api.vanish("pods", "a-0");
    api.cut();
    page.until("a-0 is gone", |name, data| {
        name == "deleted" && data["card"]["uid"] == "1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_falls_silent_is_shown_as_interrupted_and_comes_back() {
    let api = Api::start().await;
    api.put("pods", pod("a-0", "1"));
    let mut page = Page::of(&api).await;
    page.link("live").await;
    api.silence(true);
    let link = page.link("interrupted").await;
    assert_eq!(link["fault"]["cause"], "timeout");
    assert_eq!(page.server.get("/readyz").await.status(), 503);
    api.vanish("pods", "a-0");
    api.silence(false);
    page.until("a-0 is gone", |name, data| {
        name == "deleted" && data["story"]["key"] == "gap.gone"
    })
    .await;
    page.link("live").await;
    assert_eq!(page.server.get("/readyz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_gone_is_told_once_and_its_return_once() {
    let api = Api::start().await;
    api.put("pods", pod("a-0", "1"));
    let mut page = Page::of(&api).await;
    page.link("live").await;
    api.watched().await;
    api.die();
    page.link("interrupted").await;
    // Long enough for every watch to have failed several times over, were it still at it.
    let quiet = tokio::time::timeout(
        Duration::from_secs(6),
        page.until("a change of the link's state", |name, data| {
            name == "link" && data["link"]["state"] != "interrupted"
        }),
    );
    assert!(quiet.await.is_err(), "it flaps");
    api.rise().await;
    let back = page
        .until("its return", |name, data| {
            name == "link" && data["link"]["state"] == "live"
        })
        .await;
    assert_eq!(back["story"]["key"], "link.back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_credentials_plugin_was_told_stays_at_home() {
    let api = Api::start().await;
    let path = api.kubeconfig();
    let config = std::fs::read_to_string(&path).expect("it");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["users"][0]["user"] = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never",
        "args": ["-c", "echo token-in-stdout; echo token-in-stderr >&2; exit 1", "--secret=in-an-argument"],
        "env": [{"name": "KEY", "value": "in-the-environment"}],
    }});
    std::fs::write(&path, config.to_string()).expect("written");
    let mut page = Page::open(&["--cluster", "kube", "--kubeconfig", &path]).await;
    let link = page.fault("unauthorized").await;
    let ready = page.server.get("/readyz").await.text().await.expect("text");
    for secret in [
        "in-stdout",
        "in-stderr",
        "in-an-argument",
        "in-the-environment",
    ] {
        assert!(!link.to_string().contains(secret), "{link}");
        assert!(!ready.contains(secret), "{ready}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_rbac_forbids_leaves_the_rest_alive() {
    let api = Api::start().await;
    api.forbid("persistentvolumes");
    let mut page = Page::of(&api).await;
    let link = page.link("live").await;
    assert_eq!(link["kinds"]["PersistentVolume"], "forbidden");
    assert_eq!(link["kinds"]["Pod"], "synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_out_of_order_leaves_the_rest_alive() {
    let api = Api::start().await;
    api.break_down("events");
    let mut page = Page::of(&api).await;
    let link = page.link("live").await;
    assert_eq!(link["kinds"]["Event"], "failing");
    assert_eq!(link["kinds"]["Pod"], "synced");
}

/// One object of a real cluster that does not fit its type stood in the way of all of its kind.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_is_left_out_and_the_rest_of_its_kind_goes_on() {
    let api = Api::start().await;
    let mut broken = pod("broken", "9");
    broken["metadata"]["creationTimestamp"] = "HUNTER-yesterday".into();
    broken["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": "HUNTER-ENV"}]);
    let mut wide = pod("wide", "8");
    wide["spec"]["priority"] = (1_u64 << 40).into();
    wide["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": 7}]);
    api.put("pods", broken.clone());
    api.put("pods", wide);
    api.put("pods", pod("a-0", "1"));
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut command = super::server::eizoku();
    command
        .env("EIZOKU_LOG", "debug")
        .stderr(std::fs::File::create(&log).expect("made"));
    let kubeconfig = api.kubeconfig();
    let arguments = ["--cluster", "kube", "--kubeconfig", &kubeconfig];
    let mut page = Page::on(Server::start_as(command, &arguments)).await;
    let link = page.link("live").await;
    assert_eq!(link["kinds"]["Pod"], "partial");
    assert_eq!(link["kinds"]["Event"], "synced");
    let pods = page
        .server
        .get("/history")
        .await
        .text()
        .await
        .expect("text");
    assert!(
        pods.contains("\"wide\"") && pods.contains("\"a-0\""),
        "{pods}"
    );
    assert!(!pods.contains("\"broken\""), "{pods}");
    // It goes on after the watch has begun anew, and hears of others.
    api.watched().await;
    api.expire();
    api.put("pods", pod("a-1", "2"));
    page.until("a-1", |name, data| {
        name == "added" && data["card"]["name"] == "a-1"
    })
    .await;
    // Once it can be read it is there, and all is well.
    api.put("pods", pod("broken", "9"));
    page.until("it is whole", |name, data| {
        name == "link" && data["link"]["kinds"]["Pod"] == "synced"
    })
    .await;
    api.put("pods", broken);
    page.until("it is not", |name, data| {
        name == "link" && data["link"]["kinds"]["Pod"] == "partial"
    })
    .await;
    api.delete("pods", "broken");
    page.until("its end", |name, data| {
        name == "deleted" && data["card"]["uid"] == "9"
    })
    .await;
    let log = std::fs::read_to_string(&log).expect("it");
    // Said when it was seen first, and when it broke again.
    assert_eq!(
        log.matches("cannot be read is left out").count(),
        2,
        "{log}"
    );
    assert!(!log.contains("HUNTER-ENV"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_named() {
    let api = Api::start().await;
    api.reject(true);
    let mut page = Page::of(&api).await;
    let link = page.fault("unauthorized").await;
    assert_eq!(link["state"], "connecting");
    api.reject(false);
    page.link("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_not_there_lists_those_that_are_and_heals() {
    let api = Api::start().await;
    let kubeconfig = api.kubeconfig();
    let arguments = [
        "--cluster",
        "kube",
        "--kubeconfig",
        &kubeconfig,
        "--context",
        "kind-kind",
    ];
    let mut page = Page::open(&arguments).await;
    let link = page.link("misconfigured").await;
    assert_eq!(link["fault"]["cause"], "context-not-found");
    assert_eq!(link["fault"]["contexts"], json!(["test", "other"]));
    let text = std::fs::read_to_string(&kubeconfig).expect("it");
    std::fs::write(&kubeconfig, text.replace("\"other\"", "\"kind-kind\"")).expect("written");
    page.link("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_kubeconfig_says_where_and_shows_nothing_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config");
    std::fs::write(
        &path,
        "users:\n- user: {client-key-data: c2VjcmV0LWtleQ==\n",
    )
    .expect("written");
    let path = path.display().to_string();
    let mut page = Page::open(&["--cluster", "kube", "--kubeconfig", &path]).await;
    let link = page.link("misconfigured").await;
    assert_eq!(link["fault"]["cause"], "kubeconfig-unreadable");
    assert_eq!(link["fault"]["path"], path);
    assert!(!link.to_string().contains("c2VjcmV0"), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_takes_a_cluster_that_answers_and_else_says_why_not() {
    let api = Api::start().await;
    let page = Page::open(&["--kubeconfig", &api.kubeconfig()]).await;
    assert_eq!(page.snapshot["source"]["kind"], "kube");
    assert_eq!(page.snapshot["source"]["label"], "test");
    assert_eq!(page.snapshot["source"]["namespace"], "shop");

    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let page = Page::open(&["--kubeconfig", "/nonexistent/config", "--data", &data]).await;
    let source = &page.snapshot["source"];
    assert_eq!(source["kind"], "embedded");
    assert_eq!(source["kubeconfig"], format!("{data}/kubeconfig"));
    assert_eq!(source["fallback"]["cause"], "kubeconfig-unreadable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_may_be_chosen() {
    let api = Api::start().await;
    let mut page = Page::open(&[
        "--cluster",
        "kube",
        "--kubeconfig",
        &api.kubeconfig(),
        "--namespace",
        "lesson",
    ])
    .await;
    page.link("live").await;
    assert_eq!(page.snapshot["source"]["namespace"], "lesson");
}
