//! The real psql, made at home in a container: where it connects to, which files it sees, and a terminal to type on.
//!
//! psql itself reads lines and writes text. What a terminal does for it is here: editing and history (`terminal`), Ctrl-C at the prompt (which throws the
//! statement away) and Ctrl-C while a statement runs (which asks the server to cancel it).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::super::programs::{Sink, Streams, World, reason};
use super::super::terminal::{Console, History, INTERRUPTED, Line, Stream};
use super::wasi::{Network, Psql};
use super::wire;

/// What psql says when it has thrown a statement away; not shown when that was our way of doing Ctrl-C.
const CLEARED: &[u8] = b"Query buffer reset (cleared).";

/// Runs psql; the result is its exit code.
pub(in super::super) fn run(world: &mut World, argv: &[String], mut streams: Streams) -> i32 {
    let arguments = match Arguments::of(world, argv) {
        Ok(arguments) => arguments,
        Err(text) => {
            streams.complain(text);
            return 1;
        }
    };
    let is_interactive = streams.are_a_terminal() && arguments.reads_input;
    let names_socket = arguments.names_socket;
    let cancel = Arc::new(Cancel::default());
    let heard = Arc::clone(&cancel);
    let socket = world.socket.clone();
    let network = Network {
        socket: socket.clone(),
        names: vec!["localhost".to_owned(), world.hostname.clone()],
        listener: Arc::new(move |bytes| heard.hear(bytes)),
    };
    if world.console.is_tty() {
        let cancel = Arc::clone(&cancel);
        world.console.on_interrupt(move || cancel.send(&socket));
    }
    let typing = Arc::new(Mutex::new(Typing::default()));
    let stdin: Box<dyn Read + Send + Sync> = if is_interactive {
        Box::new(Prompt {
            console: Arc::clone(&world.console),
            typing: Arc::clone(&typing),
            history: History::new(),
            rest: Vec::new(),
            statement: String::new(),
        })
    } else {
        Box::new(Plain(streams.input.clone()))
    };
    let mut env = arguments.env;
    if !is_interactive {
        // psql takes every stream for a terminal; this tells it that there is none.
        env.push(("OLIPHAUNT_PSQL_NONINTERACTIVE".to_owned(), "1".to_owned()));
    }
    let psql = Psql {
        args: arguments.args,
        env,
        files: arguments.files,
        stdin,
        stdout: Box::new(Screen {
            to: streams.output.clone(),
            typing,
        }),
        stderr: Box::new(Errors {
            to: streams.error.clone(),
            names_socket,
        }),
        network,
    };
    let result = psql.run();
    world.console.on_interrupt(|| {});
    match result {
        Ok(code) => code,
        Err(error) => {
            streams.complain(format_args!("psql: error: {error:#}"));
            2
        }
    }
}

/// psql's arguments and environment, as they mean the same inside WebAssembly.
struct Arguments {
    args: Vec<String>,
    env: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    /// Neither `-c`, `-f`, `-l` nor the like: it reads standard input.
    reads_input: bool,
    /// No host was named, so it is the Unix socket that errors should speak of.
    names_socket: bool,
}

/// Options with a value, short and long.
const WITH_VALUE: &str = "cdfFhLopPRTUv";
const LONG_WITH_VALUE: [&str; 13] = [
    "command",
    "dbname",
    "file",
    "field-separator",
    "host",
    "log-file",
    "output",
    "port",
    "pset",
    "record-separator",
    "table-attr",
    "username",
    "set",
];

