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

/// The folders of containers that are there now.
fn layers(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder.join("data/c")).map_or(0, Iterator::count)
}

/// How PostgreSQL says that it was left: the number of its state in the control file.
fn left(folder: &std::path::Path) -> u8 {
    let volumes = std::fs::read_dir(folder.join("data/node/var/local-path-provisioner"));
    let volume = volumes.expect("volumes").next().expect("one").expect("one");
    let control = volume.path().join("18/docker/global/pg_control");
    std::fs::read(control).expect("a control file")[16]
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_the_end_of_the_program_is_the_databases_in_order() {
    const SHUT_DOWN: u8 = 1;
    let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
    let mut program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    wire.apply(include_str!("recorded/chapter.yaml")).await;
    wire.ready(POD, "").await;
    wire.rows(POD, "CREATE TABLE t (word text)").await;
    assert_ne!(left(folder.path()), SHUT_DOWN);
    assert!(program.end().success());
    assert_eq!(left(folder.path()), SHUT_DOWN);
    assert_eq!(layers(folder.path()), 0);

    program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    wire.until("Pod", POD, "its restart", |pod| pod.is_some_and(is_ready))
        .await;
    // A layer stays behind when the program is killed, and goes with the next start.
    program.kill();
    assert_eq!(layers(folder.path()), 1);
    std::fs::create_dir(folder.path().join("data/c/notes")).unwrap();
    program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    wire.until("Pod", POD, "its restart", |pod| {
        pod.is_some_and(|pod| {
            pod["status"]["containerStatuses"][0]["restartCount"].as_u64() >= Some(2)
                && is_ready(pod)
        })
    })
    .await;
    // The one that runs, and the folder that is not the cluster's.
    assert_eq!(layers(folder.path()), 2);
    wire.rows(POD, "INSERT INTO t VALUES ('kept')").await;
    let folder = folder.path().join("data");
    let pods = || std::fs::read_dir(folder.join("pods")).unwrap().count();
    let before = pods();
    wire.delete("Pod", POD, Some(0)).await;
    wire.until("Pod", POD, "its successor", |pod| pod.is_some_and(is_ready))
        .await;
    let begun = std::time::Instant::now();
    while pods() > before || std::fs::read_dir(folder.join("c")).unwrap().count() > 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "what a Pod left is still there"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(wire.rows(POD, "SELECT word FROM t").await, "kept\n");
}
