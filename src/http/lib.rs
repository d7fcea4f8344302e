//! Serving HTTP on loopback: one accept loop for the page and for the embedded API.
//!
//! Owns the sockets, who may keep one and for how long. A client that sends half a request, or reads no answer, is
//! closed after a while; when there are too many connections, those that wait for their clients give way to new ones,
//! the longest waiting first, so that nobody can keep everybody else out. Knows nothing of what is served.

mod body;
mod connection;
mod limits;
mod seats;
mod socket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use limits::Limits;

use seats::Seats;

/// How long requests under way may take once the program is to stop.
const STOP_PATIENCE: Duration = Duration::from_millis(700);
/// How long to wait after a connection could not be taken, for the want of a file descriptor.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is said that connections cannot be taken.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Marks an answer that goes on for as long as its reader wants: an event stream, a watch, a log. Put into the
/// extensions of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Lasting;

/// Serves until `stopping`, then lets requests under way end, but not for long. Connections that were upgraded belong to
/// whoever upgraded them and end by themselves. Each request has the client's address as axum's `ConnectInfo`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: CancellationToken,
) {
    let seats = Seats::new(limits.connections);
    // Those that give way need a moment to go; until then they are more than the limit.
    let room = Arc::new(Semaphore::new(limits.connections + limits.leaving()));
    let mut connections = JoinSet::new();
    let mut said: Option<Instant> = None;
    loop {
        while connections.try_join_next().is_some() {}
        if room.available_permits() == 0 {
            seats.make_room();
        }
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place.expect("it is never closed"),
            () = stopping.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, client)) => {
                // Small events must leave at once. A socket that is gone already needs no option.
                let _ = stream.set_nodelay(true);
                let seat = seats.take(place, limits);
                let router = router.clone();
                connections.spawn(connection::serve(
                    stream,
                    client,
                    seat,
                    router,
                    stopping.clone(),
                ));
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, "no connection can be taken; the longest waiting ones are closed");
                }
                seats.make_room();
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = stopping.cancelled() => break,
                }
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that are not done by then are dropped with the set.
    let _ = timeout(STOP_PATIENCE, ended).await;
}

/// Whether it is about the connection that was to be taken, and not about us.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests;
