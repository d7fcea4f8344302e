//! eizoku serves a chapter on Kubernetes persistence and plays a live cluster beside the text.

pub mod book;
pub mod cli;
pub mod cluster;
mod licenses;
pub mod live;
mod teach;
pub mod web;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use eizoku_embedded::Embedded;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use book::{Book, Shelf};
use cli::{Choice, Cli, Command, ContentArgs, DataArgs, Serve, TargetArgs};
use cluster::{Change, Fault, Look, Recording, Scope, Source, Tape, TapeFile, Target};
use live::lesson::{Lesson, Rules};
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
        Some(Command::Record {
            file,
            force,
            target,
        }) => record(&file, force, target.into()).await,
        Some(Command::Licenses) => {
            print!("{}\n\n{}", licenses::TEXT, eizoku_containers::NOTICES);
            Ok(())
        }
        Some(Command::Kubeconfig { data }) => {
            let path = eizoku_embedded::kubeconfig_path(&folder(&data));
            println!("export KUBECONFIG={}", path.display());
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
        target,
        allow_actions,
        speed,
        port,
        data,
        fresh,
        content,
    } = args;
    let choice = Choice::parse(&cluster).map_err(anyhow::Error::msg)?;
    let target = Target::from(target);
    let shelf = shelf(&content);
    let book = open(&shelf)?;
    let server = Server::bind(port).await?;
    let stopping = CancellationToken::new();
    let own = Own {
        folder: folder(&data),
        fresh,
        stopping: stopping.clone(),
    };
    let (mut source, embedded) = choose(choice, target, speed, &shelf, own).await?;
    let (changes, incoming) = mpsc::channel(CHANGES_AHEAD);
    let actor = source.actor(allow_actions, scope(&book)?, looks(&book), changes.clone());

    let board = Board::new(epoch(), source.info().clone(), cluster::now());
    let lesson = lesson(&book);
    board.teach(lesson.steps());
    let tape = Tape::new(&source.info().namespace);
    let site = Site::new(&book, board.clone(), actor, tape.clone(), stopping.clone());
    let packing = site.clone();
    tokio::task::spawn_blocking(move || packing.pack());
    let address = server.address();
    let playing = tokio::spawn(source.run(changes));
    tokio::spawn(teach::teach(lesson, board.clone(), stopping.clone()));
    let applying = tokio::spawn(apply(board, tape, cluster::in_order(incoming)));
    tokio::spawn(stop_on_signal(stopping.clone()));
    println!("eizoku: http://{address}/  (Ctrl-C ends it)");
    let serving = server.run(web::router(site, address.port()), stopping.clone());
    // A page whose source or board has died would show an old picture as a live one.
    let served = tokio::select! {
        served = serving => served.context("the server ended"),
        _ = playing => Err(anyhow!("the source ended; EIZOKU_LOG=debug says more")),
        _ = applying => Err(anyhow!("the board ended; EIZOKU_LOG=debug says more")),
    };
    stopping.cancel();
    if let Some(embedded) = embedded {
        embedded.ended().await;
    }
    served
}

/// Writes down what a cluster does until the program is told to stop.
async fn record(file: &Path, force: bool, target: Target) -> anyhow::Result<()> {
    let reached = target.answers().await.map_err(|fault| {
        let context = fault.context.as_deref().unwrap_or("none");
        anyhow!("no cluster answers (context: {context}): {fault}")
    })?;
    let mut tape = TapeFile::create(file, force, cluster::now(), &reached.namespace)?;
    let mut signals = Signals::new()?;
    let (context, namespace) = (reached.context.clone(), reached.namespace.clone());
    let (changes, incoming) = mpsc::channel(CHANGES_AHEAD);
    let mut incoming = cluster::in_order(incoming);
    let playing = tokio::spawn(Source::kube(target, Some(reached)).run(changes));
    println!(
        "eizoku: recording the context {context}, namespace {namespace}, to {} (Ctrl-C ends it)",
        file.display()
    );
    loop {
        tokio::select! {
            change = incoming.recv() => match change {
                Some(change) => tape.note(&change)?,
                None => bail!("the source ended; EIZOKU_LOG=debug says more"),
            },
            () = signals.next() => break,
        }
    }
    playing.abort();
    println!("eizoku: {} lines in {}", tape.lines(), file.display());
    Ok(())
}

