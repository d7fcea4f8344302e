//! `GET /terminal`: the owner's WebSocket to a program in a Pod. Binary messages are the terminal's bytes both
//! ways; text messages are `{"resize": …}` from the page and `{"ended": …}` to it, once, at the end.

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::Site;
use super::door::Owner;
use crate::cluster::{Ended, EndedWhy, Terminal, Typed, Wanted};

/// The longest message that is read: what a reader pastes.
const LONGEST: usize = 64 * 1024;
/// Messages that may wait in either direction.
const AHEAD: usize = 16;

pub(super) async fn get(
    State(site): State<Site>,
    _: Owner,
    wanted: Result<Query<Wanted>, QueryRejection>,
    upgrade: WebSocketUpgrade,
) -> Response {
    // A page cannot read why a WebSocket did not open: it opens, and says it inside. (That it lacks the key it hears
    // from /role.)
    upgrade
        .max_message_size(LONGEST)
        .max_frame_size(LONGEST)
        .on_upgrade(async move |socket| {
            let stopping = site.stopping.clone();
            let serve = serve(site, wanted, socket);
            tokio::select! {
                () = serve => {}
                () = async {
                    stopping.cancelled().await;
                    // What is under way may say so; a page that does not listen is not waited for.
                    tokio::time::sleep(LAST_WORDS).await;
                } => {}
            }
        })
}

/// How long the last message may take when the program stops.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(200);

async fn serve(site: Site, wanted: Result<Query<Wanted>, QueryRejection>, mut socket: WebSocket) {
    let opened = match wanted {
        Ok(Query(wanted)) => site.actor.terminal(&wanted).await.map_err(Ended::from),
        Err(rejection) => Err(Ended::new(EndedWhy::Refused, rejection.body_text())),
    };
    match opened {
        Ok(terminal) => carry(terminal, socket, site).await,
        Err(ended) => {
            let _ = socket.send(last(&ended)).await;
            let _ = socket.send(Message::Close(None)).await;
        }
    }
}

async fn carry(terminal: Terminal, socket: WebSocket, site: Site) {
    let (mut to_page, from_page) = socket.split();
    let (typing, typed) = mpsc::channel(AHEAD);
    let (showing, mut shown) = mpsc::channel::<Bytes>(AHEAD);
    let listening = tokio::spawn(listen(from_page, typing));
    let running = async {
        tokio::select! {
            ended = terminal.run(typed, showing) => ended,
            () = site.stopping.cancelled() => Ended::new(EndedWhy::Cut, "eizoku was stopped"),
        }
    };
    let sending = async {
        while let Some(bytes) = shown.recv().await {
            if to_page.send(Message::Binary(bytes)).await.is_err() {
                // Receives no more, so that the program's output has nowhere to go and it ends.
                break;
            }
        }
        drop(shown);
        to_page
    };
    let (ended, mut to_page) = tokio::join!(running, sending);
    listening.abort();
    // The page may have left; then nobody needs the words.
    let _ = to_page.send(last(&ended)).await;
    let _ = to_page.send(Message::Close(None)).await;
}

/// Hands on what the page sends, as fast as the program takes it, until it leaves.
async fn listen(mut from_page: SplitStream<WebSocket>, typing: mpsc::Sender<Typed>) {
    while let Some(Ok(message)) = from_page.next().await {
        let typed = match message {
            Message::Binary(bytes) => Typed::Keys(bytes),
            Message::Text(text) => match serde_json::from_str(text.as_str()) {
                Ok(Asked {
                    resize: Size { cols, rows },
                }) => Typed::Size { cols, rows },
                Err(_) => continue,
            },
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if typing.send(typed).await.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    resize: Size,
}

#[derive(Deserialize)]
struct Size {
    cols: u16,
    rows: u16,
}

fn last(ended: &Ended) -> Message {
    Message::Text(json!({"ended": ended}).to_string().into())
}
