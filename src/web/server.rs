//! The listening socket and its end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long requests under way may take once the program is to stop.
const STOP_PATIENCE: Duration = Duration::from_millis(700);

/// A socket that is open and not served yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error(
        "port {port} is in use: another program listens on 127.0.0.1:{port}\n\
         Stop it, or choose another port: eizoku --port {} (or --port 0 for any free one)",
        port.checked_add(1).unwrap_or(8008)
    )]
    InUse {
        /// The port.
        port: u16,
    },
    /// Anything else.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Io {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

impl Server {
    /// Opens `port` on the loopback address; 0 means any free one.
    pub async fn bind(port: u16) -> Result<Self, ServeError> {
        let bind = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse { port },
            _ => ServeError::Io { port, source },
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stopping`, then lets requests under way end, but not for long.
    pub async fn run(self, router: Router, stopping: CancellationToken) -> io::Result<()> {
        // Small events must leave at once, not wait for more to come.
        let listener = self.listener.tap_io(|stream| {
            // A socket that is gone already needs no option.
            let _ = stream.set_nodelay(true);
        });
        let stop = stopping.clone();
        // Who is at the other end is asked where a code is taken.
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let serve = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        let mut serve = std::pin::pin!(serve.into_future());
        tokio::select! {
            ended = &mut serve => ended,
            () = stopping.cancelled() => timeout(STOP_PATIENCE, serve).await.unwrap_or(Ok(())),
        }
    }
}
