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

/// What a look into a Pod found: the rows, as text, or what stood in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Written")]
pub struct Inside {
    /// What the rows are known by: the claim, or the workload of a Pod that has none.
    pub key: String,
    /// Name of the PersistentVolumeClaim that the Pod has mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The Pod that was asked; empty if nobody knows any more.
    pub pod: String,
    /// Its uid.
    pub pod_uid: String,
    /// The query that was asked.
    pub query: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
    /// Whether there are more rows than these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Why there are no rows; those that were seen before are still the last that are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<InsideFault>,
}

/// What stood in the way of a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsideFault {
    /// The sort of trouble.
    pub cause: Hindrance,
    /// In the words of psql or of the API.
    pub detail: String,
}

/// Sorts of trouble that a look can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hindrance {
    /// There is no Pod to ask in.
    NoPod,
    /// The Pod, or the database in it, is not ready.
    NotReady,
    /// There is no such database.
    NoDatabase,
    /// There is no such table.
    NoTable,
    /// The cluster does not let us in.
    Refused,
    /// Anything else.
    Other,
}

impl InsideFault {
    /// A fault with its words.
    pub fn new(cause: Hindrance, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }
}

/// A look as recordings hold it; those made before there were keys have a claim only.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    key: Option<String>,
    claim: Option<String>,
    #[serde(default)]
    pod: String,
    #[serde(default)]
    pod_uid: String,
    query: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    #[serde(default)]
    more: bool,
    fault: Option<InsideFault>,
}

impl From<Written> for Inside {
    fn from(it: Written) -> Self {
        Self {
            key: it
                .key
                .or_else(|| it.claim.clone())
                .unwrap_or_else(|| it.pod.clone()),
            claim: it.claim,
            pod: it.pod,
            pod_uid: it.pod_uid,
            query: it.query,
            columns: it.columns,
            rows: it.rows,
            more: it.more,
            fault: it.fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn old_and_new_looks_are_read() {
        let old = json!({"claim": "c", "query": "q", "columns": ["a"], "rows": [["1"]]});
        let inside: Inside = from_value(old).expect("the old form");
        assert_eq!((inside.key.as_str(), inside.pod.as_str()), ("c", ""));
        let new = json!({
            "key": "lane-emptydir", "pod": "p", "podUid": "u", "query": "q", "columns": [], "rows": [],
            "fault": {"cause": "no-table", "detail": "relation"},
        });
        let inside: Inside = from_value(new.clone()).expect("the new form");
        assert_eq!(
            inside.fault.as_ref().map(|it| it.cause),
            Some(Hindrance::NoTable)
        );
        assert_eq!(to_value(&inside).expect("JSON"), new);
    }
}
