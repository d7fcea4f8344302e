//! How long a figure takes to draw, printed for each of the chapter's, and never asserted: machines differ.
//! The aim is under 5 ms each.

use std::time::{Duration, Instant};

use eizoku::book::{Shelf, draw_once};

const TIMES: usize = 50;

fn main() {
    // `cargo test --benches` runs this, too, with an argument of its own: nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let shelf = Shelf::embedded();
    let paths = shelf.paths().expect("the content is listed");
    println!("== one figure, first time and the best, middle and worst of {TIMES} more");
    for path in paths.iter().filter(|path| path.ends_with(".md")) {
        let text = String::from_utf8(shelf.read(path).expect("it is listed").into_owned())
            .expect("checked at start");
        for block in text.split("```mermaid").skip(1) {
            let (id, rest) = block.split_once('\n').expect("a block has lines");
            let source = &rest[..rest.find("\n```").expect("a block is closed") + 1];
            let (first, svg) = timed(source);
            let mut times: Vec<Duration> = (0..TIMES).map(|_| timed(source).0).collect();
            times.sort();
            println!(
                "  {:<16} first {first:>9.2?}  best {:>9.2?}  middle {:>9.2?}  worst {:>9.2?}  {:>5} bytes",
                id.trim(),
                times[0],
                times[TIMES / 2],
                times[TIMES - 1],
                svg.len()
            );
        }
    }
}

fn timed(source: &str) -> (Duration, String) {
    let begin = Instant::now();
    let svg = draw_once(source).expect("the content is sound");
    (begin.elapsed(), svg)
}
