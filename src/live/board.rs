//! All cards now, and every step that led here. The one place where changes become frames.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::card::{Card, Face};
use super::cards::Cards;
use super::frame::{Frame, Step};
use super::history::{History, Keyframe, Stretch};
use super::insides::Insides;
use super::lesson::{Progress, Steps};
use super::story::{Past, Story, tell, tell_gone};
use crate::cluster::{Change, Kind, Link, Object, SourceInfo, SourceKind, What};

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
    insides: Insides,
    lesson: Steps,
    /// How the lesson begins.
    lesson_at_first: Steps,
    /// The frame with which everything began again.
    restarted: u64,
    history: History,
    /// All of the snapshot but its time, while nothing has changed since.
    snapshot: Option<Bytes>,
    updates: broadcast::Sender<Update>,
    newest: watch::Sender<u64>,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    epoch: &'a str,
    seq: u64,
    source: &'a SourceInfo,
    #[serde(flatten)]
    picture: Picture<'a>,
}

/// What a board shows, as the page gets it in a snapshot and for a moment of the past.
#[derive(Serialize)]
pub struct Picture<'a> {
    link: &'a Link,
    cards: Vec<&'a Card>,
    insides: &'a Insides,
    lesson: Taught<'a>,
}

#[derive(Serialize)]
struct Taught<'a> {
    steps: &'a Steps,
}

/// What happened since a frame.
pub enum Since {
    /// The frames after it.
    Frames(Vec<Arc<Frame>>, Insides),
    /// They are not all there any more: everything as it is now.
    Whole(Keyframe),
}

/// What of the past can be had, by the numbers of frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// What tells this run of the program from any other.
    pub epoch: String,
    /// The oldest frame that can be gone back to.
    pub first: u64,
    /// The newest frame.
    pub last: u64,
}

impl Board {
    /// An empty board for `source`. `epoch` tells this run of the program from any other.
    pub fn new(epoch: String, source: SourceInfo, at: i64) -> Self {
        let mut state = State {
            epoch,
            seq: 0,
            at,
            source,
            link: Link::connecting(at),
            cards: Cards::default(),
            past: Past::default(),
            staging: HashMap::new(),
            listed: HashSet::new(),
            insides: Insides::default(),
            lesson: Steps::new(),
            lesson_at_first: Steps::new(),
            restarted: 0,
            history: History::default(),
            snapshot: None,
            updates: broadcast::Sender::new(READER_LAG),
            newest: watch::Sender::new(0),
        };
        state.remember();
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes a change in: updates the cards and sends every reader the frames it makes.
    pub fn apply(&self, change: Change) {
        self.state().apply(change);
    }

    /// Everything as it is `now` (milliseconds since the epoch on this machine's clock) as one
    /// server-sent event, and what comes after it, with no gap between. The event is in two pieces: the second is shared
    /// by all readers who come before anything changes.
    pub fn subscribe(&self, now: i64) -> ([Bytes; 2], broadcast::Receiver<Update>) {
        let mut state = self.state();
        (state.snapshot(now), state.updates.subscribe())
    }

    /// The connection as it is now.
    pub fn link(&self) -> Link {
        self.state().link.clone()
    }

    /// What of the past can be had.
    pub fn span(&self) -> Span {
        self.state().span()
    }

    /// The board as it was after frame `seq`: a keyframe and the frames on top of it.
    pub fn history(&self, seq: u64) -> Option<Stretch> {
        self.state().history.at(seq)
    }

    /// The board as it was after frame `from`, and the frames after that up to `to`, at most `most`.
    pub fn past(&self, from: u64, to: u64, most: usize) -> Option<(Stretch, Vec<Arc<Frame>>)> {
        let state = self.state();
        let past = state.history.at(from)?;
        let later = state.history.after(from)?;
        let later = later.take_while(|frame| frame.seq <= to).take(most);
        Some((past, later.cloned().collect()))
    }

    /// The newest frames that tell something, at most `count`, oldest first.
    pub fn told(&self, count: usize) -> (Span, Vec<Arc<Frame>>) {
        let state = self.state();
        (state.span(), state.history.told(count))
    }

    /// Wakes whoever wants to know of every new frame; many at once wake once.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.state().newest.subscribe()
    }

    /// What happened since frame `seq`.
    pub fn since(&self, seq: u64) -> Since {
        let state = self.state();
        match state.history.after(seq) {
            Some(frames) => Since::Frames(frames.cloned().collect(), state.insides.clone()),
            None => Since::Whole(state.keyframe()),
        }
    }

