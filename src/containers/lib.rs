//! Containers for the embedded cluster's kubelet: real processes with their own files, log and exit code.
//!
//! Owns what a container runtime owns: images (built in, two of them), starting, signalling, waiting, exec, the log file. Knows nothing of Kubernetes objects.
//!
//! # How it works
//! A container is a child process of this program: the same executable, started with a hidden first argument, in its own process group. What it is to be
//! (environment, secrets in it, mounts, command) comes over a pipe on its standard input, never by command line or environment, where other users of
//! the machine could read it. The pipe stays open as long as the parent lives; when it ends, for whatever reason, the child ends. (Linux's
//! `PR_SET_PDEATHSIG` is not used: it fires when the *thread* that started the child ends, which in a thread pool is too early, and it is missing on macOS.)
//!
//! ```text
//! kubelet's process                     processes of one container, one group
//!  Runtime::start ──order──► main        `docker-entrypoint.sh`: the postmaster (our own, see `postgres`) ──► backend: PostgreSQL itself (WASIX)
//!                ◄─stdout,stderr──┘       or `sh` and the other small programs (see `shell`, `programs`)
//!  Container::exec ─order, input──► exec  `psql` (the real one, WASIX), `pg_isready`, `sh`, `ls` …
//! ```
//!
//! # Decisions
//! - **PostgreSQL is `oliphaunt-wasix`**: PostgreSQL 18.4 as WebAssembly, compiled ahead of time to machine code that ships in crates. Nothing is compiled
//!   or downloaded at run time. It is PostgreSQL's single-user core: one session at a time, no signals. So the postmaster is ours: it listens, checks role
//!   and database, hands the one backend from session to session, and restarts it when it must be interrupted. See `postgres`.
//! - **psql is the real psql**, also interactively. It has no terminal of its own; line editing, history and Ctrl-C are ours (`terminal`).
//! - **Small programs are built in.** They see the container's files through `view`, which nothing leaves. There is no other executable to run.
//! - **Two walls.** `view` reaches files by descriptors and names alone and never by a path of the host; on Linux, `wall` has the kernel forbid the rest.
//! - Two containers on one data directory: the second is refused, with PostgreSQL's own words about `postmaster.pid`. The real one can't see that in another
//!   PID namespace and would damage the data; a lock on the host's folder can.

mod child;
mod disk;
mod frame;
mod image;
mod log;
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
mod programs;
mod removal;
mod shell;
mod terminal;
mod view;
#[cfg(target_os = "linux")]
mod wall;

use std::path::PathBuf;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

pub use child::child_main;
pub use disk::{Disk, Lies};
pub use image::{ImageError, ImageInfo, resolve};
pub use process::{Container, Runtime};
pub use removal::remove_tree;
#[cfg(target_os = "linux")]
pub use wall::missing_wall;

/// Why containers have no second wall; nothing if they have one.
#[cfg(not(target_os = "linux"))]
pub fn missing_wall() -> Option<&'static str> {
    Some("this system has no Landlock, which is Linux alone")
}

/// The licences of PostgreSQL and what it is built from, to be shown with the program's own; empty where it is not
/// built in.
pub const NOTICES: &str = if cfg!(feature = "postgres") {
    include_str!("notices.txt")
} else {
    ""
};

/// A folder or file of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// An existing folder, whose own path no container can change.
    pub host: PathBuf,
    /// The way from there to the folder or file that is mounted, as [`Disk::find`] gives it: every container that writes there can change what is on it, so
    /// it is followed name by name, and a link on it is an error. Empty: the folder itself.
    pub below: String,
    /// Where the container sees it: an absolute path.
    pub path: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What the kubelet asks for.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// The image, as the manifest names it.
    pub image: String,
    /// Replaces the image's entry point. Variables are expanded already.
    pub command: Option<Vec<String>>,
    /// Replaces the image's arguments. Variables are expanded already.
    pub args: Option<Vec<String>>,
    /// The environment; what the image sets itself is added where it is missing.
    pub env: Vec<(String, String)>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Where the main process and exec'd ones start; `/` if absent.
    pub working_dir: Option<String>,
    /// The Pod's name, in `/etc/hostname` and `$HOSTNAME`.
    pub hostname: String,
    /// This one container's own folder: its writable layer and its socket. Made if missing; whoever starts the container removes it afterwards.
    pub scratch: PathBuf,
    /// The log file, appended to.
    pub log: PathBuf,
}

/// How a container's main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 and the signal's number if a signal ended it (137 for SIGKILL).
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// The size of a terminal, in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// A command to run in a running container.
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether the program has a terminal: input is edited and echoed here, lines end in CR LF.
    pub tty: bool,
    /// What the program reads; absent: nothing. Its end is the end of the program's input.
    pub stdin: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Where its output goes.
    pub stdout: Pin<Box<dyn AsyncWrite + Send>>,
    /// Where its error output goes; with a terminal, all goes to `stdout`.
    pub stderr: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// The terminal's size, first and whenever it changes. A width or height of 0 is ignored.
    pub resize: Option<mpsc::Receiver<Size>>,
}

/// Why a container did not start. Displays as the text of the `Failed` event (reason `StartError`, exit code 128).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The image is not there.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image has no such program.
    #[error(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: {0}"
    )]
    Command(String),
    /// The host refused: no space, no processes, a mount that is not there.
    #[error("failed to create containerd task: {0}")]
    Host(#[from] std::io::Error),
}

/// Why a command did not run in a container. Displays as containerd says it, for the text after `error executing command in container: `.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The container has ended.
    #[error("failed to exec in container: failed to create exec: task {0} not found: not found")]
    NotRunning(String),
    /// There is no such program.
    #[error(
        "failed to exec in container: failed to start exec \"{id}\": OCI runtime exec failed: exec failed: unable to start container process: {why}: unknown"
    )]
    Command {
        /// The id of this exec, 64 hex digits.
        id: String,
        /// What is wrong with the command.
        why: String,
    },
    /// The host refused.
    #[error("failed to exec in container: {0}")]
    Host(#[from] std::io::Error),
}
