//! Writes a run down as lines that [`Recording`](super::Recording) reads: into a file, or into memory for a page
//! that wants to take it away. Objects are cut down to the few fields that are shown; nothing else is ever kept.

mod file;
mod memory;
mod reduce;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use file::{NotWritten, TapeFile};
pub use memory::{Lines, Tape, TooSlow};
pub(super) use reduce::shown;

use super::change::{Change, Hindrance, Inside, What};
use super::fault::{Cause, Fault};
use super::kind::{Kind, Object};
use super::link::{KindState, Link, LinkState};

/// What a recording says of the connection: enough to show it, nothing of where the cluster is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct TapedLink {
    state: LinkState,
    since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    kinds: BTreeMap<Kind, KindState>,
}

impl TapedLink {
    fn new(link: &Link, zero: i64) -> Self {
        Self {
            state: link.state,
            since: link.since - zero,
            // The words of a fault hold addresses, and that of an embedded cluster is its key.
            cause: link.fault.as_ref().map(|fault| fault.cause),
            kinds: link.kinds.clone(),
        }
    }

    /// The connection again, in a recording that began at `zero`.
    pub(super) fn link(&self, zero: i64) -> Link {
        Link {
            state: self.state,
            since: zero + self.since,
            fault: self.cause.map(|cause| Fault::new(cause, "")),
            kinds: self.kinds.clone(),
        }
    }
}

/// An object as it is written down.
type Reduced = Arc<str>;

/// One thing to be written down.
#[derive(Clone, Debug)]
enum Note {
    Put {
        kind: Kind,
        uid: String,
        new: bool,
        object: Reduced,
    },
    Gone {
        kind: Kind,
        uid: String,
        object: Reduced,
    },
    /// A list that closed a gap, whole.
    List {
        kind: Kind,
        items: Vec<(String, Reduced)>,
    },
    Unseen(Kind),
    Link(TapedLink),
    Said(String),
    Inside(Inside),
    /// What comes before was there before; these kinds could be seen.
    Begin(BTreeSet<Kind>),
}

impl Note {
    /// The line, `ms` after the start.
    fn line(&self, ms: i64) -> String {
        match self {
            Self::Put {
                kind, new, object, ..
            } => {
                let event = if *new { "ADDED" } else { "MODIFIED" };
                format!(
                    "{{\"ms\":{ms},\"kind\":\"{kind}\",\"type\":\"{event}\",\"object\":{object}}}"
                )
            }
            Self::Gone { kind, object, .. } => {
                format!(
                    "{{\"ms\":{ms},\"kind\":\"{kind}\",\"type\":\"DELETED\",\"object\":{object}}}"
                )
            }
            Self::List { kind, items } => {
                let items: Vec<&str> = items.iter().map(|(_, object)| object.as_ref()).collect();
                format!(
                    "{{\"ms\":{ms},\"kind\":\"{kind}\",\"list\":[{}]}}",
                    items.join(",")
                )
            }
            Self::Unseen(kind) => format!("{{\"ms\":{ms},\"unseen\":\"{kind}\"}}"),
            Self::Link(link) => format!("{{\"ms\":{ms},\"link\":{}}}", json(link)),
            Self::Said(text) => format!("{{\"ms\":{ms},\"say\":{}}}", json(text)),
            Self::Inside(inside) => format!("{{\"ms\":{ms},\"inside\":{}}}", json(inside)),
            Self::Begin(kinds) => format!("{{\"ms\":{ms},\"begin\":{}}}", json(kinds)),
        }
    }
}

/// A look without the words that may hold an address: those of the API and of the way to it.
fn discreet(inside: &Inside) -> Inside {
    let mut inside = inside.clone();
    if let Some(fault) = &mut inside.fault
        && !matches!(fault.cause, Hindrance::NoTable | Hindrance::NoDatabase)
    {
        fault.detail.clear();
    }
    inside
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what is written down is plain data")
}

/// The first line: when zero was, and what was shown.
fn head(zero: i64, namespace: &str) -> String {
    let namespace = json(&namespace);
    format!("{{\"ms\":0,\"version\":1,\"recorded\":{zero},\"namespace\":{namespace}}}")
}

/// Turns changes into notes: leaves out what changes nothing that is shown.
#[derive(Debug)]
struct Scribe {
    /// When `ms` is zero; with the first change, if it is not known before.
    zero: Option<i64>,
    ms: i64,
    namespace: String,
    known: HashMap<(Kind, String), Reduced>,
    staging: HashMap<Kind, Vec<(String, Reduced)>>,
    listed: BTreeSet<Kind>,
    begun: bool,
}

