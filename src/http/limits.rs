//! How many connections there may be, and how long each may wait for its client.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections of one server at most, whatever the system would let us have: a class has a few each.
const MOST: u64 = 2048;
/// Connections of one server at least; a page takes up to six.
const LEAST: u64 = 16;
/// Each server takes this part of the file descriptors; the rest is for the store and for containers.
const SHARE: u64 = 4;
/// What macOS lets a process open when it says that there is no limit.
const UNLIMITED: u64 = 10_240;

/// The limits of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// How long a client may take for the head of a request, the time before its first byte included.
    pub head: Duration,
    /// How long it may take for the body.
    pub body: Duration,
    /// How long it may take to read what is ready to be sent.
    pub unread: Duration,
    /// The same for an answer that is [`Lasting`](crate::Lasting).
    pub unread_lasting: Duration,
    /// Bytes of bodies that were received and are not done with, of all connections together.
    pub bodies: usize,
}

impl Limits {
    /// Raises the number of files that this process may open as far as it may, and gives one server its share of it.
    pub fn of_this_process() -> Self {
        let connections = (open_files() / SHARE).clamp(LEAST, MOST);
        Self {
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            unread: Duration::from_secs(60),
            // `kubectl logs | less` is read as slowly as a person reads.
            unread_lasting: Duration::from_secs(600),
            bodies: 128 << 20,
        }
    }

    /// Connections beyond the limit that may be on their way out.
    pub(crate) fn leaving(&self) -> usize {
        self.connections / 8 + 4
    }

    /// Connections that may be upgraded: those never give way.
    pub(crate) fn upgraded(&self) -> usize {
        self.connections / 2
    }

    /// Answers that last; beyond that the longest gives way to a new one.
    pub(crate) fn lasting(&self) -> usize {
        self.connections - self.connections / 4
    }
}

/// The files that this process may open, after as much as is allowed was asked for.
fn open_files() -> u64 {
    let now = getrlimit(Resource::Nofile);
    for wanted in [
        now.maximum,
        Some(now.maximum.unwrap_or(u64::MAX).min(UNLIMITED)),
    ] {
        let is_more = match (now.current, wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(current), Some(wanted)) => wanted > current,
        };
        let raised = Rlimit {
            current: wanted,
            maximum: now.maximum,
        };
        // A system that does not give all of it may give what is usual.
        if is_more && setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