impl Arguments {
    fn of(world: &World, argv: &[String]) -> Result<Self, String> {
        let mut env: Vec<(String, String)> = world
            .env
            .iter()
            .filter(|(name, _)| {
                name.starts_with("PG")
                    || name.starts_with("PSQL_")
                    || *name == "COLUMNS"
                    || *name == "LANG"
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, value) in [
            ("PATH", "/bin"),
            ("HOME", "/root"),
            ("PGSSLMODE", "disable"),
            ("PGGSSENCMODE", "disable"),
            ("PGCLIENTENCODING", "UTF8"),
            ("PGCONNECT_TIMEOUT", "10"),
        ] {
            env.retain(|(known, _)| known != name);
            env.push((name.to_owned(), value.to_owned()));
        }
        // psql's default user is the operating system's, and in a container that is root.
        if !world.env.contains_key("PGUSER") {
            env.push(("PGUSER".to_owned(), "root".to_owned()));
        }
        let mut found = Self {
            args: Vec::new(),
            env,
            files: Vec::new(),
            reads_input: true,
            names_socket: world
                .env
                .get("PGHOST")
                .is_none_or(|host| host.starts_with('/')),
        };
        let mut args = argv.iter().skip(1);
        while let Some(arg) = args.next() {
            let (name, attached) = match arg.strip_prefix("--") {
                Some("") => {
                    found.args.push(arg.clone());
                    found.args.extend(args.cloned());
                    break;
                }
                Some(long) => match long.split_once('=') {
                    Some((name, value)) => (long_name(name), Some(value.to_owned())),
                    None => (long_name(long), None),
                },
                None => match short_option(arg) {
                    // Options without a value before it in the same word.
                    Some((before, option, value)) => {
                        if !before.is_empty() {
                            found.flags(&before);
                            found.args.push(format!("-{before}"));
                        }
                        (option.to_string(), value)
                    }
                    None => {
                        found.flags(arg);
                        found.args.push(arg.clone());
                        continue;
                    }
                },
            };
            let takes_value = name.len() == 1 || LONG_WITH_VALUE.contains(&name.as_str());
            if !takes_value {
                found.flags(arg);
                found.args.push(arg.clone());
                continue;
            }
            let Some(value) = attached.or_else(|| args.next().cloned()) else {
                // psql words the missing value itself.
                found.args.push(arg.clone());
                break;
            };
            found.option(world, &name, value)?;
        }
        // A pager is a program of its own; there is none.
        found.args.push("--pset=pager=off".to_owned());
        if found.names_socket {
            found.env.retain(|(name, _)| name != "PGHOST");
            found
                .env
                .push(("PGHOST".to_owned(), "127.0.0.1".to_owned()));
        }
        Ok(found)
    }

    fn flags(&mut self, arg: &str) {
        let long = ["--list", "--version", "--help"]
            .iter()
            .any(|flag| arg.starts_with(flag));
        if long || (!arg.starts_with("--") && arg.contains(['l', 'V', '?']) && arg.starts_with('-'))
        {
            self.reads_input = false;
        }
    }

    fn option(&mut self, world: &World, name: &str, value: String) -> Result<(), String> {
        let (option, value) = match name {
            "h" | "host" => {
                self.names_socket = value.is_empty() || value.starts_with('/');
                if self.names_socket {
                    return Ok(());
                }
                ("host", value)
            }
            "c" | "command" => {
                self.reads_input = false;
                ("command", value)
            }
            "f" | "file" => {
                self.reads_input = value == "-";
                if value != "-" {
                    self.take_file(world, &value)?;
                }
                ("file", value)
            }
            "o" | "output" | "L" | "log-file" => {
                return Err(format!(
                    "psql: error: {value}: writing to a file is left out here; use a redirection: psql … > {value}"
                ));
            }
            other => {
                if other.len() == 1 {
                    self.args.push(format!("-{other}"));
                    self.args.push(value);
                } else {
                    self.args.push(format!("--{other}={value}"));
                }
                return Ok(());
            }
        };
        self.args.push(format!("--{option}={value}"));
        Ok(())
    }

    /// Puts a script where psql looks for it.
    fn take_file(&mut self, world: &World, path: &str) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = world
            .view
            .open(&world.directory, path)
            .and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => {
                self.files
                    .push((format!("/{}", path.trim_start_matches('/')), bytes));
                Ok(())
            }
            Err(error) => Err(format!("psql: error: {path}: {}", reason(&error))),
        }
    }
}

