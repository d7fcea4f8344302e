//! What the story says of runs that a real cluster wrote, line by line where a reader learns from it.

use super::*;

/// What a real cluster said when these things were done to it.
pub(super) const CLAIM_LIFE: &str = include_str!("../../../../tests/recordings/claim-life.jsonl");
pub(super) const STATIC_VOLUMES: &str =
    include_str!("../../../../tests/recordings/static-volumes.jsonl");
pub(super) const BINDING: &str = include_str!("../../../../tests/recordings/binding.jsonl");
pub(super) const WORKLOADS: &str = include_str!("../../../../tests/recordings/workloads.jsonl");
pub(super) const TWO_PODS: &str = include_str!("../../../../tests/recordings/two-pods.jsonl");
pub(super) const TROUBLE: &str = include_str!("../../../../tests/recordings/trouble.jsonl");

/// The stories of a run, in order.
async fn stories(text: &str) -> Vec<Story> {
    let recording = parse("run", text);
    let board = Board::new("e".into(), recording.info(1.0, None), 0);
    let frames = frames_of(recording, &board).await;
    frames
        .iter()
        .filter_map(|frame| frame.story.clone())
        .collect()
}

/// The keys of the stories whose `param` is `value`.
fn keys_of<'a>(stories: &'a [Story], param: &str, value: &str) -> Vec<&'a str> {
    let about = |story: &&Story| story.params.get(param).is_some_and(|it| it == value);
    stories
        .iter()
        .filter(about)
        .map(|story| story.key)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_claim_is_told_step_by_step() {
    let steps = [
        "pvc.deleting.held",
        "pod.gone.released",
        "pvc.gone.delete",
        "pv.released.delete",
        "pvc.created.again",
        "pv.gone.wiped",
        "pod.ready.other",
        "pv.retain",
        "pod.gone.scaled",
        "pv.released.retain",
        "pvc.gone.retain",
        "pv.freed",
        "pv.available",
        "pvc.created.again",
        "pv.chosen",
        "pod.ready.rebound",
        "pod.gone.seat",
        "pod.ready.same",
        "pv.deleting.held",
    ];
    let told = stories(CLAIM_LIFE).await;
    let keys: Vec<&str> = told
        .iter()
        .map(|story| story.key)
        .filter(|key| steps.contains(key))
        .collect();
    assert_eq!(keys[..steps.len()], steps);
    let wiped = told.iter().find(|story| story.key == "pv.gone.wiped");
    let kept = told.iter().find(|story| story.key == "pod.ready.rebound");
    let other = told.iter().find(|story| story.key == "pod.ready.other");
    let volume = |story: Option<&Story>| story.map(|it| it.params["volume"].clone());
    assert_ne!(volume(wiped), volume(other));
    assert_eq!(volume(kept), volume(other), "Retain kept the second disk");
}

