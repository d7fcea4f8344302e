//! A run of a cluster that was written down: one JSON object a line, played at its own pace, in a
//! loop with a clear restart.
//!
//! A line is `{"ms", "kind", "type", "object"}` (a watch event, `ms` milliseconds after the start),
//! `{"ms", "say"}` (what the person at the terminal did) or `{"ms", "inside"}` (what a query found).
//! What comes before the first `say` was there before; that line marks the start and is not shown.
//!
//! One that eizoku wrote down itself begins with `{"ms", "version", "recorded", "namespace"}`: when
//! `ms` was zero, in milliseconds since the epoch. In it `{"ms", "begin": [kinds]}` marks the start,
//! and there are `{"ms", "link"}`, `{"ms", "unseen": kind}` and `{"ms", "kind", "list"}` (a list that
//! closed a gap). Its last line may be cut: the program that wrote it may have been killed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use super::change::{Change, Changes, Inside, What};
use super::fault::Fault;
use super::info::{Acting, SourceInfo, SourceKind, Why};
use super::kind::{Kind, Object};
use super::link::Link;
use super::tape::TapedLink;

/// How long the last picture stands before the recording begins again.
const REST: Duration = Duration::from_secs(8);

/// A recording that was read and is whole.
pub struct Recording {
    name: String,
    namespace: String,
    recorded: i64,
    /// Whether it says itself when it was made and where it starts.
    headed: bool,
    lines: Vec<Line>,
}

/// The version of what eizoku writes down.
const VERSION: u32 = 1;

struct Line {
    ms: i64,
    event: Event,
}

#[derive(Clone)]
enum Event {
    Applied(Kind, Object),
    Deleted(Object),
    Said(String),
    Inside(Inside),
    List(Kind, Vec<Object>),
    Unseen(Kind),
    Link(TapedLink),
    Begin(Vec<Kind>),
}

/// A line that is not what a recording holds.
#[derive(Debug, thiserror::Error)]
pub struct Malformed {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from one; none if it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong and what belongs there.
    pub message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[derive(Deserialize)]
struct Raw {
    ms: i64,
    kind: Option<Kind>,
    #[serde(rename = "type")]
    event: Option<RawType>,
    object: Option<serde_json::Value>,
    say: Option<String>,
    inside: Option<Inside>,
    list: Option<Vec<serde_json::Value>>,
    unseen: Option<Kind>,
    link: Option<TapedLink>,
    begin: Option<Vec<Kind>>,
}

/// The first line of a recording that eizoku wrote down.
#[derive(Deserialize)]
struct Head {
    version: u32,
    recorded: i64,
    namespace: String,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "UPPERCASE")]
enum RawType {
    Added,
    Modified,
    Deleted,
}

impl Recording {
    /// Reads a recording from its text; `file` is for messages. The first line that does not fit
    /// is the error.
    pub fn parse(file: impl Into<PathBuf>, text: &str) -> Result<Self, Malformed> {
        let file = file.into();
        let malformed = |line: Option<usize>, message: String| Malformed {
            file: file.clone(),
            line,
            message,
        };
        let mut lines = Vec::new();
        let mut rows = text.lines().enumerate().peekable();
        let head = rows
            .peek()
            .and_then(|(_, row)| serde_json::from_str::<Head>(row).ok());
        if let Some(head) = &head {
            rows.next();
            if head.version > VERSION {
                return Err(malformed(
                    Some(1),
                    format!(
                        "\"version\" is {}; this eizoku reads up to {VERSION}",
                        head.version
                    ),
                ));
            }
        }
        let mut base = i64::MIN;
        let mut namespace = None;
        while let Some((index, row)) = rows.next() {
            let number = Some(index + 1);
            if row.trim().is_empty() {
                continue;
            }
            let raw: Raw = match serde_json::from_str(row) {
                Ok(raw) => raw,
                Err(error) if error.is_eof() && head.is_some() && rows.peek().is_none() => {
                    tracing::warn!(file = %file.display(), "the last line is cut and left out");
                    break;
                }
                Err(error) => {
                    return Err(malformed(
                        number,
                        format!("not a line of a recording: {error}"),
                    ));
                }
            };
            let ms = raw.ms;
            if lines.last().is_some_and(|last: &Line| last.ms > ms) {
                return Err(malformed(
                    number,
                    format!("\"ms\" is {ms}, earlier than the line before"),
                ));
            }
            let event = raw
                .event(&mut base, &mut namespace)
                .map_err(|message| malformed(number, message))?;
            lines.push(Line { ms, event });
        }
        let headed = head.is_some();
        if let Some(head) = head {
            (base, namespace) = (head.recorded, Some(head.namespace));
        }
        if base == i64::MIN {
            return Err(malformed(
                None,
                "holds no object; record one with events in the form {\"ms\", \"kind\", \"type\", \"object\"}".into(),
            ));
        }
        Ok(Self {
            name: file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            namespace: namespace.unwrap_or_else(|| "default".into()),
            recorded: base,
            headed,
            lines,
        })
    }

