//! Looking inside: asks psql in a running Pod for the rows, and says what it found, or what stood in
//! the way, as a change like any other. Looks when it is told to and never by itself.

mod table;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::act::Actor;
use super::bodies::{Body, loss_of};
use super::change::{Hindrance, Inside, InsideFault};
use super::exec::{Exit, Output, Trouble, run};
use super::fault::Fault;
use super::target::Reached;
use table::Table;

/// How long one look may take; psql answers in a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of output that are read at most.
const LIMIT: usize = 256 * 1024;
/// Looks at the same time; each is a process in a Pod.
const AT_ONCE: usize = 4;
/// Looks at most while a database that was just started is not up.
const TRIES: usize = 4;
/// The time between them.
const AGAIN: Duration = Duration::from_secs(2);
/// Characters of psql's own words that are handed on.
const WORDS: usize = 500;

/// One query, for the Pods whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What the Pods' names begin with.
    pub pods: String,
    /// The database's user.
    pub user: String,
    /// The database.
    pub database: String,
    /// What is asked.
    pub query: String,
}

impl Look {
    /// The command that asks: CSV, since every other form is ambiguous once a value holds the
    /// separator, and in pieces, since psql would hold a large table in the Pod's memory.
    fn command(&self) -> [&str; 15] {
        [
            "psql",
            "-X",
            "-q",
            "-U",
            &self.user,
            "-d",
            &self.database,
            "-v",
            "FETCH_COUNT=100",
            "-P",
            "null=NULL",
            "--csv",
            "-w",
            "-c",
            &self.query,
        ]
    }
}

impl Actor {
    /// Looks into every Pod that it is sent, for as long as there are any to come.
    pub(super) async fn look_on(self, mut turns: mpsc::Receiver<Body>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut looks = JoinSet::new();
        while let Some(body) = turns.recv().await {
            looks.spawn(self.clone().look_until_up(body, Arc::clone(&places)));
            while looks.try_join_next().is_some() {}
        }
    }

    /// Looks once, and a few times more while the database is not up: the official image is Ready
    /// for a moment with a server that only makes the database, and then starts the real one.
    async fn look_until_up(self, body: Body, places: Arc<Semaphore>) {
        let mut losses = self.bodies().losses();
        let mut known = None;
        for _ in 0..TRIES {
            // Acting may be off here; then nobody looks either.
            let Ok(reached) = self.reached() else { return };
            let place = places.acquire().await;
            let Some(inside) = self.look_into(&reached, &body).await else {
                return;
            };
            drop(place);
            let cause = inside.fault.as_ref().map(|fault| fault.cause);
            // The same trouble again is no news.
            if known.as_ref() != Some(&inside) {
                self.show(inside.clone()).await;
            }
            known = Some(inside);
            // A machine that is busy starting it answers late, which is none of the known ones.
            let may_pass = [Hindrance::NotReady, Hindrance::NoDatabase, Hindrance::Other];
            if !cause.is_some_and(|cause| may_pass.contains(&cause)) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                // Its successor is looked into when it is Ready.
                _ = loss_of(&body.uid, &mut losses) => return,
            }
        }
    }

    /// What is in a Pod of the lesson that has a query; none for any other.
    pub(super) async fn look_into(&self, reached: &Reached, body: &Body) -> Option<Inside> {
        let look = self.acting().look(&body.name)?;
        let (kind, name) = body.workload.as_ref()?;
        if !self.scope().names(kind, name) {
            return None;
        }
        let mut inside = Inside {
            key: body.key(),
            claim: body.claims.first().cloned(),
            pod: body.name.clone(),
            pod_uid: body.uid.clone(),
            query: look.query.clone(),
            ..Inside::default()
        };
        if !body.is_ready {
            let detail = format!("Pod {} is {} and not Ready", body.name, body.phase);
            inside.fault = Some(InsideFault::new(Hindrance::NotReady, detail));
            return Some(inside);
        }
        let (client, namespace) = (&reached.client, &reached.namespace);
        match run(client, namespace, body, &look.command(), LIMIT, PATIENCE).await {
            Err(trouble) => inside.fault = Some(trouble.into()),
            Ok(output) => match hindrance(&output) {
                Some(fault) => inside.fault = Some(fault),
                None => {
                    let text = String::from_utf8_lossy(&output.stdout);
                    let table = Table::read(&text, output.is_cut);
                    inside.columns = table.columns;
                    inside.rows = table.rows;
                    inside.more = table.more;
                }
            },
        }
        Some(inside)
    }
}

