//! One connection, from its first byte to its end: start-up, then batches of messages to the backend and answers back.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::log;
use super::postmaster::{Phase, Postmaster, Refusal};
use super::wire::{self, Opening, Report};

/// The application name of our own `pg_isready`, which wants to know whether sessions may begin and not to begin one.
pub(super) const ONLY_ASKING: &str = "pg_isready";

/// Serves a connection until it ends.
pub(super) fn serve(postmaster: &Arc<Postmaster>, stream: UnixStream) {
    // Errors here are a client that went away; there is nobody to tell.
    let _ = try_serve(postmaster, stream);
}

fn try_serve(postmaster: &Arc<Postmaster>, mut stream: UnixStream) -> io::Result<()> {
    let settings = loop {
        match wire::read_opening(&mut stream)? {
            Some(Opening::Encryption) => stream.write_all(b"N")?,
            Some(Opening::Cancel { process, key }) => {
                postmaster.cancel(process, key);
                return Ok(());
            }
            Some(Opening::Session(settings)) => break settings,
            Some(Opening::Unknown(version)) => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let text = format!(
                    "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"
                );
                return stream.write_all(&Report::fatal("0A000", text).encode());
            }
            None => return Ok(()),
        }
    };
    let refusal = match postmaster.phase() {
        Phase::Starting => Some("the database system is starting up"),
        Phase::Running => None,
        Phase::Stopping => Some("the database system is shutting down"),
    };
    if let Some(text) = refusal {
        return stream.write_all(&Report::fatal("57P03", text).encode());
    }
    stream.write_all(&wire::authenticated())?;
    if settings
        .iter()
        .any(|(name, value)| name == "application_name" && value == ONLY_ASKING)
    {
        return Ok(());
    }
    let (process, key) = postmaster.enter(stream.try_clone()?);
    let session = Session {
        postmaster,
        process,
        status: b'I',
    };
    let told = match postmaster.log_in(process, &settings) {
        Ok(told) => told,
        Err(report) => {
            write_log(process, &report, None);
            return stream.write_all(&report.encode());
        }
    };
    let mut answer = told;
    answer.extend(wire::key(process, key));
    answer.extend(wire::ready(b'I'));
    stream.write_all(&answer)?;
    session.run(stream)
}

/// A session that is logged in, or about to be.
struct Session<'a> {
    postmaster: &'a Postmaster,
    process: u32,
    status: u8,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.postmaster.leave(self.process);
    }
}

