//! The embedded cluster lives a script as a real cluster did when it was recorded.

use std::io::Read;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::lives::{Event, Lives, differences};
use crate::scripts;
use crate::wire::Wire;

/// The events of a recording.
fn recorded(bytes: &[u8]) -> Vec<Event> {
    let mut text = String::new();
    brotli::Decompressor::new(bytes, 4096)
        .read_to_string(&mut text)
        .expect("text");
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        value
    });
    lines
        .filter(|line| line["say"].is_null() && line["kind"] != "StorageClass")
        .map(|mut line| Event {
            kind: line["kind"].as_str().expect("a kind").to_owned(),
            change: line["type"].as_str().expect("a type").to_owned(),
            object: line["object"].take(),
        })
        .collect()
}

fn assert_alike(real: &[Event], ours: &[Event]) {
    let real = Lives::of(real, "default");
    let ours: Vec<Event> = ours
        .iter()
        .filter(|it| it.kind != "Secret")
        .cloned()
        .collect();
    let ours = Lives::of(&ours, "default");
    assert!(real.lives.len() > 20, "a recording is full of life");
    let all = differences(&real, &ours);
    assert!(
        all.is_empty(),
        "{} differences:\n{}",
        all.len(),
        all.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chapter_goes_as_it_went_on_a_real_cluster() {
    let (_folder, cluster) = Cluster::fresh().await;
    let wire = Wire::to(cluster.kubeconfig(), "default").await;
    let ours = scripts::chapter(&wire).await;
    cluster.end().await;
    assert_alike(
        &recorded(include_bytes!("recorded/chapter.jsonl.br")),
        &ours,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_lanes_go_as_they_went_on_a_real_cluster() {
    let (_folder, cluster) = Cluster::fresh().await;
    let wire = Wire::to(cluster.kubeconfig(), "default").await;
    let ours = scripts::lanes(&wire).await;
    cluster.end().await;
    assert_alike(&recorded(include_bytes!("recorded/lanes.jsonl.br")), &ours);
}
