//! A process that has no file descriptor left. Alone in its process: the limit is the whole process's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use eizoku_http::{Limits, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn count(&self, words: &str) -> usize {
        let bytes = self.0.lock().unwrap();
        String::from_utf8_lossy(&bytes).matches(words).count()
    }
}

#[test]
fn without_a_file_descriptor_it_says_so_once_and_goes_on_when_there_is_one() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .init();
    let limits = Limits::of_this_process();
    let before = getrlimit(Resource::Nofile);
    assert_eq!(before.current, before.maximum, "as much as is allowed");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads");
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // The system takes them for us; nobody has accepted them yet.
    let mut waiting: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a backlog"))
        .collect();
    let open = std::fs::File::open("/dev/null").expect("a file");
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&open)).expect("a number");
    drop(open);
    let limit = |current| {
        let maximum = before.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("lowered");
    };
    limit(Some(next));
    let router = Router::new().route("/", get(|| async { "ok" }));
    let stopping = CancellationToken::new();
    let serving = runtime.spawn(serve(listener, router, limits, stopping.clone()));
    let words = "no connection can be taken";
    while log.count(words) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Some more attempts fail meanwhile; an answer to one that is there would be a miracle.
    std::thread::sleep(Duration::from_millis(500));
    limit(before.current);
    for socket in &mut waiting {
        socket
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.ends_with("ok"), "{answer}");
    }
    assert_eq!(log.count(words), 1);
    stopping.cancel();
    runtime.block_on(serving).expect("it ends");
}
