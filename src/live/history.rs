//! The last frames, with whole boards in between, so that a page opened late can go back in time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::card::Card;
use super::frame::{Frame, Step};
use super::insides::Insides;
use super::lesson::Steps;
use crate::cluster::{Kind, Link};

/// Frames kept at most. A kill makes about fifteen, a class hour a few thousand.
const MAX_FRAMES: usize = 20_000;
/// Bytes of encoded frames kept at most.
const MAX_BYTES: usize = 24 << 20;
/// A whole board is kept at least this often, in frames.
const KEYFRAME_EVERY: usize = 500;

/// A ring of frames and the boards (keyframes) they start from.
#[derive(Debug, Default)]
pub struct History {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    keyframes: VecDeque<Keyframe>,
    since_keyframe: usize,
}

/// The whole board right after frame `seq`.
#[derive(Debug, Clone)]
pub struct Keyframe {
    /// The last frame that is in it.
    pub seq: u64,
    /// When that was, in milliseconds since the epoch on the cluster's clock.
    pub at: i64,
    /// The cards, in no order.
    pub cards: Vec<Arc<Card>>,
    /// The last look into each volume.
    pub insides: Insides,
    /// The connection.
    pub link: Link,
    /// Where the reader stood with each step of the lesson.
    pub lesson: Steps,
}

/// Frames of the past, with the board before the first of them.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The board before the frames.
    pub keyframe: Keyframe,
    /// The frames, without a hole.
    pub frames: Vec<Arc<Frame>>,
}

impl History {
    /// Whether a keyframe is due on a board of `cards` cards. The interval grows with the board,
    /// so that the price of a keyframe per frame does not.
    pub fn wants_keyframe(&self, cards: usize) -> bool {
        self.keyframes.is_empty() || self.since_keyframe >= KEYFRAME_EVERY.max(cards)
    }

    /// Adds a whole board, in the place of one of the same moment.
    pub fn push_keyframe(&mut self, keyframe: Keyframe) {
        if self
            .keyframes
            .back()
            .is_some_and(|last| last.seq == keyframe.seq)
        {
            self.keyframes.pop_back();
        }
        self.keyframes.push_back(keyframe);
        self.since_keyframe = 0;
    }

    /// Adds a frame and forgets the oldest ones past the bounds.
    pub fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += frame.bytes.len();
        self.frames.push_back(frame);
        self.since_keyframe += 1;
        while self.frames.len() > MAX_FRAMES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
            // Of the keyframes before the oldest frame, only the last one is still of use.
            while self
                .keyframes
                .get(1)
                .is_some_and(|second| second.seq <= oldest.seq)
            {
                self.keyframes.pop_front();
            }
        }
    }

    /// The board after frame `seq`: the keyframe before it and the frames in between; nothing
    /// if that is longer ago than the ring remembers.
    pub fn at(&self, seq: u64) -> Option<Stretch> {
        let keyframe = self.keyframes.iter().rev().find(|it| it.seq <= seq)?;
        let frames = self.after(keyframe.seq)?;
        Some(Stretch {
            keyframe: keyframe.clone(),
            frames: frames
                .take_while(|frame| frame.seq <= seq)
                .cloned()
                .collect(),
        })
    }

    /// The frames after frame `seq`; nothing if some of them are forgotten.
    pub fn after(&self, seq: u64) -> Option<impl Iterator<Item = &Arc<Frame>>> {
        let first = self.frames.front().map_or(seq + 1, |frame| frame.seq);
        let skip = usize::try_from((seq + 1).checked_sub(first)?).ok()?;
        Some(self.frames.iter().skip(skip))
    }

    /// The newest frames that tell something, at most `count`, oldest first.
    pub fn told(&self, count: usize) -> Vec<Arc<Frame>> {
        let told = self.frames.iter().rev().filter(|it| it.story.is_some());
        let mut told: Vec<Arc<Frame>> = told.take(count).cloned().collect();
        told.reverse();
        told
    }

    /// The oldest frame that [`History::at`] can go back to.
    pub fn first(&self) -> Option<u64> {
        let oldest = self.frames.front()?.seq;
        self.keyframes
            .iter()
            .map(|keyframe| keyframe.seq)
            .find(|seq| seq + 1 >= oldest)
    }
}

impl Stretch {
    /// The board after the last of the frames.
    pub fn replay(self) -> Keyframe {
        let mut board = self.keyframe;
        let mut cards: HashMap<String, Arc<Card>> = board
            .cards
            .into_iter()
            .map(|card| (card.uid.clone(), card))
            .collect();
        for frame in &self.frames {
            (board.seq, board.at) = (frame.seq, frame.at);
            match &frame.step {
                Step::Added(card) | Step::Modified(card) => {
                    cards.insert(card.uid.clone(), Arc::clone(card));
                }
                Step::Deleted(card) => {
                    cards.remove(&card.uid);
                    board.insides.lose(card);
                }
                Step::Link(link) => board.link = link.clone(),
                Step::Inside(inside) => {
                    let volume = inside.claim.as_deref().and_then(|it| volume_of(&cards, it));
                    board.insides.look(inside, frame.at, volume);
                }
                Step::Lesson(steps) => board.lesson.extend(steps.as_ref().clone()),
                Step::Said(_) => {}
                Step::Restarted => {
                    cards.clear();
                    board.insides.clear();
                }
            }
        }
        board.cards = cards.into_values().collect();
        board
    }
}

/// The volume behind the claim of this name; a board shows one namespace.
fn volume_of(cards: &HashMap<String, Arc<Card>>, claim: &str) -> Option<String> {
    let card = cards
        .values()
        .find(|card| card.kind() == Kind::PersistentVolumeClaim && card.name == claim)?;
    card.claim()?.volume.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(seq: u64) -> Arc<Frame> {
        Arc::new(Frame::new(
            "e",
            seq,
            0,
            false,
            Step::Said("x".repeat(20_000)),
            None,
        ))
    }

    fn empty(seq: u64) -> Keyframe {
        Keyframe {
            seq,
            at: 0,
            cards: Vec::new(),
            insides: Insides::default(),
            link: Link::connecting(0),
            lesson: Steps::new(),
        }
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_what_it_offers_can_be_replayed() {
        let mut history = History::default();
        for seq in 1..=3_000 {
            if history.wants_keyframe(0) {
                history.push_keyframe(empty(seq - 1));
            }
            history.push(said(seq));
        }
        assert!(history.bytes <= MAX_BYTES);
        assert!(history.frames.len() < 3_000);
        let first = history.first().expect("a keyframe in reach");
        assert!(history.at(first).is_some());
        let past = history.at(2_999).expect("the newest are there");
        assert_eq!(past.keyframe.seq + past.frames.len() as u64, 2_999);
        assert!(
            history.at(1).is_none(),
            "longer ago than the ring remembers"
        );
    }
}