impl Scribe {
    fn new(zero: Option<i64>, namespace: String) -> Self {
        Self {
            zero,
            ms: 0,
            namespace,
            known: HashMap::new(),
            staging: HashMap::new(),
            listed: BTreeSet::new(),
            begun: false,
        }
    }

    /// What is to be written down of a change. The time of all of it is `ms`.
    fn note(&mut self, change: &Change) -> Vec<Note> {
        // A clock that is set back must not turn the order of the lines around.
        let zero = *self.zero.get_or_insert(change.at);
        self.ms = self.ms.max(change.at - zero);
        match &change.what {
            What::ListBegins(kind) => {
                self.staging.insert(*kind, Vec::new());
                Vec::new()
            }
            What::Item(object) => {
                let kind = object.kind();
                let (uid, reduced) = reduce::reduce(object);
                if !self.is_foreign(object)
                    && let Some(items) = self.staging.get_mut(&kind)
                {
                    items.push((uid, reduced));
                }
                Vec::new()
            }
            What::ListEnds(kind) => self.settle(*kind),
            What::Unseen(kind) => {
                self.staging.remove(kind);
                self.listed.remove(kind);
                self.known.retain(|(known, _), _| known != kind);
                vec![Note::Unseen(*kind)]
            }
            What::Applied(object) => self.put(object).into_iter().collect(),
            What::Deleted(object) => {
                let kind = object.kind();
                let (uid, object) = reduce::reduce(object);
                let known = self.known.remove(&(kind, uid.clone()));
                let gone = known.map(|_| Note::Gone { kind, uid, object });
                gone.into_iter().collect()
            }
            What::Link(link) => self.link(link),
            What::Source(source) => {
                self.namespace.clone_from(&source.namespace);
                Vec::new()
            }
            What::Said(text) => vec![Note::Said(text.clone())],
            What::Inside(inside) => vec![Note::Inside(discreet(inside))],
            What::Restarted => {
                *self = Self::new(Some(change.at), std::mem::take(&mut self.namespace));
                Vec::new()
            }
        }
    }

    fn put(&mut self, object: &Object) -> Option<Note> {
        let kind = object.kind();
        let (uid, reduced) = reduce::reduce(object);
        let key = (kind, uid.clone());
        let known = self.known.get(&key);
        let new = known.is_none();
        if self.is_foreign(object) {
            // One that was ours is written down once more, so that it is seen to go.
            self.known.remove(&key)?;
        } else if known == Some(&reduced) {
            return None;
        } else {
            self.known.insert(key, Arc::clone(&reduced));
        }
        Some(Note::Put {
            kind,
            uid,
            new,
            object: reduced,
        })
    }

    /// A list is whole. The first is how things stand; a later one that says nothing new is left out.
    fn settle(&mut self, kind: Kind) -> Vec<Note> {
        let Some(items) = self.staging.remove(&kind) else {
            return Vec::new();
        };
        let before = self.known.keys().filter(|(of, _)| *of == kind).count();
        let same = before == items.len()
            && items
                .iter()
                .all(|(uid, object)| self.known.get(&(kind, uid.clone())) == Some(object));
        let there: HashSet<&str> = items.iter().map(|(uid, _)| uid.as_str()).collect();
        let mut notes = Vec::new();
        for ((_, uid), object) in self.known.extract_if(|(of, _), _| *of == kind) {
            if !there.contains(uid.as_str()) {
                notes.push(Note::Gone { kind, uid, object });
            }
        }
        let items_known = items
            .iter()
            .map(|(uid, object)| ((kind, uid.clone()), Arc::clone(object)));
        self.known.extend(items_known);
        let first = self.listed.insert(kind);
        if self.begun {
            return if same && !first {
                Vec::new()
            } else {
                vec![Note::List { kind, items }]
            };
        }
        notes.extend(items.into_iter().map(|(uid, object)| Note::Put {
            kind,
            uid,
            new: true,
            object,
        }));
        notes
    }

    /// A recording begins once the cluster is there.
    fn link(&mut self, link: &Link) -> Vec<Note> {
        let note = Note::Link(TapedLink::new(link, self.zero.unwrap_or(link.since)));
        if self.begun {
            return vec![note];
        }
        if link.state != LinkState::Live {
            return Vec::new();
        }
        self.begun = true;
        vec![Note::Begin(self.listed.clone()), note]
    }

    /// Whether a volume belongs to a claim of a namespace that is not shown.
    fn is_foreign(&self, object: &Object) -> bool {
        let Object::PersistentVolume(volume) = object else {
            return false;
        };
        let claim = volume
            .spec
            .as_ref()
            .and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_deref() != Some(&self.namespace))
    }
}

#[cfg(test)]
mod tests;
