//! One numbered step of the board, encoded once for every reader.

use bytes::Bytes;
use serde::Serialize;

use std::sync::Arc;

use super::card::Card;
use super::lesson::Steps;
use super::story::Story;
use crate::cluster::{Inside, Link};

/// A step: what changed, its number and its bytes on the event stream.
#[derive(Debug)]
pub struct Frame {
    /// Counts up by one from frame to frame.
    pub seq: u64,
    /// Milliseconds since the epoch on the cluster's clock.
    pub at: i64,
    /// What changed.
    pub step: Step,
    /// The words for it, if it is worth telling.
    pub story: Option<Story>,
    /// The whole server-sent event.
    pub bytes: Bytes,
}

/// What a frame does to the board.
#[derive(Debug, Clone)]
pub enum Step {
    /// A card came.
    Added(Arc<Card>),
    /// A card has another face now.
    Modified(Arc<Card>),
    /// A card went; this is its last face.
    Deleted(Arc<Card>),
    /// The connection changed.
    Link(Link),
    /// The person at the terminal did something.
    Said(String),
    /// A look into a volume.
    Inside(Inside),
    /// Steps of the lesson that stand differently now.
    Lesson(Arc<Steps>),
    /// Everything begins again.
    Restarted,
}

impl Step {
    /// The name of the server-sent event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Modified(_) => "modified",
            Self::Deleted(_) => "deleted",
            Self::Link(_) => "link",
            Self::Said(_) => "said",
            Self::Inside(_) => "inside",
            Self::Lesson(_) => "lesson",
            Self::Restarted => "restarted",
        }
    }
}

#[derive(Serialize)]
struct Data<'a> {
    seq: u64,
    at: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    quiet: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<&'a Card>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<&'a Inside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<&'a Steps>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<&'a Story>,
}

impl Frame {
    /// Makes and encodes a frame. `quiet` marks what comes from a list and not from an event.
    pub fn new(
        epoch: &str,
        seq: u64,
        at: i64,
        quiet: bool,
        step: Step,
        story: Option<Story>,
    ) -> Self {
        let mut data = Data {
            seq,
            at,
            quiet,
            card: None,
            link: None,
            text: None,
            inside: None,
            steps: None,
            story: story.as_ref(),
        };
        match &step {
            Step::Added(card) | Step::Modified(card) | Step::Deleted(card) => {
                data.card = Some(card);
            }
            Step::Link(link) => data.link = Some(link),
            Step::Said(text) => data.text = Some(text),
            Step::Inside(inside) => data.inside = Some(inside),
            Step::Lesson(steps) => data.steps = Some(steps),
            Step::Restarted => {}
        }
        let bytes = encode(step.name(), epoch, seq, &data);
        Self {
            seq,
            at,
            step,
            story,
            bytes,
        }
    }

    /// The data of the event: one JSON object.
    pub fn data(&self) -> &[u8] {
        let start = self
            .bytes
            .windows(DATA.len())
            .position(|window| window == DATA)
            .map_or(0, |at| at + DATA.len());
        self.bytes[start..].trim_ascii_end()
    }
}

/// What stands before the data; names and ids have no line breaks, so the first one is it.
const DATA: &[u8] = b"\ndata: ";

/// A server-sent event with an id and one line of JSON.
fn encode(name: &str, epoch: &str, seq: u64, data: &impl Serialize) -> Bytes {
    let mut bytes = format!("event: {name}\nid: {epoch}-{seq}\ndata: ").into_bytes();
    // serde_json escapes line breaks, so the data is always one line.
    serde_json::to_writer(&mut bytes, data).expect("cards are plain data");
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}
