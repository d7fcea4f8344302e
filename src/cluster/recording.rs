//! A run of a cluster that was written down: one JSON object a line, played at its own pace, in a
//! loop with a clear restart.
//!
//! A line is `{"ms", "kind", "type", "object"}` (a watch event, `ms` milliseconds after the start),
//! `{"ms", "say"}` (what the person at the terminal did) or `{"ms", "inside"}` (what a query found).
//! What comes before the first `say` was there before; that line marks the start and is not shown.

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

/// How long the last picture stands before the recording begins again.
const REST: Duration = Duration::from_secs(8);

/// A recording that was read and is whole.
pub struct Recording {
    name: String,
    namespace: String,
    recorded: i64,
    lines: Vec<Line>,
}

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
        let mut base = i64::MIN;
        let mut namespace = None;
        for (index, text) in text.lines().enumerate() {
            let number = Some(index + 1);
            if text.trim().is_empty() {
                continue;
            }
            let raw: Raw = serde_json::from_str(text).map_err(|error| {
                malformed(number, format!("not a line of a recording: {error}"))
            })?;
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
        let first = self
            .lines
            .iter()
            .position(|line| matches!(line.event, Event::Said(_)))
            .unwrap_or(0);
        let (before, lines) = self.lines.split_at(first);
        let lines = lines
            .split_first()
            .map_or(lines, |(mark, rest)| match mark.event {
                Event::Said(_) => rest,
                _ => lines,
            });
        let start = lines.first().map_or(0, |line| line.ms);
        loop {
            // An unbounded loop over a closed channel would spin: end with the program.
            if self.begin(before, start, &changes).await.is_err() {
                return;
            }
            let mut ms = start;
            for line in lines {
                let wait = u64::try_from(line.ms - ms).unwrap_or(0);
                sleep(Duration::from_millis(wait).div_f64(speed)).await;
                ms = line.ms;
                let what = match line.event.clone() {
                    Event::Applied(_, object) => What::Applied(object),
                    Event::Deleted(object) => What::Deleted(object),
                    Event::Said(text) => What::Said(text),
                    Event::Inside(inside) => What::Inside(inside),
                };
                if self.send(ms, what, &changes).await.is_err() {
                    return;
                }
            }
            sleep(REST.div_f64(speed)).await;
            if self.send(start, What::Restarted, &changes).await.is_err() {
                return;
            }
        }
    }

    async fn begin(&self, before: &[Line], ms: i64, changes: &Changes) -> Result<(), Ended> {
        for kind in Kind::ALL {
            self.send(ms, What::ListBegins(kind), changes).await?;
            for line in before {
                if let Event::Applied(of, object) = &line.event
                    && *of == kind
                {
                    self.send(ms, What::Item(object.clone()), changes).await?;
                }
            }
            self.send(ms, What::ListEnds(kind), changes).await?;
        }
        let link = Link::live(self.recorded + ms);
        self.send(ms, What::Link(link), changes).await
    }

    async fn send(&self, ms: i64, what: What, changes: &Changes) -> Result<(), Ended> {
        let at = self.recorded + ms;
        changes.send(Change { at, what }).await.map_err(|_| Ended)
    }
}

/// Nobody listens any more.
struct Ended;

impl Raw {
    fn event(self, base: &mut i64, namespace: &mut Option<String>) -> Result<Event, String> {
        match (self.kind, self.event, self.object, self.say, self.inside) {
            (Some(kind), Some(event), Some(value), None, None) => {
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
                let object = Object::from_json(kind, value)
                    .map_err(|error| format!("not a {kind} of the Kubernetes API: {error}"))?;
                Ok(match event {
                    RawType::Added | RawType::Modified => Event::Applied(kind, object),
                    RawType::Deleted => Event::Deleted(object),
                })
            }
            (None, None, None, Some(text), None) => Ok(Event::Said(text)),
            (None, None, None, None, Some(inside)) => Ok(Event::Inside(inside)),
            _ => Err(
                "holds none of \"kind\" with \"type\" and \"object\", \"say\", or \"inside\""
                    .into(),
            ),
        }
    }
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
