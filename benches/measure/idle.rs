//! What the program costs when nothing happens, and how fast it ends.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::server::Server;

const LONG: Duration = Duration::from_secs(30);

pub(crate) async fn print() {
    println!("\n== idle for {LONG:?} beside a cluster, five pages open");
    let api = Api::start().await;
    let mut server = Server::start(&["--cluster", "kube", "--kubeconfig", &api.kubeconfig()]);
    let mut pages = Vec::new();
    for _ in 0..5 {
        pages.push(server.get("/events").await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let id = server.child.id();
    let before = cpu_ticks(id);
    tokio::time::sleep(LONG).await;
    let (Some(before), Some(after)) = (before, cpu_ticks(id)) else {
        println!("  only measured where there is /proc");
        return;
    };
    // A tick is 10 ms on every Linux that matters.
    let percent = (after - before) as f64 * 0.01 / LONG.as_secs_f64() * 100.0;
    println!("  CPU {percent:.2} %   memory {}", memory(id));

    let begin = Instant::now();
    let status = Command::new("kill")
        .args(["-INT", &id.to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
    server.child.wait().expect("a child");
    println!("  graceful stop with readers: {:?}", begin.elapsed());
}

fn cpu_ticks(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn memory(id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{id}/status"))
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .map_or_else(|| "unknown".into(), |size| size.trim().to_owned())
}
