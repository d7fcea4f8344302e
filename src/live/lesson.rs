//! The steps of the lesson over the board: which are open, which are done, and what the reader waits for. Takes
//! frames, hands on the steps that changed; never asks the clock and never reads an expression from text.
//!
//! A step waits until all steps that it follows are done, is open then, and is done once its check holds. Its undo
//! opens it again, as long as no step that follows it is done: a reader who goes on has not gone back. A check that
//! comes true once more ticks once more, for the reader who starts over. The step that ends a run stays done until
//! what it cleared away is there again: then all steps begin anew.
//!
//! This is how the cluster stands. Which ticks a reader has is the reader's, and never taken back from here.

mod values;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cel::{Context, Program, Value};
use serde::Serialize;

use super::board::{Board, Since};
use super::frame::{Frame, Step};
use super::history::Keyframe;
use super::insides::{Insides, Look};
pub use values::VARIABLES;
use values::{Shared, Tables};

/// What happened that a rule can look back on. A step of the chapter makes about thirty frames.
const REMEMBERED: usize = 2_000;

/// Moments of a burst at which the rules are evaluated. What holds for a moment only ticks its step as long as a burst
/// is shorter; a longer one must not keep everybody waiting.
const MOMENTS: usize = 200;

/// The rules of one step, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The step.
    pub id: String,
    /// The steps it follows.
    pub after: Vec<String>,
    /// Whether it is done.
    pub check: Arc<Program>,
    /// Whether its tick is taken back.
    pub undo: Option<Arc<Program>>,
    /// When which hint is shown while it is open; the first that holds.
    pub hints: Vec<(Arc<Program>, String)>,
    /// Whether a run of the lesson ends with it.
    pub ends: bool,
}

/// Where a reader stands with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stand {
    /// A step before it is not done.
    Waiting,
    /// It can be done now.
    Open,
    /// It is done.
    Done,
}

/// A step as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Where the reader stands.
    pub state: Stand,
    /// The last frame before that was so; a rule's `since` are those after it.
    pub since: u64,
    /// When that was, in milliseconds since the epoch on the cluster's clock.
    pub at: i64,
    /// The key of what the reader may be waiting for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Steps by id.
pub type Steps = BTreeMap<String, Progress>;

/// All steps with what their rules look at.
pub struct Lesson {
    rules: Vec<Rules>,
    steps: Vec<Progress>,
    /// Which checks held when they were last evaluated.
    held: Vec<bool>,
    mentioned: BTreeSet<&'static str>,
    tables: Tables,
    insides: BTreeMap<String, (Arc<Look>, Shared)>,
    recent: VecDeque<(u64, Shared)>,
    seq: u64,
    at: i64,
    /// Whether something was seen since the last evaluation.
    moved: bool,
}

