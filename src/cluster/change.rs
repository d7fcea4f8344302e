//! What a source says happened. The only thing that leaves `cluster`.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::info::SourceInfo;
use super::kind::{Kind, Object};
use super::link::Link;

/// Where changes go.
pub type Changes = mpsc::Sender<Change>;

/// One thing a source says, with the time on the cluster's clock.
#[derive(Debug)]
pub struct Change {
    /// Milliseconds since the epoch; for a recording, when it was recorded.
    pub at: i64,
    /// What happened.
    pub what: What,
}

/// The kinds of change.
#[derive(Debug)]
pub enum What {
    /// A list of this kind begins; nothing is forgotten until it ends.
    ListBegins(Kind),
    /// An object of the list.
    Item(Object),
    /// The list is whole: what is not in it is gone.
    ListEnds(Kind),
    /// This kind may not be seen any more; nothing is said of what became of it.
    Unseen(Kind),
    /// An object was added or modified.
    Applied(Object),
    /// An object was deleted; this is its last state.
    Deleted(Object),
    /// The connection to the cluster changed.
    Link(Link),
    /// Which cluster this is became known, or changed.
    Source(SourceInfo),
    /// What the person at the terminal did (recordings only).
    Said(String),
    /// What a look into a volume showed.
    Inside(Inside),
    /// A recording begins again from an empty cluster.
    Restarted,
}

/// The rows that a query in a Pod found, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Name of the PersistentVolumeClaim that the Pod has mounted.
    pub claim: String,
    /// The query that was asked.
    pub query: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

impl Inside {
    /// What tells one volume's looks from another's.
    pub fn key(&self) -> &str {
        &self.claim
    }
}
