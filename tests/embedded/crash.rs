//! SIGKILL in the middle of writing, again and again: what was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::program::{Program, alive};
use crate::wire::{Wire, is_ready};

const KILLS: u64 = 4;
const POD: &str = "postgres-statefulset-0";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What was acknowledged so far.
type Kept = Arc<Mutex<BTreeSet<String>>>;

/// Writes rows and objects, one after another, until something refuses: the program was killed.
fn write(kubeconfig: std::path::PathBuf, turn: u64, rows: &Kept, objects: &Kept) {
    let (row_kept, object_kept) = (Arc::clone(rows), Arc::clone(objects));
    let path = kubeconfig.clone();
    tokio::spawn(async move {
        let wire = Wire::to(&path, "default").await;
        for number in 0.. {
            let word = format!("{turn}-{number}");
            let sql = format!("INSERT INTO t VALUES ('{word}')");
            match wire.psql(POD, &sql).await {
                Ok(said) if said.contains("INSERT 0 1") => row_kept.lock().unwrap().insert(word),
                _ => break,
            };
        }
    });
    tokio::spawn(async move {
        let wire = Wire::to(&kubeconfig, "default").await;
        for number in 0.. {
            let name = format!("c-{turn}-{number}");
            let object = json!({"metadata": {"name": name}});
            // The connection breaks with the program, which panics here, and only here.
            let made = wire.send("POST", CONFIG_MAPS, "application/json", Some(object));
            made.await.expect("made");
            object_kept.lock().unwrap().insert(name);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_being_killed_in_the_middle() {
    let kills = std::env::var("EIZOKU_TEST_KILLS").ok();
    let kills = kills.and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
    let mut program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    wire.apply(include_str!("recorded/chapter.yaml")).await;
    wire.ready(POD, "").await;
    wire.rows(POD, "CREATE TABLE t (word text)").await;
    let (rows, objects) = (Kept::default(), Kept::default());
    for turn in 1..=kills {
        let (rows_before, objects_before) =
            (rows.lock().unwrap().len(), objects.lock().unwrap().len());
        write(program.kubeconfig(), turn, &rows, &objects);
        // Until both have something to lose, and then some, never at the same place twice.
        while rows.lock().unwrap().len() < rows_before + 3
            || objects.lock().unwrap().len() < objects_before + 20
        {
            tokio::time::sleep(Duration::from_millis(7 * turn)).await;
        }
        let children = program.descendants();
        program.kill();
        let (rows, objects) = (
            rows.lock().unwrap().clone(),
            objects.lock().unwrap().clone(),
        );
        let begun = std::time::Instant::now();
        while !alive(&children).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "orphans");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        program = Program::start(folder.path());
        let wire = Wire::to(&program.kubeconfig(), "default").await;
        let there: BTreeSet<String> = wire
            .list("ConfigMap")
            .await
            .iter()
            .map(|it| it["metadata"]["name"].as_str().expect("one").to_owned())
            .collect();
        let lost: Vec<&String> = objects.difference(&there).collect();
        assert!(lost.is_empty(), "objects lost by kill {turn}: {lost:?}");
        wire.until("Pod", POD, "its restart", |pod| {
            pod.is_some_and(|pod| {
                let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
                restarts.as_u64() >= Some(turn) && is_ready(pod)
            })
        })
        .await;
        let said = wire.rows(POD, "SELECT word FROM t").await;
        let there: BTreeSet<String> = said.lines().map(str::to_owned).collect();
        let lost: Vec<&String> = rows.difference(&there).collect();
        assert!(lost.is_empty(), "rows lost by kill {turn}: {lost:?}");
        println!(
            "kill {turn}: {} rows and {} objects kept",
            rows.len(),
            objects.len()
        );
    }
}
