//! The way to a Kubernetes API, or to a recording of one. Hands on changes through one channel;
//! knows the API only, never what is shown of it.

mod act;
mod answers;
mod bodies;
mod change;
mod exec;
mod fault;
mod info;
mod kind;
mod link;
mod look;
mod order;
mod raw;
mod recording;
mod source;
mod tape;
mod target;
mod terminal;
mod watch;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use act::check_name;
pub use act::{Action, Actor, Deleted, Done, Place, Reason, Refusal, Scaled, Scope};
pub use change::{Change, Changes, Hindrance, Inside, InsideFault, What};
pub use fault::{Cause, Fault};
pub use info::{Acting, SourceInfo, SourceKind, Why};
pub use kind::{Kind, Object};
pub use link::{KindState, Link, LinkState};
pub use look::Look;
pub use order::in_order;
pub use recording::{Malformed, Recording};
pub use source::Source;
pub use tape::{Lines, NotWritten, Tape, TapeFile, TooSlow};
pub use target::{Reached, Target};
pub use terminal::{Ended, Program, Terminal, Typed, Wanted, Why as EndedWhy};

/// Milliseconds since the epoch on this machine's clock.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is not past the year 292 million")
}
