//! `pods/log`: what a container wrote, as a file and as a stream.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::logfile::{LogFile, Wanted};
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
            // So long ago that there is no such time: all of it.
            (Some(seconds), _) => Timestamp::now()
                .checked_sub(SignedDuration::from_secs(seconds))
                .ok(),
            (None, "") => None,
            (None, time) => Some(time.parse().map_err(|_| {
                Failure::bad_request(format!("sinceTime: Invalid value: {time:?}"))
            })?),
        };
        let count = |key: &str| {
            query
                .number(key)
                .and_then(|count| u64::try_from(count).ok())
        };
        let follows = query.is("follow") && !is_previous;
        let wanted = Wanted {
            since,
            has_times: query.is("timestamps"),
            limit: count("limitBytes"),
            tail: count("tailLines"),
            follows,
        };
        let uid = object::uid(&pod).to_owned();
        let is_running = status.pointer("/state/running").is_some();
        let reader = Reader {
            log: Some(LogFile::new(file, wanted)),
            run: self
                .kubelet
                .container(&uid, &container)
                .filter(|_| follows && is_running)
                .map(|running| running.id().to_owned()),
            kubelet: self.kubelet.clone(),
            uid,
            container,
        };
        let stop = self.stop.clone();
        let stream = futures::stream::unfold((reader, stop), |(mut reader, stop)| async move {
            let text = tokio::select! {
                text = reader.next() => text,
                () = stop.cancelled() => None,
            };
            text.map(|text| (Ok::<_, std::io::Error>(Bytes::from(text)), (reader, stop)))
        });
        Ok(stream_response("text/plain", Body::from_stream(stream)))
    }
}

/// Reads a log for one request.
struct Reader {
    log: Option<LogFile>,
    /// The container that is followed; nothing when only what is there is wanted.
    run: Option<String>,
    kubelet: Kubelet,
    uid: String,
    container: String,
}

impl Reader {
    /// More text; nothing when there is none and none will come: the container has ended, and all it wrote has been
    /// handed out.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let is_followed = self.run.is_some()
                && self
                    .kubelet
                    .container(&self.uid, &self.container)
                    .is_some_and(|now| Some(now.id()) == self.run.as_deref());
            let mut log = self.log.take()?;
            let read = tokio::task::spawn_blocking(move || {
                let text = log.read();
                (log, text)
            });
            let (log, text) = read.await.ok()?;
            let is_full = log.is_full();
            self.log = Some(log);
            match text {
                Ok(text) if !text.is_empty() => return Some(text),
                Ok(_) if is_followed && !is_full => tokio::time::sleep(LOOK_EVERY).await,
                Ok(_) => return None,
                Err(error) => {
                    tracing::warn!(%error, "a container's log cannot be read");
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