    /// What the page says about it.
    pub fn info(&self, speed: f64, fallback: Option<Fault>) -> SourceInfo {
        SourceInfo {
            kind: SourceKind::Recording,
            label: self.name.clone(),
            namespace: self.namespace.clone(),
            recorded: Some(self.recorded),
            speed: Some(speed),
            kubeconfig: None,
            fallback,
            acting: Acting::new(Why::Recording),
        }
    }

    /// Plays it `speed` times as fast as it was, again and again, until the task is dropped.
    pub async fn play(self, speed: f64, changes: Changes) {
        let (before, lines) = self.parts();
        let mark = lines.first().filter(|line| line.event.is_mark());
        let lines = &lines[usize::from(mark.is_some())..];
        let kinds = match mark.map(|mark| &mark.event) {
            Some(Event::Begin(kinds)) => kinds.clone(),
            _ => Kind::ALL.to_vec(),
        };
        let start = match mark.filter(|_| self.headed).or(lines.first()) {
            Some(line) => line.ms,
            None => before.last().map_or(0, |line| line.ms),
        };
        loop {
            // An unbounded loop over a closed channel would spin: end with the program.
            if self.begin(before, &kinds, start, &changes).await.is_err() {
                return;
            }
            let mut ms = start;
            for line in lines {
                let wait = u64::try_from(line.ms - ms).unwrap_or(0);
                sleep(Duration::from_millis(wait).div_f64(speed)).await;
                ms = line.ms;
                if self.tell(ms, line.event.clone(), &changes).await.is_err() {
                    return;
                }
            }
            sleep(REST.div_f64(speed)).await;
            if self.send(start, What::Restarted, &changes).await.is_err() {
                return;
            }
        }
    }

    /// What was there before, and the rest, which begins with the line that marks the start.
    fn parts(&self) -> (&[Line], &[Line]) {
        let mark = self.lines.iter().position(|line| match line.event {
            Event::Begin(_) => self.headed,
            Event::Said(_) => !self.headed,
            _ => false,
        });
        let mark = mark.unwrap_or(if self.headed { self.lines.len() } else { 0 });
        self.lines.split_at(mark)
    }

