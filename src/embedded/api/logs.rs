//! `pods/log`: what a container wrote, as a file and as a stream.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::query::Query;
use super::{Api, Target, needs_host, stream_response};
use crate::failure::Failure;
use crate::kubelet::Kubelet;
use crate::object::{self, array, text};

/// How often a followed file is looked at while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The container of a Pod that a request means.
pub(super) fn container_name(pod: &Value, asked: &str) -> Result<String, Failure> {
    let names = |list: &str| {
        array(pod, list)
            .iter()
            .map(|container| text(container, "/name").to_owned())
            .collect::<Vec<_>>()
    };
    let (main, init) = (names("/spec/containers"), names("/spec/initContainers"));
    match (asked, main.as_slice()) {
        ("", [only]) => Ok(only.clone()),
        ("", several) => {
            let hint = if init.is_empty() {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", init.join(" "))
            };
            Err(Failure::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]{hint}",
                object::name(pod),
                several.join(" ")
            )))
        }
        (asked, _) if main.iter().chain(&init).any(|name| name == asked) => Ok(asked.to_owned()),
        (asked, _) => Err(Failure::bad_request(format!(
            "container {asked} is not valid for pod {}",
            object::name(pod)
        ))),
    }
}

impl Api {
    pub(super) async fn log(&self, target: &Target, query: &Query) -> Result<Response, Failure> {
        let pod = self.pod(target)?;
        let container = container_name(&pod, query.get("container"))?;
        let name = object::name(&pod);
        let statuses = array(&pod, "/status/containerStatuses")
            .iter()
            .chain(array(&pod, "/status/initContainerStatuses"));
        let status = statuses
            .into_iter()
            .find(|status| text(status, "/name") == container)
            .cloned()
            .unwrap_or_default();
        let waits = |reason: &str| {
            Failure::bad_request(format!(
                "container {container:?} in pod {name:?} is waiting to start: {reason}"
            ))
        };
        let restarts = object::int(&status, "/restartCount").unwrap_or(0);
        let is_previous = query.is("previous");
        let has_started = status.pointer("/state/running").is_some()
            || status.pointer("/state/terminated").is_some();
        let has_ended = status.pointer("/lastState/terminated").is_some();
        if is_previous && !has_ended {
            return Err(Failure::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            )));
        }
        if !has_started && !has_ended {
            return Err(match text(&status, "/state/waiting/reason") {
                "" => needs_host(&pod)
                    .err()
                    .unwrap_or_else(|| waits("ContainerCreating")),
                "ErrImagePull" => waits("image can't be pulled"),
                "ImagePullBackOff" => waits("trying and failing to pull image"),
                reason => waits(reason),
            });
        }
        let run = if is_previous && has_started {
            restarts - 1
        } else {
            restarts
        };
        let file = self.kubelet.log_file(object::uid(&pod), &container, run);
        let since = match (query.number("sinceSeconds"), query.get("sinceTime")) {
            (Some(seconds), _) => Some(object::later(Timestamp::now(), seconds.saturating_neg())),
            (None, "") => None,
            (None, time) => Some(time.parse().map_err(|_| {
                Failure::bad_request(format!("sinceTime: Invalid value: {time:?}"))
            })?),
        };
        let wanted = Wanted {
            since,
            has_times: query.is("timestamps"),
            limit: query
                .number("limitBytes")
                .and_then(|limit| usize::try_from(limit).ok()),
        };
        let tail = query
            .number("tailLines")
            .and_then(|lines| usize::try_from(lines).ok());
        let mut reader = Reader {
            file,
            at: 0,
            rest: Vec::new(),
        };
        let mut lines: VecDeque<String> = reader.read().await.into();
        lines.retain(|line| wanted.is_new_enough(line));
        while tail.is_some_and(|tail| lines.len() > tail) {
            lines.pop_front();
        }
        let mut text: String = lines.iter().map(|line| wanted.shown(line)).collect();
        if let Some(limit) = wanted.limit {
            let end = (0..=limit.min(text.len()))
                .rev()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0);
            text.truncate(end);
        }
        if !query.is("follow") || is_previous {
            return Ok(stream_response("text/plain", Body::from(text)));
        }
        let follow = Follow {
            first: Some(text),
            reader,
            wanted,
            kubelet: self.kubelet.clone(),
            uid: object::uid(&pod).to_owned(),
            container,
        };
        let stop = self.stop.clone();
        let stream = futures::stream::unfold((follow, stop), |(mut follow, stop)| async move {
            let text = tokio::select! {
                text = follow.next() => text,
                () = stop.cancelled() => None,
            };
            text.map(|text| {
                (
                    Ok::<_, std::convert::Infallible>(Bytes::from(text)),
                    (follow, stop),
                )
            })
        });
        Ok(stream_response("text/plain", Body::from_stream(stream)))
    }
}

