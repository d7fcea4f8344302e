//! The API server: Kubernetes on plain loopback HTTP.
//!
//! Owns the listener, the door (secret prefix, exact Host, no Origin) and the table of paths. Hands requests on to the
//! registry and the kubelet. Every answer, errors included, is an object of the Kubernetes API.

pub(crate) mod discovery;
mod eviction;
mod exec;
mod health;
mod list;
mod logfile;
mod logs;
mod openapi;
mod portforward;
mod protobuf;
mod query;
mod review;
mod scale;
mod spdy;
mod table;
mod watch;
mod write;

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State, ws::WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use eizoku_http::{Lasting, Limits};
use futures::FutureExt;
use http_body_util::LengthLimitError;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::query::Query;
use super::encode;
use super::failure::Failure;
use super::kubelet::Kubelet;
use super::object::{self, Object};
use super::registry::Registry;
use super::resource::{self, Resource};

/// A body larger than this is refused, as etcd's limit does it on a real cluster.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// A WebSocket's message that is longer than this ends it; clients send pieces of 32 kB.
const MESSAGE_LIMIT: usize = 1024 * 1024;

/// What the paths need.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) registry: Registry,
    pub(crate) kubelet: Kubelet,
    /// `/k/<128 random bits>`: who knows it may do everything.
    pub(crate) prefix: String,
    pub(crate) port: u16,
    pub(crate) stop: CancellationToken,
}

/// Serves until the token is cancelled. Watches and sessions end with it.
pub(crate) async fn serve(listener: TcpListener, api: Api) {
    let stop = api.stop.clone();
    let router = Router::new().fallback(answer).with_state(api);
    eizoku_http::serve(listener, router, Limits::of_this_process(), stop).await;
}

/// What a request is about.
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

async fn answer(State(api): State<Api>, request: Request) -> Response {
    // A panic is the answer to one request, not the end of a connection that others wait on.
    match AssertUnwindSafe(api.route(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.into_response(),
        Err(_) => Failure::internal("the request made the server panic").into_response(),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code, message = self.message, "refused");
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(code, &self.to_status())
    }
}

/// An object as an answer.
pub(crate) fn json_response(code: StatusCode, value: &Value) -> Response {
    let mut text = encode::to_vec(value);
    text.push(b'\n');
    (
        code,
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        text,
    )
        .into_response()
}

impl Api {
    /// Lets nobody in who does not know the prefix, and no browser page at all: a page cannot hide its Origin, and a
    /// rebound name shows in Host.
    fn admit(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Failure> {
        let refused = |message: &str| Failure {
            code: 403,
            reason: "Forbidden",
            message: message.to_owned(),
            details: Some(json!({})),
        };
        if headers.contains_key(header::ORIGIN) {
            return Err(refused("requests from web pages are refused"));
        }
        let is_ours = |host: &str| {
            ["127.0.0.1", "localhost"]
                .map(|name| format!("{name}:{}", self.port))
                .contains(&host.to_owned())
        };
        let mut hosts = headers
            .get_all(header::HOST)
            .iter()
            .map(HeaderValue::to_str);
        let is_named =
            matches!((hosts.next(), hosts.next()), (Some(Ok(host)), None) if is_ours(host));
        // A request line may name a host as well, which goes before the header (RFC 9112, 3.2.2).
        if !is_named || uri.authority().is_some_and(|host| !is_ours(host.as_str())) {
            return Err(refused("the Host header does not name this server"));
        }
        match uri.path().strip_prefix(&self.prefix) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(rest.to_owned()),
            _ => Err(Failure {
                code: 401,
                reason: "Unauthorized",
                message: "Unauthorized".to_owned(),
                details: None,
            }),
        }
    }

