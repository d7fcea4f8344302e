//! `pods/portforward`: connections to a container's port, for `kubectl port-forward`.
//!
//! The client speaks SPDY, through a WebSocket (kubectl 1.31 and newer) or right after the upgrade (1.30). For each
//! connection it opens two streams with the same request id: one for the data, one for what went wrong.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::spdy::{Connection, Outgoing, Stream};
use super::{Api, Target, needs_host, websocket};
use crate::failure::Failure;
use crate::kubelet::Kubelet;
use crate::object::{self, array, text};

/// What is spoken on the streams.
const PROTOCOL: &str = "portforward.k8s.io";
/// The WebSocket that carries it.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Bytes on their way between socket and SPDY.
const PIPE: usize = 64 * 1024;

impl Api {
    pub(super) async fn port_forward(
        &self,
        target: &Target,
        request: Request,
    ) -> Result<Response, Failure> {
        let pod = self.pod(target)?;
        needs_host(&pod)?;
        let forward = Forward {
            kubelet: self.kubelet.clone(),
            uid: object::uid(&pod).to_owned(),
            containers: array(&pod, "/spec/initContainers")
                .iter()
                .chain(array(&pod, "/spec/containers"))
                .map(|container| text(container, "/name").to_owned())
                .collect(),
            stop: self.stop.clone(),
        };
        if wants(&request, "spdy/3.1") {
            return upgrade(request, forward);
        }
        let is_tunnel = request
            .headers()
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(|protocol| protocol.trim() == TUNNEL);
        if request.method() != Method::GET || !is_tunnel {
            return Err(Failure::bad_request(format!(
                "Upgrade request required, for {TUNNEL} or SPDY/3.1"
            )));
        }
        let upgrade = websocket(request)
            .await
            .ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
        Ok(upgrade.protocols([TUNNEL]).on_upgrade(|socket| async {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            tokio::select! {
                () = forward.run(ours) => {}
                () = tunnel(socket, theirs) => {}
            }
        }))
    }
}

/// Whether a request wants its connection to become this.
fn wants(request: &Request, protocol: &str) -> bool {
    request
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case(protocol))
}

/// Speaks SPDY on the connection itself.
fn upgrade(mut request: Request, forward: Forward) -> Result<Response, Failure> {
    let connection = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = connection.await {
            forward.run(TokioIo::new(upgraded)).await;
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "SPDY/3.1")
        .header("X-Stream-Protocol-Version", PROTOCOL)
        .body(Body::empty())
        .map_err(|error| Failure::internal(error.to_string()))
}

/// Carries bytes between a WebSocket's messages and a pipe, until one of them ends.
async fn tunnel(socket: WebSocket, pipe: DuplexStream) {
    let (mut to_client, mut from_client) = socket.split();
    let (mut from_us, mut to_us) = tokio::io::split(pipe);
    let incoming = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) => match to_us.write_all(&bytes).await {
                    Ok(()) => {}
                    Err(_) => return,
                },
                Message::Close(_) => return,
                _ => {}
            }
        }
    };
    let outgoing = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from_us.read(&mut buffer).await {
            let message = Message::Binary(buffer[..count].to_vec().into());
            if to_client.send(message).await.is_err() {
                return;
            }
        }
        let _ = to_client.close().await;
    };
    tokio::select! {
        () = incoming => {}
        () = outgoing => {}
    }
}

/// One `kubectl port-forward`.
struct Forward {
    kubelet: Kubelet,
    uid: String,
    /// Any of the Pod's containers may serve the port: they share an address.
    containers: Vec<String>,
    stop: CancellationToken,
}

impl Forward {
    async fn run(self, io: impl AsyncRead + AsyncWrite + Send + 'static) {
        let stop = self.stop.clone();
        tokio::select! {
            () = self.serve(Connection::new(io)) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn serve(self, mut connection: Connection<impl AsyncRead + AsyncWrite + Send + 'static>) {
        // Dropped, and its connections with it, when the client goes away.
        let mut running = JoinSet::new();
        // The streams for errors whose data streams have not come yet.
        let mut waiting: HashMap<String, Outgoing> = HashMap::new();
        loop {
            let stream = match connection.accept().await {
                Ok(Some(stream)) => stream,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "port-forward ended");
                    return;
                }
            };
            while running.try_join_next().is_some() {}
            let header = |name: &str| stream.headers.get(name).map_or("", String::as_str);
            let id = header("requestid").to_owned();
            match header("streamtype") {
                "error" => {
                    waiting.insert(id, stream.outgoing);
                }
                "data" => {
                    let port = header("port").parse::<u16>().unwrap_or(0);
                    let Some(errors) = waiting.remove(&id) else {
                        continue;
                    };
                    match self.connect(port).await {
                        Ok(socket) => {
                            running.spawn(carry(stream, errors, socket));
                        }
                        Err(why) => {
                            tracing::debug!(port, why, "port-forward refused");
                            errors.send(why.as_bytes()).await;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    async fn connect(&self, port: u16) -> Result<UnixStream, String> {
        let mut why = None;
        for name in &self.containers {
            let Some(container) = self.kubelet.container(&self.uid, name) else {
                continue;
            };
            match container.connect(port).await {
                Ok(socket) => return Ok(socket),
                Err(error) => why = Some(error),
            }
        }
        let pod = &self.uid;
        Err(match why {
            Some(_) => format!(
                "error forwarding port {port} to pod {pod}, uid : failed to execute portforward: failed to connect to localhost:{port} inside the pod, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
            ),
            None => format!(
                "error forwarding port {port} to pod {pod}, uid : the pod has no running container"
            ),
        })
    }
}

/// Carries one connection until both sides have said all, or the client gives it up.
async fn carry(stream: Stream, errors: Outgoing, socket: UnixStream) {
    let Stream {
        mut incoming,
        outgoing,
        ..
    } = stream;
    let (mut from_port, mut to_port) = socket.into_split();
    let there = async {
        while let Some(piece) = incoming.recv().await {
            if to_port.write_all(&piece.bytes).await.is_err() {
                break;
            }
        }
        let _ = to_port.shutdown().await;
    };
    let back = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from_port.read(&mut buffer).await {
            if !outgoing.send(&buffer[..count]).await {
                break;
            }
        }
        drop(outgoing);
    };
    tokio::pin!(there, back);
    // Once the port has said all, nobody waits for what the client may still say.
    tokio::select! {
        () = &mut back => {}
        () = &mut there => back.await,
    }
    drop(errors);
}