impl Lesson {
    /// A lesson in which nothing has happened.
    pub fn new(rules: Vec<Rules>) -> Self {
        let programs = rules.iter().flat_map(|rules| {
            let hints = rules.hints.iter().map(|(when, _)| when);
            [Some(&rules.check), rules.undo.as_ref()]
                .into_iter()
                .flatten()
                .chain(hints)
        });
        let mut mentioned = BTreeSet::new();
        for program in programs {
            let references = program.references();
            mentioned.extend(
                VARIABLES
                    .into_iter()
                    .filter(|name| references.has_variable(name)),
            );
        }
        let mut lesson = Self {
            rules,
            steps: Vec::new(),
            held: Vec::new(),
            tables: Tables::new(&mentioned),
            mentioned,
            insides: BTreeMap::new(),
            recent: VecDeque::new(),
            seq: 0,
            at: 0,
            moved: false,
        };
        lesson.restart(0, 0);
        lesson
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Every step as it stands.
    pub fn steps(&self) -> Steps {
        let ids = self.rules.iter().map(|rules| rules.id.clone());
        ids.zip(self.steps.iter().cloned()).collect()
    }

    /// Takes in what happened on the board since it was last seen, and marks there the steps that
    /// stand differently now.
    pub fn follow(&mut self, board: &Board) {
        let mut changed = Steps::new();
        match board.since(self.seq) {
            Since::Frames(frames, insides) => {
                for moment in frames.chunks(frames.len().div_ceil(MOMENTS).max(1)) {
                    for frame in moment {
                        self.see(frame);
                    }
                    changed.extend(self.evaluate());
                }
                self.look(&insides);
            }
            Since::Whole(whole) => self.begin(&whole),
        }
        changed.extend(self.evaluate());
        if !changed.is_empty() {
            board.mark(self.seq, changed);
        }
    }

    /// Takes in a whole board, when frames between are not to be had any more.
    fn begin(&mut self, whole: &Keyframe) {
        self.tables = Tables::new(&self.mentioned);
        for card in &whole.cards {
            self.tables.put(card);
        }
        self.look(&whole.insides);
        (self.seq, self.at) = (whole.seq, whole.at);
        self.moved = true;
    }

    /// Takes in one step of the board.
    pub fn see(&mut self, frame: &Frame) {
        (self.seq, self.at) = (frame.seq, frame.at);
        self.moved |= !matches!(frame.step, Step::Link(_) | Step::Lesson(_));
        match &frame.step {
            Step::Added(card) | Step::Modified(card) => self.tables.put(card),
            Step::Deleted(card) => self.tables.take(card),
            Step::Restarted => {
                self.tables = Tables::new(&self.mentioned);
                self.insides.clear();
                self.recent.clear();
                self.restart(self.seq, self.at);
            }
            Step::Link(_) | Step::Said(_) | Step::Inside(_) | Step::Lesson(_) => {}
        }
        if self.mentioned.contains("since")
            && let Some(record) = values::record(frame)
        {
            self.recent.push_back((frame.seq, record));
            if self.recent.len() > REMEMBERED {
                self.recent.pop_front();
            }
        }
    }

    /// Takes in the last look into each volume.
    pub fn look(&mut self, insides: &Insides) {
        if !self.mentioned.contains("inside") {
            return;
        }
        self.insides.retain(|key, _| insides.get(key).is_some());
        for (key, look) in insides.iter() {
            let known = self.insides.get(key);
            if !known.is_some_and(|(known, _)| Arc::ptr_eq(known, look)) {
                let value = (Arc::clone(look), values::shared(look.as_ref()));
                self.insides.insert(key.clone(), value);
                self.moved = true;
            }
        }
    }

    /// Evaluates what can have changed, and hands on the steps that did.
    pub fn evaluate(&mut self) -> Steps {
        if !std::mem::take(&mut self.moved) {
            return Steps::new();
        }
        let before = self.steps.clone();
        if let Some(end) = self.begun_anew() {
            let (since, at) = (self.steps[end].since, self.steps[end].at);
            self.restart(since, at);
        }
        let mut again = vec![false; self.rules.len()];
        // A step that becomes done opens the next, which may be done by what is there already; steps
        // follow only ones before them, so that going over them once is enough.
        for (index, again) in again.iter_mut().enumerate() {
            self.settle(index);
            let holds =
                !self.is(index, Stand::Waiting) && self.holds(index, |rules| Some(&rules.check));
            *again = holds && !self.held[index] && self.is(index, Stand::Done);
            if holds && self.is(index, Stand::Open) {
                self.turn(index, Stand::Done);
            }
            self.held[index] = holds;
        }
        // The last tick is taken back first: it makes the one before it the last.
        for index in (0..self.rules.len()).rev() {
            if !self.is(index, Stand::Done) {
                continue;
            }
            if !self.is_final(index) && self.holds(index, |rules| rules.undo.as_ref()) {
                self.turn(index, Stand::Open);
            } else if again[index] {
                self.turn(index, Stand::Done);
            }
        }
        for index in 0..self.rules.len() {
            self.settle(index);
            self.steps[index].hint = self.hint(index);
        }
        let changed = self
            .rules
            .iter()
            .zip(self.steps.iter().zip(&before))
            .filter(|(_, (now, before))| now != before)
            .map(|(rules, (now, _))| (rules.id.clone(), now.clone()));
        changed.collect()
    }

    /// The step that ended a run, if what it had cleared away is there again.
    fn begun_anew(&self) -> Option<usize> {
        (0..self.rules.len()).find(|&index| {
            self.rules[index].ends
                && self.is(index, Stand::Done)
                && !self.holds(index, |rules| Some(&rules.check))
        })
    }

    /// Opens a step that waits for nothing any more, and closes one that does again.
    fn settle(&mut self, index: usize) {
        let after = &self.rules[index].after;
        let free = after.iter().all(|id| self.is_done(id));
        match (self.steps[index].state, free) {
            (Stand::Waiting, true) => self.turn(index, Stand::Open),
            (Stand::Open, false) => self.turn(index, Stand::Waiting),
            _ => {}
        }
    }

    /// What a reader at this step may be waiting for.
    fn hint(&self, index: usize) -> Option<String> {
        if !self.is(index, Stand::Open) {
            return None;
        }
        let hints = 0..self.rules[index].hints.len();
        let found = hints
            .into_iter()
            .find(|hint| self.holds(index, |rules| Some(&rules.hints[*hint].0)))?;
        Some(self.rules[index].hints[found].1.clone())
    }

    /// Whether a step that follows this one is done: it has been built upon, and what was done is
    /// not undone by what came after.
    fn is_final(&self, index: usize) -> bool {
        let id = &self.rules[index].id;
        let mut steps = self.rules.iter().zip(&self.steps);
        steps.any(|(rules, step)| step.state == Stand::Done && rules.after.contains(id))
    }

    fn is(&self, index: usize, state: Stand) -> bool {
        self.steps[index].state == state
    }

    fn is_done(&self, id: &str) -> bool {
        let index = self.rules.iter().position(|rules| rules.id == id);
        index.is_some_and(|index| self.steps[index].state == Stand::Done)
    }

    fn turn(&mut self, index: usize, state: Stand) {
        self.steps[index] = Progress {
            state,
            since: self.seq,
            at: self.at,
            hint: None,
        };
    }

    /// Steps that follow nothing are open, all others wait.
    fn restart(&mut self, since: u64, at: i64) {
        self.held = vec![false; self.rules.len()];
        self.steps = self
            .rules
            .iter()
            .map(|rules| Progress {
                state: if rules.after.is_empty() {
                    Stand::Open
                } else {
                    Stand::Waiting
                },
                since,
                at,
                hint: None,
            })
            .collect();
    }

    /// Whether a rule of a step is true. What it asks for may not be there, which is no fault: then
    /// it is not, as if there were no rule.
    fn holds(&self, index: usize, rule: impl Fn(&Rules) -> Option<&Arc<Program>>) -> bool {
        let rules = &self.rules[index];
        let Some(program) = rule(rules) else {
            return false;
        };
        let (step, since) = (&rules.id, self.steps[index].since);
        let references = program.references();
        let mut context = Context::default();
        for name in VARIABLES {
            if !references.has_variable(name) {
                continue;
            }
            let value = match name {
                "inside" => values::map(self.insides.iter().map(|(key, (_, it))| (key, it))),
                "since" => {
                    let later = self.recent.iter().filter(|(seq, _)| *seq > since);
                    values::list(later.map(|(_, it)| it))
                }
                kind => self.tables.list(kind),
            };
            context.add_variable_as_val(name, value);
        }
        match program.execute(&context) {
            Ok(Value::Bool(holds)) => holds,
            Ok(value) => {
                tracing::debug!(step, ?value, "a rule is neither true nor false");
                false
            }
            Err(error) => {
                tracing::debug!(step, %error, "a rule can't be told");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
