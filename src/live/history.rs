//! The last frames, with whole boards in between, so that a page opened late can go back in time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::card::Card;
use super::frame::{Frame, Step};

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

/// All cards right after frame `seq`.
#[derive(Debug, Clone)]
pub struct Keyframe {
    /// The last frame that is in it.
    pub seq: u64,
    /// The cards, in no order.
    pub cards: Vec<Arc<Card>>,
}

impl History {
    /// Whether a keyframe is due on a board of `cards` cards. The interval grows with the board,
    /// so that the price of a keyframe per frame does not.
    pub fn wants_keyframe(&self, cards: usize) -> bool {
        self.keyframes.is_empty() || self.since_keyframe >= KEYFRAME_EVERY.max(cards)
    }

    /// Adds a whole board as it is after frame `seq`.
    pub fn push_keyframe(&mut self, seq: u64, cards: Vec<Arc<Card>>) {
        self.keyframes.push_back(Keyframe { seq, cards });
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
    pub fn at(&self, seq: u64) -> Option<(Keyframe, Vec<Arc<Frame>>)> {
        let keyframe = self.keyframes.iter().rev().find(|it| it.seq <= seq)?;
        let first = self.frames.front().map_or(seq + 1, |frame| frame.seq);
        if keyframe.seq + 1 < first {
            return None;
        }
        let skip = usize::try_from(keyframe.seq + 1 - first).ok()?;
        let frames = self
            .frames
            .iter()
            .skip(skip)
            .take_while(|frame| frame.seq <= seq)
            .cloned()
            .collect();
        Some((keyframe.clone(), frames))
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

/// Plays `frames` over the cards of a keyframe: the board as it was after the last of them.
pub fn replay(keyframe: Keyframe, frames: &[Arc<Frame>]) -> Vec<Arc<Card>> {
    let mut cards: std::collections::HashMap<String, Arc<Card>> = keyframe
        .cards
        .into_iter()
        .map(|card| (card.uid.clone(), card))
        .collect();
    for frame in frames {
        match &frame.step {
            Step::Added(card) | Step::Modified(card) => {
                cards.insert(card.uid.clone(), Arc::clone(card));
            }
            Step::Deleted(card) => {
                cards.remove(&card.uid);
            }
            Step::Restarted => cards.clear(),
            Step::Link(_) | Step::Said(_) | Step::Inside(_) => {}
        }
    }
    cards.into_values().collect()
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

    #[test]
    fn the_ring_is_bounded_in_bytes_and_what_it_offers_can_be_replayed() {
        let mut history = History::default();
        for seq in 1..=3_000 {
            if history.wants_keyframe(0) {
                history.push_keyframe(seq - 1, Vec::new());
            }
            history.push(said(seq));
        }
        assert!(history.bytes <= MAX_BYTES);
        assert!(history.frames.len() < 3_000);
        let first = history.first().expect("a keyframe in reach");
        assert!(history.at(first).is_some());
        let (keyframe, frames) = history.at(2_999).expect("the newest are there");
        assert_eq!(keyframe.seq + frames.len() as u64, 2_999);
        assert!(
            history.at(1).is_none(),
            "longer ago than the ring remembers"
        );
    }
}
