//! `GET /history` and `GET /timeline`: the run so far, also what was before the page was opened. A page plays it
//! with what it has: the board of a moment is laid out like a snapshot, and the frames are those of the stream.

use std::iter::once;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Site, pieces};
use crate::live::Board;
use crate::live::board::{Picture, Span, shown};
use crate::live::frame::{Frame, Step};
use crate::live::history::Stretch;

/// Frames in one answer at most; a page asks again for more.
const MOST_FRAMES: usize = 2_000;
/// Frames between the board and the moment that was asked for, at most; past that it is played up to here.
const FAR: usize = 500;
/// Marks on a timeline at most, the newest.
const MOST_MARKS: usize = 5_000;

/// The frames that are asked for, by number.
#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
}

#[derive(Serialize)]
struct Moment<'a> {
    seq: u64,
    at: i64,
    #[serde(flatten)]
    picture: Picture<'a>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    ok: bool,
    reason: &'a str,
    message: String,
    #[serde(flatten)]
    span: Span,
}

/// Number, time, event, kind, key of the story, name.
type Mark<'a> = (u64, i64, &'a str, &'a str, &'a str, &'a str);

/// `GET /history?from=SEQ&to=SEQ`: the board at or before a frame, and the frames up to another.
pub(super) async fn history(State(site): State<Site>, Query(asked): Query<Asked>) -> Response {
    answer(&site.board, &asked)
}

fn answer(board: &Board, asked: &Asked) -> Response {
    let span = board.span();
    let (first, last) = (span.first, span.last);
    let (Ok(from), Ok(to)) = (
        number(asked.from.as_deref(), first),
        number(asked.to.as_deref(), last),
    ) else {
        let message = "from and to are numbers of frames".into();
        return refuse(StatusCode::BAD_REQUEST, "Invalid", message, span);
    };
    if from > last {
        let message = format!("frame {from} has not happened yet; the newest is {last}");
        return refuse(StatusCode::NOT_FOUND, "NotFound", message, span);
    }
    // The oldest frames may be forgotten between two looks, so that the board has the last word.
    let Some((past, later)) = board.past(from, to.min(last), MOST_FRAMES) else {
        let first = board.span().first;
        let message =
            format!("frame {from} is longer ago than is remembered; the oldest is {first}");
        return refuse(StatusCode::GONE, "Gone", message, board.span());
    };
    let stretch = if past.frames.len() > FAR {
        Stretch {
            keyframe: past.replay(),
            frames: later,
        }
    } else {
        let mut stretch = past;
        stretch.frames.extend(later);
        stretch.frames.truncate(MOST_FRAMES);
        stretch
    };
    json(pieces::body(encode(&span, stretch).map(Ok)))
}

/// `GET /timeline`: what was told, in short.
pub(super) async fn timeline(State(site): State<Site>) -> Response {
    let (span, frames) = site.board.told(MOST_MARKS);
    let head = open(&span) + ",\"marks\":[";
    let marks = frames.into_iter().map(|frame| text(&mark(&frame)));
    let parts = once(head).chain(listed(marks)).chain(once("]}".into()));
    json(pieces::body(parts.map(Ok)))
}

fn number(text: Option<&str>, default: u64) -> Result<u64, std::num::ParseIntError> {
    text.map_or(Ok(default), str::parse)
}

fn mark(frame: &Frame) -> Mark<'_> {
    let card = match &frame.step {
        Step::Added(card) | Step::Modified(card) | Step::Deleted(card) => Some(card),
        _ => None,
    };
    (
        frame.seq,
        frame.at,
        frame.step.name(),
        card.map_or("", |card| card.kind().as_str()),
        frame.story.as_ref().map_or("", |story| story.key),
        match &frame.step {
            Step::Said(text) => text.as_str(),
            Step::Inside(inside) => inside.key.as_str(),
            _ => card.map_or("", |card| card.name.as_str()),
        },
    )
}

