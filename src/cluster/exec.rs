//! Running a command in a container to its end, with limits in time and length.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use kube::{Api, Client};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::bodies::Body;

/// Bytes that a stream holds before its writer waits: one WebSocket message.
pub(super) const PIPE: usize = 64 * 1024;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Whether there was more than the limit; the command was not waited for then.
    pub(super) is_cut: bool,
    pub(super) exit: Exit,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// With this code.
    Code(i32),
    /// It could not be run, in the API's words.
    Failed(String),
    /// Nobody knows: the connection ended before.
    Unknown,
}

/// Why a command was not run to its end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the API, or the way to it, said.
    Api(kube::Error),
    /// It took too long.
    Late(Duration),
}

impl From<Option<Status>> for Exit {
    fn from(status: Option<Status>) -> Self {
        let Some(status) = status else {
            return Self::Unknown;
        };
        if status.status.as_deref() == Some("Success") {
            return Self::Code(0);
        }
        let causes = status.details.and_then(|details| details.causes);
        let code = causes
            .iter()
            .flatten()
            .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
            .and_then(|cause| cause.message.as_ref()?.parse().ok());
        match code {
            Some(code) => Self::Code(code),
            None => Self::Failed(status.message.unwrap_or_default()),
        }
    }
}

/// Runs a command in the first container of a Pod. What goes beyond `limit` bytes of a stream ends it.
pub(super) async fn run(
    client: &Client,
    namespace: &str,
    body: &Body,
    command: &[&str],
    limit: usize,
    patience: Duration,
) -> Result<Output, Trouble> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams {
        container: body.container.clone(),
        max_stdout_buf_size: Some(PIPE),
        max_stderr_buf_size: Some(PIPE),
        ..AttachParams::default()
    };
    let running = async {
        let mut process = api
            .exec(&body.name, command.iter().copied(), &params)
            .await?;
        let streams = (process.stdout(), process.stderr(), process.take_status());
        let (Some(mut stdout), Some(mut stderr), Some(status)) = streams else {
            unreachable!("each is asked for above and taken once");
        };
        let mut output = Output {
            stdout: Vec::new(),
            stderr: Vec::new(),
            is_cut: false,
            exit: Exit::Unknown,
        };
        let (mut more, mut more_errors) = (true, true);
        while more || more_errors {
            tokio::select! {
                read = stdout.read_buf(&mut output.stdout), if more => {
                    more = matches!(read, Ok(1..));
                }
                read = stderr.read_buf(&mut output.stderr), if more_errors => {
                    more_errors = matches!(read, Ok(1..));
                }
            }
            if output.stdout.len() > limit || output.stderr.len() > limit {
                output.is_cut = true;
                return Ok(output);
            }
        }
        output.exit = status.await.into();
        Ok(output)
    };
    // Dropping the process ends the connection, and with it the command.
    match timeout(patience, running).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(Trouble::Api(error)),
        Err(_) => Err(Trouble::Late(patience)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn how_a_command_ended_is_read_from_the_status() {
        for (status, want) in [
            (Value::Null, Exit::Unknown),
            (json!({"status": "Success"}), Exit::Code(0)),
            (
                json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code", "details": {"causes": [{"reason": "ExitCode", "message": "2"}]}}),
                Exit::Code(2),
            ),
            (
                json!({"status": "Failure", "reason": "InternalError", "message": "no such file"}),
                Exit::Failed("no such file".into()),
            ),
        ] {
            let read: Option<Status> = from_value(status).expect("a Status");
            assert_eq!(Exit::from(read), want);
        }
    }
}
