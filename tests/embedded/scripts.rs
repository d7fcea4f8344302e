//! The scripts that were recorded on a real cluster, to be lived again on any other; and more of the kind that nobody
//! recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::lives::Event;
use super::wire::{Watched, Wire};

const SET: &str = "postgres-statefulset";
const SEATS: [&str; 3] = [
    "postgres-statefulset-0",
    "postgres-statefulset-1",
    "postgres-statefulset-2",
];
const CLAIMS: [&str; 3] = [
    "postgres-data-postgres-statefulset-0",
    "postgres-data-postgres-statefulset-1",
    "postgres-data-postgres-statefulset-2",
];
const CHAPTER: &str = include_str!("recorded/chapter.yaml");
const LANES: &str = include_str!("recorded/lanes.yaml");

/// Waits until the set's status says what its Pods do: the controllers are done with this step.
async fn settled(wire: &Wire, kind: &str, name: &str, replicas: u64) {
    wire.until(kind, name, "its count", |it| {
        it.is_some_and(|it| {
            let count = |field: &str| it["status"][field].as_u64().unwrap_or(0);
            count("replicas") == replicas && count("readyReplicas") == replicas
        })
    })
    .await;
}

/// Waits until the volumes of this namespace are gone, as the watches say.
async fn volumes_gone(watched: &Watched) {
    for _ in 0..1200 {
        let mut there = BTreeSet::new();
        for event in watched.events() {
            if event.kind == "PersistentVolume" {
                let name = event.object["metadata"]["name"].to_string();
                if event.change == "DELETED" {
                    there.remove(&name);
                } else {
                    there.insert(name);
                }
            }
        }
        if there.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a volume stays");
}

/// `chapter.jsonl`.
pub(crate) async fn chapter(wire: &Wire) -> Vec<Event> {
    let watched = wire.watch().await;
    wire.apply(CHAPTER).await;
    let first = wire.ready(SEATS[0], "").await;
    settled(wire, "StatefulSet", SET, 1).await;
    wire.rows(
        SEATS[0],
        "CREATE TABLE inventory (id serial PRIMARY KEY, name varchar(50))",
    )
    .await;
    wire.rows(
        SEATS[0],
        "INSERT INTO inventory (name) VALUES ('apple'), ('orange')",
    )
    .await;
    wire.delete("Pod", SEATS[0], None).await;
    let second = wire.ready(SEATS[0], &first).await;
    settled(wire, "StatefulSet", SET, 1).await;
    let rows = wire.rows(SEATS[0], "SELECT * FROM inventory").await;
    assert_eq!(rows, "1|apple\n2|orange\n");
    wire.delete("Pod", SEATS[0], Some(0)).await;
    wire.ready(SEATS[0], &second).await;
    settled(wire, "StatefulSet", SET, 1).await;
    wire.scale("StatefulSet", SET, 3).await;
    settled(wire, "StatefulSet", SET, 3).await;
    wire.scale("StatefulSet", SET, 1).await;
    settled(wire, "StatefulSet", SET, 1).await;
    wire.scale("StatefulSet", SET, 2).await;
    settled(wire, "StatefulSet", SET, 2).await;
    wire.delete("PersistentVolumeClaim", CLAIMS[0], None).await;
    wire.delete("StatefulSet", SET, None).await;
    wire.gone("Pod", SEATS[1]).await;
    wire.gone("PersistentVolumeClaim", CLAIMS[0]).await;
    for claim in &CLAIMS[1..] {
        wire.delete("PersistentVolumeClaim", claim, None).await;
    }
    volumes_gone(&watched).await;
    watched.events()
}

/// `lanes.jsonl`.
pub(crate) async fn lanes(wire: &Wire) -> Vec<Event> {
    let watched = wire.watch().await;
    wire.apply(LANES).await;
    settled(wire, "Deployment", "lane-emptydir", 1).await;
    settled(wire, "Deployment", "lane-deployment", 1).await;
    settled(wire, "StatefulSet", "lane-statefulset", 1).await;
    let pods = |pods: Vec<Value>| -> Vec<String> {
        let name = |pod: &Value| pod["metadata"]["name"].as_str().expect("one").to_owned();
        let mut names: Vec<String> = pods.iter().map(name).collect();
        names.sort();
        names
    };
    let old = pods(wire.list("Pod").await);
    assert_eq!(old.len(), 3);
    for pod in &old {
        wire.rows(pod, "CREATE TABLE t (word text)").await;
        wire.rows(pod, "INSERT INTO t VALUES ('here')").await;
    }
    let seat = wire.find("Pod", "lane-statefulset-0").await.expect("there");
    for pod in &old {
        wire.delete("Pod", pod, None).await;
    }
    for pod in &old[..2] {
        wire.gone("Pod", pod).await;
    }
    let seat = seat["metadata"]["uid"].as_str().expect("a uid");
    wire.ready("lane-statefulset-0", seat).await;
    settled(wire, "Deployment", "lane-emptydir", 1).await;
    settled(wire, "Deployment", "lane-deployment", 1).await;
    settled(wire, "StatefulSet", "lane-statefulset", 1).await;
    for pod in pods(wire.list("Pod").await) {
        let rows = wire.answer(&pod, "SELECT * FROM t").await;
        if pod.starts_with("lane-emptydir") {
            let error = rows.expect_err("the rows went with the Pod");
            assert!(error.contains("relation \"t\" does not exist"), "{error}");
        } else {
            assert_eq!(rows.as_deref(), Ok("here\n"), "{pod}");
        }
    }
    wire.delete("Deployment", "lane-emptydir", None).await;
    wire.delete("PersistentVolumeClaim", "lane-claim", None)
        .await;
    wire.delete("Deployment", "lane-deployment", None).await;
    wire.delete("StatefulSet", "lane-statefulset", None).await;
    wire.gone("PersistentVolumeClaim", "lane-claim").await;
    wire.gone("Pod", "lane-statefulset-0").await;
    wire.delete("PersistentVolumeClaim", "data-lane-statefulset-0", None)
        .await;
    volumes_gone(&watched).await;
    watched.events()
}

/// A set of Pods that do nothing but live, with a disk each.
fn idle_set(name: &str, replicas: u32, more: &Value) -> Value {
    let mut set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 5, "containers": [{
            "name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done"],
            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 1, "periodSeconds": 1},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]}});
    for (key, value) in more.as_object().expect("a map") {
        set["spec"][key] = value.clone();
    }
    set
}