    async fn route(&self, request: Request) -> Result<Response, Failure> {
        let path = self.admit(request.headers(), request.uri())?;
        let query = Query::parse(request.uri().query().unwrap_or(""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_read = request.method() == Method::GET;
        match parts.as_slice() {
            [probe @ ("readyz" | "livez" | "healthz"), ..] if is_read => {
                Ok(self.health(probe).await)
            }
            ["version"] if is_read => Ok(json_response(StatusCode::OK, &discovery::version())),
            ["openapi", "v3", rest @ ..] if is_read => openapi::document(rest, &self.prefix)
                .map(|document| json_response(StatusCode::OK, &document)),
            ["openapi", "v2"] if is_read => Ok(openapi::empty_v2()),
            [] | ["api" | "apis"] | ["apis", _] | ["api", "v1"] | ["apis", _, _] if is_read => {
                discovery::answer(&parts, accept(request.headers()))
            }
            ["api", version, rest @ ..] => self.resource("", version, rest, query, request).await,
            ["apis", group, version, rest @ ..] => {
                if let Some(kind) = review::kind(group, version, rest) {
                    return review::answer(kind, request).await;
                }
                self.resource(group, version, rest, query, request).await
            }
            _ => Err(Failure::no_such_path()),
        }
    }

    async fn resource(
        &self,
        group: &str,
        version: &str,
        rest: &[&str],
        query: Query,
        request: Request,
    ) -> Result<Response, Failure> {
        if let Some(kind) = always_empty(group, rest)
            && request.method() == Method::GET
        {
            return Ok(json_response(
                StatusCode::OK,
                &json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": self.registry.revision().to_string()}, "items": []}),
            ));
        }
        let target = target(group, version, rest)?;
        match (request.method().clone(), target.subresource.as_deref()) {
            (Method::GET, Some("log")) => self.log(&target, &query).await,
            (Method::GET | Method::POST, Some("exec")) => self.exec(&target, query, request).await,
            (Method::GET | Method::POST, Some("portforward")) => {
                self.port_forward(&target, request).await
            }
            (Method::POST, Some("eviction")) => self.evict(&target, query, request).await,
            (
                _,
                Some("attach" | "proxy" | "ephemeralcontainers" | "resize" | "binding" | "token"),
            ) => Err(Failure::left_out(
                target.subresource.as_deref().unwrap_or(""),
            )),
            (_, Some("scale")) if target.resource.scale => {
                self.scale(&target, query, request).await
            }
            (_, Some("status")) if target.resource.status => {
                self.object(&target, query, request).await
            }
            (_, Some("finalize")) if target.resource.plural == "namespaces" => {
                self.object(&target, query, request).await
            }
            (_, Some(_)) => Err(Failure::no_such_path()),
            (Method::GET, None) if query.is("watch") => {
                Ok(self.watch(&target, &query, accept(request.headers()))?)
            }
            (Method::GET, None) if target.name.is_none() => {
                let (query, accept) = (query, accept(request.headers()).to_owned());
                let api = self.clone();
                // A long list takes a while to select from.
                tokio::task::spawn_blocking(move || api.list(&target, &query, &accept))
                    .await
                    .map_err(|error| Failure::internal(error.to_string()))?
            }
            _ => self.object(&target, query, request).await,
        }
    }

    /// The Pod whose subresource is asked for.
    fn pod(&self, target: &Target) -> Result<Object, Failure> {
        self.registry.get(
            resource::PODS,
            target.namespace.as_deref().unwrap_or(""),
            target.name.as_deref().unwrap_or(""),
        )
    }
}

/// Refuses what only the node of a Pod can do while the Pod has none.
fn needs_host(pod: &Object) -> Result<(), Failure> {
    if object::text(pod, "/spec/nodeName").is_empty() {
        let name = object::name(pod);
        return Err(Failure::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    Ok(())
}

/// Kinds that are left out, and whose absence is a true answer: `kubectl describe namespace` asks for them.
fn always_empty(group: &str, rest: &[&str]) -> Option<&'static str> {
    let (["namespaces", _, plural] | [plural]) = rest else {
        return None;
    };
    match *plural {
        "resourcequotas" if group.is_empty() => Some("ResourceQuotaList"),
        "limitranges" if group.is_empty() => Some("LimitRangeList"),
        _ => None,
    }
}

/// The parts of a resource's path after group and version.
fn target(group: &str, version: &str, rest: &[&str]) -> Result<Target, Failure> {
    let decode = |part: &str| query::percent_decode(part, false);
    let find = |plural: &str| {
        resource::find(group, version, plural).ok_or_else(|| {
            match resource::LEFT_OUT.iter().find(|(name, _)| *name == plural) {
                Some((_, what)) => Failure::left_out(what),
                None => Failure::no_such_path(),
            }
        })
    };
    let (namespace, rest) = match rest {
        // `namespaces/x/status` is about the namespace itself, `namespaces/x/pods` about what is in it.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] if group.is_empty() => {
            (None, rest)
        }
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(decode(namespace)), rest),
        _ => (None, rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(decode(name)), None),
        [plural, name, subresource] => {
            (plural, Some(decode(name)), Some((*subresource).to_owned()))
        }
        _ => return Err(Failure::no_such_path()),
    };
    let resource = find(plural)?;
    if resource.namespaced != namespace.is_some() && (name.is_some() || namespace.is_some()) {
        return Err(Failure::no_such_path());
    }
    Ok(Target {
        resource,
        namespace,
        name,
        subresource,
    })
}

/// The form in which the client wants the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects themselves.
    Plain,
    /// A table with the columns of `kubectl get`.
    Table,
    /// Only the objects' metadata.
    Metadata,
}

