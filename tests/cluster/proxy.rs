//! A cable between the program and the API server that can be cut.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Carries bytes as they are: the TLS inside goes from end to end.
pub(crate) struct Proxy {
    port: u16,
    is_cut: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    /// Listens on a free port and leads to `port` of the loopback address.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            port: listener.local_addr().expect("bound").port(),
            is_cut: Arc::default(),
            connections: Arc::default(),
        };
        let (is_cut, connections) = (Arc::clone(&proxy.is_cut), Arc::clone(&proxy.connections));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let carrying = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
                        // Either end may close; then the connection is over.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                connections.lock().unwrap().push(carrying.abort_handle());
            }
        });
        proxy
    }

    /// Ends every connection in the middle and takes no new one.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Takes connections again.
    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    /// Writes a copy of `kubeconfig` that leads through here. The server's certificate is for the
    /// address, not for the port.
    pub(crate) fn kubeconfig(&self, kubeconfig: &str, folder: &Path) -> String {
        let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig");
        let server = server(kubeconfig);
        let here = format!("https://127.0.0.1:{}", self.port);
        let path = folder.join("kubeconfig");
        std::fs::write(&path, text.replace(&server, &here)).expect("written");
        path.display().to_string()
    }
}

/// The API server's address in a kubeconfig.
pub(crate) fn server(kubeconfig: &str) -> String {
    let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig");
    let start = text.find("https://").expect("an address");
    text[start..]
        .chars()
        .take_while(|it| !it.is_whitespace() && !"\"',}".contains(*it))
        .collect()
}

/// The API server's port in a kubeconfig.
pub(crate) fn port(kubeconfig: &str) -> u16 {
    let server = server(kubeconfig);
    let port = server.rsplit(':').next().expect("a port");
    port.trim_end_matches('/').parse().expect("a number")
}
