//! A terminal in a Pod of the lesson: psql or a shell through `exec`, bytes both ways, until the
//! program, the Pod or the way to it ends. Always says which. A statement that is typed into psql is a
//! change like one made with a button: the rows are looked at after it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};

use super::act::{Actor, Objects, Reason, Refusal, check_name, check_uid, within};
use super::bodies::{Bodies, Body, Loss, loss_of};
use super::exec::{Exit, PIPE};

/// Bytes of output that are sent at once.
const PIECE: usize = 16 * 1024;
/// After a statement the rows are looked at once no other one has ended for so long: several may have
/// been pasted.
const SETTLED: Duration = Duration::from_millis(400);
/// The end of psql's prompt outside a transaction, and between two statements, as a superuser and as
/// any other (<https://www.postgresql.org/docs/18/app-psql.html#APP-PSQL-PROMPTING>).
const PROMPTS: [&[u8]; 2] = [b"=# ", b"=> "];

/// Where a terminal is wanted.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// The Pod's name.
    pub pod: String,
    /// Its uid: the one that took the name since is another.
    pub uid: String,
    /// What is run in it.
    pub program: Program,
}

/// Programs that a terminal can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// psql in the lesson's database.
    Psql,
    /// A shell.
    Sh,
}

/// What comes from the reader.
#[derive(Debug)]
pub enum Typed {
    /// Keys.
    Keys(Bytes),
    /// Another size of the window, in characters.
    Size {
        /// Its width.
        cols: u16,
        /// Its height.
        rows: u16,
    },
}

/// How a terminal ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The sort of end.
    pub why: Why,
    /// The program's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// In the words of whoever ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Ways for a terminal to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The program ended.
    Exit,
    /// The Pod is gone, or going.
    PodGone,
    /// The connection ended.
    Cut,
    /// It was never opened.
    Refused,
}

impl Ended {
    /// An end in words.
    pub fn new(why: Why, message: impl Into<String>) -> Self {
        Self {
            why,
            code: None,
            message: Some(message.into()),
        }
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::new(Why::Refused, refusal.message)
    }
}

/// An open terminal.
pub struct Terminal {
    process: AttachedProcess,
    objects: Objects,
    bodies: Bodies,
    losses: Receiver<Loss>,
    body: Body,
    /// Counted until it is dropped.
    _place: OwnedSemaphorePermit,
}

impl Actor {
    /// Opens a terminal.
    ///
    /// # Errors
    /// The refusal, in the API's own words where it is the API's.
    pub async fn terminal(&self, wanted: &Wanted) -> Result<Terminal, Refusal> {
        check_name(&wanted.pod)?;
        check_uid(&wanted.uid)?;
        let reached = self.reached()?;
        let place = self.place().ok_or_else(|| {
            let words = "too many terminals are open; close one first";
            Refusal::new(Reason::NotAllowed, words)
        })?;
        let objects = Objects::new(&reached);
        // Heard from before the Pod is asked for, so that its end in between is not missed.
        let losses = self.bodies().losses();
        objects.same("Pod", &wanted.pod, &wanted.uid).await?;
        let body = self.find(&objects, &wanted.pod).await?;
        let look = self.acting().look(&wanted.pod);
        let command = match (wanted.program, look) {
            (Program::Sh, _) => vec!["sh"],
            (Program::Psql, Some(look)) => {
                vec!["psql", "-U", &look.user, "-d", &look.database]
            }
            (Program::Psql, None) => {
                let words = format!("the lesson has no database in pod {:?}", wanted.pod);
                return Err(Refusal::new(Reason::NotOfTheLesson, words));
            }
        };
        let params = AttachParams {
            container: body.container.clone(),
            max_stdin_buf_size: Some(PIPE),
            max_stdout_buf_size: Some(PIPE),
            ..AttachParams::interactive_tty()
        };
        let api: Api<Pod> = Api::namespaced(reached.client.clone(), &reached.namespace);
        let process = within(api.exec(&wanted.pod, command, &params)).await?;
        Ok(Terminal {
            process,
            objects,
            bodies: self.bodies().clone(),
            losses,
            body,
            _place: place,
        })
    }
}