impl From<Trouble> for InsideFault {
    fn from(trouble: Trouble) -> Self {
        let error = match trouble {
            Trouble::Late(patience) => {
                let detail = format!("no answer within {} s", patience.as_secs());
                return Self::new(Hindrance::Other, detail);
            }
            Trouble::Api(error) => error,
        };
        let detail = Fault::from(&error).detail;
        let cause = match &error {
            _ if is_starting(&detail) => Hindrance::NotReady,
            kube::Error::Api(status) => match status.code {
                404 => Hindrance::NoPod,
                401 | 403 => Hindrance::Refused,
                _ => Hindrance::Other,
            },
            kube::Error::Auth(_) => Hindrance::Refused,
            _ => Hindrance::Other,
        };
        Self::new(cause, detail)
    }
}

/// Whether the API's words say that the container does not run, yet or any more. They come as an
/// answer or inside the connection, as the cluster likes.
fn is_starting(words: &str) -> bool {
    ["container not found", "not running", "host assigned"]
        .iter()
        .any(|part| words.contains(part))
}

/// What kept psql from answering, by its own words; none if it did answer.
fn hindrance(output: &Output) -> Option<InsideFault> {
    let words = String::from_utf8_lossy(&output.stderr);
    // The place in the statement is of no use: psql sends the query inside another one.
    let words = words.split("\nLINE ").next().unwrap_or_default();
    let words: String = words.trim().chars().take(WORDS).collect();
    match &output.exit {
        Exit::Code(0) => None,
        Exit::Unknown if output.is_cut => None,
        Exit::Code(_) => {
            let is_missing = words.contains("does not exist");
            let cause = if is_missing && words.contains("FATAL:  database ") {
                Hindrance::NoDatabase
            } else if is_missing && words.contains("relation ") {
                Hindrance::NoTable
            } else if words.contains("FATAL:  the database system is")
                || (words.contains("connection to server") && !words.contains("FATAL: "))
            {
                Hindrance::NotReady
            } else {
                Hindrance::Other
            };
            Some(InsideFault::new(cause, words))
        }
        Exit::Failed(detail) => {
            let cause = if is_starting(detail) {
                Hindrance::NotReady
            } else {
                Hindrance::Refused
            };
            Some(InsideFault::new(cause, detail.as_str()))
        }
        Exit::Unknown => {
            let detail = "the connection to the Pod ended before psql did";
            Some(InsideFault::new(Hindrance::Other, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn psqls_own_words_say_what_is_missing() {
        for (words, want) in [
            (
                "psql: error: connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: FATAL:  database \"app_db\" does not exist",
                Hindrance::NoDatabase,
            ),
            (
                "ERROR:  relation \"inventory\" does not exist",
                Hindrance::NoTable,
            ),
            (
                "psql: error: connection to server on socket \"/x\" failed: No such file or directory\n\tIs the server running locally and accepting connections on that socket?",
                Hindrance::NotReady,
            ),
            (
                "psql: error: connection to server on socket \"/x\" failed: FATAL:  the database system is starting up",
                Hindrance::NotReady,
            ),
            (
                "psql: error: connection to server on socket \"/x\" failed: FATAL:  role \"user\" does not exist",
                Hindrance::Other,
            ),
            ("ERROR:  column \"id\" does not exist", Hindrance::Other),
            (
                "ERROR:  permission denied for table inventory",
                Hindrance::Other,
            ),
        ] {
            let output = Output {
                stdout: Vec::new(),
                stderr: format!("{words}\nLINE 2: SELECT\n        ^\n").into_bytes(),
                is_cut: false,
                exit: Exit::Code(1),
            };
            assert_eq!(hindrance(&output), Some(InsideFault::new(want, words)));
        }
    }

    #[test]
    fn what_the_api_refuses_is_told_apart() {
        for (code, message, want) in [
            (404, "pods \"db-0\" not found", Hindrance::NoPod),
            (
                403,
                "pods \"db-0\" is forbidden: cannot create resource \"pods/exec\"",
                Hindrance::Refused,
            ),
            (
                500,
                "unable to upgrade connection: container not found (\"postgres\")",
                Hindrance::NotReady,
            ),
            (
                400,
                "pod db-0 does not have a host assigned",
                Hindrance::NotReady,
            ),
            (500, "error dialing backend", Hindrance::Other),
        ] {
            let status = Status::failure(message, "Reason").with_code(code);
            let trouble = Trouble::Api(kube::Error::Api(status.boxed()));
            assert_eq!(InsideFault::from(trouble), InsideFault::new(want, message));
        }
        let late = Trouble::Late(PATIENCE);
        assert_eq!(InsideFault::from(late).cause, Hindrance::Other);
    }
}
