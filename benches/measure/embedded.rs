//! The embedded cluster, beside a real one in the same run where `KUBECONFIG` leads to one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::Program;
use crate::stats::{line, percentile};
use crate::wire::Wire;

const STARTS: usize = 11;
const KILLS: usize = 7;
const ROUND_TRIPS: usize = 30;
const REQUESTS: usize = 500;
const LONG: Duration = Duration::from_secs(20);
const POD: &str = "postgres-statefulset-0";
const CLAIM: &str = "postgres-data-postgres-statefulset-0";
const CHAPTER: &str = include_str!("../../tests/embedded/recorded/chapter.yaml");

/// What one cluster took.
#[derive(Default)]
struct Took {
    first: Duration,
    later: Duration,
    again: Vec<Duration>,
    kubectl: Vec<Duration>,
    requests: f64,
}

pub(crate) async fn print() {
    println!("\n== the embedded cluster");
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_eizoku")).map_or(0, |it| it.len());
    println!("  binary {:.1} MB", size as f64 / 1e6);
    println!(
        "  API ready, of {STARTS} starts on a fresh folder  {}  (aim: under 100 ms)",
        starts(true).await
    );
    println!(
        "  API ready, of {STARTS} starts on its folder      {}",
        starts(false).await
    );

    let folder = tempfile::Builder::new()
        .prefix("ez")
        .tempdir()
        .expect("a folder");
    let mut program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!(
        "  idle, no PostgreSQL   {}  (aim: 0 %, under 60 MB)",
        idle(&program).await
    );
    let ours = measure(&wire, &program.kubeconfig()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("  idle, one PostgreSQL  {}", idle(&program).await);
    let children = program.descendants();
    println!(
        "  one PostgreSQL        {} MB in {} processes",
        memory(&children),
        children.len()
    );
    let begin = Instant::now();
    program.kill();
    program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    wire.until("Pod", POD, "its restart", |pod| {
        pod.is_some_and(|pod| {
            pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0)
                && crate::wire::is_ready(pod)
        })
    })
    .await;
    println!(
        "  killed with SIGKILL, started, Ready again  {:?}",
        begin.elapsed()
    );
    drop(program);

    let real = beside().await;
    let row = |what: &str, aim: &str, ours: Duration, real: Option<Duration>| {
        let beside = real.map_or_else(String::new, |real| {
            let ratio = ours.as_secs_f64() / real.as_secs_f64();
            format!("   real {real:>9.2?}   ratio {ratio:.2}")
        });
        println!("  {what:<32} {ours:>9.2?}{beside}{aim}");
    };
    let real = real.as_ref();
    let median = |all: &[Duration]| percentile(&mut all.to_vec(), 0.5);
    row(
        "apply to Ready, the first ever",
        "",
        ours.first,
        real.map(|it| it.first),
    );
    row(
        "apply to Ready, later",
        "   (aim: under 3 s)",
        ours.later,
        real.map(|it| it.later),
    );
    row(
        "delete to Ready again",
        "   (aim: under 1.5 s)",
        median(&ours.again),
        real.map(|it| median(&it.again)),
    );
    println!("    {}", line(&mut ours.again.clone()));
    if ours.kubectl.is_empty() {
        println!(
            "  kubectl round trips are not measured: there is no kubectl; KUBECTL may name one"
        );
    } else {
        row(
            "kubectl get pods",
            "",
            median(&ours.kubectl),
            real.map(|it| median(&it.kubectl)),
        );
        let rate = |all: &[Duration]| 1.0 / median(all).as_secs_f64();
        let beside = real.map_or_else(String::new, |it| {
            format!("   real {:.1}", rate(&it.kubectl))
        });
        println!(
            "  kubectl round trips a second     {:>9.1}{beside}",
            rate(&ours.kubectl)
        );
    }
    let beside = real.map_or_else(String::new, |it| {
        format!(
            "   real {:.0}   ratio {:.2}",
            it.requests,
            ours.requests / it.requests
        )
    });
    println!(
        "  requests a second, one client    {:>9.0}{beside}",
        ours.requests
    );
}

