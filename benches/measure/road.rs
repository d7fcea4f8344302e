//! From a watch event to a byte on the page's stream, beside a raw watch of the same API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::json;

use crate::api::Api;
use crate::server::Server;
use crate::stats::{line, percentile};

const EVENTS: usize = 2_000;
const EVERY: Duration = Duration::from_millis(3);
const READERS: usize = 30;

type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

pub(crate) async fn print() {
    println!("\n== watch event to page ({EVENTS} events, one every {EVERY:?})");
    for readers in [1, READERS] {
        measure(readers).await;
    }
}

async fn measure(readers: usize) {
    let api = Api::start().await;
    let server = Server::start(&["--cluster", "kube", "--kubeconfig", &api.kubeconfig()]);
    while server.get("/readyz").await.status() != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A client of its own for each: the other's events must not wait for this one's.
    let client = || Client::builder().build().expect("a client");
    let watch = format!("{}/api/v1/namespaces/shop/pods?watch=true", api.url());
    let raw = client().get(watch).send().await.expect("a watch");
    let raw = collect(raw);
    let mut pages = Vec::new();
    for _ in 0..readers {
        let events = format!("{}/events", server.url);
        let page = client().get(events).send().await.expect("a stream");
        pages.push(collect(page));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut sent = HashMap::new();
    for number in 0..EVENTS {
        let uid = format!("uid-{number:06}");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p-{number}"), "namespace": "shop", "uid": uid}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running"}});
        sent.insert(uid, Instant::now());
        api.put("pods", pod);
        tokio::time::sleep(EVERY).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let since = |arrivals: &Arrivals| -> HashMap<String, Duration> {
        let arrivals = arrivals.lock().unwrap();
        sent.iter()
            .filter_map(|(uid, sent)| Some((uid.clone(), arrivals.get(uid)?.duration_since(*sent))))
            .collect()
    };
    let raw = since(&raw);
    let page = since(pages.last().expect("a reader"));
    let mut added: Vec<Duration> = page
        .iter()
        .filter_map(|(uid, time)| Some(time.saturating_sub(*raw.get(uid)?)))
        .collect();
    let mut raw: Vec<Duration> = raw.into_values().collect();
    let mut page: Vec<Duration> = page.into_values().collect();
    println!("{readers} reader(s), {} of {EVENTS} arrived", page.len());
    println!("  raw watch      {}", line(&mut raw));
    println!("  page's stream  {}", line(&mut page));
    println!("  added          {}", line(&mut added));
    let ratio = percentile(&mut page, 0.5).as_secs_f64() / percentile(&mut raw, 0.5).as_secs_f64();
    println!("  ratio (p50)    {ratio:.2}");
}

/// Notes when each `uid-NNNNNN` was first seen in a stream.
fn collect(mut response: Response) -> Arrivals {
    let arrivals = Arrivals::default();
    let seen = Arc::clone(&arrivals);
    tokio::spawn(async move {
        let mut rest = String::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            let now = Instant::now();
            rest.push_str(&String::from_utf8_lossy(&chunk));
            let Some(end) = rest.rfind('\n') else {
                continue;
            };
            let whole: String = rest.drain(..=end).collect();
            let mut seen = seen.lock().unwrap();
            for (at, _) in whole.match_indices("uid-") {
                if let Some(uid) = whole.get(at..at + 10) {
                    seen.entry(uid.to_owned()).or_insert(now);
                }
            }
        }
    });
    arrivals
}