/// The parts of the answer, which is JSON. Frames were encoded when they were made and are copied as they are.
fn encode(span: &Span, stretch: Stretch) -> impl Iterator<Item = String> + Send + 'static {
    let Stretch {
        mut keyframe,
        frames,
    } = stretch;
    let (seq, at) = (keyframe.seq, keyframe.at);
    let to = frames.last().map_or(seq, |frame| frame.seq);
    let cards = shown(std::mem::take(&mut keyframe.cards).into_iter());
    let picture = Picture::from(&keyframe);
    let moment = text(&Moment { seq, at, picture });
    // Quotes inside of texts are escaped, so that this is where the cards belong.
    let (before, after) = moment.split_once(CARDS).expect("a picture has cards");
    let head = format!("{},\"to\":{to},\"keyframe\":{before}{CARDS}", open(span));
    let middle = format!("{after},\"frames\":[");
    let frames = frames.into_iter().map(|frame| {
        let data = String::from_utf8_lossy(frame.data());
        format!("{{\"event\":\"{}\",\"data\":{data}}}", frame.step.name())
    });
    once(head)
        .chain(listed(cards.into_iter().map(|card| text(&*card))))
        .chain(once(middle))
        .chain(listed(frames))
        .chain(once("]}".into()))
}

/// Where the cards of a picture begin.
const CARDS: &str = "\"cards\":[";

/// The span as JSON, without the brace that closes it.
fn open(span: &Span) -> String {
    let mut span = text(span);
    span.pop();
    span
}

/// Items with a comma before each but the first.
fn listed(items: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let items = items.enumerate();
    items.map(|(index, item)| if index == 0 { item } else { format!(",{item}") })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what is shown is plain data")
}

fn refuse(status: StatusCode, reason: &str, message: String, span: Span) -> Response {
    let refusal = Refusal {
        ok: false,
        reason,
        message,
        span,
    };
    (status, json(text(&refusal).into())).into_response()
}

fn json(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;

    use super::*;
    use crate::cluster::{Change, Recording, What};

    fn board() -> Board {
        let head = r#"{"ms":0,"version":1,"recorded":0,"namespace":"default"}"#;
        let source = Recording::parse("run.jsonl", head).expect("whole");
        Board::new("e".into(), source.info(1.0, None), 0)
    }

    async fn ask(board: &Board, from: Option<u64>, to: Option<u64>) -> (u16, Value) {
        let asked = Asked {
            from: from.map(|it| it.to_string()),
            to: to.map(|it| it.to_string()),
        };
        let response = answer(board, &asked);
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn an_answer_is_bounded_and_says_how_far_it_went() {
        let board = board();
        for at in 1..=12_000 {
            let what = What::Said("x".repeat(900));
            board.apply(Change { at, what });
        }
        // Ten thousand frames of the usual size are there.
        let (_, past) = ask(&board, Some(1_700), None).await;
        assert_eq!(past["keyframe"]["seq"], 1_500);
        assert_eq!(past["frames"].as_array().map(Vec::len), Some(MOST_FRAMES));
        assert_eq!(
            (&past["to"], &past["last"]),
            (&3_500.into(), &12_000.into())
        );
        assert_eq!(past["frames"][0]["event"], "said");
        assert_eq!(past["frames"][0]["data"]["seq"], 1_501);
        let (_, past) = ask(&board, Some(12_000), Some(12_000)).await;
        assert_eq!(past["to"], 12_000);
        // The moment before anything happened is one, too.
        let (status, past) = ask(&board, Some(0), Some(0)).await;
        assert_eq!((status, &past["frames"]), (200, &serde_json::json!([])));
    }

    #[tokio::test]
    async fn what_is_forgotten_is_said_to_be_gone() {
        let board = board();
        for at in 1..=3_000 {
            let what = What::Said("x".repeat(20_000));
            board.apply(Change { at, what });
        }
        let (status, refusal) = ask(&board, Some(1), None).await;
        assert_eq!((status, &refusal["reason"]), (410, &"Gone".into()));
        let first = refusal["first"].as_u64();
        assert!(first > Some(1));
        assert!(
            refusal["message"]
                .as_str()
                .is_some_and(|it| it.contains("longer ago"))
        );
        let (status, past) = ask(&board, first, first).await;
        assert_eq!((status, past["keyframe"]["seq"].as_u64()), (200, first));
        // Without a number it is as far back as can be.
        assert_eq!(ask(&board, None, first).await.0, 200);
    }
}
