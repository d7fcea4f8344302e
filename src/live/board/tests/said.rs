//! The story says no more than was seen: each row is a sentence that was once false.

use super::*;

const SET: &str = "s";

/// A Pod of the set `s` with the claim `c`, made from its template `data`.
fn sitter(uid: &str, ready: bool) -> Object {
    object(
        Kind::Pod,
        json!({
            "metadata": {"name": "s-0", "namespace": "default", "uid": uid, "labels": {"apps.kubernetes.io/pod-index": "0"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": SET, "controller": true}]},
            "spec": {"nodeName": "n", "containers": [{"name": "a"}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]},
            "status": {"phase": if ready { "Running" } else { "Succeeded" }, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}
        }),
    )
}

fn running(uid: &str, ready: &str) -> Object {
    let Object::Pod(mut pod) = sitter(uid, true) else {
        unreachable!("it is one");
    };
    let status = pod.status.as_mut().expect("it has one");
    status.conditions.as_mut().expect("it has one")[0].status = ready.into();
    Object::Pod(pod)
}

/// A claim whose controlling owner is of this kind and uid.
fn claim(owner: Option<(&str, &str)>) -> Object {
    let owners: Vec<Value> = owner
        .into_iter()
        .map(|(kind, uid)| json!({"apiVersion": "v1", "kind": kind, "name": "o", "uid": uid, "controller": true}))
        .collect();
    object(
        Kind::PersistentVolumeClaim,
        json!({
            "metadata": {"name": "c", "namespace": "default", "uid": "c1", "ownerReferences": owners},
            "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}
        }),
    )
}

fn set(replicas: i32, when_scaled: &str) -> Object {
    object(
        Kind::StatefulSet,
        json!({
            "metadata": {"name": "s", "namespace": "default", "uid": SET},
            "spec": {"replicas": replicas, "serviceName": "s", "selector": {}, "template": {},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "persistentVolumeClaimRetentionPolicy": {"whenScaled": when_scaled, "whenDeleted": "Retain"}}
        }),
    )
}

#[test]
fn a_pod_that_was_ready_before_does_not_come_back() {
    let board = board();
    let before = [
        What::Applied(claim(None)),
        What::Applied(running("1", "True")),
        What::Applied(sitter("1", false)),
        What::Deleted(sitter("1", false)),
        What::Applied(running("2", "False")),
    ];
    play(&board, before);
    let flips = ["True", "False", "True"].map(|ready| What::Applied(running("2", ready)));
    assert_eq!(
        play(&board, flips),
        [
            "modified pod.ready.same",
            "modified pod.notready",
            "modified pod.ready"
        ]
    );
}

#[test]
fn a_claim_that_goes_with_its_pod_is_not_said_to_stay() {
    let ended = || sitter("1", false);
    for (around, told) in [
        // An ephemeral volume's claim belongs to the Pod.
        (vec![claim(Some(("Pod", "1")))], "pod.gone.owned"),
        // One of `whenDeleted: Delete` belongs to the set, which is gone.
        (vec![claim(Some(("StatefulSet", SET)))], "pod.gone.owned"),
        (
            vec![claim(Some(("StatefulSet", SET))), set(1, "Retain")],
            "pod.gone.seat",
        ),
        (vec![claim(None), set(0, "Delete")], "pod.gone.owned"),
        (vec![claim(None), set(1, "Delete")], "pod.gone.seat"),
        (vec![claim(None), set(0, "Retain")], "pod.gone.scaled"),
        (vec![claim(None)], "pod.gone.claim"),
    ] {
        let board = board();
        play(&board, around.into_iter().map(What::Applied));
        play(&board, [What::Applied(ended())]);
        assert_eq!(
            play(&board, [What::Deleted(ended())]),
            [format!("deleted {told}")]
        );
    }
}

#[test]
fn a_claim_that_is_taken_is_not_said_to_be_missing() {
    for (message, told) in [
        // Kubernetes until 1.33, and since.
        (
            "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
            "pod.unschedulable.taken",
        ),
        (
            "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
            "pod.unschedulable.taken",
        ),
        (
            "pod has unbound immediate PersistentVolumeClaims",
            "pod.unschedulable.claim",
        ),
        (
            "persistentvolumeclaim \"c\" not found",
            "pod.unschedulable.claim",
        ),
        ("Insufficient cpu", "pod.unschedulable"),
    ] {
        let board = board();
        play(&board, [What::Applied(pod("a", "1"))]);
        let waiting = object(
            Kind::Pod,
            json!({"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "spec": {"containers": [{"name": "a"}]},
                "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": format!("0/1 nodes are available: 1 {message}.")}]}}),
        );
        assert_eq!(
            play(&board, [What::Applied(waiting)]),
            [format!("modified {told}")]
        );
    }
}

#[test]
fn a_volume_made_again_by_hand_is_not_the_provisioners() {
    let made = |uid: &str| {
        object(
            Kind::PersistentVolume,
            json!({"metadata": {"name": "pvc-1", "uid": uid, "annotations": {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}},
                "spec": {"claimRef": {"namespace": "default", "name": "c", "uid": "c1"}}, "status": {"phase": "Pending"}}),
        )
    };
    let board = board();
    play(&board, [What::Applied(claim(None))]);
    let changes = [
        What::Applied(made("1")),
        What::Deleted(made("1")),
        What::Applied(made("2")),
    ];
    assert_eq!(
        play(&board, changes),
        [
            "added pv.provisioned",
            "deleted pv.gone",
            "added pv.offered"
        ]
    );
}

#[test]
fn a_volume_kept_for_a_name_is_not_said_to_be_free() {
    let volume = |phase: &str, claim: Value| {
        object(
            Kind::PersistentVolume,
            json!({"metadata": {"name": "v", "uid": "v"}, "spec": {"claimRef": claim, "persistentVolumeReclaimPolicy": "Retain"}, "status": {"phase": phase}}),
        )
    };
    let named = || json!({"namespace": "default", "name": "c"});
    let bound = json!({"namespace": "default", "name": "c", "uid": "c1"});
    for (claim, told) in [
        (named(), ["pv.reserved", "pv.available.reserved"]),
        (Value::Null, ["pv.freed", "pv.available"]),
    ] {
        let board = board();
        play(&board, [What::Applied(volume("Released", bound.clone()))]);
        let changes =
            ["Released", "Available"].map(|phase| What::Applied(volume(phase, claim.clone())));
        assert_eq!(
            play(&board, changes),
            told.map(|key| format!("modified {key}"))
        );
    }
}
