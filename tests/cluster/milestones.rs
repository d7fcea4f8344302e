//! What became of each object, step by step, from two witnesses: the API's watches and the frames.

use std::collections::BTreeMap;

use serde_json::Value;

use super::page::{Heard, PATIENCE, Page};
use super::watches::{Event, Watches};

/// Kind, name and uid to the steps of that object. Order is kept within an object; between two of
/// them the API promises none.
type Lives = BTreeMap<String, Vec<String>>;

const GONE: &str = "gone";

fn add(lives: &mut Lives, key: String, step: String, gone: bool) {
    let life = lives.entry(key).or_default();
    if life.last() != Some(&step) {
        life.push(step);
    }
    if gone {
        life.push(GONE.into());
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn key(kind: &str, name: &Value, uid: &Value) -> String {
    format!("{kind} {} {}", text(name), text(uid))
}

/// The lives that the watches saw in `namespace`.
fn of_watches(events: &[Event], namespace: &str) -> Lives {
    let mut lives = Lives::new();
    for Event {
        kind,
        deleted,
        object,
    } in events
    {
        let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
        let deleting = !meta["deletionTimestamp"].is_null();
        let phase = text(&status["phase"]);
        let step = match *kind {
            "Pod" => {
                let conditions = status["conditions"].as_array();
                let ready = conditions
                    .into_iter()
                    .flatten()
                    .any(|it| it["type"] == "Ready" && it["status"] == "True");
                let node = text(&spec["nodeName"]);
                format!("{phase} node={node} ready={ready} deleting={deleting}")
            }
            "PersistentVolumeClaim" => {
                format!(
                    "{phase} volume={} deleting={deleting}",
                    text(&spec["volumeName"])
                )
            }
            "PersistentVolume" => {
                if spec["claimRef"]["namespace"] != namespace {
                    continue;
                }
                format!("{phase} deleting={deleting}")
            }
            "StatefulSet" | "Deployment" | "ReplicaSet" => format!(
                "wanted={} existing={} ready={}",
                number(&spec["replicas"]),
                number(&status["replicas"]),
                number(&status["readyReplicas"])
            ),
            _ => continue,
        };
        add(
            &mut lives,
            key(kind, &meta["name"], &meta["uid"]),
            step,
            *deleted,
        );
    }
    lives
}

/// The lives that the frames told.
fn of_frames(heard: &[Heard], namespace: &str) -> Lives {
    let mut lives = Lives::new();
    for Heard { event, data } in heard {
        if !matches!(event.as_str(), "added" | "modified" | "deleted") {
            continue;
        }
        let card = &data["card"];
        let deleting = !card["deleting"].is_null();
        let phase = card["phase"]
            .as_str()
            .filter(|it| !it.is_empty())
            .unwrap_or("-");
        let kind = text(&card["kind"]);
        let step = match kind {
            "Pod" => {
                let node = text(&card["node"]);
                let ready = card["isReady"] == true;
                format!("{phase} node={node} ready={ready} deleting={deleting}")
            }
            "PersistentVolumeClaim" => {
                format!(
                    "{phase} volume={} deleting={deleting}",
                    text(&card["volume"])
                )
            }
            "PersistentVolume" => {
                if card["claim"]["namespace"] != namespace {
                    continue;
                }
                format!("{phase} deleting={deleting}")
            }
            "StatefulSet" | "Deployment" | "ReplicaSet" => format!(
                "wanted={} existing={} ready={}",
                number(&card["replicas"]),
                number(&card["existing"]),
                number(&card["ready"])
            ),
            _ => continue,
        };
        add(
            &mut lives,
            key(kind, &card["name"], &card["uid"]),
            step,
            event == "deleted",
        );
    }
    lives
}

/// Waits until both witnesses tell the same, and fails with the first life they differ in.
/// Returns how many objects were compared.
pub(crate) async fn agree(watches: &Watches, page: &Page, namespace: &str) -> usize {
    let limit = tokio::time::Instant::now() + PATIENCE / 6;
    loop {
        let watched = of_watches(&watches.events(), namespace);
        let told = of_frames(&page.heard(), namespace);
        if watched == told {
            return watched.len();
        }
        if tokio::time::Instant::now() > limit {
            let keys = watched.keys().chain(told.keys());
            let first = keys
                .into_iter()
                .find(|key| watched.get(*key) != told.get(*key));
            let first = first.expect("they differ");
            panic!(
                "{first}\n  watched: {:#?}\n  told: {:#?}",
                watched.get(first),
                told.get(first)
            );
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
