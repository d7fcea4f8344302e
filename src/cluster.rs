//! The way to a Kubernetes API, or to a recording of one. Hands on changes through one channel;
//! knows the API only, never what is shown of it.

mod change;
mod fault;
mod link;
mod recording;
mod source;
mod watch;

use std::time::{SystemTime, UNIX_EPOCH};

pub use change::{Change, Inside, Kind, Object, What};
pub use fault::{Cause, Fault};
pub use link::{KindState, Link, LinkState};
pub use recording::{Malformed, Recording};
pub use source::{Reached, Source, SourceInfo, SourceKind, Target};
pub use watch::Changes;

/// Milliseconds since the epoch on this machine's clock.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is not past the year 292 million")
}