#[tokio::test(start_paused = true)]
async fn the_smallest_volume_that_fits_is_chosen() {
    let told = stories(STATIC_VOLUMES).await;
    let chosen: Vec<(&str, &str)> = told
        .iter()
        .filter(|story| story.key == "pv.chosen")
        .map(|story| {
            (
                story.params["claim"].as_str(),
                story.params["capacity"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        chosen,
        [("claim-10gi", "10Gi"), ("claim-10gi-again", "100Gi")]
    );
    assert_eq!(
        keys_of(&told, "volume", "static-5gi"),
        ["pv.offered", "pv.available", "pv.deleting", "pv.gone"]
    );
}

#[tokio::test(start_paused = true)]
async fn one_claim_is_bound_at_once_and_the_other_with_its_pod() {
    let told = stories(BINDING).await;
    let before = |keys: &[&str], first: &str, second: &str| {
        let at = |key| keys.iter().position(|it| *it == key);
        assert!(at(first).is_some() && at(first) < at(second), "{keys:?}");
    };
    let at_once = keys_of(&told, "claim", "claim-at-once");
    assert!(at_once.contains(&"pv.chosen"), "{at_once:?}");
    assert!(!at_once.contains(&"pvc.created.waiting"), "{at_once:?}");
    let when_used = keys_of(&told, "claim", "claim-when-used");
    before(&when_used, "pvc.created.waiting", "pv.chosen.scheduled");
    let all: Vec<&str> = told.iter().map(|story| story.key).collect();
    before(&all, "pod.created.bare", "pv.chosen.scheduled");
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_was_forced_empty_is_told_so() {
    let told = stories(WORKLOADS).await;
    let keys = keys_of(&told, "pod", "postgres-statefulset-0");
    let forced = keys.iter().position(|key| *key == "pod.forced");
    let from = forced.expect("a force delete");
    assert_eq!(
        keys[from..from + 6],
        [
            "pod.forced",
            "pod.gone.forced.seat",
            "pod.recreated",
            "pod.scheduled",
            "pod.mounting",
            "pod.running"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn another_set_of_the_same_name_is_not_taken_for_the_first() {
    let told = stories(WORKLOADS).await;
    let steps = [
        "sts.created",
        "pod.orphaned",
        "sts.gone.orphan",
        "pod.adopted",
        "sts.gone",
        "pod.recreated.set",
    ];
    let keys: Vec<&str> = told
        .iter()
        .map(|story| story.key)
        .filter(|key| steps.contains(key))
        .collect();
    assert_eq!(
        keys[..8],
        [
            "sts.created",
            "pod.orphaned",
            "pod.orphaned",
            "sts.gone.orphan",
            "sts.created",
            "pod.adopted",
            "sts.gone",
            "sts.created",
        ]
    );
    assert_eq!(keys[8], "pod.recreated.set");
    let last = keys_of(&told, "claim", "postgres-data-postgres-statefulset-0");
    assert!(last.contains(&"pod.ready.same"), "the claim stayed");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_says_how_far_it_goes() {
    let told = stories(WORKLOADS).await;
    let keys: Vec<&str> = told
        .iter()
        .map(|story| story.key)
        .filter(|key| key.starts_with("sts.rollout") || *key == "sts.partition")
        .collect();
    assert_eq!(
        keys,
        [
            "sts.rollout",
            "sts.partition",
            "sts.rollout.partition",
            "sts.partition"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn two_pods_on_one_volume_are_told() {
    let told = stories(TWO_PODS).await;
    let shared: Vec<&Story> = told
        .iter()
        .filter(|story| story.key == "pod.mounting.shared")
        .collect();
    assert_eq!(
        shared.len(),
        3,
        "a kill, a rollout, and a second replica: {shared:?}"
    );
    for story in shared {
        assert_ne!(story.params["pod"], story.params["other"]);
        assert_eq!(story.params["claim"], "lane-claim");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_once_with_its_reason() {
    let told = stories(TROUBLE).await;
    for (pod, key) in [
        ("nope", "pod.image"),
        ("never", "pod.image.never"),
        ("lost", "pod.unschedulable"),
        ("noclaim", "pod.unschedulable.claim"),
    ] {
        let keys = keys_of(&told, "pod", pod);
        let times = keys.iter().filter(|it| **it == key).count();
        assert_eq!(times, 1, "{pod}: {keys:?}");
    }
    let crashing = keys_of(&told, "pod", "pg");
    for key in ["pod.crashed", "pod.restarted", "pod.backoff"] {
        assert!(crashing.contains(&key), "{key} in {crashing:?}");
    }
    // What the status of an object says is not said again by an Event.
    let echoes = told.iter().filter(|story| {
        let message = story.params.get("message").map_or("", String::as_str);
        message == "Error: ErrImagePull" || message == "Error: ImagePullBackOff"
    });
    assert_eq!(echoes.count(), 0);
    assert_eq!(
        keys_of(&told, "object", "never"),
        Vec::<&str>::new(),
        "its status says it all"
    );
    let lost = keys_of(&told, "claim", "claim-10gi");
    assert!(lost.contains(&"pvc.lost"), "{lost:?}");
}

/// A Pod of a Deployment with a claim, as far as its story needs it.
fn on_claim(name: &str, uid: &str, running: bool) -> Object {
    let state = if running {
        json!({"running": {}})
    } else {
        json!({"terminated": {"exitCode": 0}})
    };
    object(
        Kind::Pod,
        json!({
            "metadata": {"name": name, "namespace": "default", "uid": uid},
            "spec": {"nodeName": "n", "containers": [{"name": "a"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            "status": {"phase": if running { "Running" } else { "Succeeded" },
                "containerStatuses": [{"name": "a", "image": "i", "imageID": "", "ready": running, "restartCount": 0, "state": state}]}
        }),
    )
}

fn claim(uid: &str, deleting: bool) -> Object {
    let mut value = json!({
        "metadata": {"name": "c", "namespace": "default", "uid": uid},
        "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}
    });
    if deleting {
        value["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    }
    object(Kind::PersistentVolumeClaim, value)
}

#[test]
fn a_pod_that_goes_says_what_becomes_of_its_claim() {
    let ended = || on_claim("a", "1", false);
    let other = || on_claim("b", "2", true);
    for (before, told) in [
        (vec![claim("c1", false)], "pod.gone.claim"),
        (vec![claim("c1", true)], "pod.gone.released"),
        // Somebody else still holds the claim back.
        (vec![claim("c1", true), other()], "pod.gone.claim"),
        // There is no such claim, so nothing is promised of it.
        (vec![], "pod.gone"),
    ] {
        let board = board();
        play(&board, before.into_iter().map(What::Applied));
        play(&board, [What::Applied(ended())]);
        assert_eq!(
            play(&board, [What::Deleted(ended())]),
            [format!("deleted {told}")]
        );
    }
}

#[test]
fn a_pod_that_never_ran_is_not_told_as_forced() {
    let marked = |node: Option<&str>, running: bool| {
        let mut value = json!({
            "metadata": {"name": "a", "namespace": "default", "uid": "1", "deletionTimestamp": "2026-11-23T00:00:00Z", "deletionGracePeriodSeconds": 0},
            "spec": {"nodeName": node, "containers": [{"name": "a"}]}, "status": {"phase": "Pending"}
        });
        if running {
            value["status"] = json!({"phase": "Running", "containerStatuses": [{"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]});
        }
        object(Kind::Pod, value)
    };
    for (object, mark, gone) in [
        (marked(None, false), "pod.deleting", "pod.gone"),
        (marked(Some("n"), false), "pod.deleting", "pod.gone"),
        (marked(Some("n"), true), "pod.forced", "pod.gone.forced"),
    ] {
        let board = board();
        play(&board, [What::Applied(pod("a", "1"))]);
        assert_eq!(
            play(
                &board,
                [What::Applied(object.clone()), What::Deleted(object)]
            ),
            [format!("modified {mark}"), format!("deleted {gone}")]
        );
    }
}

#[test]
fn rows_stay_with_the_volume_they_were_seen_in() {
    let board = board();
    let volume = |name: &str, claim: &str| {
        object(
            Kind::PersistentVolume,
            json!({
                "metadata": {"name": name, "uid": name},
                "spec": {"claimRef": {"namespace": "default", "name": "c", "uid": claim}}, "status": {"phase": "Bound"}
            }),
        )
    };
    let bound = |uid: &str, to: &str| {
        object(
            Kind::PersistentVolumeClaim,
            json!({
                "metadata": {"name": "c", "namespace": "default", "uid": uid},
                "spec": {"volumeName": to}, "status": {"phase": "Bound"}
            }),
        )
    };
    play(
        &board,
        [
            What::Applied(volume("old", "c1")),
            What::Applied(bound("c1", "old")),
            What::Deleted(bound("c1", "old")),
            What::Applied(volume("new", "c2")),
            What::Applied(bound("c2", "new")),
            What::Inside(inside()),
        ],
    );
    assert_eq!(snapshot(&board)["insides"][0]["volume"], "new");
    // The old volume goes; what was seen in the new one of the same claim's name stays.
    play(&board, [What::Deleted(volume("old", "c1"))]);
    assert_eq!(snapshot(&board)["insides"][0]["volume"], "new");
    play(&board, [What::Deleted(volume("new", "c2"))]);
    assert_eq!(snapshot(&board)["insides"], json!([]));
}