    async fn begin(
        &self,
        before: &[Line],
        kinds: &[Kind],
        ms: i64,
        changes: &Changes,
    ) -> Result<(), Ended> {
        let mut there: BTreeMap<(Kind, &str), &Object> = BTreeMap::new();
        for line in before {
            match &line.event {
                Event::Applied(kind, object) => {
                    there.insert((*kind, object.uid().unwrap_or_default()), object);
                }
                Event::Deleted(object) => {
                    there.remove(&(object.kind(), object.uid().unwrap_or_default()));
                }
                Event::Unseen(kind) => there.retain(|(of, _), _| of != kind),
                _ => {}
            }
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
            self.send(ms, What::ListBegins(kind), changes).await?;
            let items = there.iter().filter(|((of, _), _)| *of == kind);
            for (_, object) in items {
                let item = What::Item((*object).clone());
                self.send(ms, item, changes).await?;
            }
            self.send(ms, What::ListEnds(kind), changes).await?;
        }
        // A recording with a head says itself how the connection was.
        if !self.headed {
            let link = Link::live(self.recorded + ms);
            return self.send(ms, What::Link(link), changes).await;
        }
        for line in before {
            if let Event::Inside(inside) = &line.event {
                self.send(ms, What::Inside(inside.clone()), changes).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, ms: i64, event: Event, changes: &Changes) -> Result<(), Ended> {
        let what = match event {
            Event::Applied(_, object) => What::Applied(object),
            Event::Deleted(object) => What::Deleted(object),
            Event::Said(text) => What::Said(text),
            Event::Inside(inside) => What::Inside(inside),
            Event::Unseen(kind) => What::Unseen(kind),
            Event::Link(link) => What::Link(link.link(self.recorded)),
            Event::List(kind, objects) => {
                self.send(ms, What::ListBegins(kind), changes).await?;
                for object in objects {
                    self.send(ms, What::Item(object), changes).await?;
                }
                What::ListEnds(kind)
            }
            Event::Begin(_) => return Ok(()),
        };
        self.send(ms, what, changes).await
    }

    async fn send(&self, ms: i64, what: What, changes: &Changes) -> Result<(), Ended> {
        let at = self.recorded + ms;
        changes.send(Change { at, what }).await.map_err(|_| Ended)
    }
}

/// Nobody listens any more.
struct Ended;

impl Event {
    /// Whether it marks the start and is not shown.
    fn is_mark(&self) -> bool {
        matches!(self, Self::Begin(_) | Self::Said(_))
    }
}

impl Raw {
    fn event(self, base: &mut i64, namespace: &mut Option<String>) -> Result<Event, String> {
        match self {
            Self {
                kind: Some(kind),
                event: Some(event),
                object: Some(value),
                ..
            } => {
                let meta = &value["metadata"];
                if let Some(created) = meta["creationTimestamp"].as_str() {
                    let created: jiff::Timestamp = created
                        .parse()
                        .map_err(|error| format!("creationTimestamp: {error}"))?;
                    // Timestamps are cut to seconds, so the latest lower bound is the best guess
                    // at when "ms" was zero.
                    *base = (*base).max(created.as_millisecond() - self.ms);
                }
                if namespace.is_none() {
                    *namespace = meta["namespace"].as_str().map(str::to_owned);
                }
                let object = object(kind, value)?;
                Ok(match event {
                    RawType::Added | RawType::Modified => Event::Applied(kind, object),
                    RawType::Deleted => Event::Deleted(object),
                })
            }
            Self {
                kind: Some(kind),
                list: Some(items),
                ..
            } => {
                let objects = items.into_iter().map(|value| object(kind, value));
                Ok(Event::List(kind, objects.collect::<Result<_, _>>()?))
            }
            Self {
                say: Some(text), ..
            } => Ok(Event::Said(text)),
            Self {
                inside: Some(inside),
                ..
            } => Ok(Event::Inside(inside)),
            Self {
                unseen: Some(kind), ..
            } => Ok(Event::Unseen(kind)),
            Self {
                link: Some(link), ..
            } => Ok(Event::Link(link)),
            Self {
                begin: Some(kinds), ..
            } => Ok(Event::Begin(kinds)),
            _ => Err(
                "holds none of \"kind\" with \"type\" and \"object\", \"say\", or \"inside\""
                    .into(),
            ),
        }
    }
}

fn object(kind: Kind, value: serde_json::Value) -> Result<Object, String> {
    Object::from_json(kind, value)
        .map_err(|error| format!("not a {kind} of the Kubernetes API: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Recording::parse("run.jsonl", text)
            .err()
            .expect("malformed")
            .to_string()
    }

    #[test]
    fn a_malformed_recording_says_file_and_line() {
        let pod = r#"{"ms":5,"kind":"Pod","type":"ADDED","object":{"metadata":{"name":"a","creationTimestamp":"2026-11-23T00:00:00Z"}}}"#;
        for (text, start, part) in [
            ("", "run.jsonl: ", "holds no object"),
            (
                "{\"ms\":1,\"say\":\"x\"}\n\n{\"ms\":",
                "run.jsonl:3: ",
                "EOF",
            ),
            (r#"{"ms":1,"kind":"Pog"}"#, "run.jsonl:1: ", "Pog"),
            (r#"{"ms":1}"#, "run.jsonl:1: ", "holds none of"),
            (
                &format!("{pod}\n{{\"ms\":4,\"say\":\"x\"}}"),
                "run.jsonl:2: ",
                "earlier",
            ),
            (
                r#"{"ms":5,"kind":"Pod","type":"ADDED","object":{"spec":{"containers":3}}}"#,
                "run.jsonl:1: ",
                "not a Pod",
            ),
        ] {
            let message = error(text);
            assert!(message.starts_with(start), "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_clock_is_that_of_the_recording() {
        let text = [
            r#"{"ms":10,"kind":"Pod","type":"ADDED","object":{"metadata":{"name":"old","namespace":"shop","creationTimestamp":"2026-11-22T00:00:00Z"}}}"#,
            r#"{"ms":1500,"kind":"Pod","type":"ADDED","object":{"metadata":{"name":"new","creationTimestamp":"2026-11-23T00:00:01Z"}}}"#,
        ]
        .join("\n");
        let recording = Recording::parse("run.jsonl", &text).expect("whole");
        let info = recording.info(1.0, None);
        let want: jiff::Timestamp = "2026-11-22T23:59:59.5Z".parse().unwrap();
        assert_eq!(info.recorded, Some(want.as_millisecond()));
        assert_eq!(info.namespace, "shop");
    }
}
