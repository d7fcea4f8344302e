//! `/history`, `/timeline` and `/recording`: the run so far, asked for by a page that came late.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use super::api::Api;
use super::events::event;
use super::server::{Server, eizoku};

async fn body(server: &Server, path: &str) -> (u16, Value) {
    let response = server.get(path).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    (status, serde_json::from_str(&text).expect("JSON"))
}

/// The parts of the picture that a page holds, with the cards by uid.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    cards: BTreeMap<String, Value>,
    link: Value,
    steps: Value,
}

impl Picture {
    /// From a snapshot, or from what stands for one in the past.
    fn of(data: &Value) -> Self {
        let cards = data["cards"].as_array().expect("cards").iter();
        Self {
            cards: cards
                .map(|card| (card["uid"].to_string(), card.clone()))
                .collect(),
            link: data["link"].clone(),
            steps: data["lesson"]["steps"].clone(),
        }
    }

    fn apply(&mut self, event: &str, data: &Value) {
        let uid = data["card"]["uid"].to_string();
        match event {
            "added" | "modified" => {
                self.cards.insert(uid, data["card"].clone());
            }
            "deleted" => {
                self.cards.remove(&uid);
            }
            "link" => self.link = data["link"].clone(),
            "lesson" => {
                for (id, step) in data["steps"].as_object().expect("steps") {
                    self.steps[id] = step.clone();
                }
            }
            "restarted" => self.cards.clear(),
            _ => {}
        }
    }
}

/// The next frame of the stream; what is no frame is let go.
async fn frame(response: &mut Response, rest: &mut String) -> (String, Value) {
    loop {
        let (name, _, data) = event(response, rest).await;
        if data.get("seq").is_some() {
            return (name, data);
        }
    }
}

#[tokio::test]
async fn a_page_that_comes_late_sees_what_an_early_one_saw() {
    let server = Server::start(&["--cluster", "recording", "--speed", "30"]);
    let mut response = server.get("/events").await;
    let mut rest = String::new();
    let (_, snapshot) = frame(&mut response, &mut rest).await;
    let mut picture = Picture::of(&snapshot);
    let mut seen = BTreeMap::from([(snapshot["seq"].as_u64().expect("a number"), picture.clone())]);
    let mut told = Vec::new();
    let mut lessons = 0;
    // Until a claim goes: most of the run, with ticks in it.
    loop {
        let (name, data) = frame(&mut response, &mut rest).await;
        picture.apply(&name, &data);
        let seq = data["seq"].as_u64().expect("a number");
        seen.insert(seq, picture.clone());
        lessons += usize::from(name == "lesson");
        if let Some(key) = data["story"]["key"].as_str() {
            told.push(json!([
                seq,
                data["at"],
                name,
                data["card"]["kind"].as_str().unwrap_or_default(),
                key,
                data["card"]["name"].as_str().unwrap_or_default(),
            ]));
        }
        if name == "deleted" && data["card"]["kind"] == "PersistentVolumeClaim" {
            break;
        }
    }
    // How many depends on how fast the machine is: what comes in one go is told in one frame.
    assert!(lessons > 0);
    let (&first, &last) = (
        seen.keys().next().expect("frames"),
        seen.keys().next_back().expect("frames"),
    );
    for from in (first..=last).step_by(17) {
        let to = (from + 40).min(last);
        let (status, past) = body(&server, &format!("/history?from={from}&to={to}")).await;
        assert_eq!(status, 200);
        let mut board = Picture::of(&past["keyframe"]);
        let mut seq = past["keyframe"]["seq"].as_u64().expect("a number");
        assert!(seq <= from, "{seq} {from}");
        for frame in past["frames"].as_array().expect("frames") {
            board.apply(frame["event"].as_str().expect("a name"), &frame["data"]);
            seq += 1;
            assert_eq!(frame["data"]["seq"], seq);
            if let Some(want) = seen.get(&seq) {
                assert_eq!(&board, want, "at {seq} from {from}");
            }
        }
        assert_eq!((seq, &past["to"]), (to, &json!(to)));
        assert_eq!(past["epoch"], snapshot["epoch"]);
    }

    let (_, timeline) = body(&server, "/timeline").await;
    let marks = timeline["marks"].as_array().expect("marks");
    let from = marks
        .iter()
        .position(|mark| *mark == told[0])
        .expect("there");
    assert_eq!(marks[from..from + told.len()], told);

    for (path, status, reason) in [
        ("/history?from=99999999", 404, "NotFound"),
        ("/history?from=-1", 400, "Invalid"),
        ("/history?to=x", 400, "Invalid"),
    ] {
        let (got, refusal) = body(&server, path).await;
        assert_eq!(
            (got, refusal["reason"].as_str()),
            (status, Some(reason)),
            "{path}"
        );
        assert_eq!(refusal["ok"], false);
        assert!(refusal["first"].as_u64() <= refusal["last"].as_u64());
    }
}

