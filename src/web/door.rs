//! What a request may do. Reading is open to whoever reaches the port; acting, terminals and the recording are for the
//! owner alone: who started the program. Every user of the machine reaches the port, so that the owner is known by a
//! key: random, new at each start, printed with the address, and kept by the browser as a cookie.
//!
//! The key is never on a command line, in a log, in a frame or in a recording. A browser that the program opens by
//! itself gets a code instead of it: the address is an argument of the browser, and every user may read the arguments
//! of every process. A code is taken once, for [`CODE_LASTS`], and only over a connection that belongs to the user who
//! runs this program, so that whoever reads it along the way cannot use it, however quick. (A file of mode 0600 that
//! leads to the key would need no code; browsers that come as a snap or a flatpak may not read it.)

mod peer;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::act::refused;
use super::{Site, security};
use crate::cluster::{Reason, Refusal};

/// How long the code of an address that is opened once is good for: as long as a browser may take to start.
const CODE_LASTS: Duration = Duration::from_secs(120);
/// The random bytes of a key, and of a code.
const RANDOM: usize = 32;

/// The key of this run; a cheap handle.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    port: u16,
    secret: String,
    /// What opens the door once, and until when.
    code: Mutex<Option<(String, Instant)>>,
}

impl Key {
    /// A new key for the page on this port.
    pub fn new(port: u16) -> Self {
        Self(Arc::new(Inner {
            port,
            secret: random(),
            code: Mutex::default(),
        }))
    }

    /// The page's address with the key in it. It is good for the whole run and for any number of browsers.
    pub fn address(&self) -> String {
        let Inner { port, secret, .. } = &*self.0;
        format!("http://127.0.0.1:{port}/?key={secret}")
    }

    /// The page's address with a code that is taken once. One that was given out before is no longer good.
    pub fn address_once(&self) -> String {
        let code = random();
        let address = format!("http://127.0.0.1:{}/?code={code}", self.0.port);
        let until = Instant::now() + CODE_LASTS;
        *self.0.code.lock().unwrap() = Some((code, until));
        address
    }

    /// Cookies know no ports: another program's of this sort must not take the place of ours.
    fn cookie_name(&self) -> String {
        format!("eizoku-{}", self.0.port)
    }

    fn cookie(&self) -> String {
        let name = self.cookie_name();
        let secret = &self.0.secret;
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict")
    }

    /// Whether a request carries the key. Any cookie of the name will do: another server of this machine may have
    /// put one before it.
    fn is_carried(&self, headers: &HeaderMap) -> bool {
        let name = self.cookie_name();
        let cookies = headers.get_all(header::COOKIE).iter();
        cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(its, value)| its == name && is_same(value, &self.0.secret))
    }

    fn takes(&self, given: Given<'_>, client: Option<SocketAddr>) -> bool {
        match given {
            Given::Key(key) => is_same(key, &self.0.secret),
            Given::Code(code) => {
                let is_own = || client.is_some_and(|it| peer::is_own(it, self.0.port));
                let mut known = self.0.code.lock().unwrap();
                let is_good = known.as_ref().is_some_and(|(known, until)| {
                    is_same(code, known) && Instant::now() < *until && is_own()
                });
                if is_good {
                    *known = None;
                }
                is_good
            }
        }
    }
}

/// In a time that does not tell how much of it was right.
fn is_same(given: &str, known: &str) -> bool {
    given.as_bytes().ct_eq(known.as_bytes()).into()
}