impl Session<'_> {
    fn run(mut self, mut stream: UnixStream) -> io::Result<()> {
        let mut reader = io::BufReader::new(stream.try_clone()?);
        // Messages of the extended protocol wait for the Sync or Flush that asks for an answer.
        let mut batch = Vec::new();
        // After an error PostgreSQL skips everything up to the next Sync; a refusal of ours must, too.
        let mut skipping = false;
        while let Some(message) = wire::read_message(&mut reader)? {
            match message[0] {
                b'X' => return Ok(()),
                b'Q' if copies_in(&message) => self.copy_in(&mut reader, &mut stream, &message)?,
                b'Q' | b'F' => {
                    batch.extend(message);
                    self.answer(&mut stream, &std::mem::take(&mut batch))?;
                }
                b'S' if skipping => {
                    skipping = false;
                    stream.write_all(&wire::ready(self.status))?;
                }
                b'S' | b'H' if !skipping => {
                    let ends = message[0] == b'S';
                    batch.extend(message);
                    let refused = !self.answer(&mut stream, &std::mem::take(&mut batch))?;
                    skipping = refused && !ends;
                }
                // Data for a copy that has failed already.
                b'd' | b'c' | b'f' => {}
                _ if skipping => {}
                _ => batch.extend(message),
            }
        }
        Ok(())
    }

    /// Runs messages and sends the answer; `false` if the backend was not to be had.
    fn answer(&mut self, stream: &mut UnixStream, messages: &[u8]) -> io::Result<bool> {
        match self.postmaster.run(self.process, messages) {
            Ok(answer) => {
                self.note(&answer, messages);
                stream.write_all(&answer)?;
                Ok(true)
            }
            Err(Refusal::Held) => {
                let mut answer = Refusal::Held.report("ERROR").encode();
                if !messages.ends_with(&[b'H', 0, 0, 0, 4]) {
                    answer.extend(wire::ready(b'I'));
                }
                stream.write_all(&answer)?;
                Ok(false)
            }
            Err(refusal) => {
                stream.write_all(&refusal.report("FATAL").encode())?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// Writes errors to the log and remembers where the transaction stands.
    fn note(&mut self, answer: &[u8], messages: &[u8]) {
        for (kind, body) in wire::messages(answer) {
            match kind {
                b'E' => {
                    let statement = wire::messages(messages).find_map(|(kind, body)| match kind {
                        b'Q' => body.split(|&b| b == 0).next(),
                        b'P' => body.split(|&b| b == 0).nth(1),
                        _ => None,
                    });
                    let statement = statement.map(String::from_utf8_lossy);
                    write_log(self.process, &Report::parse(body), statement.as_deref());
                }
                b'Z' => self.status = body.first().copied().unwrap_or(b'I'),
                _ => {}
            }
        }
    }

    /// `COPY … FROM STDIN`: the backend takes statement and data only together, so the data is collected first.
    fn copy_in(
        &mut self,
        reader: &mut impl io::Read,
        stream: &mut UnixStream,
        query: &[u8],
    ) -> io::Result<()> {
        if self.status == b'I' {
            // Outside a transaction a try costs nothing: a statement that is wrong is refused before any data is asked for.
            let mut probe = query.to_vec();
            probe.extend(wire::message(b'f', b"probe\0"));
            let Ok(answer) = self.postmaster.run(self.process, &probe) else {
                return self.answer(stream, query).map(|_| ());
            };
            if !wire::messages(&answer).any(|(kind, _)| kind == b'G') {
                self.note(&answer, query);
                return stream.write_all(&answer);
            }
        }
        // Text format, columns unsaid.
        stream.write_all(&wire::message(b'G', &[0, 0, 0]))?;
        let mut batch = query.to_vec();
        loop {
            let Some(message) = wire::read_message(reader)? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match message[0] {
                b'd' => batch.extend(message),
                b'c' | b'f' => {
                    batch.extend(message);
                    break;
                }
                _ => {}
            }
        }
        match self.postmaster.run(self.process, &batch) {
            Ok(answer) => {
                self.note(&answer, query);
                let mut rest = Vec::new();
                for (kind, body) in wire::messages(&answer).filter(|(kind, _)| *kind != b'G') {
                    rest.extend(wire::message(kind, body));
                }
                stream.write_all(&rest)
            }
            Err(refusal) => {
                let mut answer = refusal.report("ERROR").encode();
                answer.extend(wire::ready(b'I'));
                stream.write_all(&answer)
            }
        }
    }
}

/// Whether a simple query is one `COPY … FROM STDIN`.
fn copies_in(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message.get(5..).unwrap_or_default()).to_lowercase();
    let mut words =
        text.split(|c: char| c.is_whitespace() || c == ';' || c == '\0' || c == '(' || c == ')');
    let mut words = words.by_ref().filter(|word| !word.is_empty());
    if words.next() != Some("copy") {
        return false;
    }
    let words: Vec<_> = words.collect();
    words.windows(2).any(|pair| pair == ["from", "stdin"])
}

/// Writes a report to the log as PostgreSQL does, with the statement that it is about.
pub(super) fn write_log(process: u32, report: &Report, statement: Option<&str>) {
    let at = report
        .position
        .map(|at| format!(" at character {at}"))
        .unwrap_or_default();
    log(
        process,
        &report.severity,
        &format!("{}{at}", report.message),
    );
    for (what, text) in [
        ("DETAIL", report.detail.as_deref()),
        ("HINT", report.hint.as_deref()),
        ("STATEMENT", statement),
    ] {
        if let Some(text) = text {
            log(process, what, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_from_the_client_is_recognised() {
        for sql in [
            "COPY t FROM STDIN;",
            "copy t (a, b)\nfrom stdin with (format csv)",
            "Copy t From\tStdin",
        ] {
            assert!(copies_in(&wire::query(sql)), "{sql}");
        }
        for sql in [
            "COPY t TO STDOUT",
            "SELECT 'copy t from stdin'",
            "COPY t FROM '/tmp/x'",
            "",
        ] {
            assert!(!copies_in(&wire::query(sql)), "{sql}");
        }
    }
}
