//! Runs that are played, written down and played again.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::cluster::Recording;
use crate::live::card::Card;
use crate::live::{Board, Update};

const CHAPTER: &str = include_str!("../../../content/recordings/chapter.jsonl");

/// Every run that a real cluster wrote, by file name.
fn runs() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["content/recordings", "tests/recordings"];
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("a folder"))
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let mut runs: Vec<(String, String)> = files
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("text");
            (path.display().to_string(), text)
        })
        .collect();
    runs.sort();
    runs
}

fn board() -> Board {
    let head = r#"{"ms":0,"version":1,"recorded":0,"namespace":"default"}"#;
    let source = Recording::parse("run.jsonl", head).expect("whole");
    Board::new("e".into(), source.info(1.0, None), 0)
}

/// Plays a recording once: every change it makes, up to its end.
async fn play(text: &str) -> Vec<Change> {
    let recording = Recording::parse("run.jsonl", text).unwrap_or_else(|error| panic!("{error}"));
    let (sender, mut incoming) = mpsc::channel(64);
    let player = tokio::spawn(recording.play(1.0, sender));
    let mut changes = Vec::new();
    while let Some(change) = incoming.recv().await {
        if matches!(change.what, What::Restarted) {
            break;
        }
        changes.push(change);
    }
    player.abort();
    changes
}

/// What readers of a board are sent, byte for byte.
fn frames(changes: Vec<Change>) -> Vec<String> {
    let board = board();
    let mut seen = Vec::new();
    for change in changes {
        // Each at its turn, so that none is lost to a reader's lag.
        let (_, mut updates) = board.subscribe(0);
        board.apply(change);
        while let Ok(Update::Frame(frame)) = updates.try_recv() {
            seen.push(String::from_utf8(frame.bytes.to_vec()).expect("text"));
        }
    }
    seen
}

fn taped(changes: &[Change], most: usize) -> String {
    let tape = Tape::bounded("default".into(), most);
    for change in changes {
        tape.note(change);
    }
    tape.lines()
        .map(|line| line.expect("still there"))
        .collect()
}

fn object(kind: Kind, value: Value) -> Object {
    Object::from_json(kind, value).expect("an object of the API")
}

fn pod(uid: &str, phase: &str) -> Object {
    object(
        Kind::Pod,
        json!({
            "metadata": {"name": uid, "namespace": "default", "uid": uid, "creationTimestamp": "2026-11-23T00:00:00Z"},
            "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": phase},
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn what_is_written_down_plays_the_same() {
    for (name, text) in runs() {
        let changes = play(&text).await;
        let again = taped(&changes, usize::MAX);
        let want = frames(changes);
        let got = frames(play(&again).await);
        assert!(want.len() > 20, "{name}");
        for (want, got) in want.iter().zip(&got) {
            assert_eq!(got, want, "{name}");
        }
        assert_eq!(got.len(), want.len(), "{name}");
        // Written down once more, it is the same file.
        assert_eq!(taped(&play(&again).await, usize::MAX), again, "{name}");
    }
}

/// A field that a card reads and the list of what is kept lacks would be lost in every recording.
#[tokio::test(start_paused = true)]
async fn what_is_kept_of_an_object_is_all_that_a_card_reads() {
    let mut objects = Vec::new();
    for (_, text) in runs() {
        for change in play(&text).await {
            if let What::Item(it) | What::Applied(it) | What::Deleted(it) = change.what {
                objects.push(it);
            }
        }
    }
    objects.extend([
        object(Kind::PersistentVolume, json!({
            "metadata": {"name": "v", "uid": "v"},
            "spec": {
                "capacity": {"storage": "5Gi"}, "local": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain",
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}
                ]}]}},
            },
            "status": {"phase": "Failed", "reason": "R", "message": "m"},
        })),
        object(Kind::PersistentVolume, json!({
            "metadata": {"name": "v", "uid": "v"}, "spec": {"csi": {"driver": "d", "volumeHandle": "secret"}},
        })),
        object(Kind::Pod, json!({
            "metadata": {"name": "p", "uid": "p", "deletionTimestamp": "2026-11-23T00:00:00Z", "deletionGracePeriodSeconds": 30},
            "spec": {
                "initContainers": [{"name": "i", "restartPolicy": "Always"}],
                "containers": [{"name": "a", "image": "i", "volumeMounts": [{"name": "h", "mountPath": "/h"}]}],
                "volumes": [
                    {"name": "h", "hostPath": {"path": "/h"}}, {"name": "s", "secret": {"secretName": "s"}},
                    {"name": "c", "configMap": {"name": "c"}}, {"name": "n", "nfs": {"server": "s", "path": "/"}},
                    {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
                ],
            },
            "status": {
                "phase": "Running", "reason": "Evicted",
                "initContainerStatuses": [{"name": "i", "started": true, "ready": true, "restartCount": 1, "image": "", "imageID": ""}],
                "containerStatuses": [{"name": "a", "ready": false, "restartCount": 2, "image": "i", "imageID": "",
                    "state": {"terminated": {"exitCode": 3, "signal": 9, "startedAt": null}}}],
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "m"}],
            },
        })),
        object(Kind::StatefulSet, json!({
            "metadata": {"name": "s", "uid": "s"},
            "spec": {
                "ordinals": {"start": 5}, "podManagementPolicy": "Parallel", "selector": {}, "template": {},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
            },
        })),
        object(Kind::StorageClass, json!({
            "metadata": {"name": "c", "uid": "c", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p", "allowVolumeExpansion": true, "volumeBindingMode": "Immediate", "reclaimPolicy": "Retain",
        })),
        object(Kind::Event, json!({
            "metadata": {"name": "e", "uid": "e"}, "involvedObject": {}, "reportingComponent": "r",
            "eventTime": "2026-11-23T00:00:00.000000Z", "series": {"count": 3, "lastObservedTime": "2026-11-23T00:00:01.000000Z"},
        })),
        object(Kind::Node, json!({
            "metadata": {"name": "n", "uid": "n"}, "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}], "nodeInfo": {"kubeletVersion": "v"}},
        })),
    ]);
    assert!(objects.len() > 300);
    for whole in objects {
        let (_, reduced) = reduce::reduce(&whole);
        let value = serde_json::from_str(&reduced).expect("JSON");
        let again = object(whole.kind(), value);
        assert_eq!(Card::from(&again), Card::from(&whole), "{reduced}");
    }
}

