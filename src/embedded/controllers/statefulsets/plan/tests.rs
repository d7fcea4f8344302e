#![expect(
    clippy::needless_pass_by_value,
    reason = "test builders read better with values"
)]

use std::sync::Arc;

use super::*;

fn set(replicas: i64, change: Value) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default", "uid": "set", "generation": 1},
        "spec": {
            "replicas": replicas, "podManagementPolicy": "OrderedReady", "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "selector": {"matchLabels": {"app": "web"}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
        },
        "status": {},
    });
    json_patch::merge(&mut set, &change);
    set
}

fn revision(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}}}})
}

/// A Pod by ordinal, revision and state: "ready", "pending", "failed", "leaving".
fn pod(ordinal: i64, revision: &str, state: &str) -> Object {
    let (phase, ready) = match state {
        "ready" | "leaving" => ("Running", "True"),
        "failed" => ("Failed", "False"),
        _ => ("Pending", "False"),
    };
    let mut pod = json!({
        "metadata": {"name": format!("web-{ordinal}"), "namespace": "default", "uid": format!("pod-{ordinal}"), "labels": {"controller-revision-hash": revision}},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    });
    if state == "leaving" {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z");
    }
    Arc::new(pod)
}

fn claim(ordinal: i64) -> Object {
    Arc::new(json!({"metadata": {"name": format!("data-web-{ordinal}"), "namespace": "default"}}))
}

/// The steps in a short form: "+pod web-0", "-pod web-1", "+claim data-web-0", "!FailedCreate".
fn steps(set: &Value, pods: &[Object], claims: &[Object]) -> Vec<String> {
    let revisions = Revisions {
        update: revision("new"),
        current: revision("old"),
        steps: Vec::new(),
    };
    let plan = plan(
        set,
        pods,
        claims,
        &revisions,
        "2026-01-01T00:01:00Z".parse().unwrap(),
    );
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Action::Create {
                resource, object, ..
            } => Some(format!(
                "+{} {}",
                resource.singular.replace("persistentvolumeclaim", "claim"),
                object::name(object)
            )),
            Action::Delete { resource, name, .. } => Some(format!("-{} {name}", resource.singular)),
            Action::Note(note) if note.kind == "Warning" => Some(format!("!{}", note.reason)),
            Action::Update { resource, object } => Some(format!(
                "~{} {}",
                resource.singular.replace("persistentvolumeclaim", "claim"),
                object::name(object)
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn one_round_does_what_the_real_controller_would() {
    let plain = json!({});
    let parallel = json!({"spec": {"podManagementPolicy": "Parallel"}});
    let on_delete =
        json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}});
    let partition = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}});
    let from_five = json!({"spec": {"ordinals": {"start": 5}}});
    let slow = json!({"spec": {"minReadySeconds": 600}});
    let new = |ordinal, state| pod(ordinal, "new", state);
    let old = |ordinal, state| pod(ordinal, "old", state);
    let both = [claim(0), claim(1)];
    let none: [&str; 0] = [];
    for (what, set, pods, claims, expected) in [
        (
            "the first Pod comes with its claim",
            set(2, plain.clone()),
            vec![],
            &[][..],
            vec!["+claim data-web-0", "+pod web-0"],
        ),
        (
            "the second waits for the first",
            set(2, plain.clone()),
            vec![new(0, "pending")],
            &both[..1],
            none.to_vec(),
        ),
        (
            "the second follows",
            set(2, plain.clone()),
            vec![new(0, "ready")],
            &both[..1],
            vec!["+claim data-web-1", "+pod web-1"],
        ),
        (
            "an existing claim is used again",
            set(2, plain.clone()),
            vec![new(0, "ready")],
            &both,
            vec!["+pod web-1"],
        ),
        (
            "a leaving Pod is waited for",
            set(2, plain.clone()),
            vec![new(0, "leaving"), new(1, "ready")],
            &both,
            none.to_vec(),
        ),
        (
            "the gap is filled first",
            set(2, plain.clone()),
            vec![new(1, "ready")],
            &both,
            vec!["+pod web-0"],
        ),
        (
            "a failed Pod makes room",
            set(1, plain.clone()),
            vec![new(0, "failed")],
            &both,
            vec!["!RecreatingFailedPod", "-pod web-0"],
        ),
        (
            "parallel makes all at once",
            set(2, parallel.clone()),
            vec![],
            &both,
            vec!["+pod web-0", "+pod web-1"],
        ),
        (
            "parallel removes all at once",
            set(0, parallel),
            vec![new(0, "pending"), new(1, "ready")],
            &both,
            vec!["-pod web-1", "-pod web-0"],
        ),
        (
            "the highest goes first",
            set(0, plain.clone()),
            vec![new(0, "ready"), new(1, "ready")],
            &both,
            vec!["-pod web-1"],
        ),
        (
            "the next goes when it is gone",
            set(0, plain.clone()),
            vec![new(0, "ready"), new(1, "leaving")],
            &both,
            none.to_vec(),
        ),
        (
            "an unready lower Pod stops scaling down",
            set(1, plain.clone()),
            vec![new(0, "pending"), new(1, "ready")],
            &both,
            none.to_vec(),
        ),
        (
            "the highest old Pod is replaced",
            set(2, plain.clone()),
            vec![old(0, "ready"), old(1, "ready")],
            &both,
            vec!["-pod web-1"],
        ),
        (
            "the next old Pod waits for the new one",
            set(2, plain.clone()),
            vec![old(0, "ready"), new(1, "pending")],
            &both,
            none.to_vec(),
        ),
        (
            "then it is replaced",
            set(2, plain.clone()),
            vec![old(0, "ready"), new(1, "ready")],
            &both,
            vec!["-pod web-0"],
        ),
        (
            "the partition stays",
            set(2, partition.clone()),
            vec![old(0, "ready"), new(1, "ready")],
            &both,
            none.to_vec(),
        ),
        (
            "OnDelete replaces nobody",
            set(2, on_delete),
            vec![old(0, "ready"), old(1, "ready")],
            &both,
            none.to_vec(),
        ),
        (
            "ordinals start where asked",
            set(1, from_five),
            vec![],
            &[][..],
            vec!["+claim data-web-5", "+pod web-5"],
        ),
        (
            "ready is not yet available",
            set(2, slow),
            vec![new(0, "ready")],
            &both,
            none.to_vec(),
        ),
    ] {
        assert_eq!(steps(&set, &pods, claims), expected, "{what}");
    }
}

