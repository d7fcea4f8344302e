//! eizoku serves a chapter on Kubernetes persistence and plays a live cluster beside the text.

pub mod book;
pub mod cli;
pub mod cluster;
mod licenses;
pub mod live;
pub mod web;

use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use book::{Book, Shelf};
use cli::{Choice, Cli, Command, ContentArgs, Serve};
use cluster::{Change, Fault, Recording, Source, Target};
use live::{Board, story};
use web::{Server, Site};

/// The recording that plays when there is no cluster, below `content/`.
const CHAPTER_RECORDING: &str = "recordings/chapter.jsonl";
/// Changes that may wait for the board; a source that is faster than it waits.
const CHANGES_AHEAD: usize = 256;

/// Does what the command line says, until it is done or the program is told to stop.
///
/// # Errors
/// What keeps it from starting, in words that say what to do.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { command, serve } = cli;
    match command {
        Some(Command::Check { content }) => check(&content),
        Some(Command::Licenses) => {
            print!("{}", licenses::TEXT);
            Ok(())
        }
        None => self::serve(serve).await,
    }
}

/// Reads all content and says what is wrong with it.
fn check(content: &ContentArgs) -> anyhow::Result<()> {
    let shelf = shelf(content);
    let book = open(&shelf)?;
    shipped_recording(&shelf)?;
    let languages: Vec<&str> = book
        .languages
        .iter()
        .map(|chapter| chapter.language.as_str())
        .collect();
    println!("content is sound: {}", languages.join(", "));
    Ok(())
}

/// Serves the page and plays the cluster beside it.
async fn serve(args: Serve) -> anyhow::Result<()> {
    let Serve {
        cluster,
        context,
        namespace,
        kubeconfig,
        speed,
        port,
        content,
    } = args;
    let choice = Choice::parse(&cluster).map_err(anyhow::Error::msg)?;
    let target = Target {
        kubeconfig,
        context,
        namespace,
    };
    let shelf = shelf(&content);
    let book = open(&shelf)?;
    let server = Server::bind(port).await?;
    let source = choose(choice, target, speed, &shelf).await?;

    let stopping = CancellationToken::new();
    let board = Board::new(epoch(), source.info().clone(), cluster::now());
    let site = Site::new(&book, board.clone(), stopping.clone());
    let packing = site.clone();
    tokio::task::spawn_blocking(move || packing.pack());
    let address = server.address();
    let (changes, incoming) = mpsc::channel(CHANGES_AHEAD);
    let playing = tokio::spawn(source.run(changes));
    let applying = tokio::spawn(apply(board, incoming));
    tokio::spawn(stop_on_signal(stopping.clone()));
    println!("eizoku: http://{address}/  (Ctrl-C ends it)");
    let serving = server.run(web::router(site, address.port()), stopping);
    // A page whose source or board has died would show an old picture as a live one.
    tokio::select! {
        served = serving => served.context("the server ended"),
        _ = playing => bail!("the source ended; EIZOKU_LOG=debug says more"),
        _ = applying => bail!("the board ended; EIZOKU_LOG=debug says more"),
    }
}

/// Takes every change to the board, the one writer there is.
async fn apply(board: Board, mut changes: mpsc::Receiver<Change>) {
    while let Some(change) = changes.recv().await {
        board.apply(change);
    }
}

fn shelf(content: &ContentArgs) -> Shelf {
    match &content.dir {
        Some(dir) => Shelf::folder(dir),
        None => Shelf::embedded(),
    }
}

fn open(shelf: &Shelf) -> anyhow::Result<Book> {
    Ok(Book::open(shelf, story::KEYS)?)
}

/// The source, decided once; says in the log what it is and why.
async fn choose(
    choice: Choice,
    target: Target,
    speed: f64,
    shelf: &Shelf,
) -> anyhow::Result<Source> {
    match choice {
        Choice::Kube => Ok(Source::kube(target, None)),
        Choice::Recording(None) => Ok(Source::recording(shipped_recording(shelf)?, speed, None)),
        Choice::Recording(Some(file)) => Ok(Source::recording(read_recording(file)?, speed, None)),
        Choice::Auto => match target.answers().await {
            Ok(reached) => {
                eprintln!("eizoku: showing the context {}", reached.context);
                Ok(Source::kube(target, Some(reached)))
            }
            Err(fault) => {
                explain_fallback(&fault);
                Ok(Source::recording(
                    shipped_recording(shelf)?,
                    speed,
                    Some(fault),
                ))
            }
        },
    }
}

fn explain_fallback(fault: &Fault) {
    let context = fault.context.as_deref().unwrap_or("none");
    eprintln!("eizoku: no cluster answers (context: {context}): {fault}");
    eprintln!(
        "eizoku: playing a recording instead; start your cluster (kind create cluster) and start again"
    );
}

fn shipped_recording(shelf: &Shelf) -> anyhow::Result<Recording> {
    let shown = shelf.shown(CHAPTER_RECORDING);
    let bytes = shelf
        .read(CHAPTER_RECORDING)
        .with_context(|| format!("{shown} cannot be read"))?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{shown} is not UTF-8"))?;
    Ok(Recording::parse(shown, text)?)
}

fn read_recording(file: PathBuf) -> anyhow::Result<Recording> {
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Recording::parse(file, &text)?),
        Err(error) => bail!(
            "the recording {} cannot be read: {error}\n\
             Name a file, or leave it out to play the one in the binary: --cluster recording",
            file.display()
        ),
    }
}

/// What tells this run from any other, so that a page never mixes two runs' frames.
fn epoch() -> String {
    format!("{:x}", cluster::now())
}

/// The first Ctrl-C (or SIGTERM) asks for a graceful stop, the second one ends the program at once.
async fn stop_on_signal(stopping: CancellationToken) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    signals.next().await;
    stopping.cancel();
    signals.next().await;
    std::process::exit(130);
}

/// The signals that ask a program to end.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
