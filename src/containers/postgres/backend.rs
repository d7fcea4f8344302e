//! The backend: a process that holds PostgreSQL's core and answers protocol messages, one batch at a time, over its standard streams.
//!
//! It is a process of its own so that it can be killed: that is the only way to interrupt a statement. It ends when its input ends.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use oliphaunt_wasix::{DatabaseStorage, Oliphaunt};
use serde::{Deserialize, Serialize};

use super::super::child::HIDDEN_BACKEND_ARGUMENT;
use super::super::frame::{read_block, write_block};
use super::super::memory;
use super::control::{self, Left};
use super::{DATA_FOLDER, wire};

/// How long to wait for the folder's lock: a killed owner's process may still be dying.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Buffers as small as a lesson's tables; PostgreSQL's default of 128 MB would be memory of the reader's machine. The search path is PostgreSQL's default,
/// which the runtime narrows.
const DEFAULTS: [(&str, &str); 4] = [
    ("shared_buffers", "16MB"),
    ("search_path", "\"$user\", public"),
    ("allow_system_table_mods", "off"),
    ("timezone", "Etc/UTC"),
];

/// What a backend is to open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Opening {
    /// The folder that holds [`super::DATA_FOLDER`].
    pub(super) folder: PathBuf,
    pub(super) database: String,
    /// Settings from the container's arguments.
    pub(super) settings: BTreeMap<String, String>,
}

/// A running backend.
pub(super) struct Backend {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(super) database: String,
}

impl Backend {
    /// Starts a backend and waits until it is open, which includes recovery, and `initdb` in an empty folder.
    pub(super) fn start(opening: &Opening) -> io::Result<Self> {
        let program = if Path::new("/proc/self/exe").exists() {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        let mut child = Command::new(program)
            .arg(HIDDEN_BACKEND_ARGUMENT)
            .arg(memory::limit().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().expect("standard input is a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        write_block(&mut input, &serde_json::to_vec(opening)?)?;
        answer(&mut output)?;
        Ok(Self {
            child,
            input: Some(input),
            output,
            database: opening.database.clone(),
        })
    }

    /// The process, to be killed when a statement is to be interrupted.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends protocol messages and waits for the whole answer. An error means that the backend has ended.
    pub(super) fn send(&mut self, messages: &[u8]) -> io::Result<Vec<u8>> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        write_block(input, messages)?;
        answer(&mut self.output)
    }

    /// Shuts PostgreSQL down in order, with a checkpoint.
    pub(super) fn close(mut self) -> io::Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("backend ended with {status}")))
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.input.is_some() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Reads an answer: a byte that says whether it went well, and the messages or the reason.
fn answer(from: &mut BufReader<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut block = read_block(from)?;
    match block.first() {
        Some(0) => {
            block.remove(0);
            Ok(block)
        }
        _ => Err(io::Error::other(
            String::from_utf8_lossy(block.get(1..).unwrap_or_default()).into_owned(),
        )),
    }
}

/// What a backend's process does; the result is its exit code.
pub(in super::super) fn main() -> i32 {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match serve(&mut input, &mut output) {
        Ok(()) => 0,
        Err(error) => {
            let mut block = vec![1];
            block.extend(format!("{error:#}").bytes());
            let _ = write_block(&mut output, &block);
            1
        }
    }
}

fn serve(input: &mut impl io::Read, output: &mut impl Write) -> anyhow::Result<()> {
    let opening: Opening = serde_json::from_slice(&read_block(input)?)?;
    let mut database = open(&opening)?;
    write_block(output, &[0])?;
    loop {
        let messages = match read_block(input) {
            Ok(messages) => messages,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error.into()),
        };
        let mut block = vec![0];
        block.extend(database.exec_protocol_raw(&messages)?);
        write_block(output, &block)?;
    }
    shut_down(database, &opening)
}

/// Shuts PostgreSQL down in order: with the checkpoint that spares the next start a recovery.
///
/// Closing the runtime's handle leaves that out. What ends a single-user session in order is an error that is fatal; `exit_on_error` makes one of any.
fn shut_down(mut database: Oliphaunt, opening: &Opening) -> anyhow::Result<()> {
    for sql in ["ROLLBACK", "SET exit_on_error = on", "SELECT 1/0"] {
        // The last one must fail, and takes the session with it.
        let _ = database.exec_protocol_raw(wire::query(sql));
    }
    // There is nothing left that the handle could close; the process ends now.
    std::mem::forget(database);
    match control::read(&opening.folder.join(DATA_FOLDER)) {
        Some(Left::ShutDown(_)) => Ok(()),
        _ => anyhow::bail!("PostgreSQL did not shut down in order"),
    }
}

fn open(opening: &Opening) -> anyhow::Result<Oliphaunt> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        let opened = Oliphaunt::builder()
            .storage(DatabaseStorage::Directory(opening.folder.clone()))
            .startup_gucs(DEFAULTS)
            .startup_gucs(&opening.settings)
            .database(&opening.database)
            .open();
        match opened {
            Err(error) if format!("{error:#}").contains("lock") && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return Ok(other?),
        }
    }
}
