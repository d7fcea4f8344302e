//! `GET /events`: one stream a page. A snapshot first, then every frame; a new snapshot for a
//! reader that fell behind.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use eizoku_http::Lasting;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::cluster::now;
use crate::live::{Board, Update};

/// How often a page hears that the stream is alive. Comments would be invisible to its script.
const PING_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn get(State(site): State<Site>) -> Response {
    let reader = Reader::new(site.board, site.stopping);
    let stream = futures::stream::unfold(reader, |mut reader| async {
        let bytes = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), reader))
    });
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            // A proxy that gathers or packs the stream would hold events back.
            (header::CACHE_CONTROL, "no-cache, no-transform"),
        ],
        [("x-accel-buffering", "no")],
        Extension(Lasting),
        Body::from_stream(stream),
    )
        .into_response()
}

/// One page's place in the stream.
struct Reader {
    board: Board,
    updates: Option<Receiver<Update>>,
    /// Of the snapshot that was begun.
    rest: Option<Bytes>,
    stopping: CancellationToken,
    ping: Instant,
}

impl Reader {
    fn new(board: Board, stopping: CancellationToken) -> Self {
        Self {
            board,
            updates: None,
            rest: None,
            stopping,
            ping: Instant::now() + PING_EVERY,
        }
    }

    /// The next event, or piece of one; none when the program stops.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        loop {
            let Some(updates) = &mut self.updates else {
                let ([head, rest], updates) = self.board.subscribe(now());
                self.updates = Some(updates);
                self.rest = Some(rest);
                return Some(head);
            };
            tokio::select! {
                // A stream that did not end here would keep a graceful stop waiting for ever.
                () = self.stopping.cancelled() => return None,
                update = updates.recv() => match update {
                    Ok(Update::Frame(frame)) => return Some(frame.bytes.clone()),
                    Ok(Update::Reset) | Err(RecvError::Lagged(_)) => self.updates = None,
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(self.ping) => {
                    self.ping = Instant::now() + PING_EVERY;
                    return Some(format!("event: ping\ndata: {{\"at\":{}}}\n\n", now()).into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Acting, Change, SourceInfo, SourceKind, What, Why};

    fn board() -> Board {
        let source = SourceInfo {
            kind: SourceKind::Recording,
            label: "test".into(),
            namespace: "default".into(),
            recorded: None,
            speed: None,
            kubeconfig: None,
            fallback: None,
            acting: Acting::new(Why::Recording),
        };
        Board::new("e".into(), source, 0)
    }

    fn say(board: &Board, text: &str) {
        board.apply(Change {
            at: 1,
            what: What::Said(text.into()),
        });
    }

    fn text(bytes: Option<Bytes>) -> String {
        String::from_utf8(bytes.expect("an event").to_vec()).expect("text")
    }

    async fn snapshot(reader: &mut Reader) -> String {
        text(reader.next().await) + &text(reader.next().await)
    }

    #[tokio::test]
    async fn snapshot_then_frames_then_the_end() {
        let board = board();
        say(&board, "before");
        let stop = CancellationToken::new();
        let mut reader = Reader::new(board.clone(), stop.clone());
        let first = snapshot(&mut reader).await;
        assert!(first.ends_with("}\n\n"), "{first}");
        assert!(first.starts_with("event: snapshot\nid: e-1\n"), "{first}");
        say(&board, "after\nwards");
        assert_eq!(
            text(reader.next().await),
            "event: said\nid: e-2\ndata: {\"seq\":2,\"at\":1,\"text\":\"after\\nwards\"}\n\n"
        );
        stop.cancel();
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_fell_behind_gets_a_new_snapshot() {
        let board = board();
        let mut reader = Reader::new(board.clone(), CancellationToken::new());
        snapshot(&mut reader).await;
        for _ in 0..5_000 {
            say(&board, "x");
        }
        let again = snapshot(&mut reader).await;
        assert!(again.starts_with("event: snapshot\nid: e-5000\n"));
        say(&board, "y");
        assert!(text(reader.next().await).contains("\"seq\":5001"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_cluster_still_pings() {
        let mut reader = Reader::new(board(), CancellationToken::new());
        snapshot(&mut reader).await;
        let before = Instant::now();
        assert!(text(reader.next().await).starts_with("event: ping\n"));
        assert_eq!(before.elapsed().as_secs(), PING_EVERY.as_secs());
    }
}