fn random() -> String {
    let mut bytes = [0; RANDOM];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an address may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given<'a> {
    Key(&'a str),
    Code(&'a str),
}

impl<'a> Given<'a> {
    fn read(query: &'a str) -> Option<Self> {
        query
            .split('&')
            .find_map(|pair| match pair.split_once('=')? {
                ("key", key) => Some(Self::Key(key)),
                ("code", code) => Some(Self::Code(code)),
                _ => None,
            })
    }
}

/// Around the pages: a key in the address becomes a cookie, and the address is left without it, whether or not it was
/// the right one. What the page may do it asks for itself.
pub(super) async fn admit(State(site): State<Site>, request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_matches('/');
    // Only to pages that there are: any other path might lead to another host.
    let clean = match path {
        "" => "/".to_owned(),
        language if site.pages.contains_key(language) => format!("/{language}/"),
        _ => return next.run(request).await,
    };
    let Some(given) = request.uri().query().and_then(Given::read) else {
        return next.run(request).await;
    };
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_taken = site.key.takes(given, client.map(|info| info.0));
    let cookie = is_taken.then(|| [(header::SET_COOKIE, site.key.cookie())]);
    let to = [
        (header::LOCATION, clean),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::SEE_OTHER, to, cookie, ()).into_response()
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// It carries the key: everything.
    Owner,
    /// It reads.
    Reader,
}

impl FromRequestParts<Site> for Role {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Infallible> {
        Ok(if site.key.is_carried(&parts.headers) {
            Self::Owner
        } else {
            Self::Reader
        })
    }
}

/// `GET /role`: what the page that asks may do. The cookie is none of its scripts' business.
pub(super) async fn role(role: Role) -> Response {
    let answer = Json(serde_json::json!({"role": role}));
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

/// A request of the owner's, from this very page where a browser says from which. Any other is refused in the words
/// that the page has for it.
pub(super) struct Owner;

impl FromRequestParts<Site> for Owner {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        let Ok(role) = Role::from_request_parts(parts, site).await;
        let refusal = if role != Role::Owner {
            let words =
                "this needs the key: open the address that eizoku printed when it was started";
            Refusal::new(Reason::NoKey, words)
        } else if !security::is_own_page(&parts.headers) {
            Refusal::new(Reason::NotAllowed, "this page's own requests only")
        } else {
            return Ok(Self);
        };
        Err(refused(StatusCode::FORBIDDEN, &refusal))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn cookies(values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| {
            let value = HeaderValue::from_str(value).expect("a header");
            (header::COOKIE, value)
        });
        pairs.collect()
    }

    #[test]
    fn the_key_is_carried_by_the_cookie_of_this_port_alone() {
        let key = Key::new(8008);
        let secret = &key.0.secret;
        assert_eq!(secret.len(), 2 * RANDOM);
        assert_ne!(*secret, Key::new(8008).0.secret);
        for (values, is_carried) in [
            (vec![format!("eizoku-8008={secret}")], true),
            (vec![format!("a=b; eizoku-8008={secret}; c=d")], true),
            // What another server of this machine put before it takes nothing away.
            (vec![format!("eizoku-8008=x; eizoku-8008={secret}")], true),
            (vec!["a=b".into(), format!("eizoku-8008={secret}")], true),
            (vec![format!("eizoku-8009={secret}")], false),
            (vec![format!("eizoku-8008={}", &secret[1..])], false),
            (vec![format!("eizoku-8008={secret}0")], false),
            (vec![format!("eizoku-8008 ={secret}")], false),
            (vec!["eizoku-8008=".into()], false),
            (vec![secret.clone()], false),
            (vec![], false),
        ] {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            assert_eq!(key.is_carried(&cookies(&values)), is_carried, "{values:?}");
        }
    }

    #[test]
    fn an_address_carries_a_key_or_a_code() {
        for (query, want) in [
            ("key=abc", Some(Given::Key("abc"))),
            ("a=b&key=abc&c", Some(Given::Key("abc"))),
            ("code=1", Some(Given::Code("1"))),
            ("key", None),
            ("monkey=abc", None),
            ("", None),
        ] {
            assert_eq!(Given::read(query), want, "{query}");
        }
    }

    #[test]
    fn a_code_needs_a_connection_of_the_same_user() {
        let key = Key::new(1);
        let address = key.address_once();
        let code = address.split("code=").nth(1).expect("a code");
        assert!(!key.takes(Given::Code(code), None));
        // Nobody is connected to port 1 from there.
        let stranger = SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(!key.takes(Given::Code(code), Some(stranger)));
        assert!(!key.takes(Given::Key(code), None));
        assert!(key.takes(Given::Key(&key.0.secret), None));
    }
}
