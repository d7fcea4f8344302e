use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::*;

/// Long enough for nobody to wait for it.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(50);

fn limits() -> Limits {
    Limits {
        connections: 16,
        head: NEVER,
        body: NEVER,
        unread: NEVER,
        unread_lasting: NEVER,
        bodies: 1 << 20,
    }
}

struct Server {
    port: u16,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
    /// Each permit lets one request to `/slow` end.
    slow: Arc<Semaphore>,
    /// Held by every answer to `/big` and `/events` that is not done.
    open: Arc<()>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let slow = Arc::new(Semaphore::new(0));
        let open = Arc::new(());
        let (waits, held, lasts) = (Arc::clone(&slow), Arc::clone(&open), Arc::clone(&open));
        let router = Router::new()
            .route("/", get(|| async { "ok" }).post(read))
            .route("/slow", get(|| async move { wait(waits).await }))
            .route("/big", get(|| async { pieces(held).into_response() }))
            .route(
                "/events",
                get(|| async {
                    let mut response = pieces(lasts).into_response();
                    response.extensions_mut().insert(Lasting);
                    response
                }),
            )
            .route("/other", get(upgrade));
        let stopping = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router, limits, stopping.clone()));
        Self {
            port,
            stopping,
            serving,
            slow,
            open,
        }
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("somebody listens");
        socket.write_all(text.as_bytes()).await.expect("sent");
        socket
    }

    async fn get(&self, path: &str) -> TcpStream {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await
    }

    /// Waits until nobody is being sent `/big` or `/events` any more.
    async fn all_let_go(&self) {
        while Arc::strong_count(&self.open) > 3 {
            sleep(SOON).await;
        }
    }
}

async fn read(request: Request) -> Response {
    match axum::body::to_bytes(request.into_body(), usize::MAX).await {
        Ok(bytes) => bytes.len().to_string().into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn wait(slow: Arc<Semaphore>) -> &'static str {
    slow.acquire().await.expect("it is not closed").forget();
    "at last"
}

/// An answer without an end.
fn pieces(held: Arc<()>) -> Body {
    let pieces = stream::repeat(Bytes::from_static(&[b'.'; 4096]));
    Body::from_stream(pieces.map(move |piece| {
        let _ = &held;
        Ok::<_, std::io::Error>(piece)
    }))
}

async fn upgrade(mut request: Request) -> Response {
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrading.await else {
            return;
        };
        let mut io = hyper_util::rt::TokioIo::new(upgraded);
        let mut byte = [0];
        while io.read_exact(&mut byte).await.is_ok() && io.write_all(&byte).await.is_ok() {}
    });
    let headers = [("connection", "upgrade"), ("upgrade", "other")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

const OTHER: &str =
    "GET /other HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";

/// The status of the answer.
async fn status(socket: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.expect("an answer");
    let text = String::from_utf8_lossy(&head);
    text[9..].parse().expect("a status")
}

/// What still comes until the server closes the connection; a connection that is cut is closed, too.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes).await;
    bytes
}

#[tokio::test]
async fn half_a_head_an_idle_connection_and_half_a_body_are_closed_after_a_while() {
    let server = Server::start(Limits {
        head: SOON,
        body: SOON,
        ..limits()
    })
    .await;
    let mut half = server.send("GET / HTTP/1.1\r\nHost: x").await;
    assert_eq!(rest(&mut half).await, b"");
    let mut silent = server.send("").await;
    assert_eq!(rest(&mut silent).await, b"");
    let mut idle = server.get("/").await;
    assert!(rest(&mut idle).await.ends_with(b"ok"));
    let mut body = server
        .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        .await;
    assert_eq!(rest(&mut body).await, b"");
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_who_reads_slowly_is_not() {
    let server = Server::start(Limits {
        head: SOON,
        unread: SOON,
        ..limits()
    })
    .await;
    // Three handles are the server's own.
    let unread = server.get("/big").await;
    // Many requests, no answer read.
    let many = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let pipelined = server.send(&many).await;
    while Arc::strong_count(&server.open) < 5 {
        sleep(Duration::from_millis(1)).await;
    }
    let mut reader = server.get("/events").await;
    assert_eq!(status(&mut reader).await, 200);
    while Arc::strong_count(&server.open) > 4 {
        sleep(SOON).await;
    }
    // A lasting answer may wait for its reader for longer.
    let mut piece = vec![0; 100_000];
    reader.read_exact(&mut piece).await.expect("still there");
    drop((unread, pipelined));
}

#[tokio::test]
async fn those_that_only_wait_give_way_the_longest_first() {
    let server = Server::start(limits()).await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(server.send("GET / HTTP/1.1\r\nHost: x").await);
    }
    let mut socket = server.get("/").await;
    assert_eq!(status(&mut socket).await, 200);
    assert_eq!(rest(&mut held[0]).await, b"");
    // The newest were not touched.
    let last = held.last_mut().expect("one");
    last.write_all(b"\r\n\r\n").await.expect("sent");
    assert_eq!(status(last).await, 200);
    // Half bodies are no better than half heads.
    for _ in 0..200 {
        let half = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx";
        held.push(server.send(half).await);
    }
    let mut socket = server.get("/").await;
    assert_eq!(status(&mut socket).await, 200);
}

