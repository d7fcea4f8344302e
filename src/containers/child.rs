//! The child's side of a container: what a process does that was started to be one.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Signal, getpid, kill_process_group};
use serde::{Deserialize, Serialize};

use super::Mount;
use super::frame::Frame;
use super::image::ImageKind;
use super::memory;
use super::programs::{self, Streams, World};
use super::terminal::Console;
use super::threads::Threads;
use super::view::View;

/// The first argument of a process that is to be a container. No user types it.
pub(super) const HIDDEN_ARGUMENT: &str = "--be-a-container";

/// The first argument of a process that is to be PostgreSQL itself, under a container's postmaster.
#[cfg(feature = "postgres")]
pub(super) const HIDDEN_BACKEND_ARGUMENT: &str = "--be-a-postgres-backend";

/// How much later than the server a container's processes get the processor.
const NICENESS: i32 = 5;

/// What a container's process is to be. Holds secrets: it travels by pipe only, and is not `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) image: ImageKind,
    /// The container's main process, or a command run in it.
    pub(super) is_main: bool,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) mounts: Vec<Mount>,
    pub(super) working_dir: String,
    pub(super) hostname: String,
    /// The writable layer, on the host.
    pub(super) root: PathBuf,
    /// The socket that PostgreSQL listens on, on the host.
    pub(super) socket: PathBuf,
    pub(super) tty: bool,
    /// The container's main process: its id on the host (0: this one), and its command.
    pub(super) main_process: i32,
    pub(super) main_argv: Vec<String>,
    /// How many bytes of memory the process may have.
    pub(super) memory: u64,
}

impl Order {
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an order is plain data")
    }

    /// The files that the container sees.
    pub(super) fn view(&self) -> io::Result<View> {
        View::new(&self.root, &self.mounts)
    }
}

/// Runs a container if that is what this process was started for; `None` if it was not.
///
/// To be called first thing in `main`, before any thread and any runtime is started.
pub fn child_main() -> Option<ExitCode> {
    let role = std::env::args().nth(1)?;
    match role.as_str() {
        HIDDEN_ARGUMENT => Some(match run() {
            Ok(code) => exit_code(code),
            Err(error) => {
                eprintln!("container: {error}");
                exit_code(128)
            }
        }),
        #[cfg(feature = "postgres")]
        HIDDEN_BACKEND_ARGUMENT => {
            let limit = std::env::args().nth(2).and_then(|text| text.parse().ok());
            memory::hold_runtime(limit.unwrap_or_else(memory::by_default));
            Some(exit_code(super::postgres::backend_main()))
        }
        _ => None,
    }
}

fn run() -> io::Result<i32> {
    let mut input = io::stdin();
    let Some(Frame::Order(json)) = Frame::read(&mut input)? else {
        return Err(io::Error::other("no order came"));
    };
    let order: Order = serde_json::from_slice(&json)?;
    let view = order.view()?;
    #[cfg(target_os = "linux")]
    super::wall::raise(&order, &view)?;
    match order.image {
        #[cfg(feature = "postgres")]
        ImageKind::Postgres => memory::hold_runtime(order.memory),
        _ => memory::hold(order.memory),
    }
    // What containers do comes after what the page and the API have to do.
    let _ = rustix::process::nice(NICENESS);
    let console = Arc::new(Console::new(order.tty));
    let pump = Arc::clone(&console);
    let is_main = order.is_main;
    std::thread::spawn(move || {
        pump.fill(&mut input);
        // The pipe has ended: the parent is gone, and nobody reads what this container does. Its own children go with
        // it, which may be in the middle of a long statement and would not notice before its end.
        if is_main {
            let _ = kill_process_group(getpid(), Signal::KILL);
        }
        std::process::exit(137);
    });
    let threads = Threads::default();
    let mut world = World {
        view,
        image: order.image,
        is_main: order.is_main,
        env: order.env.iter().cloned().collect::<BTreeMap<_, _>>(),
        directory: order.working_dir.clone(),
        hostname: order.hostname.clone(),
        socket: order.socket.clone(),
        console: Arc::clone(&console),
        main_process: match order.main_process {
            0 => i32::try_from(std::process::id()).unwrap_or_default(),
            process => process,
        },
        main_argv: order.main_argv.clone(),
        threads: threads.clone(),
        depth: 0,
    };
    if order.is_main {
        console.heed_signals()?;
    }
    let streams = Streams::of(&console);
    match programs::find(&world.view, &order) {
        // On a thread of its own, because the first one's stack is as large as the system likes.
        Ok(program) => threads
            .spawn(move || programs::run(program, &mut world, &order.argv, streams))?
            .join()
            .map_err(|_| io::Error::other("the program broke off")),
        Err(why) => Err(io::Error::other(why)),
    }
}

/// Exit codes are a byte.
fn exit_code(code: i32) -> ExitCode {
    ExitCode::from((code & 0xff) as u8)
}
