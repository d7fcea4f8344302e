//! The run since the start of the program, in memory and bounded: what is too long ago becomes part of how things
//! stood when it begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::{Inside, Note, Reduced, Scribe, TapedLink, head};
use crate::cluster::change::Change;
use crate::cluster::kind::Kind;

/// Bytes of what happened that are kept at most; a class hour makes a few.
const MAX_BYTES: usize = 24 << 20;

/// A cheap handle on the one tape of the process.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Mutex<Reel>>);

#[derive(Debug)]
struct Reel {
    scribe: Scribe,
    base: Base,
    notes: VecDeque<(i64, Note)>,
    bytes: usize,
    most: usize,
}

/// How things stood when the tape begins.
#[derive(Debug, Default)]
struct Base {
    ms: i64,
    objects: BTreeMap<(Kind, String), Reduced>,
    /// By key and whether it failed, as the board keeps them.
    insides: BTreeMap<(String, bool), Inside>,
    listed: BTreeSet<Kind>,
    link: Option<TapedLink>,
}

impl Tape {
    /// An empty tape.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self::bounded(namespace.into(), MAX_BYTES)
    }

    pub(super) fn bounded(namespace: String, most: usize) -> Self {
        Self(Arc::new(Mutex::new(Reel {
            scribe: Scribe::new(None, namespace),
            base: Base::default(),
            notes: VecDeque::new(),
            bytes: 0,
            most,
        })))
    }

    /// Writes a change down.
    pub fn note(&self, change: &Change) {
        self.0.lock().unwrap().note(change);
    }

    /// The run so far, as [`Recording`](crate::cluster::Recording) reads it.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().text()
    }
}

impl Reel {
    fn note(&mut self, change: &Change) {
        let notes = self.scribe.note(change);
        // A recording that plays again is another run.
        if matches!(change.what, crate::cluster::What::Restarted) {
            self.base = Base::default();
            self.notes.clear();
            self.bytes = 0;
        }
        let ms = self.scribe.ms;
        for note in notes {
            self.bytes += note.bytes();
            self.notes.push_back((ms, note));
        }
        // What comes before the beginning is how things stood.
        while !self.notes.is_empty() && (!self.scribe.begun || self.bytes > self.most) {
            self.fold();
        }
        while let Some((_, Note::Begin(_))) = self.notes.front() {
            self.fold();
        }
    }

    /// Makes the oldest note a part of how things stood.
    fn fold(&mut self) {
        let Some((ms, note)) = self.notes.pop_front() else {
            return;
        };
        self.bytes -= note.bytes();
        self.base.ms = ms;
        self.base.take(note);
    }

    fn text(&self) -> String {
        let Self { scribe, base, .. } = self;
        let mut lines = vec![head(scribe.zero.unwrap_or_default(), &scribe.namespace)];
        for ((kind, uid), object) in &base.objects {
            let note = Note::Put {
                kind: *kind,
                uid: uid.clone(),
                new: true,
                object: Arc::clone(object),
            };
            lines.push(note.line(base.ms));
        }
        let insides = base.insides.values().cloned().map(Note::Inside);
        lines.extend(insides.map(|note| note.line(base.ms)));
        if scribe.begun {
            lines.push(Note::Begin(base.listed.clone()).line(base.ms));
            let link = base.link.clone().map(Note::Link);
            lines.extend(link.map(|note| note.line(base.ms)));
        }
        lines.extend(self.notes.iter().map(|(ms, note)| note.line(*ms)));
        lines.push(String::new());
        lines.join("\n")
    }
}

impl Base {
    fn take(&mut self, note: Note) {
        match note {
            Note::Put {
                kind, uid, object, ..
            } => {
                self.objects.insert((kind, uid), object);
            }
            Note::Gone { kind, uid, object } => {
                self.objects.remove(&(kind, uid));
                self.lose(kind, &object);
            }
            Note::List { kind, items } => {
                let objects = std::mem::take(&mut self.objects).into_iter();
                let (old, mut rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    objects.partition(|((of, _), _)| *of == kind);
                let there: BTreeSet<&str> = items.iter().map(|(uid, _)| uid.as_str()).collect();
                for ((_, uid), object) in old {
                    if !there.contains(uid.as_str()) {
                        self.lose(kind, &object);
                    }
                }
                rest.extend(items.into_iter().map(|(uid, it)| ((kind, uid), it)));
                self.objects = rest;
                self.listed.insert(kind);
            }
            Note::Unseen(kind) => {
                self.objects.retain(|(of, _), _| *of != kind);
                self.listed.remove(&kind);
            }
            Note::Link(link) => self.link = Some(link),
            Note::Inside(inside) => {
                let failed = inside.fault.is_some();
                if !failed {
                    self.insides.remove(&(inside.key.clone(), true));
                }
                self.insides.insert((inside.key.clone(), failed), inside);
            }
            Note::Begin(listed) => self.listed = listed,
            Note::Said(_) => {}
        }
    }

    /// What was seen in a volume goes with it.
    fn lose(&mut self, kind: Kind, object: &str) {
        if kind != Kind::PersistentVolume {
            return;
        }
        let object: serde_json::Value = serde_json::from_str(object).unwrap_or_default();
        if let Some(claim) = object
            .pointer("/spec/claimRef/name")
            .and_then(serde_json::Value::as_str)
        {
            self.insides.retain(|(key, _), _| key != claim);
        }
    }
}

impl Note {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        const REST: usize = 64;
        REST + match self {
            Self::Put { object, .. } | Self::Gone { object, .. } => object.len(),
            Self::List { items, .. } => items.iter().map(|(_, object)| object.len()).sum(),
            Self::Said(text) => text.len(),
            Self::Inside(inside) => inside.rows.iter().flatten().map(String::len).sum(),
            Self::Unseen(_) | Self::Link(_) | Self::Begin(_) => 0,
        }
    }
}
