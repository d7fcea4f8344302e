//! The board under tables of changes, and under a run that a real cluster wrote.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;
use crate::cluster::{
    Acting, Hindrance, Inside, InsideFault, LinkState, Recording, SourceKind, Why,
};

mod recorded;
mod said;

fn board() -> Board {
    let source = SourceInfo {
        kind: SourceKind::Kube,
        label: "kind-kind".into(),
        namespace: "default".into(),
        recorded: None,
        speed: None,
        kubeconfig: None,
        fallback: None,
        acting: Acting::new(Why::Recording),
    };
    Board::new("e".into(), source, 0)
}

fn object(kind: Kind, value: Value) -> Object {
    Object::from_json(kind, value).expect("an object of the API")
}

fn pod(name: &str, uid: &str) -> Object {
    object(
        Kind::Pod,
        json!({"metadata": {"name": name, "namespace": "default", "uid": uid}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Pending"}}),
    )
}

/// Applies changes and gives back what readers were sent, as `name key-or-uid`.
fn play(board: &Board, changes: impl IntoIterator<Item = What>) -> Vec<String> {
    let (_, mut updates) = board.subscribe(0);
    for what in changes {
        board.apply(Change { at: 1, what });
    }
    let mut seen = Vec::new();
    while let Ok(Update::Frame(frame)) = updates.try_recv() {
        let told = match (&frame.story, &frame.step) {
            (Some(story), _) => story.key.to_owned(),
            (None, Step::Added(card) | Step::Modified(card) | Step::Deleted(card)) => {
                card.uid.clone()
            }
            _ => String::new(),
        };
        seen.push(format!("{} {told}", frame.step.name()).trim().to_owned());
    }
    seen
}

fn list(kind: Kind, items: Vec<Object>) -> Vec<What> {
    let mut changes = vec![What::ListBegins(kind)];
    changes.extend(items.into_iter().map(What::Item));
    changes.push(What::ListEnds(kind));
    changes
}

#[test]
fn the_first_list_is_told_as_it_stands() {
    let board = board();
    assert_eq!(
        play(&board, list(Kind::Pod, vec![pod("a", "1"), pod("b", "2")])),
        ["added 1", "added 2"]
    );
}

#[test]
fn a_later_list_removes_what_vanished_and_tells_what_came() {
    let board = board();
    play(&board, list(Kind::Pod, vec![pod("a", "1"), pod("b", "2")]));
    assert_eq!(
        play(&board, list(Kind::Pod, vec![pod("a", "1"), pod("c", "3")])),
        ["deleted gap.gone", "added pod.created.bare"]
    );
}

#[test]
fn a_list_that_never_ends_takes_nothing_away() {
    let board = board();
    play(&board, list(Kind::Pod, vec![pod("a", "1")]));
    let cut = vec![What::ListBegins(Kind::Pod), What::Item(pod("b", "2"))];
    assert_eq!(play(&board, cut), Vec::<String>::new());
    assert_eq!(
        play(&board, list(Kind::Pod, vec![pod("a", "1")])),
        Vec::<String>::new()
    );
}

#[test]
fn a_failing_probe_warns_unless_its_pod_is_still_starting() {
    let pod = |ready: &str| {
        object(
            Kind::Pod,
            json!({"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}}),
        )
    };
    let event = |message: &str| {
        object(
            Kind::Event,
            json!({"metadata": {"name": message, "namespace": "default", "uid": message}, "type": "Warning", "reason": "Unhealthy", "message": message, "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default", "uid": "1"}}),
        )
    };
    for (ready, message, told) in [
        (
            "False",
            "Readiness probe failed: x",
            "event.Unhealthy.starting",
        ),
        (
            "False",
            "Startup probe failed: x",
            "event.Unhealthy.starting",
        ),
        ("False", "Liveness probe failed: x", "event.Unhealthy"),
        ("True", "Readiness probe failed: x", "event.Unhealthy"),
    ] {
        let board = board();
        play(&board, [What::Applied(pod(ready))]);
        let said = play(&board, [What::Applied(event(message))]);
        assert_eq!(said, [format!("added {told}")], "{ready} {message}");
    }
}

#[test]
fn an_equal_card_makes_no_frame() {
    let board = board();
    let changes = [What::Applied(pod("a", "1")), What::Applied(pod("a", "1"))];
    assert_eq!(play(&board, changes), ["added pod.created.bare"]);
}

#[test]
fn a_deletion_of_what_was_never_seen_makes_no_frame() {
    assert!(play(&board(), [What::Deleted(pod("a", "1"))]).is_empty());
}

/// A second class on the same cluster is not told of the first one's Pods.
#[test]
fn what_comes_after_all_was_cleared_away_comes_for_the_first_time() {
    let member = |uid: &str| {
        object(
            Kind::Pod,
            json!({"metadata": {"name": "s-0", "namespace": "default", "uid": uid, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "s", "controller": true}]}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Pending"}}),
        )
    };
    let claim = || {
        object(
            Kind::PersistentVolumeClaim,
            json!({"metadata": {"name": "c", "namespace": "default", "uid": "c"}, "spec": {}, "status": {"phase": "Pending"}}),
        )
    };
    let first = "added pod.created";
    for (left, told) in [(true, "added pod.recreated"), (false, first)] {
        let board = board();
        let mut changes = vec![What::Applied(claim()), What::Applied(member("1"))];
        changes.push(What::Deleted(member("1")));
        if !left {
            changes.push(What::Deleted(claim()));
        }
        play(&board, changes);
        assert_eq!(play(&board, vec![What::Applied(member("2"))]), [told]);
    }
}

#[test]
fn a_successor_that_is_seen_first_keeps_the_seat() {
    let board = board();
    play(&board, [What::Applied(pod("a", "1"))]);
    assert_eq!(
        play(
            &board,
            [What::Applied(pod("a", "2")), What::Deleted(pod("a", "1"))]
        ),
        ["added pod.created.bare", "deleted pod.gone"]
    );
    let state = board.state();
    let sitter = state.cards.find(Kind::Pod, "default", "a");
    assert_eq!(sitter.map(|card| card.uid.as_str()), Some("2"));
}

#[test]
fn an_interruption_and_its_end_are_told_once() {
    let board = board();
    let link = |state| {
        let mut link = Link::live(0);
        link.state = state;
        What::Link(link)
    };
    assert_eq!(
        play(
            &board,
            [
                link(LinkState::Live),
                link(LinkState::Interrupted),
                link(LinkState::Interrupted),
                link(LinkState::Live)
            ]
        ),
        ["link", "link link.lost", "link link.back"]
    );
}

const CHAPTER: &str = include_str!("../../../content/recordings/chapter.jsonl");

fn snapshot(board: &Board) -> Value {
    let bytes = board.subscribe(0).0.concat();
    let text = std::str::from_utf8(&bytes).expect("text");
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.expect("data")).expect("JSON")
}

fn volume(uid: &str, namespace: &str) -> Object {
    object(
        Kind::PersistentVolume,
        json!({"metadata": {"name": uid, "uid": uid}, "spec": {"claimRef": {"namespace": namespace, "name": "c"}}, "status": {"phase": "Bound"}}),
    )
}

#[test]
fn volumes_of_other_namespaces_are_not_ours() {
    let board = board();
    assert!(play(&board, [What::Applied(volume("v", "elsewhere"))]).is_empty());
    assert!(
        play(
            &board,
            list(Kind::PersistentVolume, vec![volume("v", "elsewhere")])
        )
        .is_empty()
    );
    assert_eq!(
        play(&board, [What::Applied(volume("w", "default"))]),
        ["added pv.offered"]
    );
}

#[test]
fn what_may_not_be_seen_any_more_goes_without_a_word_and_comes_back_as_it_stands() {
    let board = board();
    play(
        &board,
        list(Kind::PersistentVolume, vec![volume("v", "default")]),
    );
    assert_eq!(
        play(&board, [What::Unseen(Kind::PersistentVolume)]),
        ["deleted v"]
    );
    assert_eq!(
        play(
            &board,
            list(Kind::PersistentVolume, vec![volume("v", "default")])
        ),
        ["added v"]
    );
}

#[test]
fn an_event_that_expired_in_a_gap_is_no_news() {
    let board = board();
    let event = object(
        Kind::Event,
        json!({"metadata": {"name": "e", "uid": "5"}, "involvedObject": {}}),
    );
    play(&board, list(Kind::Event, vec![event]));
    assert_eq!(play(&board, list(Kind::Event, vec![])), ["deleted 5"]);
}

#[test]
fn only_a_pod_on_a_node_keeps_its_claim_from_going() {
    // Kubernetes `pkg/controller/volume/pvcprotection`: a Pod that has ended still counts, one
    // that was never scheduled does not.
    for (node, phase, want) in [
        (None, "Pending", "modified pvc.deleting"),
        (Some("n"), "Running", "modified pvc.deleting.held"),
        (Some("n"), "Succeeded", "modified pvc.deleting.held"),
    ] {
        let board = board();
        let claim = |deletion: Value| {
            object(
                Kind::PersistentVolumeClaim,
                json!({"metadata": {"name": "c", "namespace": "default", "uid": "c", "deletionTimestamp": deletion}}),
            )
        };
        let pod = object(
            Kind::Pod,
            json!({"metadata": {"name": "p", "namespace": "default", "uid": "p"}, "spec": {"nodeName": node, "containers": [], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}, "status": {"phase": phase}}),
        );
        play(
            &board,
            [What::Applied(claim(Value::Null)), What::Applied(pod)],
        );
        let deleted = claim("2026-11-23T00:00:00Z".into());
        assert_eq!(play(&board, [What::Applied(deleted)]), [want], "{phase}");
    }
}

#[test]
fn a_snapshot_is_of_this_moment() {
    let board = board();
    play(&board, [What::Said("x".into())]);
    for now in [5_000, 9_000] {
        let bytes = board.subscribe(now).0.concat();
        let text = std::str::from_utf8(&bytes).expect("text");
        assert!(text.contains(&format!("data: {{\"at\":{now},")), "{text}");
    }
}

/// A look into the volume of the claim `c`.
fn inside() -> Inside {
    Inside {
        key: "c".into(),
        claim: Some("c".into()),
        query: "SELECT 1;".into(),
        columns: vec!["a".into()],
        rows: vec![vec!["1".into()]],
        ..Inside::default()
    }
}

#[test]
fn what_was_seen_in_a_volume_goes_with_it() {
    let board = board();
    let volume = || volume("v", "default");
    play(&board, [What::Applied(volume()), What::Inside(inside())]);
    assert_eq!(snapshot(&board)["insides"][0]["claim"], "c");
    assert_eq!(snapshot(&board)["insides"][0]["at"], 1);
    play(&board, [What::Deleted(volume())]);
    assert_eq!(snapshot(&board)["insides"], json!([]));
}

#[test]
fn a_look_that_failed_leaves_the_rows_that_are_known() {
    let board = board();
    let seen = Inside {
        key: "c".into(),
        rows: vec![vec!["1".into()]],
        ..Inside::default()
    };
    let failed = Inside {
        key: "c".into(),
        fault: Some(InsideFault::new(Hindrance::NotReady, "starting")),
        ..Inside::default()
    };
    play(&board, [What::Inside(seen.clone()), What::Inside(failed)]);
    let insides = snapshot(&board)["insides"].clone();
    assert_eq!(insides[0]["rows"], json!([["1"]]));
    assert_eq!(insides[1]["fault"]["cause"], "not-ready");
    play(&board, [What::Inside(seen)]);
    assert_eq!(
        snapshot(&board)["insides"].as_array().map(Vec::len),
        Some(1)
    );
}

fn parse(name: &str, text: &str) -> Recording {
    Recording::parse(format!("{name}.jsonl"), text).expect("what ships is whole")
}

/// Plays the chapter's recording once over a board and gives back every frame.
async fn frames(board: &Board) -> Vec<Arc<Frame>> {
    frames_of(parse("chapter", CHAPTER), board).await
}

async fn frames_of(recording: Recording, board: &Board) -> Vec<Arc<Frame>> {
    let (sender, mut changes) = tokio::sync::mpsc::channel(64);
    let player = tokio::spawn(recording.play(1.0, sender));
    let (_, mut updates) = board.subscribe(0);
    let mut frames = Vec::new();
    while let Some(change) = changes.recv().await {
        if matches!(change.what, What::Restarted) {
            break;
        }
        board.apply(change);
        while let Ok(Update::Frame(frame)) = updates.try_recv() {
            frames.push(frame);
        }
    }
    player.abort();
    frames
}

#[tokio::test(start_paused = true)]
async fn the_recording_tells_the_kill_in_order() {
    let frames = frames(&board()).await;
    let keys: Vec<&str> = frames
        .iter()
        .filter_map(|frame| frame.story.as_ref())
        .filter(|story| {
            story
                .params
                .get("pod")
                .is_some_and(|pod| pod == "postgres-statefulset-0")
        })
        .map(|story| story.key)
        .collect();
    let kill = keys
        .iter()
        .position(|key| *key == "pod.killing")
        .expect("a kill");
    assert_eq!(
        keys[kill..kill + 8],
        [
            "pod.killing",
            "pod.stopped",
            "pod.gone.seat",
            "pod.recreated",
            "pod.scheduled",
            "pod.mounting",
            "pod.running",
            "pod.ready.same"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn history_replays_to_the_board_as_it_is() {
    let board = board();
    let frames = frames(&board).await;
    let by_uid = |cards: Vec<Arc<Card>>| -> HashMap<String, Arc<Card>> {
        cards
            .into_iter()
            .map(|card| (card.uid.clone(), card))
            .collect()
    };
    let mut now: HashMap<String, Arc<Card>> = HashMap::new();
    for frame in &frames {
        match &frame.step {
            Step::Added(card) | Step::Modified(card) => {
                now.insert(card.uid.clone(), Arc::clone(card));
            }
            Step::Deleted(card) => {
                now.remove(&card.uid);
            }
            _ => {}
        }
        let past = board.history(frame.seq).expect("within the ring");
        assert_eq!(by_uid(past.replay().cards), now, "at {}", frame.seq);
    }
    assert_eq!(board.span().last, frames.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn no_secret_leaves_through_a_frame() {
    for frame in frames(&board()).await {
        let text = std::str::from_utf8(&frame.bytes).expect("text");
        for secret in ["POSTGRES_", "last-applied", "managedFields", "secretRef"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// The frames of all recordings as JSON, the one fixture that Rust writes and JavaScript reads.
/// `UPDATE_FRAMES=1 cargo test frames_fixture` writes it anew.
#[tokio::test(start_paused = true)]
async fn the_frames_fixture_is_what_the_board_says() {
    for (name, text) in [
        ("chapter", CHAPTER),
        (
            "lanes",
            include_str!("../../../content/recordings/lanes.jsonl"),
        ),
        ("claim-life", recorded::CLAIM_LIFE),
        ("static-volumes", recorded::STATIC_VOLUMES),
        ("binding", recorded::BINDING),
        ("workloads", recorded::WORKLOADS),
        ("two-pods", recorded::TWO_PODS),
        ("trouble", recorded::TROUBLE),
    ] {
        let recording = parse(name, text);
        let source = recording.info(1.0, None);
        let board = Board::new("4f2a".into(), source, 0);
        let snapshot = board.subscribe(0).0.concat().into();
        let mut events = vec![snapshot];
        events.extend(
            frames_of(recording, &board)
                .await
                .iter()
                .map(|frame| frame.bytes.clone()),
        );
        let lines: Vec<String> = events.iter().map(fixture_line).collect();
        let fixture = format!("[\n{}\n]\n", lines.join(",\n"));
        let path = format!("{}/tests/frames/{name}.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_FRAMES").is_some() {
            std::fs::write(&path, &fixture).expect("written");
        }
        let known = std::fs::read_to_string(&path).expect("the fixture");
        assert!(
            known == fixture,
            "{path} is out of date: UPDATE_FRAMES=1 cargo test frames_fixture"
        );
    }
}

fn fixture_line(bytes: &Bytes) -> String {
    let text = std::str::from_utf8(bytes).expect("text");
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a field")
    };
    format!(
        "{{\"event\":\"{}\",\"data\":{}}}",
        field("event: "),
        field("data: ")
    )
}