#[test]
fn nothing_secret_is_written_down() {
    let secret = "hunter2";
    let pod = object(
        Kind::Pod,
        json!({
            "metadata": {
                "name": "p", "uid": "p", "namespace": "default",
                "labels": {"password": secret},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": secret},
                "managedFields": [{"manager": secret}],
            },
            "spec": {
                "serviceAccountName": secret,
                "containers": [{
                    "name": "a", "args": [secret], "command": [secret], "env": [{"name": "P", "value": secret}],
                }],
                "volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": secret}}]}}],
            },
            "status": {"phase": "Running", "message": secret},
        }),
    );
    let claim = object(
        Kind::PersistentVolumeClaim,
        json!({"metadata": {"name": "c", "uid": "c", "annotations": {"note": secret}}, "spec": {}}),
    );
    let mut fault = Fault::new(
        Cause::Unreachable,
        format!("https://127.0.0.1:1/k/{secret}"),
    );
    fault.context = Some(secret.into());
    fault.path = Some(secret.into());
    let mut lost = Link::live(1);
    lost.turn(LinkState::Interrupted, Some(fault), 2);
    let whats = [
        What::Link(Link::live(1)),
        What::Applied(pod),
        What::Applied(claim),
        What::Link(lost),
    ];
    let changes: Vec<Change> = whats
        .into_iter()
        .map(|what| Change { at: 1, what })
        .collect();
    let text = taped(&changes, usize::MAX);
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(!text.contains(secret), "{text}");
    assert!(text.contains("unreachable"), "{text}");
}

/// A gap, an interruption and a kind that comes into sight late, told the same when played.
#[tokio::test(start_paused = true)]
async fn gaps_and_lost_connections_are_written_down() {
    let list = |kind: Kind, items: Vec<Object>| {
        let mut whats = vec![What::ListBegins(kind)];
        whats.extend(items.into_iter().map(What::Item));
        whats.push(What::ListEnds(kind));
        whats
    };
    let mut lost = Link::live(5);
    lost.turn(
        LinkState::Interrupted,
        Some(Fault::new(Cause::Timeout, "")),
        7,
    );
    let claims = || list(Kind::PersistentVolumeClaim, Vec::new());
    let mut whats = list(
        Kind::Pod,
        vec![pod("old", "Running"), pod("stays", "Running")],
    );
    whats.push(What::Link(Link::live(5)));
    whats.extend([What::Applied(pod("new", "Pending")), What::Link(lost)]);
    // Nothing new: no line.
    whats.extend(list(
        Kind::Pod,
        vec![
            pod("old", "Running"),
            pod("stays", "Running"),
            pod("new", "Pending"),
        ],
    ));
    whats.extend(list(
        Kind::Pod,
        vec![pod("stays", "Running"), pod("new", "Running")],
    ));
    whats.push(What::Link(Link::live(9)));
    whats.extend(claims());
    whats.push(What::Unseen(Kind::Pod));
    let changes = |whats: &mut dyn Iterator<Item = (usize, What)>| -> Vec<Change> {
        whats
            .map(|(index, what)| Change {
                at: 1_000 + i64::try_from(index).expect("few"),
                what,
            })
            .collect()
    };
    let changes = changes(&mut whats.into_iter().enumerate());
    let text = taped(&changes, usize::MAX);
    assert_eq!(text.matches("\"list\":").count(), 2, "{text}");
    let told = |frames: &[String]| -> Vec<(String, Option<String>)> {
        let frame = |frame: &String| {
            let (name, rest) = frame.split_once('\n').expect("lines");
            let data: Value =
                serde_json::from_str(rest.split_once("data: ").expect("data").1).expect("JSON");
            let key = data["story"]["key"].as_str().map(str::to_owned);
            (name.to_owned(), key)
        };
        frames.iter().map(frame).collect()
    };
    let want = frames(changes);
    assert!(want.iter().any(|frame| frame.contains("gap.gone")));
    assert!(want.iter().any(|frame| frame.contains("link.lost")));
    assert_eq!(told(&frames(play(&text).await)), told(&want));
}

