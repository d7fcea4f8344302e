//! dev
use eizoku::cluster::*;
use eizoku::live::*;
#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let rec = Recording::parse(path.into(), &text).unwrap();
    let board = Board::new("e".into(), rec.info(1.0, None), 0);
    let (_s, mut rx) = board.subscribe();
    let (tx, mut crx) = tokio::sync::mpsc::channel(1000);
    tokio::spawn(rec.play(100.0, tx));
    while let Some(c) = crx.recv().await {
        let stop = matches!(c.what, What::Restarted);
        board.apply(c);
        while let Ok(Update::Frame(f)) = rx.try_recv() {
            let b = String::from_utf8(f.bytes.to_vec()).unwrap();
            let name = b.lines().next().unwrap()[7..].to_string();
            match &f.step {
                frame::Step::Added(c) | frame::Step::Modified(c) | frame::Step::Deleted(c) => {
                    println!(
                        "{:>5} {name:8} {:22} {:45} {:?}",
                        f.seq,
                        c.kind().as_str(),
                        c.name.chars().take(45).collect::<String>(),
                        f.story.as_ref().map(|s| format!(
                            "{} {:?}",
                            s.key,
                            s.params
                                .values()
                                .map(|v| v.chars().take(40).collect::<String>())
                                .collect::<Vec<_>>()
                        ))
                    )
                }
                other => println!(
                    "{:>5} {name} {}",
                    f.seq,
                    &format!("{other:?}")[..60.min(format!("{other:?}").len())]
                ),
            }
        }
        if stop {
            break;
        }
    }
}
