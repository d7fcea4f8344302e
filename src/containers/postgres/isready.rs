//! `pg_isready`: asks whether sessions may begin. Its words and exit codes are PostgreSQL's.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::super::programs::{Streams, World};
use super::session::ONLY_ASKING;
use super::wire::{self, Report};

/// As `pg_isready --timeout`'s default.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs `pg_isready`: 0 accepting, 1 rejecting, 2 no response, 3 not even asked.
pub(in super::super) fn run(world: &mut World, argv: &[String], mut streams: Streams) -> i32 {
    let mut quiet = false;
    let mut host = world
        .env
        .get("PGHOST")
        .cloned()
        .unwrap_or_else(|| "/var/run/postgresql".to_owned());
    let mut port = world
        .env
        .get("PGPORT")
        .cloned()
        .unwrap_or_else(|| "5432".to_owned());
    let mut args = argv.iter().skip(1);
    while let Some(arg) = args.next() {
        let (name, value) = split(arg);
        let mut value = || value.clone().or_else(|| args.next().cloned());
        match name.as_str() {
            "-q" | "--quiet" => quiet = true,
            "-V" | "--version" => {
                let _ = streams.output.write_all(b"pg_isready (PostgreSQL) 18.4\n");
                return 0;
            }
            "-U" | "--username" | "-d" | "--dbname" | "-t" | "--timeout" => {
                value();
            }
            "-h" | "--host" => host = value().unwrap_or(host),
            "-p" | "--port" => port = value().unwrap_or(port),
            "-?" | "--help" => {
                let text = "pg_isready issues a connection check to a PostgreSQL database.\n\nUsage:\n  pg_isready [OPTION]...\n\nOptions: \
                            -d, --dbname=DBNAME  -q, --quiet  -h, --host=HOSTNAME  -p, --port=PORT  -t, --timeout=SECS  -U, --username=USERNAME\n";
                let _ = streams.output.write_all(text.as_bytes());
                return 0;
            }
            _ if name.starts_with('-') => {
                streams.complain(format_args!("pg_isready: unrecognized option '{arg}'"));
                streams
                    .complain("pg_isready: hint: Try \"pg_isready --help\" for more information.");
                return 3;
            }
            _ => {
                streams.complain(format_args!(
                    "pg_isready: error: too many command-line arguments (first is \"{arg}\")"
                ));
                streams
                    .complain("pg_isready: hint: Try \"pg_isready --help\" for more information.");
                return 3;
            }
        }
    }
    let is_here = ["", "localhost", "127.0.0.1", "::1", "0.0.0.0"].contains(&host.as_str())
        || host.starts_with('/')
        || host == world.hostname;
    let (code, text) = match ask(world) {
        _ if !is_here || port != "5432" => (2, "no response"),
        Some(true) => (0, "accepting connections"),
        Some(false) => (1, "rejecting connections"),
        None => (2, "no response"),
    };
    if !quiet {
        let _ = streams
            .output
            .write_all(format!("{host}:{port} - {text}\n").as_bytes());
    }
    code
}

/// `--name=value`, `-nvalue` or a name alone.
fn split(arg: &str) -> (String, Option<String>) {
    if arg.starts_with("--") {
        return match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg.to_owned(), None),
        };
    }
    match arg.char_indices().nth(2) {
        Some((at, _)) if arg.starts_with('-') => (arg[..at].to_owned(), Some(arg[at..].to_owned())),
        _ => (arg.to_owned(), None),
    }
}

/// Whether sessions may begin; `None` if nobody answers.
fn ask(world: &World) -> Option<bool> {
    let mut stream = UnixStream::connect(&world.socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let body = format!("\0\x03\0\0user\0postgres\0application_name\0{ONLY_ASKING}\0\0");
    let mut packet = u32::try_from(body.len() + 4).ok()?.to_be_bytes().to_vec();
    packet.extend(body.bytes());
    stream.write_all(&packet).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let (kind, body) = wire::messages(&answer).next()?;
    match kind {
        b'R' => Some(true),
        // Any refusal but "starting up" and "shutting down" comes from a server that is ready.
        b'E' => Some(Report::parse(body).code != "57P03"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_getopt_does() {
        let pair = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(split("--host=x"), pair("--host", "x"));
        assert_eq!(split("-hx"), pair("-h", "x"));
        assert_eq!(split("-h"), ("-h".to_owned(), None));
        assert_eq!(split("--quiet"), ("--quiet".to_owned(), None));
    }
}
