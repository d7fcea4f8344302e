//! The cluster fails, and the page says so and misses nothing.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::kubectl::{Namespace, kubeconfig};
use super::page::Page;
use super::proxy::{Proxy, port};

/// A Pod that is made and forgotten: nothing has to run for it to be there.
fn make_pod(namespace: &Namespace, name: &str) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeSelector": {"planet": "mars"}, "containers": [{"name": "a", "image": "busybox"}]}});
    namespace.apply(&pod.to_string());
}

async fn appears(page: &Page, mark: usize, name: &str) {
    page.until(mark, &format!("{name} appears"), |it| {
        it.event == "added" && it.data["card"]["name"] == name
    })
    .await;
}

/// The API server, which is stopped as long as this is held.
struct Stopped(String);

impl Stopped {
    fn now() -> Self {
        let folder = std::env::var("CLUSTER_DIR").unwrap_or_else(|_| "/tmp/real-cluster".into());
        let id = std::fs::read_to_string(format!("{folder}/pid/kube-apiserver")).expect("its id");
        let stopped = Self(id.trim().to_owned());
        stopped.signal("-STOP");
        stopped
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.0])
            .status()
            .expect("kill");
        assert!(status.success() || std::thread::panicking());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_an_api_server_that_stands_still_is_an_interruption_and_no_loss() {
    let namespace = Namespace::new("stopped");
    make_pod(&namespace, "before");
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    let mark = page.mark();
    let stopped = Stopped::now();
    // Others may be using this cluster: it goes on in any case after a short while.
    let link = tokio::time::timeout(Duration::from_secs(25), page.link(mark, "interrupted")).await;
    drop(stopped);
    let link = link.expect("the interruption is noticed");
    assert_eq!(link["fault"]["cause"], "timeout");
    let (back, _) = page
        .until(mark, "live again", |it| {
            it.event == "link" && it.data["link"]["state"] == "live"
        })
        .await;
    let gone: Vec<String> = page
        .stories(mark)
        .into_iter()
        .filter(|it| it.starts_with("gap.gone"))
        .collect();
    assert!(gone.is_empty(), "nothing vanished: {gone:?}");
    assert!(page.card("Pod", "before").is_some());
    make_pod(&namespace, "after");
    appears(&page, back, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_what_vanishes_while_the_connection_is_cut_is_removed_and_told() {
    let namespace = Namespace::new("cut");
    make_pod(&namespace, "stays");
    make_pod(&namespace, "vanishes");
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::to(port(&kubeconfig())).await;
    let through = proxy.kubeconfig(&kubeconfig(), folder.path());
    let page = Page::open(&through, &namespace.name).await;
    let mark = page.mark();
    proxy.cut();
    let link = page.link(mark, "interrupted").await;
    assert_ne!(link["fault"]["detail"], "");
    namespace.kubectl(&["delete", "pod", "vanishes", "--grace-period=0", "--force"]);
    make_pod(&namespace, "comes");
    assert!(page.card("Pod", "vanishes").is_some(), "shown as last seen");
    proxy.mend();
    let gone = page.told(mark, "vanishes", &["gap.gone"]).await;
    assert_eq!(gone["kind"], "Pod");
    appears(&page, mark, "comes").await;
    page.until(mark, "live again", |it| {
        it.event == "link" && it.data["link"]["state"] == "live"
    })
    .await;
    assert!(page.card("Pod", "stays").is_some());
    let wrong: Vec<String> = page
        .stories(mark)
        .into_iter()
        .filter(|it| it.starts_with("gap.gone") && !it.contains("vanishes"))
        .collect();
    assert!(wrong.is_empty(), "only one vanished: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_a_cut_too_short_to_be_noticed_misses_nothing() {
    let namespace = Namespace::new("blink");
    make_pod(&namespace, "vanishes");
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::to(port(&kubeconfig())).await;
    let through = proxy.kubeconfig(&kubeconfig(), folder.path());
    let page = Page::open(&through, &namespace.name).await;
    let mark = page.mark();
    proxy.cut();
    namespace.kubectl(&["delete", "pod", "vanishes", "--grace-period=0", "--force"]);
    make_pod(&namespace, "comes");
    proxy.mend();
    page.until(mark, "vanishes goes", |it| {
        it.event == "deleted" && it.data["card"]["name"] == "vanishes"
    })
    .await;
    appears(&page, mark, "comes").await;
}

/// Asks etcd, which listens beside the API server.
async fn etcd(path: &str, body: &Value) -> Value {
    let url = format!("http://127.0.0.1:{}{path}", port(&kubeconfig()) + 1);
    let answer = reqwest::Client::new()
        .post(url)
        .body(body.to_string())
        .send()
        .await
        .expect("etcd answers");
    assert!(answer.status().is_success(), "{answer:?}");
    serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
}

fn make_event(namespace: &Namespace, name: &str) {
    let ns = &namespace.name;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "type": "Normal", "reason": "Noted",
        "message": name, "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "nobody", "namespace": ns}});
    namespace.with_input(&["create", "-f", "-"], &event.to_string());
}

/// The API server keeps no cache of Events, so that their watch lives on etcd's own history. When
/// that is compacted, the next attempt to resume is too old: a real 410.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_a_watch_that_is_too_old_begins_anew_and_loses_nothing() {
    let namespace = Namespace::new("expired");
    make_event(&namespace, "first");
    make_pod(&namespace, "stays");
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    let mark = page.mark();
    // One failure is nothing to show: the log says that it was a real 410, the page only what came.
    let refused = |line: &str| {
        line.contains("Event")
            && ["410", "too old", "Expired"]
                .iter()
                .any(|it| line.contains(it))
    };
    // Again and again, since a bookmark may have brought the watch past one compaction.
    let wait = async {
        for number in 0.. {
            if page.log().lines().any(refused) {
                break;
            }
            namespace.kubectl(&["create", "configmap", &format!("newer-{number}")]);
            let head = etcd("/v3/kv/range", &json!({"key": "AA=="})).await;
            let revision = head["header"]["revision"].clone();
            etcd("/v3/kv/compaction", &json!({"revision": revision})).await;
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(150), wait)
        .await
        .expect("the watch of Events is refused as too old");
    make_event(&namespace, "second");
    appears(&page, mark, "second").await;
    assert!(page.card("Event", "first").is_some());
    assert!(page.card("Pod", "stays").is_some());
    let heard = page.heard();
    let lost = heard[mark..]
        .iter()
        .filter(|it| it.event == "deleted")
        .count();
    assert_eq!(lost, 0);
    // One kind that catches up is no interruption.
    assert!(
        heard[mark..]
            .iter()
            .all(|it| it.event != "link" || it.data["link"]["state"] == "live")
    );
}

/// An Event that its hour ended while nobody looked is nobody's doing, and nothing to tell.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_an_event_that_expired_meanwhile_goes_without_a_word() {
    let namespace = Namespace::new("hour");
    make_event(&namespace, "old");
    make_pod(&namespace, "vanishes");
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::to(port(&kubeconfig())).await;
    let through = proxy.kubeconfig(&kubeconfig(), folder.path());
    let page = Page::open(&through, &namespace.name).await;
    let mark = page.mark();
    proxy.cut();
    page.link(mark, "interrupted").await;
    namespace.kubectl(&["delete", "event", "old"]);
    namespace.kubectl(&["delete", "pod", "vanishes", "--grace-period=0", "--force"]);
    proxy.mend();
    page.told(mark, "vanishes", &["gap.gone"]).await;
    let (_, frame) = page
        .until(mark, "the event goes", |it| {
            it.event == "deleted" && it.data["card"]["name"] == "old"
        })
        .await;
    assert!(frame["story"].is_null(), "{frame}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_a_student_who_may_not_see_volumes_sees_the_rest_and_the_volumes_once_allowed()
 {
    let namespace = Namespace::new("role");
    let ns = namespace.name.as_str();
    let labels = json!({"eizoku-test": ns});
    let subject = json!([{"kind": "ServiceAccount", "name": "student", "namespace": ns}]);
    let may = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]});
    let cluster_role = |resources: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ns, "labels": labels}, "rules": resources});
    let most = [
        may("storage.k8s.io", &["storageclasses"]),
        may("", &["nodes"]),
    ];
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "student"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "student"}, "rules": [
            may("", &["pods", "persistentvolumeclaims", "events"]), may("apps", &["statefulsets", "deployments", "replicasets"])]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "student"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "student"}, "subjects": subject}),
        cluster_role(json!(most)),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ns, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ns}, "subjects": subject}),
    ] {
        namespace.apply(&object.to_string());
    }
    let token = namespace.kubectl(&["create", "token", "student"]);
    let view: Value = serde_json::from_str(
        &namespace.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]),
    )
    .expect("JSON");
    let mut cluster = view["clusters"][0].clone();
    cluster["name"] = "c".into();
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "student", "clusters": [cluster],
        "users": [{"name": "student", "user": {"token": token.trim()}}],
        "contexts": [{"name": "student", "context": {"cluster": "c", "user": "student", "namespace": ns}}]});
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("written");

    let page = Page::open(&path.display().to_string(), ns).await;
    let link = page.link(0, "live").await;
    for (kind, state) in link["kinds"].as_object().expect("kinds") {
        let want = if kind == "PersistentVolume" {
            "forbidden"
        } else {
            "synced"
        };
        assert_eq!(state, want, "{kind}");
    }
    make_pod(&namespace, "seen");
    appears(&page, 0, "seen").await;

    let mark = page.mark();
    let all = [
        most[0].clone(),
        most[1].clone(),
        may("", &["persistentvolumes"]),
    ];
    namespace.apply(&cluster_role(json!(all)).to_string());
    page.until(mark, "volumes are in step", |it| {
        it.event == "link" && it.data["link"]["kinds"]["PersistentVolume"] == "synced"
    })
    .await;
    assert!(
        !page.log().contains(token.trim()),
        "the token is nowhere in the log"
    );
}