/// Picks the first form of the Accept header that is served.
pub(crate) fn form(accept: &str) -> Result<Form, Failure> {
    for kind in accept.split(',').map(str::trim) {
        let is_json = kind.starts_with("application/json")
            || kind.starts_with("*/*")
            || kind.starts_with("application/*");
        match (
            is_json,
            kind.contains("as=Table"),
            kind.contains("as=PartialObjectMetadata"),
        ) {
            (true, true, _) if kind.contains("v=v1;") || kind.ends_with("v=v1") => {
                return Ok(Form::Table);
            }
            (true, true, _) => {}
            (true, _, true) => return Ok(Form::Metadata),
            (true, false, false) => return Ok(Form::Plain),
            (false, ..) => {}
        }
    }
    if accept.is_empty() {
        return Ok(Form::Plain);
    }
    Err(Failure::not_acceptable(
        "only the following media types are accepted: application/json",
    ))
}

fn accept(headers: &HeaderMap) -> &str {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

/// The whole body of a request.
async fn body(request: Request) -> Result<axum::body::Bytes, Failure> {
    axum::body::to_bytes(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|error| {
            let mut causes =
                std::iter::successors(Some(&error as &dyn std::error::Error), |it| it.source());
            if !causes.any(<dyn std::error::Error>::is::<LengthLimitError>) {
                return Failure::bad_request(format!("the body could not be read: {error}"));
            }
            Failure::too_large(format!("Request entity too large: limit is {BODY_LIMIT}"))
        })
}

/// Turns a request into a WebSocket, when it asks for one.
async fn websocket(request: Request) -> Option<WebSocketUpgrade> {
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .ok()?;
    Some(
        upgrade
            .max_message_size(MESSAGE_LIMIT)
            .max_frame_size(MESSAGE_LIMIT),
    )
}

/// An answer that lasts for as long as the client wants.
fn stream_response(kind: &'static str, body: Body) -> Response {
    (
        Extension(Lasting),
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-cache, private"),
            ),
        ],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_objects() {
        let names = |group: &str, rest: &[&str]| {
            target(group, "v1", rest).map(|target| {
                (
                    target.resource.plural,
                    target.namespace,
                    target.name,
                    target.subresource,
                )
            })
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(names("", &["pods"]), Ok(("pods", None, None, None)));
        assert_eq!(
            names("", &["namespaces", "a", "pods", "b", "log"]),
            Ok(("pods", text("a"), text("b"), text("log")))
        );
        assert_eq!(
            names("", &["namespaces", "a"]),
            Ok(("namespaces", None, text("a"), None))
        );
        assert_eq!(
            names("", &["namespaces", "a", "status"]),
            Ok(("namespaces", None, text("a"), text("status")))
        );
        assert_eq!(
            names("apps", &["namespaces", "a", "statefulsets"]),
            Ok(("statefulsets", text("a"), None, None))
        );
        assert!(
            names("", &["pods", "b"]).is_err(),
            "a namespaced object needs its namespace"
        );
        assert!(names("apps", &["pods"]).is_err());
    }

    #[test]
    fn the_first_served_form_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok(Form::Table));
        assert_eq!(
            form("application/vnd.kubernetes.protobuf,application/json"),
            Ok(Form::Plain)
        );
        assert_eq!(
            form("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"),
            Ok(Form::Plain)
        );
        assert_eq!(
            form("application/vnd.kubernetes.protobuf")
                .unwrap_err()
                .code,
            406
        );
    }
}
