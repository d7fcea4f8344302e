//! The one backend and who has it: sessions queue for it, take it with what belongs to them, and give it back between transactions.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::backend::{Backend, Opening};
use super::wire::{self, Report};
use super::{identifier, literal, log};

/// How long a session waits for the backend while another one can't give it up. Long enough for another session's statements, short enough that nobody
/// takes it for a hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long a statement may go on after it was cancelled, before the backend is killed: most end by themselves sooner than a restart takes.
const CANCEL_PATIENCE: Duration = Duration::from_millis(200);

/// How long a fast shutdown waits for a running statement.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);

/// Everything a session has that PostgreSQL can't carry to another backend, counted. The first column must be 0.
const STATE: &str = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') \
    + (SELECT count(*) FROM pg_cursors WHERE is_holdable) + (SELECT count(*) FROM pg_listening_channels()) \
    + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') \
    + (SELECT count(*) FROM pg_class WHERE relpersistence = 't'), \
    session_user, current_setting('role'), \
    (SELECT json_object_agg(name, setting) FROM pg_settings WHERE source = 'session')";

/// The settings a client is told about at the start of a session.
const REPORTED: &str = "SELECT name, setting FROM pg_settings WHERE name IN ('application_name', 'client_encoding', 'DateStyle', \
    'default_transaction_read_only', 'in_hot_standby', 'integer_datetimes', 'IntervalStyle', 'scram_iterations', 'search_path', \
    'server_encoding', 'server_version', 'standard_conforming_strings', 'TimeZone') \
    UNION ALL SELECT 'session_authorization', session_user \
    UNION ALL SELECT 'is_superuser', current_setting('is_superuser')";

/// Whether sessions may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Running,
    Stopping,
}

/// The backend and its sessions.
pub(super) struct Postmaster {
    opening: Opening,
    shared: Mutex<Shared>,
    changed: Condvar,
}

struct Shared {
    phase: Phase,
    /// Absent while a session uses it.
    backend: Option<Backend>,
    process: u32,
    /// Whose settings and transaction the backend holds, and what its last answer said about the transaction.
    owner: Option<u32>,
    status: u8,
    /// The owner was asked and can't be moved; asked again after its next statement.
    held: bool,
    sessions: HashMap<u32, Session>,
    next: u32,
}

struct Session {
    key: u32,
    stream: UnixStream,
    state: State,
    cancelled: bool,
}

/// What travels with a session from backend to backend.
#[derive(Debug, Clone, Default)]
struct State {
    database: String,
    user: String,
    role: String,
    settings: Vec<(String, String)>,
}

/// Why a session did not get an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another session keeps the backend.
    Held,
    /// The postmaster is shutting down.
    Stopping,
    /// The backend broke while it worked for this session.
    Broken,
}

