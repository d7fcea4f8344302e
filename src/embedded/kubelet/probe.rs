//! Probes: questions to a container, and what their answers add up to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWrite;

use crate::object::{self, array, int, text};
use eizoku_containers::{Container, ExecRequest};

/// A probe is asked at most this soon after the last answer while the container is not ready yet; the API allows asking
/// more often than `periodSeconds` then, "to make the Pod ready faster".
const EAGER: Duration = Duration::from_millis(150);

/// The settings of one probe.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    what: Value,
    pub(super) initial_delay: Duration,
    pub(super) period: Duration,
    timeout: Duration,
    successes: i64,
    failures: i64,
}

/// What a probe's answers have added up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Unknown,
    Good,
    Bad,
}

impl Probe {
    /// Reads `readinessProbe`, `livenessProbe` or `startupProbe` of a container.
    pub(super) fn of(container: &Value, field: &str) -> Option<Self> {
        let what = container.get(field)?.clone();
        let seconds = |name: &str, default: i64| {
            object::wait(int(&what, &format!("/{name}")).unwrap_or(default))
        };
        Some(Self {
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            successes: int(&what, "/successThreshold").unwrap_or(1),
            failures: int(&what, "/failureThreshold").unwrap_or(3),
            what,
        })
    }

    /// How long to wait before the next question.
    pub(super) fn pause(&self, is_eager: bool) -> Duration {
        if is_eager {
            EAGER.min(self.period)
        } else {
            self.period
        }
    }

    /// Asks once. The error is what the `Unhealthy` event says after "… probe failed: ".
    pub(super) async fn ask(&self, container: &Container, address: &str) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.answer(container, address)).await {
            Ok(answer) => answer,
            Err(_) => Err(match array(&self.what, "/exec/command") {
                [] => "context deadline exceeded".to_owned(),
                command => {
                    let command = command
                        .iter()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(" ");
                    format!(
                        "command timed out: {command:?} timed out after {}s",
                        self.timeout.as_secs()
                    )
                }
            }),
        }
    }

    async fn answer(&self, container: &Container, address: &str) -> Result<(), String> {
        if self.what.get("exec").is_some() {
            let command = array(&self.what, "/exec/command")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let said = Said::default();
            let request = ExecRequest {
                command,
                tty: false,
                stdin: None,
                stdout: Box::pin(said.clone()),
                stderr: Some(Box::pin(said.clone())),
                resize: None,
            };
            return match container.exec(request).await {
                Ok(0) => Ok(()),
                Ok(_) => Err(said.text()),
                Err(error) => Err(format!("errored and resulted in unknown state: {error}")),
            };
        }
        let port = self
            .what
            .pointer("/tcpSocket/port")
            .or_else(|| self.what.pointer("/httpGet/port"))
            .or_else(|| self.what.pointer("/grpc/port"));
        let number = match port {
            Some(Value::Number(number)) => number.as_u64().unwrap_or(0),
            Some(Value::String(name)) => name.parse().unwrap_or(5432),
            _ => 0,
        };
        let refused = format!("dial tcp {address}:{number}: connect: connection refused");
        // There is no Pod network: what listens inside the container is asked there.
        let port = u16::try_from(number).unwrap_or(0);
        if self.what.get("tcpSocket").is_some() {
            return container.connect(port).await.map(drop).map_err(|_| refused);
        }
        Err(if self.what.get("httpGet").is_some() {
            format!(
                "Get \"http://{address}:{number}{}\": {refused}",
                text(&self.what, "/httpGet/path")
            )
        } else {
            refused
        })
    }

    /// Counts answers up to a verdict.
    pub(super) fn count(&self, tally: &mut Tally, is_good: bool) -> Verdict {
        if is_good {
            tally.bad = 0;
            tally.good += 1;
            if tally.good >= self.successes {
                Verdict::Good
            } else {
                Verdict::Unknown
            }
        } else {
            tally.good = 0;
            tally.bad += 1;
            if tally.bad >= self.failures {
                Verdict::Bad
            } else {
                Verdict::Unknown
            }
        }
    }
}

/// Answers in a row.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    good: i64,
    bad: i64,
}

/// Keeps what a command writes, up to the 10 KiB that the real kubelet keeps.
#[derive(Debug, Default, Clone)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    const LIMIT: usize = 10 * 1024;

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl AsyncWrite for Said {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let mut said = self.0.lock().unwrap();
        let room = Self::LIMIT.saturating_sub(said.len()).min(bytes.len());
        said.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_in_a_row_make_a_verdict() {
        let probe = Probe::of(&json!({"readinessProbe": {"exec": {"command": ["true"]}, "successThreshold": 2, "failureThreshold": 2}}), "readinessProbe").unwrap();
        let mut tally = Tally::default();
        let verdicts: Vec<Verdict> = [true, true, false, true, false, false]
            .into_iter()
            .map(|good| probe.count(&mut tally, good))
            .collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Unknown,
                Verdict::Good,
                Verdict::Unknown,
                Verdict::Unknown,
                Verdict::Unknown,
                Verdict::Bad
            ]
        );
    }
}
