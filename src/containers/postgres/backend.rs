//! The backend: a process that holds PostgreSQL's core and answers protocol messages, one batch at a time, over its standard streams.
//!
//! It is a process of its own so that it can be killed: that is the only way to interrupt a statement. It ends when its input ends.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use oliphaunt_wasix::DatabaseStorage;
use oliphaunt_wasix::session::{
    PostgresConfig, PreparedDatabase, ProtocolSession, StartupConfig, default_catalog_profile,
    startup_error_response_output,
};
use serde::{Deserialize, Serialize};

use super::super::child::HIDDEN_BACKEND_ARGUMENT;
use super::super::frame::{read_block, write_block};
use super::super::memory;
use super::control::{self, Left};
use super::wire::{self, Report};

/// Where the runtime keeps PostgreSQL's files, below its own folder.
pub(super) const FILES: &str = "pgdata";
/// The runtime's description of its folder, and what it says it is.
pub(super) const DESCRIPTION: &str = ".oliphaunt.json";
pub(super) const DESCRIPTION_SCHEMA: &str = "oliphaunt-database-root-v1";
/// The runtime's lock on a folder `new`, beside it.
pub(super) const LOCK_OF_STAGE: &str = ".new.oliphaunt-wasix-rust.lock";

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
    /// The runtime's own folder.
    pub(super) folder: PathBuf,
    /// The data directory, on the host. Absent while a database is made: then its files are to lie in the runtime's folder, in [`FILES`].
    pub(super) data: Option<PathBuf>,
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
        _ => {
            let mut errors = wire::messages(block.get(1..).unwrap_or_default());
            let (_, body) = errors.next().ok_or(io::ErrorKind::InvalidData)?;
            Err(io::Error::other(Report::parse(body)))
        }
    }
}

/// What a backend's process does; the result is its exit code.
pub(in super::super) fn main() -> i32 {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match serve(&mut input, &mut output) {
        Ok(()) => 0,
        Err(error) => {
            let mut block = vec![1];
            block.extend(report(&error).encode());
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
        block.extend(database.send_buffered(&messages)?);
        write_block(output, &block)?;
    }
    shut_down(database, &opening)
}

/// Shuts PostgreSQL down in order: with the checkpoint that spares the next start a recovery.
///
/// Closing the runtime's handle leaves that out. What ends a single-user session in order is an error that is fatal; `exit_on_error` makes one of any.
fn shut_down(mut database: ProtocolSession, opening: &Opening) -> anyhow::Result<()> {
    for sql in ["ROLLBACK", "SET exit_on_error = on", "SELECT 1/0"] {
        // The last one must fail, and takes the session with it.
        let _ = database.send_buffered(&wire::query(sql));
    }
    // There is nothing left that the handle could close; the process ends now.
    std::mem::forget(database);
    match control::read(&opening.files()) {
        Some(Left::ShutDown(_)) => Ok(()),
        _ => anyhow::bail!("PostgreSQL did not shut down in order"),
    }
}

impl Opening {
    /// Where PostgreSQL's files are, on the host.
    pub(super) fn files(&self) -> PathBuf {
        let inside = || self.folder.join(FILES);
        self.data.clone().unwrap_or_else(inside)
    }
}

fn open(opening: &Opening) -> anyhow::Result<ProtocolSession> {
    let until = Instant::now() + LOCK_PATIENCE;
    let prepared = loop {
        if opening.data.is_some() {
            stand_in(&opening.folder)?;
        }
        let storage = DatabaseStorage::Directory(opening.folder.clone());
        match PreparedDatabase::prepare(storage, default_catalog_profile(), "postgres") {
            Err(error) if format!("{error:#}").contains("lock") && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => break other?,
        }
    };
    if let Some(data) = &opening.data {
        let files = opening.folder.join(FILES);
        std::fs::remove_dir_all(&files)?;
        std::os::unix::fs::symlink(data, files)?;
    }
    let mut config = PostgresConfig::default();
    for (name, value) in DEFAULTS {
        config.insert(name, value);
    }
    for (name, value) in &opening.settings {
        config.insert(name, value);
    }
    let startup = StartupConfig {
        database: opening.database.clone(),
        ..StartupConfig::default()
    };
    let session = prepared.runtime()?.open(config, startup);
    // Its lock is held as long as this process lives.
    std::mem::forget(prepared);
    session
}

/// Lays out a folder that the runtime takes for one of its databases. It insists on a layout of its own, with PostgreSQL's files one step below a folder that
/// holds nothing else, and looks at it before it opens them; the data directory takes their place then. Whether its files are sound is PostgreSQL's to say.
fn stand_in(folder: &Path) -> io::Result<()> {
    use std::fs;
    let files = folder.join(FILES);
    if fs::symlink_metadata(&files).is_ok_and(|about| about.is_symlink()) {
        fs::remove_file(&files)?;
    }
    for below in ["global", "pg_wal"] {
        fs::create_dir_all(files.join(below))?;
    }
    fs::write(files.join("PG_VERSION"), "18\n")?;
    fs::write(files.join("global/pg_control"), "0")?;
    let description = serde_json::json!({
        "schema": DESCRIPTION_SCHEMA, "engineFamily": "wasix", "pgdata": FILES, "postgresMajor": 18, "physicalFormat": "wasix-pg18-v1",
    });
    fs::write(folder.join(DESCRIPTION), description.to_string())
}

/// PostgreSQL's own words about why it does not run; the host's, if it did not come to any. A path of the host is in neither.
fn report(error: &anyhow::Error) -> Report {
    let said = startup_error_response_output(error).and_then(|output| {
        let mut errors = wire::messages(output).filter(|(kind, _)| *kind == b'E');
        errors.next().map(|(_, body)| Report::parse(body))
    });
    let text = format!("{error:#}");
    let logged = || Report::of_log(text.split_once("WASIX stderr tail:")?.1);
    said.or_else(logged).unwrap_or_else(|| {
        Report::fatal("XX000", format!("could not start: {}", error.root_cause()))
    })
}