/// From the process's begin to the first answer of the API.
async fn starts(fresh: bool) -> String {
    let client = reqwest::Client::new();
    let mut all = Vec::new();
    let mut folder = tempfile::Builder::new()
        .prefix("ez")
        .tempdir()
        .expect("a folder");
    for _ in 0..STARTS {
        if fresh {
            folder = tempfile::Builder::new()
                .prefix("ez")
                .tempdir()
                .expect("a folder");
        }
        let kubeconfig = folder.path().join("data/kubeconfig");
        let _ = std::fs::remove_file(&kubeconfig);
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_eizoku"))
            .args(["--cluster", "embedded", "--port", "0", "--data"])
            .arg(folder.path().join("data"))
            .env("KUBECONFIG", "/nonexistent/kubeconfig")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        loop {
            let text = std::fs::read_to_string(&kubeconfig).unwrap_or_default();
            let server = text
                .lines()
                .find_map(|line| line.trim().strip_prefix("server: "));
            if let Some(server) = server
                && let Ok(answer) = client.get(format!("{server}/readyz")).send().await
                && answer.status().is_success()
            {
                break;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "the API never answers"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        all.push(begin.elapsed());
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
    line(&mut all)
}

/// The chapter's set and what is done to it; the set stays.
async fn measure(wire: &Wire, kubeconfig: &Path) -> Took {
    let mut took = Took::default();
    let begin = Instant::now();
    wire.apply(CHAPTER).await;
    wire.ready(POD, "").await;
    took.first = begin.elapsed();
    wire.delete("StatefulSet", "postgres-statefulset", None)
        .await;
    wire.gone("Pod", POD).await;
    wire.delete("PersistentVolumeClaim", CLAIM, None).await;
    wire.gone("PersistentVolumeClaim", CLAIM).await;
    let set = CHAPTER.split("\n---\n").last().expect("the set");
    let begin = Instant::now();
    wire.apply(set).await;
    let mut uid = wire.ready(POD, "").await;
    took.later = begin.elapsed();
    for _ in 0..KILLS {
        let begin = Instant::now();
        wire.delete("Pod", POD, None).await;
        uid = wire.ready(POD, &uid).await;
        took.again.push(begin.elapsed());
    }
    if let Some(kubectl) = kubectl() {
        for _ in 0..ROUND_TRIPS {
            let begin = Instant::now();
            let status = Command::new(&kubectl)
                .args(["get", "pods", "--namespace", &wire.namespace])
                .env("KUBECONFIG", kubeconfig)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .expect("kubectl starts");
            assert!(status.success());
            took.kubectl.push(begin.elapsed());
        }
    }
    let begin = Instant::now();
    for _ in 0..REQUESTS {
        wire.find("Pod", POD).await;
    }
    took.requests = REQUESTS as f64 / begin.elapsed().as_secs_f64();
    took
}

/// The same on the cluster that `KUBECONFIG` leads to, in a namespace of its own.
async fn beside() -> Option<Took> {
    let Some(kubeconfig) = std::env::var_os("KUBECONFIG").map(PathBuf::from) else {
        println!("  no real cluster beside it: KUBECONFIG leads to none");
        return None;
    };
    let namespace = format!("eizoku-bench-{}", std::process::id());
    let root = Wire::to(&kubeconfig, "default").await;
    let made: Value =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    root.create(made).await;
    let wire = Wire::to(&kubeconfig, &namespace).await;
    // A Pod that comes before its service account is refused, and retried with long pauses.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let took = measure(&wire, &kubeconfig).await;
    root.delete("Namespace", &namespace, None).await;
    Some(took)
}

fn kubectl() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECTL").map_or_else(|| "kubectl".into(), PathBuf::from);
    let works = Command::new(&named)
        .args(["version", "--client"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    works.is_ok_and(|it| it.success()).then_some(named)
}

/// CPU and memory of the program, its containers apart.
async fn idle(program: &Program) -> String {
    let mut ids = program.descendants();
    ids.insert(program.id());
    let before: u64 = ids.iter().filter_map(|id| cpu_ticks(*id)).sum();
    tokio::time::sleep(LONG).await;
    let after: u64 = ids.iter().filter_map(|id| cpu_ticks(*id)).sum();
    // A tick is 10 ms on every Linux that matters.
    let percent = after.saturating_sub(before) as f64 / LONG.as_secs_f64();
    let own = memory(&BTreeSet::from([program.id()]));
    format!("CPU {percent:.2} % over {LONG:?}   the program itself {own} MB")
}

fn cpu_ticks(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Memory that these processes have to themselves, and their share of what they have in common, in MB.
fn memory(ids: &BTreeSet<u32>) -> u64 {
    let of = |id: &u32| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|it| it.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).unwrap_or(0)
    };
    ids.iter().map(of).sum::<u64>() / 1024
}