#[tokio::test]
async fn a_run_is_taken_away_and_played() {
    let server = Server::start(&["--cluster", "recording", "--speed", "100"]);
    let mut response = server.get("/events").await;
    let mut rest = String::new();
    let mut deleted = Value::Null;
    while deleted.is_null() {
        let (name, data) = frame(&mut response, &mut rest).await;
        if name == "deleted" && data["card"]["kind"] == "Pod" {
            deleted = data;
        }
    }
    let response = server.get("/recording").await;
    let name = response.headers()["content-disposition"]
        .to_str()
        .expect("text");
    assert!(
        name.starts_with("attachment; filename=\"eizoku-20"),
        "{name}"
    );
    assert!(name.ends_with(".jsonl\""), "{name}");
    let text = response.text().await.expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("taken.jsonl");
    std::fs::write(&file, text).expect("written");

    let path = file.display().to_string();
    let again = Server::start(&["--cluster", "recording", &path, "--speed", "100"]);
    let mut response = again.get("/events").await;
    let mut rest = String::new();
    let (_, snapshot) = frame(&mut response, &mut rest).await;
    assert_eq!(snapshot["source"]["kind"], "recording");
    assert_eq!(snapshot["source"]["label"], "taken.jsonl");
    loop {
        let (name, data) = frame(&mut response, &mut rest).await;
        if name == "deleted" && data["card"]["kind"] == "Pod" {
            // The same body at the same time on the cluster's clock, told the same.
            for field in ["card", "at", "story"] {
                assert_eq!(data[field], deleted[field]);
            }
            break;
        }
    }
}

// The API has to answer while the test waits for a program to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_recorded_until_the_end_is_asked_for() {
    let api = Api::start().await;
    let pod = |phase: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "a", "namespace": "shop", "uid": "u-1", "creationTimestamp": "2026-11-23T00:00:00Z",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
            },
            "spec": {"containers": [{"name": "c", "image": "x", "env": [{"name": "P", "value": "hunter2"}]}]},
            "status": {"phase": phase},
        })
    };
    api.put("pods", pod("Pending"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.jsonl");
    let arguments = [
        "record",
        &file.display().to_string(),
        "--kubeconfig",
        &api.kubeconfig(),
    ];
    let mut child = eizoku().args(arguments).spawn().expect("the binary starts");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    let until = async |part: &str| {
        let limit = tokio::time::Instant::now() + Duration::from_secs(30);
        while !text().contains(part) {
            assert!(
                tokio::time::Instant::now() < limit,
                "no {part} in {}",
                text()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("\"begin\"").await;
    api.put("pods", pod("Running"));
    until("Running").await;
    let status = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
    assert!(child.wait().expect("a child").success());
    assert!(!text().contains("hunter2"), "{}", text());

    // Not written over by mistake, and a cluster that is not there is no empty file.
    let refused = eizoku().args(arguments).output().expect("the binary runs");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && message.contains("--force"),
        "{message}"
    );
    let other = folder.path().join("other.jsonl");
    let refused = eizoku()
        .args(["record", &other.display().to_string()])
        .output()
        .expect("the binary runs");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && message.contains("no cluster answers"),
        "{message}"
    );
    assert!(!other.exists());

    let path = file.display().to_string();
    let server = Server::start(&["--cluster", "recording", &path]);
    let mut response = server.get("/events").await;
    let mut rest = String::new();
    let (_, mut data) = frame(&mut response, &mut rest).await;
    assert_eq!(data["source"]["namespace"], "shop");
    while data["card"]["phase"] != "Running" {
        (_, data) = frame(&mut response, &mut rest).await;
    }
    assert_eq!(data["card"]["uid"], "u-1");
}
