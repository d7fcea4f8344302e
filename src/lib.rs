//! eizoku serves a chapter on Kubernetes persistence and plays a live cluster beside the text.

pub mod book;
mod browser;
pub mod cli;
pub mod cluster;
mod licenses;
pub mod live;
mod shell;
mod teach;
pub mod web;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use eizoku_embedded::Embedded;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use book::{Book, Shelf};
use cli::{Choice, Cli, Command, ContentArgs, DataArgs, Serve, TargetArgs};
use cluster::{Change, Fault, Look, Recording, Scope, Source, Tape, TapeFile, Target};
use live::lesson::{Lesson, Rules};
use live::{Board, story};
use web::{Key, Server, Site};

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
        Some(Command::Licenses) => print(&format!(
            "{}\n\n{}",
            licenses::TEXT,
            eizoku_containers::NOTICES
        )),
        Some(Command::Kubeconfig { data }) => {
            let path = eizoku_embedded::kubeconfig_path(&folder(&data));
            print(&format!("{}\n", export(&path)))
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
    print(&format!("content is sound: {}\n", languages.join(", ")))
}

/// Prints what a command was asked for. Who has read enough of it closes the pipe, which is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("nothing can be printed")
        }
        _ => Ok(()),
    }
}

/// Says something while the program goes on, and goes on when nobody can hear it: readers and their cluster do not depend
/// on a terminal.
fn say(line: &str) {
    if print(&format!("{line}\n")).is_err() {
        warn(line);
    }
}

fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Waits for a part to end that must not; for ever when it ended because the program does.
async fn lost(task: JoinHandle<()>, stopping: CancellationToken) {
    let ended = task.await;
    if ended.is_ok() && stopping.is_cancelled() {
        std::future::pending::<()>().await;
    }
}

/// Serves the page and plays the cluster beside it.
async fn serve(args: Serve) -> anyhow::Result<()> {
    let Serve {
        cluster,
        target,
        allow_actions,
        speed,
        port,
        no_open,
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
    let (mut source, mut embedded) = choose(choice, target, speed, &shelf, own).await?;
    let (changes, incoming) = mpsc::channel(CHANGES_AHEAD);
    let actor = source.actor(allow_actions, scope(&book)?, looks(&book), changes.clone());

    let board = Board::new(epoch(), source.info().clone(), cluster::now());
    let lesson = lesson(&book);
    board.teach(lesson.steps());
    let tape = Tape::new(&source.info().namespace);
    let port = server.address().port();
    let key = Key::new(port);
    let stop = stopping.clone();
    let site = Site::new(&book, key.clone(), board.clone(), actor, tape.clone(), stop);
    let packing = site.clone();
    tokio::task::spawn_blocking(move || packing.pack());
    let playing = tokio::spawn(source.run(changes));
    let teaching = tokio::spawn(teach::teach(lesson, board.clone(), stopping.clone()));
    let applying = tokio::spawn(apply(board, tape, cluster::in_order(incoming)));
    tokio::spawn(stop_on_signal(stopping.clone()));
    say(&format!("eizoku: {}  (Ctrl-C ends it)", key.address()));
    if !no_open && browser::is_at_hand() {
        tokio::task::spawn_blocking(move || browser::open(&key.address_once()));
    }
    let serving = server.run(web::router(site, port), stopping.clone());
    // A page whose source or board has died would show an old picture as a live one.
    let broken = async {
        match &mut embedded {
            Some(embedded) => embedded.broken().await,
            None => std::future::pending().await,
        }
    };
    let served = tokio::select! {
        () = serving => Ok(()),
        () = lost(playing, stopping.clone()) => Err(fault("source")),
        () = lost(applying, stopping.clone()) => Err(fault("board")),
        () = lost(teaching, stopping.clone()) => Err(fault("lesson")),
        why = broken => Err(anyhow!(why)),
    };
    stopping.cancel();
    if let Some(embedded) = embedded {
        embedded.ended().await;
    }
    served
}

/// Why the program ends when a part of it has.
fn fault(part: &str) -> anyhow::Error {
    anyhow!(
        "the {part} ended on a fault of this program; start eizoku again, EIZOKU_LOG=debug says more"
    )
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
    say(&format!(
        "eizoku: recording the context {context}, namespace {namespace}, to {} (Ctrl-C ends it)",
        file.display()
    ));
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
    say(&format!(
        "eizoku: {} lines in {}",
        tape.lines(),
        file.display()
    ));
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
        say(&export(&embedded.kubeconfig));
        Ok(embedded)
    }
}

/// The line that leads kubectl to a kubeconfig; a shell may be told to run it as it is.
fn export(kubeconfig: &Path) -> String {
    let path = kubeconfig.to_string_lossy();
    format!("export KUBECONFIG={}", shell::word(&path))
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
                warn(&format!("eizoku: showing the context {}", reached.context));
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
    warn(&format!(
        "eizoku: no cluster answers (context: {context}): {fault}"
    ));
    warn("eizoku: running its own small cluster instead");
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
