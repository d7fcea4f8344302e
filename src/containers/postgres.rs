//! PostgreSQL in a container: what the official image's entry point and the postmaster do, around PostgreSQL's own core.
//!
//! # What is PostgreSQL's and what is ours
//! PostgreSQL's own: the executor, storage, write-ahead log, recovery, catalogs, every error text of a statement, and psql. Ours: the entry point (environment
//! variables of the official image), the listening socket, start-up of a session (role and database are looked up in the catalogs, the refusals are worded
//! as PostgreSQL words them), the log's lines about starting and stopping, and `pg_isready`.
//!
//! # One backend
//! The core is PostgreSQL's single-user mode, so one backend process serves one statement at a time ([`backend`]). The postmaster ([`postmaster`]) hands it from
//! session to session between transactions: settings, role and database travel along; what can't travel (an open transaction, a temporary table, a prepared
//! statement, a held cursor, `LISTEN`, an advisory lock) keeps the backend, and another session is told so after [`postmaster::PATIENCE`]. `pg_isready` never
//! needs the backend, so a readiness probe is answered whatever a person does in psql.
//!
//! A statement can't be interrupted from outside, so to cancel one the backend is killed and started again: PostgreSQL's crash recovery gives back
//! everything committed, the interrupted transaction is gone, as it would be.
//!
//! # Data
//! `$PGDATA` (default `/var/lib/postgresql/18/docker`) is a folder of the container, wherever that is mounted, and PostgreSQL's files lie in it as anywhere
//! else ([`datadir`]). The folder itself is locked against a second owner.

mod backend;
mod control;
mod datadir;
mod entrypoint;
mod isready;
mod postmaster;
mod psql;
mod session;
mod shutdown;
mod stage;
mod wasi;
mod wire;

pub(super) use backend::main as backend_main;
pub(super) use entrypoint::run as entrypoint;
pub(super) use isready::run as pg_isready;
pub(super) use psql::run as psql;

/// Writes a line as PostgreSQL's log has it, to standard error.
fn log(process: u32, severity: &str, text: &str) {
    let now = jiff::Timestamp::now();
    let stamp = now.strftime("%Y-%m-%d %H:%M:%S%.3f UTC");
    // Continuation lines begin with a tab.
    eprintln!(
        "{stamp} [{process}] {severity}:  {}",
        text.replace('\n', "\n\t")
    );
}

/// A name as an SQL identifier.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as an SQL literal.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    if escaped.contains('\\') {
        format!(" E'{escaped}'")
    } else {
        format!("'{escaped}'")
    }
}
