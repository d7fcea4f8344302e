//! All cards now, and every step that led here. The one place where changes become frames.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;

use super::card::{Card, Face};
use super::cards::Cards;
use super::frame::{Frame, Step};
use super::history::{History, Keyframe};
use super::story::{Past, Story, tell, tell_gone};
use crate::cluster::{Change, Inside, Kind, Link, Object, SourceInfo, SourceKind, What};

/// Frames that a slow reader may fall behind before it gets a new snapshot instead.
const READER_LAG: usize = 1024;
/// Events that a snapshot carries; older ones are of no use to a page that just opened.
const SNAPSHOT_EVENTS: usize = 100;

/// A cheap handle on the one board of the process.
#[derive(Clone)]
pub struct Board(Arc<Mutex<State>>);

/// What readers are sent after their snapshot.
#[derive(Debug, Clone)]
pub enum Update {
    /// One step on.
    Frame(Arc<Frame>),
    /// Ask for a new snapshot: it is another cluster now.
    Reset,
}

struct State {
    epoch: String,
    seq: u64,
    at: i64,
    source: SourceInfo,
    link: Link,
    cards: Cards,
    past: Past,
    staging: HashMap<Kind, HashMap<String, Arc<Card>>>,
    listed: HashSet<Kind>,
    insides: BTreeMap<String, Look>,
    history: History,
    /// All of the snapshot but its time, while nothing has changed since.
    snapshot: Option<String>,
    updates: broadcast::Sender<Update>,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    epoch: &'a str,
    seq: u64,
    source: &'a SourceInfo,
    link: &'a Link,
    cards: Vec<&'a Card>,
    insides: Vec<&'a Look>,
}

/// The last look into a volume.
#[derive(Serialize)]
struct Look {
    #[serde(flatten)]
    inside: Inside,
    at: i64,
    /// The volume that the claim had then: another claim of its name has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<String>,
}

impl Board {
    /// An empty board for `source`. `epoch` tells this run of the program from any other.
    pub fn new(epoch: String, source: SourceInfo, at: i64) -> Self {
        Self(Arc::new(Mutex::new(State {
            epoch,
            seq: 0,
            at,
            source,
            link: Link::connecting(at),
            cards: Cards::default(),
            past: Past::default(),
            staging: HashMap::new(),
            listed: HashSet::new(),
            insides: BTreeMap::new(),
            history: History::default(),
            snapshot: None,
            updates: broadcast::Sender::new(READER_LAG),
        })))
    }

    /// Takes a change in: updates the cards and sends every reader the frames it makes.
    pub fn apply(&self, change: Change) {
        self.state().apply(change);
    }

    /// Everything as it is `now` (milliseconds since the epoch on this machine's clock) as one
    /// server-sent event, and what comes after it, with no gap between.
    pub fn subscribe(&self, now: i64) -> (Bytes, broadcast::Receiver<Update>) {
        let mut state = self.state();
        (state.snapshot(now), state.updates.subscribe())
    }

    /// The connection as it is now.
    pub fn link(&self) -> Link {
        self.state().link.clone()
    }

    /// Number of the newest frame, and of the oldest one that can be gone back to.
    pub fn span(&self) -> (Option<u64>, u64) {
        let state = self.state();
        (state.history.first(), state.seq)
    }

