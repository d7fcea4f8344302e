//! The programs that a container can run: which there are, finding one as `exec` would, and running it.
//!
//! All are built in; the files under `/bin` are there to be seen. Text files that begin with `#!` run in the shell.

mod archive;
mod base64;
mod buffer;
mod files;
mod filter;
mod grep;
mod options;
mod pattern;
mod print;
mod seq;
mod sort;
mod tail;
mod text;
mod translate;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::child::Order;
use super::image::ImageKind;
use super::shell;
use super::terminal::{Console, INTERRUPTED, Stream};
use super::threads::Threads;
use super::view::View;

/// Programs that every image has. The shell's own builtins are not here.
const EVERYWHERE: [&str; 42] = [
    "[", "base64", "basename", "cat", "chmod", "cp", "cut", "date", "df", "dirname", "du", "echo",
    "env", "expr", "false", "find", "grep", "head", "hostname", "id", "ln", "ls", "mkdir", "mount",
    "mv", "nproc", "printenv", "printf", "ps", "pwd", "rm", "rmdir", "sh", "sleep", "sort", "stat",
    "sync", "tail", "test", "touch", "true", "wc",
];
const EVERYWHERE_TOO: [&str; 10] = [
    "seq", "tar", "tee", "tr", "uname", "uniq", "uptime", "which", "whoami", "yes",
];
const POSTGRES: [&str; 5] = [
    "bash",
    "docker-entrypoint.sh",
    "pg_isready",
    "postgres",
    "psql",
];

/// The files, environment and place of a running program.
#[derive(Clone)]
pub(super) struct World {
    pub(super) view: View,
    pub(super) image: ImageKind,
    /// The container's main process, not a command run in it.
    pub(super) is_main: bool,
    pub(super) env: BTreeMap<String, String>,
    /// The working directory, in the container.
    pub(super) directory: String,
    pub(super) hostname: String,
    /// PostgreSQL's socket, on the host.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only PostgreSQL's programs connect")
    )]
    pub(super) socket: PathBuf,
    pub(super) console: Arc<Console>,
    /// The container's main process: its id on the host, and its command.
    pub(super) main_process: i32,
    pub(super) main_argv: Vec<String>,
    pub(super) threads: Threads,
    /// How deeply shells, functions and substitutions are nested.
    pub(super) depth: usize,
}

/// Standard input, output and error of one program.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) input: Source,
    pub(super) output: Sink,
    pub(super) error: Sink,
}

/// Where a program reads from.
#[derive(Clone)]
pub(super) enum Source {
    Console(Arc<Console>),
    File(Arc<File>, Arc<Console>),
    Pipe(Arc<Mutex<PipeReader>>, Arc<Console>),
    Text(Arc<Mutex<io::Cursor<Vec<u8>>>>),
}

/// Where a program writes to.
#[derive(Clone)]
pub(super) enum Sink {
    Console(Arc<Console>, Stream),
    File(Arc<File>, Arc<Console>),
    Pipe(Arc<Outlet>, Arc<Console>),
    Buffer(Arc<Mutex<Vec<u8>>>, Arc<Console>),
}

/// The end of a pipe that is written to.
pub(super) struct Outlet {
    writer: PipeWriter,
    /// How often somebody wrote after the reader had gone.
    refused: AtomicUsize,
}

/// What a closed pipe does to a program that writes: 128 and the number of SIGPIPE.
pub(super) const BROKEN_PIPE: i32 = 141;

impl Streams {
    pub(super) fn of(console: &Arc<Console>) -> Self {
        Self {
            input: Source::Console(Arc::clone(console)),
            output: Sink::Console(Arc::clone(console), Stream::Output),
            error: Sink::Console(Arc::clone(console), Stream::Error),
        }
    }

    /// Writes a line to standard error.
    pub(super) fn complain(&mut self, text: impl std::fmt::Display) {
        let _ = self.error.write_all(format!("{text}\n").as_bytes());
    }