#[tokio::test]
async fn what_is_under_way_stays_and_the_next_one_is_told_to_try_again() {
    let server = Server::start(limits()).await;
    let mut busy = Vec::new();
    for _ in 0..16 {
        busy.push(server.get("/slow").await);
    }
    let mut more = loop {
        let mut more = server.get("/").await;
        if status(&mut more).await == 503 {
            break more;
        }
        // The last of them is still arriving.
    };
    let told = String::from_utf8(rest(&mut more).await).expect("text");
    assert!(told.contains("retry-after: 1"), "{told}");
    server.slow.add_permits(16);
    for socket in &mut busy {
        assert_eq!(status(socket).await, 200);
    }
    let mut again = server.get("/").await;
    assert_eq!(status(&mut again).await, 200);
}

#[tokio::test]
async fn answers_that_last_outlive_every_limit_but_their_number() {
    let server = Server::start(Limits {
        head: SOON,
        body: SOON,
        unread: SOON,
        ..limits()
    })
    .await;
    let mut first = server.get("/events").await;
    assert_eq!(status(&mut first).await, 200);
    let mut half = server.send("GET").await;
    assert_eq!(rest(&mut half).await, b"");
    let mut piece = vec![0; 1 << 20];
    first.read_exact(&mut piece).await.expect("it goes on");
    // A dozen may last; of more the longest gives way, and whoever comes is answered.
    let mut others = Vec::new();
    for _ in 0..40 {
        let mut other = server.get("/events").await;
        assert_eq!(status(&mut other).await, 200);
        others.push(other);
    }
    rest(&mut first).await;
    let mut socket = server.get("/").await;
    assert_eq!(status(&mut socket).await, 200);
    drop(others);
    server.all_let_go().await;
}

#[tokio::test]
async fn upgraded_connections_stay_but_do_not_take_all() {
    let server = Server::start(Limits {
        head: SOON,
        unread: SOON,
        ..limits()
    })
    .await;
    let mut upgraded = Vec::new();
    for _ in 0..8 {
        let mut socket = server.send(OTHER).await;
        assert_eq!(status(&mut socket).await, 101);
        upgraded.push(socket);
    }
    let mut more = server.send(OTHER).await;
    assert_eq!(status(&mut more).await, 503);
    let mut socket = server.get("/").await;
    assert!(rest(&mut socket).await.ends_with(b"ok"));
    for _ in 0..100 {
        server.send("GET").await;
    }
    let mut echo = Vec::new();
    while !echo.ends_with(b"\r\n\r\n!") {
        if echo.ends_with(b"\r\n\r\n") {
            upgraded[0].write_all(b"!").await.expect("sent");
        }
        echo.push(upgraded[0].read_u8().await.expect("it is still open"));
    }
    // One that is closed makes room for another.
    upgraded.pop();
    loop {
        let mut socket = server.send(OTHER).await;
        if status(&mut socket).await == 101 {
            break;
        }
    }
}

#[tokio::test]
async fn bodies_take_only_so_much_memory() {
    let server = Server::start(limits()).await;
    let half = vec![b'x'; 400_000];
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = server.send(head).await;
        socket.write_all(&half).await.expect("sent");
        held.push(socket);
    }
    // Those that began first gave way.
    assert_eq!(rest(&mut held[0]).await, b"");
    let last = held.last_mut().expect("one");
    last.write_all(&half).await.expect("sent");
    assert_eq!(status(last).await, 200);
    let mut small = server
        .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        .await;
    assert_eq!(status(&mut small).await, 200);
}

#[tokio::test]
async fn a_stop_waits_for_nobody_for_long() {
    let mut server = Server::start(limits()).await;
    let mut open = [
        server.get("/events").await,
        server.send("GET").await,
        server.send("").await,
    ];
    assert_eq!(status(&mut open[0]).await, 200);
    let mut idle = server.get("/").await;
    assert_eq!(status(&mut idle).await, 200);
    server.stopping.cancel();
    (&mut server.serving).await.expect("it ends");
    server.all_let_go().await;
}