/// Which lines are wanted, and how.
struct Wanted {
    since: Option<Timestamp>,
    has_times: bool,
    limit: Option<usize>,
}

impl Wanted {
    fn is_new_enough(&self, line: &str) -> bool {
        let at = line
            .split(' ')
            .next()
            .and_then(|time| time.parse::<Timestamp>().ok());
        self.since
            .is_none_or(|since| at.is_none_or(|at| at >= since))
    }

    /// A line of the file is "time stream F text"; a reader wants the text, and the time when asked for.
    fn shown(&self, line: &str) -> String {
        let mut parts = line.splitn(4, ' ');
        let (time, text) = (parts.next().unwrap_or(""), parts.nth(2).unwrap_or(""));
        if self.has_times {
            format!("{time} {text}\n")
        } else {
            format!("{text}\n")
        }
    }
}

/// Reads whole lines of a growing file.
struct Reader {
    file: PathBuf,
    at: u64,
    rest: Vec<u8>,
}

impl Reader {
    /// The lines that have come since the last call.
    async fn read(&mut self) -> Vec<String> {
        let mut new = Vec::new();
        if let Ok(mut file) = tokio::fs::File::open(&self.file).await
            && file.seek(SeekFrom::Start(self.at)).await.is_ok()
            && file.read_to_end(&mut new).await.is_ok()
        {
            self.at += new.len() as u64;
        }
        self.rest.extend(new);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let left = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, left);
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

struct Follow {
    first: Option<String>,
    reader: Reader,
    wanted: Wanted,
    kubelet: Kubelet,
    uid: String,
    container: String,
}

impl Follow {
    /// More text; nothing when the container has ended and all it wrote has been handed out.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take().filter(|text| !text.is_empty()) {
            return Some(first);
        }
        loop {
            let has_ended = self.kubelet.container(&self.uid, &self.container).is_none();
            let lines = self.reader.read().await;
            if !lines.is_empty() {
                return Some(lines.iter().map(|line| self.wanted.shown(line)).collect());
            }
            if has_ended {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_without_the_files_columns() {
        let wanted = Wanted {
            since: "2026-01-01T00:00:01Z".parse().ok(),
            has_times: false,
            limit: None,
        };
        assert_eq!(
            wanted.shown("2026-01-01T00:00:00.5Z stdout F two  words"),
            "two  words\n"
        );
        assert!(!wanted.is_new_enough("2026-01-01T00:00:00.5Z stdout F x"));
        assert!(wanted.is_new_enough("2026-01-01T00:00:01.5Z stdout F x"));
    }

    #[test]
    fn a_pod_of_several_containers_asks_which() {
        let pod = serde_json::json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(
            container_name(&pod, "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b]"
        );
        assert_eq!(container_name(&pod, "b").unwrap(), "b");
        assert_eq!(
            container_name(&pod, "c").unwrap_err().message,
            "container c is not valid for pod p"
        );
    }
}