/// What a class tries next: a rollout with a partition, a set without order, a claim policy, a volume kept and bound
/// again, a Deployment's rollout, Pods that cannot start.
pub(crate) async fn others(wire: &Wire) -> Vec<Event> {
    let watched = wire.watch().await;
    let update = json!({"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}});

    let partition =
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}});
    wire.create(idle_set("part", 2, &partition)).await;
    settled(wire, "StatefulSet", "part", 2).await;
    let old = wire.ready("part-1", "").await;
    wire.merge("StatefulSet", "part", update.clone()).await;
    wire.ready("part-1", &old).await;
    settled(wire, "StatefulSet", "part", 2).await;
    let policy = json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}});
    wire.merge("StatefulSet", "part", json!({"spec": policy}))
        .await;
    wire.until("PersistentVolumeClaim", "data-part-0", "an owner", |it| {
        it.is_some_and(|it| !it["metadata"]["ownerReferences"].is_null())
    })
    .await;
    wire.scale("StatefulSet", "part", 1).await;
    wire.gone("PersistentVolumeClaim", "data-part-1").await;
    settled(wire, "StatefulSet", "part", 1).await;
    wire.delete("StatefulSet", "part", None).await;
    wire.gone("PersistentVolumeClaim", "data-part-0").await;

    let class = format!("{}-shelf", wire.namespace);
    let volume = format!("{}-disk", wire.namespace);
    wire.create(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": class, "hostPath": {"path": format!("/tmp/{volume}")}}})).await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "diary"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}});
    let bound = |it: Option<&Value>| it.is_some_and(|it| it["status"]["phase"] == "Bound");
    wire.create(claim.clone()).await;
    wire.until("PersistentVolumeClaim", "diary", "its volume", bound)
        .await;
    wire.delete("PersistentVolumeClaim", "diary", None).await;
    wire.gone("PersistentVolumeClaim", "diary").await;
    wire.until("PersistentVolume", &volume, "its release", |it| {
        it.is_some_and(|it| it["status"]["phase"] == "Released")
    })
    .await;
    wire.create(claim).await;
    wire.merge(
        "PersistentVolume",
        &volume,
        json!({"spec": {"claimRef": null}}),
    )
    .await;
    wire.until("PersistentVolumeClaim", "diary", "its volume again", bound)
        .await;
    wire.delete("PersistentVolumeClaim", "diary", None).await;
    wire.gone("PersistentVolumeClaim", "diary").await;
    wire.until("PersistentVolume", &volume, "its release", |it| {
        it.is_some_and(|it| it["status"]["phase"] == "Released")
    })
    .await;
    wire.delete("PersistentVolume", &volume, None).await;
    wire.gone("PersistentVolume", &volume).await;

    wire.create(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"terminationGracePeriodSeconds": 5, "containers": [{
            "name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done"],
            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 1, "periodSeconds": 1}}]}}}})).await;
    settled(wire, "Deployment", "shop", 1).await;
    wire.merge("Deployment", "shop", update).await;
    wire.until("Deployment", "shop", "its rollout", |it| {
        it.is_some_and(|it| {
            it["status"]["observedGeneration"] == 2
                && it["status"]["updatedReplicas"] == 1
                && it["status"]["replicas"] == 1
                && it["status"]["availableReplicas"] == 1
        })
    })
    .await;
    wire.delete("Deployment", "shop", None).await;
    for pod in wire.list("Pod").await {
        wire.gone("Pod", pod["metadata"]["name"].as_str().expect("a name"))
            .await;
    }

    let pod = |name: &str, more: Value| {
        let mut container = json!({"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]});
        for (key, value) in more.as_object().expect("a map") {
            container[key] = value.clone();
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}})
    };
    wire.create(pod("done", json!({"command": ["sleep", "4"]})))
        .await;
    wire.create(pod(
        "failed",
        json!({"command": ["sh", "-c", "sleep 4; exit 3"]}),
    ))
    .await;
    wire.create(pod(
        "keyless",
        json!({"envFrom": [{"secretRef": {"name": "nowhere"}}]}),
    ))
    .await;
    for (name, phase) in [("done", "Succeeded"), ("failed", "Failed")] {
        wire.until("Pod", name, phase, |it| {
            it.is_some_and(|it| it["status"]["phase"] == phase)
        })
        .await;
    }
    wire.until("Pod", "keyless", "its complaint", |it| {
        it.is_some_and(|it| {
            it["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "CreateContainerConfigError"
        })
    })
    .await;
    for name in ["done", "failed", "keyless"] {
        wire.delete("Pod", name, None).await;
        wire.gone("Pod", name).await;
    }
    volumes_gone(&watched).await;
    watched.events()
}
