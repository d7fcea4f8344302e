//! Questions to the reader: those answered in words and those with options.

/// A question of the chapter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The anchor, and the key under which progress is kept.
    pub id: String,
    /// How it is answered.
    pub kind: QuestionKind,
    /// Whether a model answer, or reasons, stand beside it.
    pub(super) answered: bool,
    /// What the field for the reader's own words is called.
    pub(super) write: String,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuestionKind {
    /// In the reader's own words, then held against a model answer.
    Free,
    /// By picking; the number says how many options are right.
    Choice(usize),
}

impl Question {
    pub(super) fn free(id: String, write: String) -> Self {
        Self {
            id,
            kind: QuestionKind::Free,
            answered: false,
            write,
        }
    }

    pub(super) fn choice(id: String, right: usize) -> Self {
        Self {
            id,
            kind: QuestionKind::Choice(right),
            answered: true,
            write: String::new(),
        }
    }
}
