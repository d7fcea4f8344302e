//! PostgreSQL's protocol, version 3, as far as a postmaster has to understand it.

use std::io::{self, Read};

/// Larger start-up packets are refused by PostgreSQL, too.
const LARGEST_STARTUP: usize = 10_000;
/// PostgreSQL's own limit for one message.
const LARGEST_MESSAGE: usize = 0x3fff_ffff;

/// Where PostgreSQL's core sees its data directory.
const CORES_PATH: &str = "/base";

/// How a connection begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Asks for encryption: answered with `N`, then another opening follows.
    Encryption,
    /// Asks to interrupt what another session is doing.
    Cancel { process: u32, key: u32 },
    /// A session: user, database and settings.
    Session(Vec<(String, String)>),
    /// A protocol version that is not spoken.
    Unknown(u32),
}

/// Reads how a connection begins; `None` if it ends at once.
pub(super) fn read_opening(from: &mut impl Read) -> io::Result<Option<Opening>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if !(8..=LARGEST_STARTUP).contains(&length) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "invalid length of startup packet",
        ));
    }
    let mut body = vec![0; length - 4];
    from.read_exact(&mut body)?;
    let number = |at: usize| {
        body.get(at..at + 4)
            .and_then(|four| four.try_into().ok())
            .map_or(0, u32::from_be_bytes)
    };
    Ok(Some(match number(0) {
        80_877_103 | 80_877_104 => Opening::Encryption,
        80_877_102 => Opening::Cancel {
            process: number(4),
            key: number(8),
        },
        // Newer minor versions may be asked for; clients accept what they get.
        version if version >> 16 == 3 => {
            let mut words = body[4..]
                .split(|&b| b == 0)
                .map(|w| String::from_utf8_lossy(w).into_owned());
            let mut settings = Vec::new();
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                if name.is_empty() {
                    break;
                }
                settings.push((name, value));
            }
            Opening::Session(settings)
        }
        version => Opening::Unknown(version),
    }))
}

/// Reads one message, whole (kind, length, body); `None` when the connection ends.
pub(super) fn read_message(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 5];
    if from.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..])?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if !(4..=LARGEST_MESSAGE).contains(&length) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "invalid message length",
        ));
    }
    let mut message = head.to_vec();
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..])?;
    Ok(Some(message))
}

/// The messages in a backend's answer: kind and body.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize;
        let kind = bytes[0];
        let body = bytes.get(5..length + 1)?;
        bytes = &bytes[length + 1..];
        Some((kind, body))
    })
}

/// A message of this kind.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(
        u32::try_from(body.len() + 4)
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    message.extend(body);
    message
}

/// A simple query.
pub(super) fn query(sql: &str) -> Vec<u8> {
    let mut body = sql.as_bytes().to_vec();
    body.push(0);
    message(b'Q', &body)
}

/// Authentication is done.
pub(super) fn authenticated() -> Vec<u8> {
    message(b'R', &[0; 4])
}

/// A setting the client is told about.
pub(super) fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// What the client needs to cancel a statement.
pub(super) fn key(process: u32, key: u32) -> Vec<u8> {
    let mut body = process.to_be_bytes().to_vec();
    body.extend(key.to_be_bytes());
    message(b'K', &body)
}

/// Ready for a query: `I` outside a transaction, `T` in one, `E` in a failed one.
pub(super) fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// An error or notice that PostgreSQL or the postmaster reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) severity: Box<str>,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) position: Option<u32>,
}

impl Report {
    pub(super) fn new(severity: &str, code: &str, message: impl Into<String>) -> Self {
        Self {
            severity: severity.into(),
            code: code.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    pub(super) fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::new("FATAL", code, message)
    }

    /// As an ErrorResponse.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let position = self.position.map(|at| at.to_string());
        let fields = [
            (b'S', Some(&*self.severity)),
            (b'V', Some(&*self.severity)),
            (b'C', Some(self.code.as_str())),
            (b'M', Some(self.message.as_str())),
            (b'D', self.detail.as_deref()),
            (b'H', self.hint.as_deref()),
            (b'P', position.as_deref()),
        ];
        for (kind, value) in fields {
            if let Some(value) = value {
                body.push(kind);
                body.extend(value.bytes());
                body.push(0);
            }
        }
        body.push(0);
        message(b'E', &body)
    }

    /// With the data directory's path in the container instead of the one that the core has of it.
    pub(super) fn seen_in(mut self, path: &str) -> Self {
        let texts = [
            Some(&mut self.message),
            self.detail.as_mut(),
            self.hint.as_mut(),
        ];
        for text in texts.into_iter().flatten() {
            *text = text
                .replace(&format!("\"{CORES_PATH}\""), &format!("\"{path}\""))
                .replace(&format!("\"{CORES_PATH}/"), &format!("\"{path}/"));
        }
        self
    }

