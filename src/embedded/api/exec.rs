//! `pods/exec` over WebSocket (`v5.channel.k8s.io`, and v4 for older clients).
//!
//! The first byte of each message is its channel: 0 stdin, 1 stdout, 2 stderr, 3 the result, 4 the terminal's size,
//! 255 the end of a channel.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::logs::container_name;
use super::query::Query;
use super::{Api, Target, needs_host, websocket};
use crate::failure::Failure;
use crate::object;
use eizoku_containers::{Container, ExecError, ExecRequest, Size};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const RESULT: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// How long a client may take to hang up after its command has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often a client that says nothing is written to.
const PING_EVERY: Duration = Duration::from_secs(10);

/// Bytes a pipe holds before its writer waits: one screenful of a wide terminal many times over.
const PIPE: usize = 64 * 1024;

impl Api {
    pub(super) async fn exec(
        &self,
        target: &Target,
        query: Query,
        request: Request,
    ) -> Result<Response, Failure> {
        let pod = self.pod(target)?;
        let name = container_name(&pod, query.get("container"))?;
        needs_host(&pod)?;
        let command = query.all("command");
        if command.is_empty() {
            return Err(Failure::bad_request(
                "you must specify at least 1 command for the container",
            ));
        }
        let Some(container) = self.kubelet.container(object::uid(&pod), &name) else {
            return Err(Failure::internal(format!(
                "unable to upgrade connection: container not found ({name:?})"
            )));
        };
        let upgrade = websocket(request)
            .await
            .ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
        let session = Session {
            container,
            command,
            stdin: query.is("stdin"),
            stderr: query.is("stderr"),
            tty: query.is("tty"),
            stop: self.stop.clone(),
        };
        Ok(upgrade
            .protocols(["v5.channel.k8s.io", "v4.channel.k8s.io"])
            .on_upgrade(|socket| session.run(socket)))
    }
}

/// One command in a container, with its streams on a WebSocket.
struct Session {
    container: Container,
    command: Vec<String>,
    stdin: bool,
    stderr: bool,
    tty: bool,
    stop: CancellationToken,
}

impl Session {
    async fn run(self, socket: WebSocket) {
        let (mut to_client, mut from_client) = socket.split();
        let (messages, mut outgoing) = mpsc::channel::<Message>(16);
        let (stdout, stdout_end) = tokio::io::duplex(PIPE);
        let (stderr, stderr_end) = tokio::io::duplex(PIPE);
        let (stdin_end, stdin) = tokio::io::duplex(PIPE);
        let (sizes, resize) = mpsc::channel(4);
        let request = ExecRequest {
            command: self.command,
            tty: self.tty,
            stdin: self.stdin.then(|| Box::pin(stdin) as _),
            stdout: Box::pin(stdout),
            stderr: (self.stderr && !self.tty).then(|| Box::pin(stderr) as _),
            resize: self.tty.then_some(resize),
        };
        let sender = async {
            loop {
                let message = tokio::select! {
                    message = outgoing.recv() => message,
                    // A client that is gone without a word is noticed by writing to it.
                    () = tokio::time::sleep(PING_EVERY) => Some(Message::Ping(Bytes::new())),
                };
                let Some(message) = message else { break };
                to_client.send(message).await?;
            }
            // A close frame tells the client that the result it has is the whole of it.
            to_client
                .send(Message::Close(Some(CloseFrame {
                    code: close_code::NORMAL,
                    reason: "".into(),
                })))
                .await
        };
        let work = async {
            let run = async {
                let result = self.container.exec(request).await;
                result_status(&result)
            };
            let (status, (), ()) = tokio::join!(
                run,
                pump(stdout_end, STDOUT, messages.clone()),
                pump(stderr_end, STDERR, messages.clone())
            );
            let _ = messages
                .send(framed(RESULT, status.to_string().as_bytes()))
                .await;
            drop(messages);
        };
        let input = async {
            let mut stdin = Some(stdin_end);
            while let Some(Ok(message)) = from_client.next().await {
                match message {
                    Message::Binary(bytes) => take(&bytes, &mut stdin, &sizes).await,
                    Message::Close(_) => return,
                    _ => {}
                }
            }
        };
        // Whatever ends first ends the session: dropping the command's future ends the command.
        tokio::select! {
            // A client that is still sending must hear the result first: it is listened to until it hangs up.
            () = async {
                let work = async {
                    work.await;
                    Ok(())
                };
                // Nobody hears a command whose client cannot be written to.
                if tokio::try_join!(work, sender).is_ok() {
                    tokio::time::sleep(LAST_WORDS).await;
                }
            } => {}
            () = input => {}
            () = self.stop.cancelled() => {}
        }
    }
}

async fn take(bytes: &Bytes, stdin: &mut Option<DuplexStream>, sizes: &mpsc::Sender<Size>) {
    match bytes.split_first() {
        Some((&STDIN, data)) => {
            if let Some(pipe) = stdin
                && pipe.write_all(data).await.is_err()
            {
                *stdin = None;
            }
        }
        Some((&RESIZE, data)) => {
            let size: Value = serde_json::from_slice(data).unwrap_or_default();
            let side = |name: &str| {
                size.get(name)
                    .and_then(Value::as_u64)
                    .and_then(|side| u16::try_from(side).ok())
                    .unwrap_or(0)
            };
            let _ = sizes.try_send(Size {
                width: side("Width"),
                height: side("Height"),
            });
        }
        Some((&CLOSE, [STDIN, ..])) => *stdin = None,
        _ => {}
    }
}

/// Sends what a stream gives, each piece under its channel, until its end.
async fn pump(mut from: impl AsyncRead + Unpin, channel: u8, to: mpsc::Sender<Message>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.send(framed(channel, &buffer[..count])).await.is_err() {
            return;
        }
    }
}

fn framed(channel: u8, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::Binary(bytes.into())
}

/// How a command ended, in the words of the result channel.
fn result_status(result: &Result<i32, ExecError>) -> Value {
    match result {
        Ok(0) => json!({"metadata": {}, "status": "Success"}),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => {
            let message = format!("error executing command in container: {error}");
            // The real one says it twice: the kubelet once, and the API server about the kubelet.
            let mut status =
                Failure::internal(format!("Internal error occurred: {message}")).to_status();
            status["details"] = json!({"causes": [{"message": message}]});
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_a_cause() {
        assert_eq!(
            result_status(&Ok(7))["details"]["causes"][0],
            json!({"reason": "ExitCode", "message": "7"})
        );
        assert_eq!(result_status(&Ok(0))["status"], "Success");
    }
}