impl Postmaster {
    pub(super) fn new(opening: Opening) -> Self {
        Self {
            opening,
            shared: Mutex::new(Shared {
                phase: Phase::Starting,
                backend: None,
                process: 0,
                owner: None,
                status: b'I',
                held: false,
                sessions: HashMap::new(),
                // Low numbers are the postmaster and its auxiliary processes.
                next: 40,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Lets sessions begin with this backend.
    pub(super) fn run_with(&self, backend: Backend) {
        let mut shared = self.lock();
        shared.process = backend.process();
        shared.backend = Some(backend);
        // One that was started again while the end began must not call the end off.
        if shared.phase == Phase::Starting {
            shared.phase = Phase::Running;
        }
        self.changed.notify_all();
    }

    /// Registers a connection. The result is its process number and its key for cancelling.
    pub(super) fn enter(&self, stream: UnixStream) -> (u32, u32) {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let mut shared = self.lock();
        let session = shared.next;
        shared.next += 1;
        let key = RandomState::new().build_hasher().finish() as u32;
        let entry = Session {
            key,
            stream,
            state: State::default(),
            cancelled: false,
        };
        shared.sessions.insert(session, entry);
        (session, key)
    }

    /// Ends a session: its transaction is rolled back and nothing of it stays in the backend.
    pub(super) fn leave(&self, session: u32) {
        let owns = self.lock().owner == Some(session);
        if owns {
            let kept = self
                .take(session)
                .ok()
                .and_then(|mut backend| clean(&mut backend).is_ok().then_some(backend));
            let mut shared = self.lock();
            shared.owner = None;
            shared.status = b'I';
            shared.held = false;
            let is_lost = kept.is_none() && shared.phase != Phase::Stopping;
            shared.backend = kept;
            drop(shared);
            if is_lost {
                // It died while its session had nothing to do. Nobody else would notice, and all would wait for it.
                self.restart();
            }
        }
        self.lock().sessions.remove(&session);
        self.changed.notify_all();
    }

    /// Waits for the backend. It holds this session's state when this returns, or, for a session that has not logged in yet, nobody's.
    fn take(&self, session: u32) -> Result<Backend, Refusal> {
        let until = Instant::now() + PATIENCE;
        let mut shared = self.lock();
        loop {
            let free = match shared.owner {
                None => true,
                Some(owner) => owner == session || (shared.status == b'I' && !shared.held),
            };
            if shared.phase == Phase::Stopping && shared.owner != Some(session) {
                return Err(Refusal::Stopping);
            }
            if free && let Some(mut backend) = shared.backend.take() {
                if shared.owner == Some(session) {
                    return Ok(backend);
                }
                let owner = shared.owner;
                let state = shared
                    .sessions
                    .get(&session)
                    .map(|s| s.state.clone())
                    .unwrap_or_default();
                drop(shared);
                let parked = match owner {
                    Some(owner) => self.park(&mut backend, owner),
                    None => Ok(true),
                };
                let ready = match parked {
                    Ok(true) => self.load(backend, &state).map(Some),
                    Ok(false) => {
                        shared = self.lock();
                        shared.backend = Some(backend);
                        shared.held = true;
                        continue;
                    }
                    Err(error) => Err(error),
                };
                shared = self.lock();
                shared.owner = Some(session);
                shared.status = b'I';
                shared.held = false;
                match ready {
                    Ok(Some(backend)) => {
                        shared.process = backend.process();
                        return Ok(backend);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        log(
                            1,
                            "LOG",
                            &format!("could not hand the backend over: {error}"),
                        );
                        shared.owner = None;
                        drop(shared);
                        self.restart();
                        return Err(Refusal::Broken);
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::Held);
            }
            shared = self.changed.wait_timeout(shared, left).unwrap().0;
        }
    }

    /// Notes what the owner has set and clears the backend of it; `false` if there is something that can't be carried over.
    fn park(&self, backend: &mut Backend, owner: u32) -> io::Result<bool> {
        let rows = wire::rows(&backend.send(&wire::query(STATE))?);
        let Ok([row]) = rows.as_deref() else {
            return Ok(false);
        };
        let [Some(kept), Some(user), Some(role), settings] = row.as_slice() else {
            return Ok(false);
        };
        if kept != "0" {
            return Ok(false);
        }
        let settings: HashMap<String, String> = settings
            .as_deref()
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        if let Some(session) = self.lock().sessions.get_mut(&owner) {
            session.state.user.clone_from(user);
            session.state.role.clone_from(role);
            session.state.settings = settings.into_iter().collect();
        }
        clean(backend)?;
        Ok(true)
    }

    /// Puts a session's state into a clean backend; another database needs another backend.
    fn load(&self, backend: Backend, state: &State) -> io::Result<Backend> {
        let mut backend = backend;
        if !state.database.is_empty() && state.database != backend.database {
            backend.close()?;
            backend = self.start(&state.database)?;
        }
        for sql in state.statements() {
            // A role that was dropped meanwhile, say: PostgreSQL would go on with the session, too.
            if let Err(report) = wire::rows(&backend.send(&wire::query(&sql))?) {
                log(1, "WARNING", &report.message);
            }
        }
        Ok(backend)
    }

    fn start(&self, database: &str) -> io::Result<Backend> {
        let opening = Opening {
            database: database.to_owned(),
            ..self.opening.clone()
        };
        Backend::start(&opening)
    }

    /// Looks a session's user and database up, as PostgreSQL does after authentication. The result is what the client is told.
    pub(super) fn log_in(
        &self,
        session: u32,
        settings: &[(String, String)],
    ) -> Result<Vec<u8>, Report> {
        let setting = |wanted: &str| {
            settings
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        let Some(user) = setting("user").filter(|user| !user.is_empty()) else {
            return Err(Report::fatal(
                "28000",
                "no PostgreSQL user name specified in startup packet",
            ));
        };
        let database = setting("database")
            .filter(|name| !name.is_empty())
            .unwrap_or(user);
        let mut backend = self
            .take(session)
            .map_err(|refusal| refusal.report("FATAL"))?;
        let checked = check(&mut backend, user, database);
        let mut state = State {
            database: database.to_owned(),
            user: user.to_owned(),
            role: "none".to_owned(),
            settings: Vec::new(),
        };
        for (name, value) in settings {
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "options" => state.settings.extend(options(value)),
                name if name.starts_with("_pq_.") => {}
                name => state.settings.push((name.to_owned(), value.clone())),
            }
        }
        let mut backend = Some(backend);
        let result = checked.and_then(|()| {
            self.load_checked(&mut backend, &state)?;
            let current = backend.as_mut().expect("it was loaded");
            let answer = current
                .send(&wire::query(REPORTED))
                .map_err(|error| broken(&error))?;
            wire::rows(&answer)
        });
        let Some(backend) = backend else {
            self.lock().owner = None;
            self.restart();
            return Err(result
                .err()
                .unwrap_or_else(|| Refusal::Broken.report("FATAL")));
        };
        let mut shared = self.lock();
        if result.is_ok()
            && let Some(session) = shared.sessions.get_mut(&session)
        {
            session.state = state;
        }
        shared.process = backend.process();
        shared.backend = Some(backend);
        drop(shared);
        self.changed.notify_all();
        let mut told = Vec::new();
        for row in result? {
            if let [Some(name), Some(value)] = row.as_slice() {
                told.extend(wire::parameter(name, value));
            }
        }
        Ok(told)
    }

    /// As [`Self::load`], but a setting that PostgreSQL refuses refuses the session. The backend is there afterwards in any case.
    fn load_checked(&self, backend: &mut Option<Backend>, state: &State) -> Result<(), Report> {
        let mut current = backend.take().expect("taken for this session");
        if state.database != current.database {
            let restarted = current.close().and_then(|()| self.start(&state.database));
            current = restarted.map_err(|error| broken(&error))?;
        }
        let current = backend.insert(current);
        for sql in state.statements() {
            let answer = current
                .send(&wire::query(&sql))
                .map_err(|error| broken(&error))?;
            wire::rows(&answer).map_err(|report| Report {
                severity: "FATAL".into(),
                position: None,
                ..report
            })?;
        }
        Ok(())
    }

    /// Runs messages for a session; the result is the backend's answer.
    pub(super) fn run(&self, session: u32, messages: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut backend = self.take(session)?;
        let before = {
            let mut shared = self.lock();
            if let Some(session) = shared.sessions.get_mut(&session) {
                session.cancelled = false;
            }
            shared.status
        };
        match backend.send(messages) {
            Ok(answer) => {
                let status = wire::messages(&answer)
                    .filter(|(kind, _)| *kind == b'Z')
                    .last();
                let mut shared = self.lock();
                // Without a Sync the batch goes on, and the backend with it.
                shared.status = status
                    .and_then(|(_, body)| body.first().copied())
                    .unwrap_or(b'B');
                shared.held = false;
                shared.backend = Some(backend);
                drop(shared);
                self.changed.notify_all();
                Ok(answer)
            }
            Err(error) => {
                let process = backend.process();
                drop(backend);
                let mut shared = self.lock();
                let cancelled = shared.sessions.get(&session).is_some_and(|s| s.cancelled);
                if shared.phase == Phase::Stopping {
                    return Err(Refusal::Stopping);
                }
                shared.owner = None;
                drop(shared);
                if !cancelled {
                    log(
                        1,
                        "LOG",
                        &format!("server process (PID {process}) was terminated: {error}"),
                    );
                    log(1, "LOG", "all server processes terminated; reinitializing");
                }
                self.restart();
                if !cancelled {
                    return Err(Refusal::Broken);
                }
                Ok(self.cancelled(session, before))
            }
        }
    }

    /// The answer to a statement whose backend was killed: the error, and the failed transaction in which the session is if it was in one.
    fn cancelled(&self, session: u32, before: u8) -> Vec<u8> {
        let mut status = b'I';
        if before != b'I'
            && let Ok(mut backend) = self.take(session)
        {
            let failed = backend
                .send(&wire::query("BEGIN"))
                .and_then(|_| backend.send(&wire::query("SELECT 1/0")));
            if failed.is_ok() {
                status = b'E';
            }
            let mut shared = self.lock();
            shared.backend = Some(backend);
            shared.status = status;
        }
        self.changed.notify_all();
        let error = Report::new("ERROR", "57014", "canceling statement due to user request");
        let mut answer = error.encode();
        answer.extend(wire::ready(status));
        answer
    }

    /// Starts the backend again after it was lost; PostgreSQL recovers from its log.
    fn restart(&self) {
        match self.start(&self.opening.database) {
            Ok(backend) => self.run_with(backend),
            Err(error) => {
                log(1, "PANIC", &format!("could not start again: {error}"));
                // As a postmaster does: the container ends and is started again.
                std::process::exit(1);
            }
        }
    }

    /// Interrupts what a session is doing, if the key is right.
    pub(super) fn cancel(&self, session: u32, key: u32) {
        let until = Instant::now() + CANCEL_PATIENCE;
        let mut shared = self.lock();
        let works = |shared: &Shared| shared.backend.is_none() && shared.owner == Some(session);
        match shared.sessions.get_mut(&session) {
            Some(known) if known.key == key => known.cancelled = true,
            _ => return,
        }
        while works(&shared) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                kill(shared.process);
                return;
            }
            shared = self.changed.wait_timeout(shared, left).unwrap().0;
        }
    }

    /// Refuses new sessions; with `now`, also ends those there are. Returns when the last one has left.
    pub(super) fn end_sessions(&self, now: bool) {
        let mut shared = self.lock();
        shared.phase = Phase::Stopping;
        if now {
            let goodbye = Report::fatal(
                "57P01",
                "terminating connection due to administrator command",
            )
            .encode();
            for session in shared.sessions.values_mut() {
                let _ = io::Write::write_all(&mut session.stream, &goodbye);
                let _ = session.stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
        let until = Instant::now() + SHUTDOWN_PATIENCE;
        while !shared.sessions.is_empty() {
            if now && Instant::now() >= until {
                // A statement that goes on: its backend is killed, and the next start recovers.
                kill(shared.process);
                return;
            }
            shared = self
                .changed
                .wait_timeout(shared, Duration::from_millis(100))
                .unwrap()
                .0;
        }
    }

    /// Shuts PostgreSQL down in order. To be called when no session is left. A backend that had to be killed is started once more: what it was doing is
    /// undone now, and the next start finds everything in order.
    pub(super) fn close(&self) -> io::Result<()> {
        let backend = self.lock().backend.take();
        let backend = backend.map_or_else(|| self.start(&self.opening.database), Ok)?;
        backend.close()
    }

    /// Kills the backend: an immediate shutdown.
    pub(super) fn kill(&self) {
        let mut shared = self.lock();
        shared.phase = Phase::Stopping;
        kill(shared.process);
    }
}

impl State {
    /// What puts this state into a clean backend.
    fn statements(&self) -> Vec<String> {
        let mut statements = Vec::new();
        if !self.user.is_empty() {
            statements.push(format!(
                "SET SESSION AUTHORIZATION {}",
                identifier(&self.user)
            ));
        }
        if !self.settings.is_empty() {
            let calls: Vec<_> = self
                .settings
                .iter()
                .map(|(name, value)| {
                    format!("set_config({}, {}, false)", literal(name), literal(value))
                })
                .collect();
            statements.push(format!("SELECT {}", calls.join(", ")));
        }
        if !self.role.is_empty() && self.role != "none" {
            statements.push(format!("SET ROLE {}", identifier(&self.role)));
        }
        statements
    }
}

impl Refusal {
    /// What the client is told.
    pub(super) fn report(&self, severity: &str) -> Report {
        match self {
            Self::Held => Report {
                detail: Some(
                    "This PostgreSQL works for one session at a time, and another session has a transaction open \
                     (or a temporary table, a prepared statement, a cursor, LISTEN or an advisory lock)."
                        .to_owned(),
                ),
                hint: Some("Finish the transaction in the other session (COMMIT or ROLLBACK), then try again.".to_owned()),
                ..Report::new(severity, "53300", "sorry, too many clients already")
            },
            Self::Stopping => Report::fatal("57P03", "the database system is shutting down"),
            Self::Broken => Report::fatal("57P02", "the server process for this session has ended unexpectedly"),
        }
    }
}

/// Leaves nothing of a session in the backend.
fn clean(backend: &mut Backend) -> io::Result<()> {
    backend.send(&wire::query("ROLLBACK"))?;
    backend.send(&wire::query("DISCARD ALL"))?;
    Ok(())
}

/// Refuses as PostgreSQL does when it starts a session.
fn check(backend: &mut Backend, user: &str, database: &str) -> Result<(), Report> {
    let (user_text, database_text) = (literal(user), literal(database));
    let sql = format!(
        "SELECT r.rolname, r.rolcanlogin, d.datname, d.datallowconn, has_database_privilege(r.oid, d.oid, 'CONNECT') \
         FROM (VALUES (1)) AS one LEFT JOIN pg_roles r ON r.rolname = {user_text} LEFT JOIN pg_database d ON d.datname = {database_text}"
    );
    let answer = backend
        .send(&wire::query(&sql))
        .map_err(|error| broken(&error))?;
    let rows = wire::rows(&answer)?;
    let yes = |at: usize| rows[0][at].as_deref() == Some("t");
    let there = |at: usize| rows[0][at].is_some();
    if !there(0) {
        return Err(Report::fatal(
            "28000",
            format!("role \"{user}\" does not exist"),
        ));
    }
    if !yes(1) {
        return Err(Report::fatal(
            "28000",
            format!("role \"{user}\" is not permitted to log in"),
        ));
    }
    if !there(2) {
        return Err(Report::fatal(
            "3D000",
            format!("database \"{database}\" does not exist"),
        ));
    }
    if !yes(3) {
        let text = format!("database \"{database}\" is not currently accepting connections");
        return Err(Report::fatal("55000", text));
    }
    if !yes(4) {
        return Err(Report {
            detail: Some("User does not have CONNECT privilege.".to_owned()),
            ..Report::fatal(
                "42501",
                format!("permission denied for database \"{database}\""),
            )
        });
    }
    Ok(())
}

fn broken(error: &io::Error) -> Report {
    Report::fatal("57P02", format!("the backend has ended: {error}"))
}

/// `-c name=value` and `--name=value` in a client's options.
fn options(text: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("-c") {
            Some("") => words.next().unwrap_or_default(),
            Some(pair) => pair,
            None => word.strip_prefix("--").unwrap_or_default(),
        };
        if let Some((name, value)) = pair.split_once('=') {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

fn kill(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_settings() {
        let settings = options("-c search_path=a -cwork_mem=1MB --statement-timeout=5s junk");
        let names: Vec<_> = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            names,
            ["search_path=a", "work_mem=1MB", "statement_timeout=5s"]
        );
    }

    #[test]
    fn a_state_is_quoted_into_statements() {
        let state = State {
            database: "x".into(),
            user: "a\"b".into(),
            role: "none".into(),
            settings: vec![("application_name".into(), "it's".into())],
        };
        assert_eq!(
            state.statements(),
            [
                "SET SESSION AUTHORIZATION \"a\"\"b\"",
                "SELECT set_config('application_name', 'it''s', false)"
            ]
        );
    }
}