impl From<TargetArgs> for Target {
    fn from(args: TargetArgs) -> Self {
        let TargetArgs {
            context,
            namespace,
            kubeconfig,
        } = args;
        Self {
            kubeconfig,
            context,
            namespace,
        }
    }
}

/// What the embedded cluster needs, should it be chosen.
struct Own {
    folder: PathBuf,
    fresh: bool,
    stopping: CancellationToken,
}

impl Own {
    async fn start(self) -> anyhow::Result<Embedded> {
        let embedded = Embedded::start(&self.folder, self.fresh, self.stopping).await?;
        println!("export KUBECONFIG={}", embedded.kubeconfig.display());
        Ok(embedded)
    }
}

fn folder(data: &DataArgs) -> PathBuf {
    data.dir
        .clone()
        .unwrap_or_else(eizoku_embedded::default_folder)
}

/// Takes every change to the board, the one writer there is, and writes it down.
async fn apply(board: Board, tape: Tape, mut changes: mpsc::Receiver<Change>) {
    while let Some(change) = changes.recv().await {
        tape.note(&change);
        board.apply(change);
    }
}

/// The rules of the lesson's steps.
fn lesson(book: &Book) -> Lesson {
    let rules = book.lesson.steps.iter().map(|step| Rules {
        id: step.id.clone(),
        after: step.after.clone(),
        check: step.check.program(),
        undo: step.undo.as_ref().map(book::Rule::program),
        hints: step
            .hints
            .iter()
            .map(|hint| (hint.when.program(), hint.say.clone()))
            .collect(),
        ends: step.ends,
    });
    Lesson::new(rules.collect())
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

/// The objects of the lesson: those of the manifests.
fn scope(book: &Book) -> anyhow::Result<Scope> {
    let manifests = book.manifests.iter();
    let manifests = manifests.map(|it| (it.path.as_str(), it.text.as_str()));
    Scope::read(manifests).map_err(anyhow::Error::msg)
}

/// Which query shows the rows of which Pods, as the lesson has it.
fn looks(book: &Book) -> Vec<Look> {
    let looks = book.lesson.looks.iter().map(|look| Look {
        pods: look.pods.clone(),
        user: look.user.clone(),
        database: look.database.clone(),
        query: look.query.clone(),
    });
    looks.collect()
}

/// The source, decided once; says in the log what it is and why.
async fn choose(
    choice: Choice,
    target: Target,
    speed: f64,
    shelf: &Shelf,
    own: Own,
) -> anyhow::Result<(Source, Option<Embedded>)> {
    let fallback = match choice {
        Choice::Kube => return Ok((Source::kube(target, None), None)),
        Choice::Recording(file) => {
            let recording = match file {
                Some(file) => read_recording(file)?,
                None => shipped_recording(shelf)?,
            };
            return Ok((Source::recording(recording, speed, None), None));
        }
        Choice::Embedded => None,
        Choice::Auto => match target.answers().await {
            Ok(reached) => {
                eprintln!("eizoku: showing the context {}", reached.context);
                return Ok((Source::kube(target, Some(reached)), None));
            }
            Err(fault) => {
                explain_fallback(&fault);
                Some(fault)
            }
        },
    };
    let embedded = own.start().await?;
    let source = Source::embedded(embedded.kubeconfig.clone(), target.namespace, fallback);
    Ok((source, Some(embedded)))
}

fn explain_fallback(fault: &Fault) {
    let context = fault.context.as_deref().unwrap_or("none");
    eprintln!("eizoku: no cluster answers (context: {context}): {fault}");
    eprintln!("eizoku: running its own small cluster instead");
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