#[test]
fn a_pod_below_the_partition_keeps_the_current_revision() {
    let set = set(
        2,
        json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}, "podManagementPolicy": "Parallel"}}),
    );
    let revisions = Revisions {
        update: revision("new"),
        current: revision("old"),
        steps: Vec::new(),
    };
    let plan = plan(
        &set,
        &[],
        &[claim(0), claim(1)],
        &revisions,
        Timestamp::now(),
    );
    let made: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| {
            if let Action::Create { object, .. } = step {
                object::label(object, "controller-revision-hash")
            } else {
                None
            }
        })
        .collect();
    assert_eq!(made, ["old", "new"]);
}

#[test]
fn a_claim_on_its_way_out_keeps_its_pod_waiting() {
    let mut leaving = (*claim(0)).clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        steps(&set(1, json!({})), &[], &[Arc::new(leaving)]),
        ["!FailedCreate"]
    );
}

#[test]
fn the_retention_policy_becomes_owner_references() {
    let policy = json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}}});
    let pods = [pod(0, "new", "ready"), pod(1, "new", "ready")];
    assert_eq!(
        steps(&set(1, policy), &pods, &[claim(0), claim(1)]),
        ["~claim data-web-0", "~claim data-web-1", "-pod web-1"]
    );
}

#[test]
fn a_finished_rollout_moves_the_current_revision() {
    let set = set(1, json!({}));
    let revisions = Revisions {
        update: revision("new"),
        current: revision("old"),
        steps: Vec::new(),
    };
    let round = Round::new(&set, &[], &[], &revisions, Timestamp::now());
    assert_eq!(round.status()["currentRevision"], "old");
    let pods = [pod(0, "new", "ready")];
    let round = Round::new(&set, &pods, &[], &revisions, Timestamp::now());
    let status = round.status();
    assert_eq!(
        (
            &status["currentRevision"],
            &status["currentReplicas"],
            &status["readyReplicas"]
        ),
        (&json!("new"), &json!(1), &json!(1))
    );
}

#[test]
fn a_set_of_any_size_is_planned_in_rounds() {
    // A list with a place for each would be 2 GB a second.
    let most = i64::from(i32::MAX);
    let huge = |policy: &str, start: i64| {
        set(
            most,
            json!({"spec": {"podManagementPolicy": policy, "ordinals": {"start": start}, "updateStrategy": {"rollingUpdate": {"partition": most}}, "volumeClaimTemplates": null}}),
        )
    };
    assert_eq!(
        steps(&huge("OrderedReady", most), &[], &[]),
        [format!("+pod web-{most}")]
    );
    let round = steps(&huge("Parallel", 0), &[pod(0, "old", "ready")], &[]);
    assert_eq!((round.len(), round[0].as_str()), (AT_ONCE, "+pod web-1"));
    let kept = steps(&set(0, json!({})), &[pod(most, "old", "ready")], &[]);
    assert_eq!(kept, [format!("-pod web-{most}")]);
}