#[tokio::test(start_paused = true)]
async fn a_full_tape_forgets_what_happened_and_not_what_is() {
    let changes = play(CHAPTER).await;
    let bound = 60_000;
    let text = taped(&changes, bound);
    assert!(text.len() < 2 * bound, "{}", text.len());
    let cards = |changes: Vec<Change>| {
        let board = board();
        for change in changes {
            board.apply(change);
        }
        let (bytes, _) = board.subscribe(0);
        let text = String::from_utf8(bytes.concat()).expect("text");
        let data = text.split_once("data: ").expect("data").1;
        let data: Value = serde_json::from_str(data).expect("JSON");
        (
            data["cards"].clone(),
            data["insides"].clone(),
            data["at"].clone(),
        )
    };
    let again = play(&text).await;
    assert!(again.len() < changes.len());
    // The end is the same, at the same time.
    assert_eq!(cards(again), cards(changes));
}

#[test]
fn a_file_keeps_every_line_and_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.jsonl");
    let mut tape = TapeFile::create(&path, false, 500, "shop").expect("made");
    for (at, what) in [
        (600, What::Link(Link::live(600))),
        (700, What::Applied(pod("a", "Pending"))),
    ] {
        tape.note(&Change { at, what }).expect("written");
    }
    // Nothing is held back until the end.
    let text = std::fs::read_to_string(&path).expect("text");
    assert_eq!(text.lines().count(), tape.lines());
    let recording = Recording::parse("run.jsonl", &text).expect("whole");
    let info = recording.info(1.0, None);
    assert_eq!(
        (info.recorded, info.namespace.as_str()),
        (Some(500), "shop")
    );
    let error = TapeFile::create(&path, false, 0, "shop").expect_err("there already");
    assert!(error.to_string().contains("--force"), "{error}");
    TapeFile::create(&path, true, 0, "shop").expect("written over");

    // A kill in the middle of the last line costs that line, and only there.
    let cut = &text[..text.len() - 20];
    assert!(Recording::parse("run.jsonl", cut).is_ok());
    let broken = text.replacen("\"begin\":[]}", "\"begin\":[", 1);
    let error = Recording::parse("run.jsonl", &broken)
        .err()
        .expect("malformed");
    assert_eq!(error.line, Some(2));
    let newer = text.replacen("\"version\":1", "\"version\":9", 1);
    let error = Recording::parse("run.jsonl", &newer).err().expect("newer");
    assert!(error.to_string().contains("\"version\" is 9"), "{error}");
}

/// A download holds nothing of the tape, so that it may lose against one that goes on.
#[test]
fn a_reader_that_is_slower_than_the_tape_forgets_is_told_so() {
    let tape = Tape::bounded("default".into(), 10_000);
    let say = |text: &str| {
        let what = What::Said(text.into());
        tape.note(&Change { at: 1, what });
    };
    let what = What::Link(Link::live(0));
    tape.note(&Change { at: 0, what });
    say("first");
    let mut quick = tape.lines();
    let mut slow = tape.lines();
    assert!(quick.all(|line| line.is_ok()));
    assert!(slow.next().is_some_and(|head| head.is_ok()));
    for _ in 0..1_000 {
        say("more");
    }
    let rest: Vec<Result<String, TooSlow>> = slow.collect();
    assert_eq!(rest.last(), Some(&Err(TooSlow)));
    assert_eq!(rest.iter().filter(|line| line.is_err()).count(), 1);
    assert!(tape.lines().all(|line| line.is_ok()));
}
