//! What every request and every answer goes through. The page shows a cluster and will act on it,
//! so that no other site may read it or speak to it through the reader's browser.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Sent with every answer. Nothing comes from elsewhere, nothing is inline, nobody may frame it.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// The names under which this server may be asked, with its port. Any other name in `Host` is a
/// page elsewhere whose name was made to point here (DNS rebinding).
#[derive(Debug, Clone)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) fn new(port: u16) -> Self {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names.iter().map(ToString::to_string));
        }
        Self(hosts)
    }

    /// A request line may name a host as well, which goes before the header (RFC 9112, 3.2.2).
    fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let is_known = |host: &[u8]| self.0.iter().any(|known| known.as_bytes() == host);
        let mut hosts = headers.get_all(header::HOST).iter();
        matches!((hosts.next(), hosts.next()), (Some(host), None) if is_known(host.as_bytes()))
            && uri
                .authority()
                .is_none_or(|host| is_known(host.as_str().as_bytes()))
    }
}

/// Refuses foreign hosts and requests that another site's page makes, and sets the headers.
pub(super) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = if !hosts.allow(request.uri(), request.headers()) {
        (
            StatusCode::MISDIRECTED_REQUEST,
            format!("This server answers to http://{} only.\n", hosts.0[0]),
        )
            .into_response()
    } else if is_foreign(request.headers()) {
        (
            StatusCode::FORBIDDEN,
            "Requests from other sites are refused.\n",
        )
            .into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the browser says that a page of another origin asks. Following a link from elsewhere
/// (a navigation) is fine; reading the stream or a file from there is not.
fn is_foreign(headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let site = header("sec-fetch-site");
    let navigation = header("sec-fetch-mode") == Some(b"navigate");
    let elsewhere = matches!(site, Some(b"cross-site" | b"same-site"));
    elsewhere && !navigation
}

/// Whether a request that changes something, or opens a terminal, comes from a page of this very
/// server: browsers name the page's origin with each, programs that are no browser need not. The key
/// is asked for as well (see `door`).
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| origin.as_bytes().strip_prefix(b"http://") == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_exact_hosts_are_allowed() {
        let hosts = Hosts::new(8008);
        for (host, allowed) in [
            ("127.0.0.1:8008", true),
            ("localhost:8008", true),
            ("[::1]:8008", true),
            ("127.0.0.1", false),
            ("127.0.0.1:8009", false),
            ("evil.example:8008", false),
            ("127.0.0.1:8008.evil.example", false),
            ("", false),
        ] {
            let headers = headers(&[("host", host)]);
            assert_eq!(
                hosts.allow(&Uri::from_static("/"), &headers),
                allowed,
                "{host}"
            );
        }
        assert!(!hosts.allow(&Uri::from_static("/"), &HeaderMap::new()));
        // What the request line names counts, too.
        let ours = headers(&[("host", "127.0.0.1:8008")]);
        for (uri, allowed) in [
            ("http://127.0.0.1:8008/act", true),
            ("http://evil.example/act", false),
            ("http://u@127.0.0.1:8008/", false),
        ] {
            assert_eq!(hosts.allow(&Uri::from_static(uri), &ours), allowed, "{uri}");
        }
    }

    #[test]
    fn only_this_servers_own_pages_may_act() {
        for (origin, own) in [
            ("http://127.0.0.1:8008", true),
            ("http://localhost:8008", false),
            ("http://127.0.0.1:8009", false),
            ("https://127.0.0.1:8008", false),
            ("http://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let headers = headers(&[("host", "127.0.0.1:8008"), ("origin", origin)]);
            assert_eq!(is_own_page(&headers), own, "{origin}");
        }
        assert!(is_own_page(&headers(&[("host", "127.0.0.1:8008")])));
        let mut two = headers(&[
            ("host", "127.0.0.1:8008"),
            ("origin", "http://127.0.0.1:8008"),
        ]);
        two.append(
            header::ORIGIN,
            HeaderValue::from_static("http://evil.example"),
        );
        assert!(!is_own_page(&two));
    }

    #[test]
    fn other_sites_may_link_here_but_not_read() {
        for (site, mode, foreign) in [
            ("same-origin", "cors", false),
            ("none", "navigate", false),
            ("cross-site", "navigate", false),
            ("cross-site", "cors", true),
            ("cross-site", "no-cors", true),
            // Another port of this machine counts as the same site.
            ("same-site", "no-cors", true),
        ] {
            let headers = headers(&[("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
            assert_eq!(is_foreign(&headers), foreign, "{site} {mode}");
        }
    }
}