    /// Puts a lesson on the board, as it stands before anything happened.
    pub fn teach(&self, steps: Steps) {
        let mut state = self.state();
        state.lesson.clone_from(&steps);
        state.lesson_at_first = steps;
        state.snapshot = None;
        state.remember();
    }

    /// Says that steps of the lesson stand differently, as seen up to frame `seen`. What was seen
    /// before everything began again does not count.
    pub fn mark(&self, seen: u64, steps: Steps) {
        let mut state = self.state();
        if seen >= state.restarted {
            state.mark(steps);
        }
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
                let volume = inside.claim.as_deref().and_then(|it| self.volume_of(it));
                self.insides.look(&inside, change.at, volume);
                self.push(Step::Inside(inside), None, false);
            }
            What::Restarted => {
                self.cards = Cards::default();
                self.past = Past::default();
                self.insides.clear();
                self.listed.clear();
                self.push(Step::Restarted, None, false);
                self.restarted = self.seq;
                let first = self.lesson_at_first.iter();
                let (since, at) = (self.seq, self.at);
                let steps = first.map(|(id, step)| {
                    let step = step.clone();
                    (id.clone(), Progress { since, at, ..step })
                });
                let steps = steps.collect();
                self.mark(steps);
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
        self.insides.lose(&card);
        self.push(Step::Deleted(card), story, false);
    }

    fn mark(&mut self, steps: Steps) {
        if steps.is_empty() {
            return;
        }
        self.lesson.extend(steps.clone());
        self.push(Step::Lesson(Arc::new(steps)), None, false);
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
            self.remember();
        }
        self.newest.send_replace(self.seq);
        self.snapshot = None;
        // Nobody listening is fine.
        let _ = self.updates.send(Update::Frame(frame));
    }

    fn snapshot(&mut self, now: i64) -> [Bytes; 2] {
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
            None => (self.encode_snapshot() + "\n\n").into(),
        };
        self.snapshot = Some(rest.clone());
        [head.into(), rest]
    }

    /// The snapshot as JSON, without the brace that opens it.
    fn encode_snapshot(&self) -> String {
        let mut json = serde_json::to_string(&Snapshot {
            epoch: &self.epoch,
            seq: self.seq,
            source: &self.source,
            picture: Picture::new(
                &self.link,
                self.cards.iter().map(AsRef::as_ref),
                &self.insides,
                &self.lesson,
            ),
        })
        .expect("cards are plain data");
        json.remove(0);
        json
    }

    /// Keeps the whole board as it is, to be gone back to.
    fn remember(&mut self) {
        let keyframe = self.keyframe();
        self.history.push_keyframe(keyframe);
    }

    fn keyframe(&self) -> Keyframe {
        Keyframe {
            seq: self.seq,
            at: self.at,
            cards: self.cards.iter().cloned().collect(),
            insides: self.insides.clone(),
            link: self.link.clone(),
            lesson: self.lesson.clone(),
        }
    }

    fn span(&self) -> Span {
        Span {
            epoch: self.epoch.clone(),
            first: self.history.first().unwrap_or(self.seq),
            last: self.seq,
        }
    }
}

impl<'a> Picture<'a> {
    fn new(
        link: &'a Link,
        cards: impl Iterator<Item = &'a Card>,
        insides: &'a Insides,
        lesson: &'a Steps,
    ) -> Self {
        Self {
            link,
            cards: shown(cards),
            insides,
            lesson: Taught { steps: lesson },
        }
    }
}

/// The cards of a picture, in its order.
pub fn shown<C: Borrow<Card>>(cards: impl Iterator<Item = C>) -> Vec<C> {
    let (mut events, mut cards): (Vec<C>, Vec<C>) =
        cards.partition(|card| card.borrow().kind() == Kind::Event);
    cards.sort_by(|a, b| {
        let (a, b): (&Card, &Card) = (a.borrow(), b.borrow());
        (a.kind(), a.created, &a.name, &a.uid).cmp(&(b.kind(), b.created, &b.name, &b.uid))
    });
    events.sort_by(|a, b| {
        let (a, b): (&Card, &Card) = (a.borrow(), b.borrow());
        (b.created, &b.name).cmp(&(a.created, &a.name))
    });
    events.truncate(SNAPSHOT_EVENTS);
    cards.extend(events.into_iter().rev());
    cards
}

impl<'a> From<&'a Keyframe> for Picture<'a> {
    fn from(it: &'a Keyframe) -> Self {
        let cards = it.cards.iter().map(AsRef::as_ref);
        Self::new(&it.link, cards, &it.insides, &it.lesson)
    }
}

#[cfg(test)]
mod tests;
