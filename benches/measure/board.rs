//! What one event costs on a small board and on a large one.

use std::time::Instant;

use eizoku::cluster::{Acting, Change, Kind, Object, SourceInfo, SourceKind, What, Why};
use eizoku::live::Board;
use serde_json::json;

const EVENTS: usize = 20_000;

pub(crate) fn print() {
    println!("\n== one event on the board ({EVENTS} events, decoding left out)");
    let small = measure(10);
    let large = measure(10_000);
    println!("     10 Pods  {small:>7.2} µs");
    println!("  10000 Pods  {large:>7.2} µs   ratio {:.2}", large / small);
}

/// Mean microseconds of an event on a board of `size` Pods.
fn measure(size: usize) -> f64 {
    let source = SourceInfo {
        kind: SourceKind::Kube,
        label: "bench".into(),
        namespace: "shop".into(),
        recorded: None,
        speed: None,
        kubeconfig: None,
        fallback: None,
        acting: Acting::new(Why::Recording),
    };
    let board = Board::new("e".into(), source, 0);
    for number in 0..size {
        apply(&board, pod(number, 0));
    }
    let events: Vec<Object> = (0..EVENTS)
        .map(|event| pod(event % size, 1 + event / size))
        .collect();
    let begin = Instant::now();
    for event in events {
        apply(&board, event);
    }
    begin.elapsed().as_secs_f64() * 1e6 / EVENTS as f64
}

fn apply(board: &Board, object: Object) {
    board.apply(Change {
        at: 0,
        what: What::Applied(object),
    });
}

fn pod(number: usize, address: usize) -> Object {
    let pod = json!({"metadata": {"name": format!("p-{number}"), "namespace": "shop", "uid": format!("u-{number}")}, "spec": {"containers": [{"name": "a", "image": "x"}], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}, "status": {"phase": "Running", "podIP": format!("10.0.{}.{}", address / 250, address % 250)}});
    Object::from_json(Kind::Pod, pod).expect("a Pod")
}