    /// Whether a person sits at both ends.
    pub(super) fn are_a_terminal(&self) -> bool {
        matches!((&self.input, &self.output), (Source::Console(console), Sink::Console(..)) if console.is_tty())
    }
}

impl Outlet {
    pub(super) fn new(writer: PipeWriter) -> Self {
        Self {
            writer,
            refused: AtomicUsize::new(0),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.writer).write(bytes);
        if let Err(error) = &written
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl Sink {
    /// How often somebody wrote here after the reader had gone.
    pub(super) fn refused(&self) -> usize {
        match self {
            Self::Pipe(pipe, _) => pipe.refused.load(Ordering::Relaxed),
            _ => 0,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Console(console) => console.read(buffer),
            Self::File(file, console) => {
                console.check()?;
                file.as_ref().read(buffer)
            }
            Self::Pipe(pipe, console) => {
                console.check()?;
                pipe.lock().unwrap().read(buffer)
            }
            Self::Text(text) => text.lock().unwrap().read(buffer),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Console(console, stream) => {
                console.check()?;
                console.write(*stream, bytes);
                Ok(bytes.len())
            }
            Self::File(file, console) => {
                console.check()?;
                file.as_ref().write(bytes)
            }
            Self::Pipe(pipe, console) => {
                console.check()?;
                pipe.write(bytes)
            }
            Self::Buffer(buffer, console) => {
                console.check()?;
                buffer.lock().unwrap().write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// One of ours, by its name.
    BuiltIn(String),
    /// A script in the container, by its path.
    Script(String),
}

/// The programs of an image.
pub(super) fn names(image: ImageKind) -> Vec<&'static str> {
    let more: &[&str] = match image {
        ImageKind::Postgres => &POSTGRES,
        ImageKind::Busybox => &[],
    };
    let mut names: Vec<_> = EVERYWHERE
        .into_iter()
        .chain(EVERYWHERE_TOO)
        .chain(more.iter().copied())
        .collect();
    names.sort_unstable();
    names
}

/// Finds an order's program, or says what is wrong in the words of an OCI runtime.
pub(super) fn find(view: &View, order: &Order) -> Result<Program, String> {
    let empty = String::new();
    let name = order.argv.first().unwrap_or(&empty);
    let path = order.env_map().remove("PATH").unwrap_or_default();
    locate(view, order.image, &order.working_dir, &path, name).map_err(|why| match why {
        Missing::NotInPath => format!("exec: {name:?}: executable file not found in $PATH"),
        Missing::NoFile => format!("exec: {name:?}: stat {name}: no such file or directory"),
        Missing::NotExecutable => format!("exec: {name:?}: permission denied"),
        Missing::IsFolder => format!("exec: {name:?}: is a directory"),
    })
}

/// Why a program can't be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    NotInPath,
    NoFile,
    NotExecutable,
    IsFolder,
}

/// Finds a program by name or path.
pub(super) fn locate(
    view: &View,
    image: ImageKind,
    directory: &str,
    path: &str,
    name: &str,
) -> Result<Program, Missing> {
    let known = names(image);
    if name.contains('/') {
        let base = name.rsplit('/').next().unwrap_or(name);
        let found = view.resolve(directory, name, true);
        let found = found.and_then(|place| Ok((place.about()?, place)));
        let Ok((about, place)) = found else {
            // Debian's /usr/bin is /bin; PostgreSQL's own folder holds its programs, too.
            return if name.contains("/bin/") && known.contains(&base) {
                Ok(Program::BuiltIn(base.to_owned()))
            } else {
                Err(Missing::NoFile)
            };
        };
        let is_bin = place.path.contains("/bin/");
        if about.is_dir() {
            return Err(Missing::IsFolder);
        }
        if about.mode() & 0o111 == 0 {
            return Err(Missing::NotExecutable);
        }
        if is_bin && about.len() == 0 && known.contains(&base) {
            return Ok(Program::BuiltIn(base.to_owned()));
        }
        return Ok(Program::Script(place.path));
    }
    if known.contains(&name) {
        return Ok(Program::BuiltIn(name.to_owned()));
    }
    path.split(':')
        .filter(|folder| !folder.is_empty() && !name.is_empty())
        .find_map(|folder| {
            let path = format!("{folder}/{name}");
            locate(view, image, directory, "", &path).ok()
        })
        .ok_or(Missing::NotInPath)
}

/// Runs a program to its end; the result is its exit code.
pub(super) fn run(
    program: Program,
    world: &mut World,
    argv: &[String],
    mut streams: Streams,
) -> i32 {
    match program {
        Program::Script(path) => shell::run_script(world, &path, argv, streams),
        Program::BuiltIn(name) => match name.as_str() {
            "sh" | "bash" => shell::main(world, argv, streams),
            #[cfg(feature = "postgres")]
            "psql" => super::postgres::psql(world, argv, streams),
            #[cfg(feature = "postgres")]
            "pg_isready" => super::postgres::pg_isready(world, argv, streams),
            #[cfg(feature = "postgres")]
            "docker-entrypoint.sh" | "postgres" => {
                super::postgres::entrypoint(world, argv, streams)
            }
            name => {
                let done = (name == "tar")
                    .then(|| archive::run(world, argv, &mut streams))
                    .or_else(|| files::run(name, world, argv, &mut streams))
                    .or_else(|| filter::run(name, world, argv, &mut streams))
                    .or_else(|| text::run(name, world, argv, &mut streams));
                match done {
                    Some(Ok(code)) => code,
                    Some(Err(error)) if error.kind() == INTERRUPTED => 130,
                    Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => BROKEN_PIPE,
                    Some(Err(error)) => {
                        streams.complain(format_args!("{name}: {}", reason(&error)));
                        1
                    }
                    None => {
                        streams.complain(format_args!("{name}: not found"));
                        127
                    }
                }
            }
        },
    }
}

/// An error as the C library words it.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        io::ErrorKind::AlreadyExists => "File exists".to_owned(),
        io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "Not a directory".to_owned(),
        io::ErrorKind::DirectoryNotEmpty => "Directory not empty".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "Read-only file system".to_owned(),
        io::ErrorKind::ResourceBusy => "Device or resource busy".to_owned(),
        io::ErrorKind::StorageFull => "No space left on device".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}

#[cfg(test)]
impl World {
    /// A shell's world with these files.
    pub(super) fn for_tests(view: View) -> Self {
        Self {
            view,
            image: ImageKind::Busybox,
            is_main: true,
            env: BTreeMap::new(),
            directory: "/".to_owned(),
            hostname: "box".to_owned(),
            socket: PathBuf::new(),
            console: Arc::new(Console::new(false)),
            main_process: 1,
            main_argv: Vec::new(),
            threads: Threads::default(),
            depth: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_found_as_exec_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::new(folder.path(), &[]).unwrap();
        view.prepare(ImageKind::Busybox, "box", &names(ImageKind::Busybox))
            .unwrap();
        fs::write(folder.path().join("tmp/script"), "#!/bin/sh\n").unwrap();
        let find = |name: &str| locate(&view, ImageKind::Busybox, "/tmp", "/bin:/usr/bin", name);
        assert_eq!(find("ls"), Ok(Program::BuiltIn("ls".into())));
        assert_eq!(find("/bin/ls"), Ok(Program::BuiltIn("ls".into())));
        assert_eq!(find("/usr/bin/env"), Ok(Program::BuiltIn("env".into())));
        assert_eq!(find("psql"), Err(Missing::NotInPath));
        assert_eq!(find(""), Err(Missing::NotInPath));
        assert_eq!(find("/nope"), Err(Missing::NoFile));
        assert_eq!(find("/etc"), Err(Missing::IsFolder));
        assert_eq!(find("./script"), Err(Missing::NotExecutable));
        fs::set_permissions(
            folder.path().join("tmp/script"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        assert_eq!(find("./script"), Ok(Program::Script("/tmp/script".into())));
    }
}