    /// The board as it was after frame `seq`: a keyframe and the frames on top of it.
    pub fn history(&self, seq: u64) -> Option<(Keyframe, Vec<Arc<Frame>>)> {
        self.state().history.at(seq)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn apply(&mut self, change: Change) {
        self.at = change.at;
        match change.what {
            What::ListBegins(kind) => {
                self.staging.insert(kind, HashMap::new());
            }
            What::Item(object) => self.stage(&object),
            What::ListEnds(kind) => self.settle(kind),
            What::Unseen(kind) => self.forget(kind),
            What::Applied(object) => self.put(Arc::new(Card::from(&object)), false),
            What::Deleted(object) => {
                let card = Arc::new(Card::from(&object));
                self.take(&card.uid.clone(), Some(card));
            }
            What::Link(link) => {
                let story = Story::of_link(&self.link, &link);
                if self.link != link {
                    self.link = link.clone();
                    self.push(Step::Link(link), story, false);
                }
            }
            What::Source(source) => {
                if self.source != source {
                    self.source = source;
                    self.snapshot = None;
                    // Nobody listening is fine: the next reader starts with a snapshot anyway.
                    let _ = self.updates.send(Update::Reset);
                }
            }
            What::Said(text) => self.push(Step::Said(text), None, false),
            What::Inside(inside) => {
                let look = Look {
                    volume: self.volume_of(&inside.claim),
                    inside: inside.clone(),
                    at: change.at,
                };
                self.insides.insert(inside.claim.clone(), look);
                self.push(Step::Inside(inside), None, false);
            }
            What::Restarted => {
                self.cards = Cards::default();
                self.past = Past::default();
                self.insides.clear();
                self.listed.clear();
                self.push(Step::Restarted, None, false);
            }
        }
    }

    fn stage(&mut self, object: &Object) {
        let card = Arc::new(Card::from(object));
        if self.is_foreign(&card) {
            return;
        }
        if let Some(items) = self.staging.get_mut(&card.kind()) {
            items.insert(card.uid.clone(), card);
        }
    }

    /// A list is whole: takes over what is new or different, and removes what is not in it.
    fn settle(&mut self, kind: Kind) {
        let Some(items) = self.staging.remove(&kind) else {
            return;
        };
        let gone: Vec<String> = self
            .cards
            .iter()
            .filter(|card| card.kind() == kind && !items.contains_key(&card.uid))
            .map(|card| card.uid.clone())
            .collect();
        for uid in gone {
            self.take(&uid, None);
        }
        let mut items: Vec<Arc<Card>> = items.into_values().collect();
        items.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        // The first list is how things stand; a later one closes a gap, in which things happened.
        let quiet = self.listed.insert(kind);
        for card in items {
            self.put(card, quiet);
        }
    }

    /// Whether a volume belongs to a claim of a namespace that is not shown. Volumes have no
    /// namespace of their own, and another student's claim has the same name as this one's.
    fn is_foreign(&self, card: &Card) -> bool {
        match &card.face {
            Face::PersistentVolume(volume) => volume
                .claim
                .as_ref()
                .is_some_and(|claim| claim.namespace != self.source.namespace),
            _ => false,
        }
    }

    /// Takes away every card of a kind, without a word of why.
    fn forget(&mut self, kind: Kind) {
        self.staging.remove(&kind);
        self.listed.remove(&kind);
        let known = self.cards.iter().filter(|card| card.kind() == kind);
        let uids: Vec<String> = known.map(|card| card.uid.clone()).collect();
        for uid in uids {
            if let Some(card) = self.cards.remove(&uid) {
                self.push(Step::Deleted(card), None, true);
            }
        }
    }

    fn put(&mut self, card: Arc<Card>, quiet: bool) {
        if self.is_foreign(&card) {
            if let Some(known) = self.cards.remove(&card.uid) {
                self.push(Step::Deleted(known), None, true);
            }
            return;
        }
        let before = self.cards.insert(Arc::clone(&card));
        if before.as_deref() == Some(card.as_ref()) {
            return;
        }
        let story = if quiet {
            None
        } else {
            tell(before.as_deref(), &card, &self.cards, &self.past)
        };
        self.past.see(&card, &self.cards);
        let step = if before.is_some() {
            Step::Modified(card)
        } else {
            Step::Added(card)
        };
        self.push(step, story, quiet);
    }

    /// Removes a card. `last` is its last face if its going was seen; none if it was found missing
    /// when a list closed a gap.
    fn take(&mut self, uid: &str, last: Option<Arc<Card>>) {
        let Some(known) = self.cards.remove(uid) else {
            return;
        };
        let (card, story) = match last {
            Some(last) => {
                let story = tell_gone(&known, &self.cards, &self.past);
                (last, story)
            }
            None => {
                let story = Story::of_gap(&known);
                (known, story)
            }
        };
        self.past.remember(&card, &self.cards);
        // What was seen in a volume goes with it: a new one of the same claim's name is empty, and
        // what was seen in that stays.
        if let Face::PersistentVolume(volume) = &card.face
            && let Some(claim) = &volume.claim
            && self
                .insides
                .get(&claim.name)
                .is_some_and(|look| look.volume.as_ref().is_none_or(|seen| *seen == card.name))
        {
            self.insides.remove(&claim.name);
        }
        self.push(Step::Deleted(card), story, false);
    }

    /// The volume behind the claim of this name.
    fn volume_of(&self, claim: &str) -> Option<String> {
        self.cards
            .find(Kind::PersistentVolumeClaim, &self.source.namespace, claim)?
            .claim()?
            .volume
            .clone()
    }

    fn push(&mut self, step: Step, story: Option<Story>, quiet: bool) {
        self.seq += 1;
        let frame = Arc::new(Frame::new(
            &self.epoch,
            self.seq,
            self.at,
            quiet,
            step,
            story,
        ));
        self.history.push(Arc::clone(&frame));
        if self.history.wants_keyframe(self.cards.len()) {
            self.history
                .push_keyframe(self.seq, self.cards.iter().cloned().collect());
        }
        self.snapshot = None;
        // Nobody listening is fine.
        let _ = self.updates.send(Update::Frame(frame));
    }

    fn snapshot(&mut self, now: i64) -> Bytes {
        // A countdown starts from here, so the time is this moment's and not the last change's.
        // A recording's clock stands between two lines.
        let at = match self.source.kind {
            SourceKind::Recording => self.at,
            _ => now,
        };
        let (epoch, seq) = (&self.epoch, self.seq);
        let head = format!("event: snapshot\nid: {epoch}-{seq}\ndata: {{\"at\":{at},");
        let rest = match self.snapshot.take() {
            Some(rest) => rest,
            None => self.encode_snapshot(),
        };
        let bytes = Bytes::from(format!("{head}{rest}\n\n"));
        self.snapshot = Some(rest);
        bytes
    }

    /// The snapshot as JSON, without the brace that opens it.
    fn encode_snapshot(&self) -> String {
        let (mut events, mut cards): (Vec<&Card>, Vec<&Card>) = self
            .cards
            .iter()
            .map(AsRef::as_ref)
            .partition(|card| card.kind() == Kind::Event);
        cards.sort_by(|a, b| {
            (a.kind(), a.created, &a.name, &a.uid).cmp(&(b.kind(), b.created, &b.name, &b.uid))
        });
        events.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        events.truncate(SNAPSHOT_EVENTS);
        cards.extend(events.into_iter().rev());
        let mut json = serde_json::to_string(&Snapshot {
            epoch: &self.epoch,
            seq: self.seq,
            source: &self.source,
            link: &self.link,
            cards,
            insides: self.insides.values().collect(),
        })
        .expect("cards are plain data");
        json.remove(0);
        json
    }
}

#[cfg(test)]
mod tests;
