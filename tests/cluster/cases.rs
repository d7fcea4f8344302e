//! What a class tries besides the chapter's script.

use super::kubectl::{Namespace, kubeconfig};
use super::milestones;
use super::page::Page;
use super::watches::Watches;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_a_retained_volume_waits_for_a_person_and_is_bound_again() {
    let namespace = Namespace::new("retain");
    let watches = Watches::begin(&namespace);
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    let ns = namespace.name.as_str();
    let volume = format!("{ns}-disk");
    let volume = volume.as_str();
    namespace.apply(&format!(
        r#"{{"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {{"name": "{volume}", "labels": {{"eizoku-test": "{ns}"}}}},
            "spec": {{"capacity": {{"storage": "5Gi"}}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "{ns}",
                "hostPath": {{"path": "/tmp/{volume}"}}}}}}"#
    ));
    page.told(0, volume, &["pv.offered"]).await;
    let claim = format!(
        r#"{{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {{"name": "diary"}},
            "spec": {{"accessModes": ["ReadWriteOnce"], "storageClassName": "{ns}",
                "resources": {{"requests": {{"storage": "1Gi"}}}}}}}}"#
    );
    let mark = page.mark();
    namespace.apply(&claim);
    let bound = page
        .told(mark, "diary", &["pvc.created", "pvc.bound"])
        .await;
    assert_eq!(bound["volume"], volume);
    // One may get more than one asked for.
    assert_eq!(bound["capacity"], "5Gi");
    page.told(mark, volume, &["pv.bound"]).await;
    let first = page.card("PersistentVolumeClaim", "diary").expect("bound");

    let mark = page.mark();
    namespace.kubectl(&["delete", "pvc", "diary"]);
    page.told(mark, "diary", &["pvc.deleting", "pvc.gone.retain"])
        .await;
    page.told(mark, volume, &["pv.released.retain"]).await;
    let card = page.card("PersistentVolume", volume).expect("kept");
    assert_eq!(card["status"], "Released");
    assert_eq!(card["claim"]["name"], "diary");

    // A new claim of the same name is another claim: the volume is not for it.
    namespace.apply(&claim);
    page.told(mark, "diary", &["pvc.gone.retain", "pvc.created.again"])
        .await;
    let mark = page.mark();
    namespace.kubectl(&[
        "patch",
        "pv",
        volume,
        "--type=json",
        "-p",
        r#"[{"op": "remove", "path": "/spec/claimRef"}]"#,
    ]);
    page.told(mark, "diary", &["pvc.bound"]).await;
    let second = page.card("PersistentVolumeClaim", "diary").expect("bound");
    assert_ne!(first["uid"], second["uid"]);
    assert_eq!(second["volume"], volume);
    page.told(mark, volume, &["pv.bound"]).await;
    milestones::agree(&watches, &page, ns).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_a_deployment_replaces_its_pod_before_the_old_one_is_gone_on_one_disk() {
    let namespace = Namespace::new("deploy");
    let watches = Watches::begin(&namespace);
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    namespace.apply(
        r#"{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}"#,
    );
    namespace.apply(
        r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}},
                    "spec": {"terminationGracePeriodSeconds": 20,
                        "containers": [{"name": "shop", "image": "busybox", "imagePullPolicy": "IfNotPresent",
                            "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
                            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 2},
                            "volumeMounts": [{"name": "disk", "mountPath": "/disk"}]}],
                        "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "shared"}}]}}}}"#,
    );
    page.told(0, "shop", &["deploy.created", "deploy.ready"])
        .await;
    page.told(0, "shared", &["pvc.created.waiting", "pvc.bound"])
        .await;
    let pod = || {
        let name = namespace.kubectl(&["get", "pod", "-o", "jsonpath={.items[0].metadata.name}"]);
        name.trim().to_owned()
    };
    let old = pod();
    page.told(
        0,
        &old,
        &["pod.created.replica", "pod.mounting", "pod.ready"],
    )
    .await;

    let mark = page.mark();
    namespace.kubectl(&["delete", "pod", &old, "--wait=false"]);
    page.told(mark, &old, &["pod.killing"]).await;
    let replaced = page.told(mark, &old, &["pod.replaced"]).await;
    let new = replaced["pod"].as_str().expect("a name").to_owned();
    assert_ne!(
        old, new,
        "a new name, where a StatefulSet keeps the old one"
    );
    // ReadWriteOnce counts nodes: the new Pod mounts the disk that the old one still has.
    let shared = page.told(mark, &new, &["pod.mounting.shared"]).await;
    assert_eq!(shared["other"], old.as_str());
    assert_eq!(shared["claim"], "shared");
    page.told(mark, &new, &["pod.ready"]).await;
    page.told(mark, &old, &["pod.gone.claim"]).await;
    milestones::agree(&watches, &page, &namespace.name).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_pods_that_nobody_owns_that_no_node_takes_and_that_have_no_image() {
    let namespace = Namespace::new("pods");
    let watches = Watches::begin(&namespace);
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    let make = |name: &str, image: &str, more: &str| {
        namespace.apply(&format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}},
                "spec": {{"terminationGracePeriodSeconds": 1, {more}
                    "containers": [{{"name": "a", "image": "{image}", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"]}}]}}}}"#
        ));
    };

    make("alone", "busybox", "");
    page.told(
        0,
        "alone",
        &[
            "pod.created.bare",
            "pod.scheduled",
            "pod.starting",
            "pod.ready",
        ],
    )
    .await;
    namespace.kubectl(&["delete", "pod", "alone"]);
    page.told(0, "alone", &["pod.killing", "pod.stopped", "pod.gone"])
        .await;
    assert_eq!(page.card("Pod", "alone"), None, "nobody makes it anew");

    make(
        "homeless",
        "busybox",
        r#""nodeSelector": {"planet": "mars"},"#,
    );
    let waiting = page
        .told(0, "homeless", &["pod.created.bare", "pod.unschedulable"])
        .await;
    let why = waiting["message"].as_str().expect("a reason");
    assert!(why.contains("node affinity/selector"), "{why}");
    let card = page.card("Pod", "homeless").expect("waiting");
    assert_eq!(
        (&card["status"], card["node"].is_null()),
        (&"Pending".into(), true)
    );

    make("nameless", "registry.invalid/none:1", "");
    page.told(0, "nameless", &["pod.created.bare", "pod.image"])
        .await;
    let (_, frame) = page
        .until(0, "kubectl's ImagePullBackOff", |it| {
            it.data["card"]["name"] == "nameless" && it.data["card"]["status"] == "ImagePullBackOff"
        })
        .await;
    assert_eq!(frame["card"]["phase"], "Pending");

    milestones::agree(&watches, &page, &namespace.name).await;
}