    /// From lines of a log: the first that says why it ended, with the detail and the hint after it. What follows is about the end itself.
    pub(super) fn of_log(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter_map(|line| {
            let (before, text) = line.split_once(":  ")?;
            Some((before.rsplit(' ').next().unwrap_or(before), text))
        });
        let (severity, message) =
            lines.find(|(severity, _)| matches!(*severity, "FATAL" | "PANIC"))?;
        let mut report = Self::new(severity, "XX000", message);
        for (what, text) in lines {
            match what {
                "DETAIL" => report.detail = Some(text.to_owned()),
                "HINT" => report.hint = Some(text.to_owned()),
                _ => break,
            }
        }
        Some(report)
    }

    /// From the body of an ErrorResponse.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut report = Self::default();
        for field in body.split(|&b| b == 0).filter(|field| !field.is_empty()) {
            let value = String::from_utf8_lossy(&field[1..]).into_owned();
            match field[0] {
                b'V' => report.severity = value.into(),
                b'C' => report.code = value,
                b'M' => report.message = value,
                b'D' => report.detail = Some(value),
                b'H' => report.hint = Some(value),
                b'P' => report.position = value.parse().ok(),
                _ => {}
            }
        }
        report
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

/// The rows of a simple query's answer, as text; the error if it failed.
pub(super) fn rows(answer: &[u8]) -> Result<Vec<Vec<Option<String>>>, Report> {
    let mut rows = Vec::new();
    for (kind, body) in messages(answer) {
        match kind {
            b'E' => return Err(Report::parse(body)),
            b'D' => rows.push(row(body)),
            _ => {}
        }
    }
    Ok(rows)
}

fn row(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut values = Vec::new();
    while let Some(length) = rest.get(..4).and_then(|four| four.try_into().ok()) {
        rest = &rest[4..];
        // A length of -1 is NULL.
        let value = usize::try_from(i32::from_be_bytes(length)).ok();
        values.push(value.and_then(|length| {
            let bytes = rest.get(..length)?;
            rest = &rest[length..];
            Some(String::from_utf8_lossy(bytes).into_owned())
        }));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_told_apart() {
        let open = |bytes: &[u8]| read_opening(&mut &*bytes).unwrap();
        assert_eq!(
            open(&[0, 0, 0, 8, 4, 210, 22, 47]),
            Some(Opening::Encryption)
        );
        assert_eq!(
            open(&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 0, 0, 0, 9]),
            Some(Opening::Cancel { process: 7, key: 9 })
        );
        let mut start = vec![0, 0, 0, 33, 0, 3, 0, 0];
        start.extend(b"user\0me\0database\0app_db\0\0");
        start[3] = u8::try_from(start.len()).unwrap();
        let settings = vec![
            ("user".into(), "me".into()),
            ("database".into(), "app_db".into()),
        ];
        assert_eq!(open(&start), Some(Opening::Session(settings)));
        assert_eq!(
            open(&[0, 0, 0, 8, 0, 2, 0, 0]),
            Some(Opening::Unknown(0x20000))
        );
        assert_eq!(open(&[]), None);
        assert!(read_opening(&mut [255, 0, 0, 0].as_slice()).is_err());
    }

    #[test]
    fn the_reason_of_an_end_is_found_in_a_log() {
        let log = "\n2026-11-29 02:51:14.130 UTC [1] LOG:  words\n\
                   2026-11-29 02:51:14.130 UTC [1] FATAL:  not a \"/base\", nor \"/base/x\"\n\
                   2026-11-29 02:51:14.130 UTC [1] HINT:  Look at \"base/x\".\n\
                   Program recieved fatal signal: Aborted\n\
                   2026-11-29 02:51:14.466 UTC [1] FATAL:  there is no client connection";
        let mut report = Report::new("FATAL", "XX000", "not a \"/data\", nor \"/data/x\"");
        report.hint = Some("Look at \"base/x\".".to_owned());
        assert_eq!(
            Report::of_log(log).map(|it| it.seen_in("/data")),
            Some(report)
        );
        assert_eq!(Report::of_log("LOG:  words"), None);
    }

    #[test]
    fn reports_and_rows_are_read_back() {
        let mut report = Report::fatal("3D000", "database \"x\" does not exist");
        report.hint = Some("none".into());
        let bytes = report.encode();
        let (kind, body) = messages(&bytes).next().unwrap();
        assert_eq!((kind, Report::parse(body)), (b'E', report.clone()));
        assert_eq!(rows(&bytes), Err(report));

        let mut answer = message(b'D', b"\0\x02\0\0\0\x021x\xff\xff\xff\xff");
        answer.extend(ready(b'I'));
        assert_eq!(rows(&answer), Ok(vec![vec![Some("1x".into()), None]]));
    }
}