/// A long option's name; `--variable` is `--set`.
fn long_name(name: &str) -> String {
    if name == "variable" {
        "set".to_owned()
    } else {
        name.to_owned()
    }
}

/// The first option with a value in a word of short ones: what stands before it, the option, and the value if it is attached.
fn short_option(arg: &str) -> Option<(String, char, Option<String>)> {
    let letters = arg.strip_prefix('-')?;
    let at = letters.find(|c: char| WITH_VALUE.contains(c))?;
    let option = letters[at..].chars().next()?;
    let value = &letters[at + option.len_utf8()..];
    Some((
        letters[..at].to_owned(),
        option,
        (!value.is_empty()).then(|| value.to_owned()),
    ))
}

/// Standard input that is no terminal.
struct Plain(super::super::programs::Source);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == INTERRUPTED => Ok(0),
            other => other,
        }
    }
}

/// What is shared between what psql reads and what it writes.
#[derive(Default)]
struct Typing {
    /// psql is about to say that it has thrown the statement away.
    hides_cleared: bool,
    /// It has said so, but for the end of the line.
    hides_newline: bool,
}

impl Typing {
    /// What is left to show if the end of a hidden line comes first.
    fn without_newline<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.hides_newline && !bytes.is_empty() {
            self.hides_newline = false;
            return bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        bytes
    }
}

/// psql's standard input on a terminal: edited lines.
struct Prompt {
    console: Arc<Console>,
    typing: Arc<Mutex<Typing>>,
    history: History,
    /// Bytes of a line that psql has not read yet.
    rest: Vec<u8>,
    /// The lines of the statement that is being typed.
    statement: String,
}

impl Read for Prompt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let prompt = self.console.prompt();
            let state = State::of(&prompt);
            if state == State::Ready {
                self.statement.clear();
            }
            match self.console.read_line(&mut self.history) {
                Line::Text(line) => match left_out(&line) {
                    Some(text) if state == State::Ready => {
                        self.console
                            .write(Stream::Error, format!("{text}\n{prompt}").as_bytes());
                    }
                    _ => {
                        self.statement.push_str(&line);
                        self.statement.push('\n');
                        self.rest = line.into_bytes();
                        self.rest.push(b'\n');
                    }
                },
                Line::Interrupt if state == State::Ready => {
                    self.console.write(Stream::Output, prompt.as_bytes());
                }
                Line::Interrupt => {
                    self.typing.lock().unwrap().hides_cleared = true;
                    self.rest = format!("{}\\r\n", state.ending(&self.statement)).into_bytes();
                }
                Line::End => return Ok(0),
            }
        }
        let n = self.rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.rest[..n]);
        self.rest.drain(..n);
        Ok(n)
    }
}

/// Commands of psql that need the computer it runs on.
fn left_out(line: &str) -> Option<String> {
    let command = line.trim_start().strip_prefix('\\')?;
    let name: String = command
        .chars()
        .take_while(|c| c.is_ascii_alphabetic() || *c == '!')
        .collect();
    let text = match name.as_str() {
        "i" | "ir" | "include" => {
            "reading a file is left out in this session; run it as: kubectl exec -i POD -- psql … -f - < FILE"
        }
        "e" | "edit" | "ef" | "ev" => "there is no editor in this container",
        "o" | "out" | "w" | "write" | "s" if command[name.len()..].trim().is_empty() => {
            return None;
        }
        "o" | "out" | "w" | "write" | "s" => "writing to a file is left out in this session",
        "cd" | "lo_import" | "lo_export" => "this session has no files",
        "!" => "this session has no shell; use: kubectl exec -it POD -- sh",
        "copy"
            if !command.to_lowercase().contains("stdin")
                && !command.to_lowercase().contains("stdout") =>
        {
            "copying from and to files is left out in this session; use stdin or stdout"
        }
        _ => return None,
    };
    Some(format!("\\{name}: {text}"))
}

