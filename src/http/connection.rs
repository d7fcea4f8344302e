//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::Lasting;
use crate::body::{Arriving, Leaving};
use crate::seats::Seat;
use crate::socket::Socket;

/// Bytes of a request's head at most: the longest address that can be read, and 16 KiB of headers.
const HEAD: usize = 80 * 1024;

/// Serves until either side ends it, the client takes too long, or the seat is needed for another one.
pub(crate) async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    seat: Arc<Seat>,
    router: Router,
    stopping: CancellationToken,
) {
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&seat)));
    let service = service_fn(|request| answer(router.clone(), client, Arc::clone(&seat), request));
    let connection = http1::Builder::new()
        .max_buf_size(HEAD)
        // The seat knows how long a client may take, for more than the head.
        .header_read_timeout(None)
        .serve_connection(socket, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let dismissed = seat.dismissed();
    let (mut dismissed, mut stopped) = (pin!(dismissed.cancelled()), pin!(stopping.cancelled()));
    let mut is_stopping = false;
    let mut alarm = pin!(sleep_until(Instant::now()));
    let mut is_set = false;
    poll_fn(|context| {
        if !is_stopping && stopped.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
            return Poll::Ready(());
        }
        if dismissed.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        // Whatever changes what is waited for happens while the connection is polled.
        let Some(due) = seat.due() else {
            return Poll::Pending;
        };
        if !is_set || alarm.deadline() != due {
            is_set = true;
            alarm.as_mut().reset(due);
        }
        alarm.as_mut().poll(context)
    })
    .await;
}

async fn answer(
    mut router: Router,
    client: SocketAddr,
    seat: Arc<Seat>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let wants_upgrade = request.headers().contains_key(header::UPGRADE);
    if !seat.is_welcome() || (wants_upgrade && !seat.may_upgrade()) {
        return Ok(full());
    }
    seat.begin(!request.body().is_end_stream());
    let mut request = request.map(|body| Body::new(Arriving::new(body, Arc::clone(&seat))));
    request.extensions_mut().insert(ConnectInfo(client));
    let response = router.call(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        seat.upgrade();
        return Ok(response);
    }
    seat.answer(response.extensions().get::<Lasting>().is_some());
    Ok(response.map(|body| Body::new(Leaving::new(body, seat))))
}

/// What a client hears for whom there is no room.
fn full() -> Response<Body> {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")],
        "Too many connections are open. Close some, or try again.\n",
    )
        .into_response()
}
