//! The run since the start of the program, in memory and bounded: what is too long ago becomes part of how things
//! stood when it begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::{Inside, Note, Reduced, Scribe, TapedLink, head};
use crate::cluster::change::Change;
use crate::cluster::kind::Kind;

/// Bytes of what happened that are kept at most; a class hour makes a few.
const MAX_BYTES: usize = 24 << 20;

/// Looks that are kept of how things stood.
const MAX_INSIDES: usize = 256;

/// A cheap handle on the one tape of the process.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Mutex<Reel>>);

#[derive(Debug)]
struct Reel {
    scribe: Scribe,
    base: Base,
    notes: VecDeque<(i64, Arc<Note>)>,
    /// How many notes have become a part of the base.
    folded: u64,
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
            folded: 0,
            bytes: 0,
            most,
        })))
    }

    /// Writes a change down.
    pub fn note(&self, change: &Change) {
        self.0.lock().unwrap().note(change);
    }

    /// The run so far, as [`Recording`](crate::cluster::Recording) reads it. The lines are made as they are taken and
    /// share what the tape holds.
    pub fn lines(&self) -> Lines {
        self.0.lock().unwrap().lines(self)
    }
}

/// The lines of a run up to the moment in which they were asked for.
#[derive(Debug)]
pub struct Lines {
    tape: Tape,
    /// How things stood when the tape began.
    before: std::vec::IntoIter<(i64, Arc<Note>)>,
    head: Option<String>,
    /// Numbers of the notes that are still to come.
    rest: std::ops::Range<u64>,
}

/// The tape went on meanwhile and has forgotten lines that were not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recording was read too slowly: its beginning is forgotten")]
pub struct TooSlow;

impl Iterator for Lines {
    type Item = Result<String, TooSlow>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head));
        }
        let (ms, note) = match self.before.next() {
            Some(before) => before,
            None => {
                let number = self.rest.next()?;
                let note = self.tape.0.lock().unwrap().number(number);
                match note {
                    Some(note) => note,
                    None => {
                        self.rest.start = self.rest.end;
                        return Some(Err(TooSlow));
                    }
                }
            }
        };
        Some(Ok(note.line(ms) + "\n"))
    }
}

impl Reel {
    fn note(&mut self, change: &Change) {
        let notes = self.scribe.note(change);
        // A recording that plays again is another run.
        if matches!(change.what, crate::cluster::What::Restarted) {
            self.base = Base::default();
            self.folded += self.notes.len() as u64;
            self.notes.clear();
            self.bytes = 0;
        }
        let ms = self.scribe.ms;
        for note in notes {
            self.bytes += note.bytes();
            self.notes.push_back((ms, Arc::new(note)));
        }
        // What comes before the beginning is how things stood.
        while !self.notes.is_empty() && (!self.scribe.begun || self.bytes > self.most) {
            self.fold();
        }
        while matches!(self.notes.front(), Some((_, note)) if matches!(**note, Note::Begin(_))) {
            self.fold();
        }
    }

    /// Makes the oldest note a part of how things stood.
    fn fold(&mut self) {
        let Some((ms, note)) = self.notes.pop_front() else {
            return;
        };
        self.bytes -= note.bytes();
        self.folded += 1;
        self.base.ms = ms;
        self.base.take(Arc::unwrap_or_clone(note));
    }

    /// The note of this number, unless it is forgotten.
    fn number(&self, number: u64) -> Option<(i64, Arc<Note>)> {
        let at = usize::try_from(number.checked_sub(self.folded)?).ok()?;
        self.notes.get(at).cloned()
    }

    fn lines(&self, tape: &Tape) -> Lines {
        let Self { scribe, base, .. } = self;
        let mut before = Vec::new();
        for ((kind, uid), object) in &base.objects {
            before.push(Note::Put {
                kind: *kind,
                uid: uid.clone(),
                new: true,
                object: Arc::clone(object),
            });
        }
        before.extend(base.insides.values().cloned().map(Note::Inside));
        if scribe.begun {
            before.push(Note::Begin(base.listed.clone()));
            before.extend(base.link.clone().map(Note::Link));
        }
        let before: Vec<_> = before
            .into_iter()
            .map(|note| (base.ms, Arc::new(note)))
            .collect();
        Lines {
            tape: tape.clone(),
            before: before.into_iter(),
            head: Some(head(scribe.zero.unwrap_or_default(), &scribe.namespace) + "\n"),
            rest: self.folded..self.folded + self.notes.len() as u64,
        }
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
                let key = (inside.key.clone(), failed);
                self.insides.insert(key.clone(), inside);
                if self.insides.len() > MAX_INSIDES {
                    let other = self.insides.keys().find(|it| **it != key).cloned();
                    other.map(|other| self.insides.remove(&other));
                }
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
        // Of the note itself, its handle, and the text that it has besides what is counted below.
        const REST: usize = 256;
        REST + match self {
            Self::Put { object, .. } | Self::Gone { object, .. } => object.len(),
            Self::List { items, .. } => items
                .iter()
                .map(|(uid, object)| REST + uid.len() + object.len())
                .sum(),
            Self::Said(text) => text.len(),
            Self::Inside(inside) => {
                let cells = inside.rows.iter().flatten().chain(&inside.columns);
                let detail = inside.fault.as_ref().map_or(0, |it| it.detail.len());
                let words = inside.query.len() + inside.key.len() + detail;
                words
                    + cells
                        .map(|cell| cell.len() + size_of::<String>())
                        .sum::<usize>()
            }
            Self::Unseen(_) | Self::Link(_) | Self::Begin(_) => 0,
        }
    }
}