/// What psql waits for, as its prompt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A new statement (`=`), or something that is no statement at all.
    Ready,
    /// The rest of a statement (`-`), perhaps in parentheses (`(`).
    Statement,
    /// The end of a quoted text (`'`) or name (`"`).
    Quoted(char),
    /// The end of a text in dollars (`$`).
    Dollar,
    /// The end of a comment (`*`).
    Comment,
}

impl State {
    /// `name` `state` [`*` or `!` in a transaction] `#` or `>` and a space.
    fn of(prompt: &str) -> Self {
        let Some(start) = prompt
            .strip_suffix("# ")
            .or_else(|| prompt.strip_suffix("> "))
        else {
            return Self::Ready;
        };
        let known = |c: char| "=-('\"$*^".contains(c);
        let mut marks = start.chars().rev();
        let mut mark = marks.next();
        if matches!(mark, Some('*' | '!' | '?')) && marks.clone().next().is_some_and(known) {
            mark = marks.next();
        }
        match mark {
            Some('-' | '(') => Self::Statement,
            Some(quote @ ('\'' | '"')) => Self::Quoted(quote),
            Some('$') => Self::Dollar,
            Some('*') => Self::Comment,
            _ => Self::Ready,
        }
    }

    /// What to type so that a backslash command is one again.
    fn ending(self, statement: &str) -> String {
        match self {
            Self::Ready | Self::Statement => String::new(),
            Self::Quoted(quote) => quote.to_string(),
            Self::Dollar => open_dollar(statement),
            // Comments nest in SQL; too many ends do no harm, since the statement is thrown away.
            Self::Comment => "*/".repeat(statement.matches("/*").count().max(1)),
        }
    }
}

