//! Ten thousand objects, and a client that does not read.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::Program;
use crate::wire::Wire;

const MANY: usize = 10_000;
const AT_ONCE: usize = 16;
const PATH: &str = "/api/v1/namespaces/default/configmaps";
/// An object of the size that objects have.
const BYTES: usize = 1_000;
/// The program may take this much more memory for ten thousand objects of 1 kB, their history of as many changes, and
/// what is on its way to readers; a debug build, so that it is generous. It guards against growth without bound.
const MEMORY: u64 = 400;

async fn make(wire: &Wire, from: usize, to: usize) {
    let makers = (0..AT_ONCE).map(|maker| {
        let wire = wire.clone();
        tokio::spawn(async move {
            for number in (from..to).filter(|number| number % AT_ONCE == maker) {
                let object = json!({"metadata": {"name": format!("c-{number:05}")}, "data": {"text": "x".repeat(BYTES)}});
                wire.send("POST", PATH, "application/json", Some(object))
                    .await
                    .expect("made");
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.expect("all made");
    }
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    let name = |item: &Value| item["metadata"]["name"].as_str().expect("one").to_owned();
    items
        .iter()
        .map(name)
        .filter(|it| it.starts_with("c-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_objects_are_listed_paged_and_watched_and_one_who_does_not_read_stops_nobody()
{
    let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
    let program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    let before = program.peak_memory();
    let start = wire.send("GET", PATH, "", None).await.expect("a list");
    let version = start["metadata"]["resourceVersion"].as_str().expect("one");
    let path = format!("{PATH}?watch=true&resourceVersion={version}");

    // One who reads, and one who opens a watch and looks away.
    let mut reads = wire.lines(&path).await;
    let mut looks_away = wire.lines(&path).await;
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < MANY {
            let line = reads.next().await.expect("the watch stays open");
            assert_eq!(line["type"], "ADDED");
            seen.push(line["object"]["metadata"].clone());
        }
        seen
    });
    make(&wire, 0, MANY).await;
    let seen = tokio::time::timeout(Duration::from_secs(60), reading);
    let seen = seen.await.expect("in time").expect("all seen");
    let versions: Vec<u64> = seen
        .iter()
        .map(|it| {
            it["resourceVersion"]
                .as_str()
                .expect("one")
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "versions only rise");

    // All at once and in pages: the same objects, each once.
    let whole = wire.send("GET", PATH, "", None).await.expect("a list");
    let whole = names(&whole);
    assert_eq!(whole.len(), MANY);
    let watched: BTreeSet<&str> = seen.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(whole.iter().all(|it| watched.contains(it.as_str())));
    let mut paged = Vec::new();
    let mut next = String::new();
    let mut moment = None;
    loop {
        let page = format!("{PATH}?limit=500&continue={next}");
        let page = wire.send("GET", &page, "", None).await.expect("a page");
        assert!(page["items"].as_array().unwrap().len() <= 500);
        let version = page["metadata"]["resourceVersion"].clone();
        assert_eq!(*moment.get_or_insert(version.clone()), version);
        paged.extend(names(&page));
        next = page["metadata"]["continue"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(paged, whole);

    // More happens than the history holds: who looked away is told so, and misses nothing in silence.
    make(&wire, MANY, MANY + 3_000).await;
    let mut count: usize = 0;
    loop {
        let line = tokio::time::timeout(Duration::from_secs(60), looks_away.next()).await;
        let Some(line) = line.expect("an answer") else {
            // It was cut off, as a real server does it with one who does not keep up, and goes on from what it saw last.
            let last = count.checked_sub(1).map_or(0, |last| versions[last]);
            let version = last.max(version.parse().expect("a number"));
            let path = format!("{PATH}?watch=true&resourceVersion={version}");
            let line = wire.lines(&path).await.next().await.expect("an answer");
            assert!(
                is_expired(&line) || line["object"]["metadata"]["name"] == seen_name(&seen, count),
                "{line}"
            );
            break;
        };
        if line["type"] == "ERROR" {
            assert!(is_expired(&line), "{line}");
            break;
        }
        assert_eq!(line["object"]["metadata"]["name"], seen_name(&seen, count));
        count += 1;
        if count == MANY {
            // The buffers on the way hold it all on this system; nothing was missed either.
            break;
        }
    }
    let grown = program.peak_memory().saturating_sub(before);
    println!("{MANY} objects: {grown} MB more at the highest");
    assert!(grown < MEMORY, "{grown} MB");
}

/// Whether a watch says that it cannot go on from here.
fn is_expired(line: &Value) -> bool {
    line["type"] == "ERROR"
        && (&line["object"]["code"], &line["object"]["reason"]) == (&json!(410), &json!("Expired"))
}

fn seen_name(seen: &[Value], index: usize) -> Value {
    seen.get(index).map_or(Value::Null, |it| it["name"].clone())
}
