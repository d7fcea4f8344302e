//! Start, first byte, weight and figures of the page.

use std::time::{Duration, Instant};

use eizoku::book::{Book, Shelf};
use eizoku::live::story;

use crate::server::Server;
use crate::stats::line;

const STARTS: usize = 15;
const REQUESTS: usize = 100;

pub(crate) async fn print() {
    println!("== start ({STARTS} times, process begins to address printed)");
    let mut starts: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let begin = Instant::now();
            drop(Server::recording());
            begin.elapsed()
        })
        .collect();
    println!("  {}", line(&mut starts));

    let server = Server::recording();
    println!("\n== time to first byte of /ja/, compressed ({REQUESTS} times)");
    let mut first = Vec::new();
    for _ in 0..REQUESTS {
        let begin = Instant::now();
        drop(get(&server, "/ja/").await);
        first.push(begin.elapsed());
    }
    println!("  {}", line(&mut first));

    println!("\n== bytes over the wire, first visit (brotli)");
    let html = server.get("/ja/").await.text().await.expect("a page");
    let mut total = weigh(&server, "/ja/").await;
    let mut requests = 1;
    let mut addresses: Vec<String> = Vec::new();
    for part in html.split('"') {
        if part.starts_with("/static/") && !addresses.iter().any(|it| it == part) {
            addresses.push(part.to_owned());
        }
    }
    // Modules import their neighbours by plain names.
    let mut at = 0;
    while at < addresses.len() {
        let address = addresses[at].clone();
        at += 1;
        total += weigh(&server, &address).await;
        requests += 1;
        if !address.ends_with(".js") {
            continue;
        }
        let folder = address.rsplit_once('/').expect("a path").0.to_owned();
        let text = server.get(&address).await.text().await.expect("text");
        for name in text
            .split(['"', '\''])
            .filter_map(|it| it.strip_prefix("./"))
        {
            let neighbour = format!("{folder}/{name}");
            if name.ends_with(".js") && !addresses.contains(&neighbour) {
                addresses.push(neighbour);
            }
        }
    }
    println!("  total {total} bytes in {requests} requests, and the event stream");

    println!("\n== figures and the book");
    let begin = Instant::now();
    let book = Book::open(&Shelf::embedded(), story::KEYS).expect("sound content");
    println!("  whole book, checked and rendered: {:?}", begin.elapsed());
    let chapter = book.chapter("ja").expect("ja");
    for figure in chapter.sections.iter().flat_map(|section| &section.figures) {
        println!("  {}: {} bytes of SVG", figure.id, figure.svg.len());
    }
}

async fn get(server: &Server, path: &str) -> reqwest::Response {
    server
        .client
        .get(format!("{}{path}", server.url))
        .header("accept-encoding", "br")
        .send()
        .await
        .expect("an answer")
}

async fn weigh(server: &Server, path: &str) -> usize {
    let bytes = get(server, path).await.bytes().await.expect("bytes").len();
    println!("  {bytes:>7}  {path}");
    bytes
}