/// The dollar tag (`$$`, `$body$`) that is open at the end of a statement.
fn open_dollar(statement: &str) -> String {
    let mut open: Option<String> = None;
    let mut rest = statement;
    while let Some(at) = rest.find('$') {
        let name = rest[at + 1..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>();
        let after = at + 1 + name.len();
        if rest[after..].starts_with('$') {
            let tag = format!("${name}$");
            rest = &rest[after + 1..];
            match &open {
                Some(tags) if *tags == tag => open = None,
                Some(_) => {}
                None => open = Some(tag),
            }
        } else {
            rest = &rest[after..];
        }
    }
    open.unwrap_or_default()
}

/// psql's standard output.
struct Screen {
    to: Sink,
    typing: Arc<Mutex<Typing>>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut typing = self.typing.lock().unwrap();
        let mut shown = bytes.to_vec();
        if typing.hides_cleared
            && let Some(at) = shown
                .windows(CLEARED.len())
                .position(|part| part == CLEARED)
        {
            typing.hides_cleared = false;
            typing.hides_newline = true;
            // The end of the line may come in the same piece or in the next.
            let rest = shown.split_off(at + CLEARED.len());
            shown.truncate(at);
            shown.extend(typing.without_newline(&rest));
        } else {
            shown = typing.without_newline(&shown).to_vec();
        }
        drop(typing);
        write_anyway(&mut self.to, &shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes also after Ctrl-C: psql decides itself what an interrupt ends.
fn write_anyway(to: &mut Sink, bytes: &[u8]) -> io::Result<()> {
    if let Sink::Console(console, stream) = to {
        console.write(*stream, bytes);
        return Ok(());
    }
    to.write_all(bytes)
}

/// psql's standard error. In a container psql connects to the Unix socket; here it goes by a virtual address, so errors are worded for the socket.
struct Errors {
    to: Sink,
    names_socket: bool,
}

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if self.names_socket && text.contains("at \"127.0.0.1\", port 5432 failed") {
            let text = text
                .replace(
                    "at \"127.0.0.1\", port 5432 failed: Connection refused",
                    "on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: No such file or directory",
                )
                .replace("at \"127.0.0.1\", port 5432 failed", "on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed")
                .replace(
                    "running on that host and accepting TCP/IP connections?",
                    "running locally and accepting connections on that socket?",
                );
            write_anyway(&mut self.to, text.as_bytes())?;
        } else {
            write_anyway(&mut self.to, bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What is needed to cancel a statement: the key that the server sends at the start of a session.
#[derive(Default)]
struct Cancel {
    head: Mutex<Vec<u8>>,
    key: Mutex<Option<Vec<u8>>>,
}

impl Cancel {
    /// The key comes within the first bytes of a session.
    const HEAD: usize = 4096;

    fn hear(&self, bytes: &[u8]) {
        let mut head = self.head.lock().unwrap();
        // A fresh session, for example after \c, begins with its authentication.
        if bytes.starts_with(&wire::authenticated()) {
            head.clear();
        } else if head.len() > Self::HEAD {
            return;
        }
        head.extend_from_slice(bytes);
        let key = wire::messages(&head)
            .find(|(kind, _)| *kind == b'K')
            .map(|(_, body)| body.to_vec());
        if key.is_some() {
            *self.key.lock().unwrap() = key;
            head.resize(Self::HEAD + 1, 0);
        }
    }

    fn send(&self, socket: &std::path::Path) {
        let Some(key) = self.key.lock().unwrap().clone() else {
            return;
        };
        if let Ok(mut stream) = UnixStream::connect(socket) {
            let mut packet = vec![0, 0, 0, 16];
            packet.extend(80_877_102_u32.to_be_bytes());
            packet.extend(key);
            let _ = stream.write_all(&packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_says_what_psql_waits_for() {
        for (prompt, state) in [
            ("app_db=# ", State::Ready),
            ("app_db=*# ", State::Ready),
            ("app_db=!> ", State::Ready),
            ("app_db-# ", State::Statement),
            ("app_db-*# ", State::Statement),
            ("app_db(# ", State::Statement),
            ("app_db'# ", State::Quoted('\'')),
            ("app_db\"*# ", State::Quoted('"')),
            ("app_db$# ", State::Dollar),
            ("app_db*# ", State::Comment),
            ("app_db**# ", State::Comment),
            ("Enter new password: ", State::Ready),
        ] {
            assert_eq!(State::of(prompt), state, "{prompt}");
        }
    }

    #[test]
    fn an_open_text_is_ended_before_it_is_thrown_away() {
        assert_eq!(
            State::Dollar.ending("select $$a$$, $body$ $1 $$ "),
            "$body$"
        );
        assert_eq!(State::Dollar.ending("select $$a\n"), "$$");
        assert_eq!(State::Quoted('\'').ending("select 'a\n"), "'");
        assert_eq!(State::Comment.ending("/* a /* b\n"), "*/*/");
        assert_eq!(State::Statement.ending("select (\n"), "");
    }

    #[test]
    fn commands_that_need_files_say_so() {
        for line in [
            "\\i file.sql",
            "  \\ir x",
            "\\! ls",
            "\\e",
            "\\o out.txt",
            "\\copy t from 'x'",
        ] {
            assert!(left_out(line).is_some(), "{line}");
        }
        for line in [
            "\\d inventory",
            "\\q",
            "select 1; \\i",
            "\\o",
            "\\copy t from stdin",
            "\\x",
            "\\echo a",
            "\\c app_db",
        ] {
            assert!(left_out(line).is_none(), "{line}");
        }
    }

    #[test]
    fn short_options_may_stand_together() {
        assert_eq!(short_option("-At"), None);
        assert_eq!(short_option("-Atc"), Some(("At".into(), 'c', None)));
        assert_eq!(
            short_option("-Uuser"),
            Some((String::new(), 'U', Some("user".into())))
        );
        assert_eq!(short_option("app_db"), None);
    }
}