impl Terminal {
    /// Carries bytes both ways until it ends. Neither way waits for the other, and both wait for
    /// whoever is slow.
    pub async fn run(
        mut self,
        mut typed: mpsc::Receiver<Typed>,
        shown: mpsc::Sender<Bytes>,
    ) -> Ended {
        let streams = (self.process.stdin(), self.process.stdout());
        let rest = (self.process.terminal_size(), self.process.take_status());
        let (Some(mut stdin), Some(mut stdout)) = streams else {
            unreachable!("both are asked for when it is opened, and taken once");
        };
        let (Some(mut sizes), Some(status)) = rest else {
            unreachable!("a terminal has a size, and a status that is taken once");
        };
        let bodies = self.bodies.clone();
        // A database that answers is up, whatever its Pod was when the terminal was opened.
        let body = Body {
            is_ready: true,
            ..self.body.clone()
        };
        // Whether a line has been sent since the last prompt.
        let has_entered = AtomicBool::new(false);
        let output = async {
            let mut buffer = vec![0; PIECE];
            let mut look_at = None;
            loop {
                let read = stdout.read(&mut buffer);
                let read = match look_at {
                    None => read.await,
                    Some(at) => match timeout_at(at, read).await {
                        Ok(read) => read,
                        Err(_) => {
                            look_at = None;
                            bodies.turn(body.clone());
                            continue;
                        }
                    },
                };
                let Ok(count @ 1..) = read else { break };
                let piece = Bytes::copy_from_slice(&buffer[..count]);
                if has_entered.load(Ordering::Relaxed) && ends_with_prompt(&piece) {
                    has_entered.store(false, Ordering::Relaxed);
                    look_at = Some(Instant::now() + SETTLED);
                }
                if shown.send(piece).await.is_err() {
                    break;
                }
            }
            Exit::from(status.await)
        };
        let input = async {
            while let Some(typed) = typed.recv().await {
                match typed {
                    Typed::Keys(bytes) => {
                        if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                            has_entered.store(true, Ordering::Relaxed);
                        }
                        if stdin.write_all(&bytes).await.is_err() {
                            // A program that reads no more will end; its end says why.
                            return std::future::pending().await;
                        }
                    }
                    Typed::Size { cols, rows } => {
                        let size = TerminalSize {
                            width: cols,
                            height: rows,
                        };
                        let _ = sizes.send(size).await;
                    }
                }
            }
        };
        let exit = tokio::select! {
            exit = output => exit,
            () = input => return Ended::new(Why::Cut, "the page left"),
            loss = loss_of(&self.body.uid, &mut self.losses) => match loss {
                Loss::Body(_) => return self.gone(),
                Loss::Cluster => return Ended::new(Why::Cut, "the cluster does not answer"),
            },
        };
        self.ended(exit).await
    }

    /// What became of it, by how the program ended and what the cluster says of the Pod.
    async fn ended(&self, exit: Exit) -> Ended {
        if exit == Exit::Code(0) {
            return Ended {
                why: Why::Exit,
                code: Some(0),
                message: None,
            };
        }
        match self
            .objects
            .same("Pod", &self.body.name, &self.body.uid)
            .await
        {
            Ok(pod) if pod.metadata.deletion_timestamp.is_some() => return self.gone(),
            Err(refusal) if matches!(refusal.reason, Reason::NotFound | Reason::Conflict) => {
                return self.gone();
            }
            _ => {}
        }
        match exit {
            Exit::Code(code) => Ended {
                why: Why::Exit,
                code: Some(code),
                message: None,
            },
            Exit::Failed(words) => Ended::new(Why::Refused, words),
            Exit::Unknown => Ended::new(Why::Cut, "the connection to the container ended"),
        }
    }

    fn gone(&self) -> Ended {
        Ended::new(Why::PodGone, format!("pod {:?} is gone", self.body.name))
    }
}

/// Whether output ends with a prompt that waits for a new statement. What the line editor sends after
/// it, to place the cursor, is passed over.
fn ends_with_prompt(piece: &[u8]) -> bool {
    let mut text = piece;
    while let Some(start) = text.iter().rposition(|byte| *byte == 0x1b)
        && let [b'[', sequence @ ..] = &text[start + 1..]
        && let Some((last, parameters)) = sequence.split_last()
        && (0x40..=0x7e).contains(last)
        && parameters.iter().all(|byte| (0x20..=0x3f).contains(byte))
    {
        text = &text[..start];
    }
    PROMPTS.iter().any(|prompt| text.ends_with(prompt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_told_from_what_only_looks_like_one() {
        for (output, is_prompt) in [
            ("INSERT 0 2\r\napp_db=# ", true),
            ("\x1b[?2004happ_db=# ", true),
            ("app_db=> ", true),
            ("\r\x1b[Kapp_db=# \x1b[9G\x1b[K", true),
            // In a transaction nobody else sees the rows yet.
            ("INSERT 0 1\r\napp_db=*# ", false),
            ("app_db=!# ", false),
            // In the middle of a statement.
            ("app_db-# ", false),
            ("app_db(# ", false),
            ("# ", false),
            ("app_db=# SELECT", false),
            ("\x1b[", false),
            ("", false),
        ] {
            assert_eq!(ends_with_prompt(output.as_bytes()), is_prompt, "{output:?}");
        }
    }
}
