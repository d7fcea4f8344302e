//! The table of routes, and what every handler can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use super::assets::{self, Assets};
use super::door::{self, Key};
use super::files::Files;
use super::packed::Packed;
use super::pages::{PageAssets, chapter_html, error_html};
use super::security::{self, Hosts};
use super::{act, events, files, health, history, recording, terminal};
use crate::book::Book;
use crate::cluster::{Actor, Tape};
use crate::live::Board;

/// Everything that a handler may need; cheap to clone.
#[derive(Clone)]
pub struct Site {
    /// What tells the owner from other readers.
    pub key: Key,
    /// The live picture.
    pub board: Board,
    /// What acts on the cluster for a reader.
    pub actor: Actor,
    /// The run so far, to be taken away.
    pub tape: Tape,
    /// Styles and scripts.
    pub assets: Arc<Assets>,
    /// Manifests and their archives.
    pub files: Arc<Files>,
    /// Language code to its page, ready to be sent.
    pub pages: Arc<BTreeMap<String, Packed>>,
    /// Language code to the page for an address that leads nowhere.
    pub missing: Arc<BTreeMap<String, Bytes>>,
    /// Set when the program is to stop.
    pub stopping: CancellationToken,
}

/// The scripts that run in the head: one puts the reader's theme on the page, one notices a module that failed.
pub(super) const EARLY: [&str; 2] = ["js/theme.js", "js/retry.js"];
/// The modules that a page runs, in order.
pub(super) const SCRIPTS: [&str; 4] = ["js/chapter.js", "js/panel.js", "js/menu.js", "js/steps.js"];

impl Site {
    /// Renders every page of `book` once.
    pub fn new(
        book: &Book,
        key: Key,
        board: Board,
        actor: Actor,
        tape: Tape,
        stopping: CancellationToken,
    ) -> Self {
        let assets = Assets::load();
        let addresses = PageAssets {
            css: assets.url("css/eizoku.css"),
            early: EARLY.iter().map(|name| assets.url(name)).collect(),
            modules: assets
                .imported(&SCRIPTS)
                .iter()
                .map(|name| assets.url(name))
                .collect(),
            scripts: SCRIPTS.iter().map(|name| assets.url(name)).collect(),
        };
        let pages = book
            .languages
            .iter()
            .filter_map(|chapter| {
                let html = chapter_html(book, &chapter.language, &addresses)?;
                let page = Packed::new(assets::content_type("html"), html);
                Some((chapter.language.clone(), page))
            })
            .collect();
        let (title, text) = ("page.notfound.title", "page.notfound.text");
        let missing = book
            .languages
            .iter()
            .map(|chapter| {
                let code = &chapter.language;
                let html = error_html(book, code, 404, title, text, &addresses);
                (code.clone(), html.into())
            })
            .collect();
        Self {
            key,
            board,
            actor,
            tape,
            assets: Arc::new(assets),
            files: Arc::new(Files::new(&book.manifests)),
            pages: Arc::new(pages),
            missing: Arc::new(missing),
            stopping,
        }
    }

    /// Packs everything that is sent as it is; readers are served meanwhile.
    pub fn pack(&self) {
        for packed in self.pages.values().chain(self.assets.iter()) {
            packed.pack();
        }
    }
}

/// All routes with what goes around them; `port` is the one that clients name in `Host`.
pub fn router(site: Site, port: u16) -> Router {
    let pages = Router::new()
        .route("/", get(home))
        .route("/{language}", get(slash))
        .route("/{language}/", get(page))
        .route_layer(middleware::from_fn_with_state(site.clone(), door::admit));
    Router::new()
        .merge(pages)
        .route("/role", get(door::role))
        .route("/events", get(events::get))
        .route("/history", get(history::history))
        .route("/timeline", get(history::timeline))
        .route("/recording", get(recording::get))
        .route("/act", act::route())
        .route("/terminal", get(terminal::get))
        .route("/manifests/{*name}", get(files::get))
        .route("/static/{version}/{*name}", get(assets::get))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(missing)
        .with_state(site)
        // A fault in one handler is one answer, not the end of a connection that others wait on.
        .layer(CatchPanicLayer::new())
        // The default predicate leaves event streams alone, which would be held back; archives are
        // packed as they are.
        .layer(CompressionLayer::new().compress_when(
            DefaultPredicate::new().and(NotForContentType::const_new("application/gzip")),
        ))
        .layer(middleware::from_fn_with_state(
            Hosts::new(port),
            security::guard,
        ))
}

/// `GET /`: the page in the first language of the reader's that there is.
async fn home(State(site): State<Site>, headers: HeaderMap) -> Response {
    let language = liked(&site, &headers);
    (
        [(header::VARY, "accept-language")],
        Redirect::temporary(&format!("/{language}/")),
    )
        .into_response()
}

/// `GET /ja`: a page has a slash at its end.
async fn slash(
    State(site): State<Site>,
    Path(language): Path<String>,
    request: Request,
) -> Response {
    if site.pages.contains_key(&language) {
        Redirect::permanent(&format!("/{language}/")).into_response()
    } else {
        missing(State(site), request).await
    }
}

/// `GET /ja/`
async fn page(
    State(site): State<Site>,
    Path(language): Path<String>,
    request: Request,
) -> Response {
    match site.pages.get(&language) {
        Some(page) => page.answer(request.headers(), "no-cache"),
        None => missing(State(site), request).await,
    }
}

/// 404 in the language that the address begins with; failing that, the one the reader likes best.
async fn missing(State(site): State<Site>, request: Request) -> Response {
    let begin = request.uri().path().split('/').nth(1).unwrap_or_default();
    let page = site
        .missing
        .get(begin)
        .or_else(|| site.missing.get(liked(&site, request.headers())));
    (
        StatusCode::NOT_FOUND,
        [
            (header::CONTENT_TYPE, assets::content_type("html")),
            (header::VARY, "accept-language"),
        ],
        page.cloned().unwrap_or_default(),
    )
        .into_response()
}

/// The language of the book's that a reader likes best.
fn liked<'a>(site: &'a Site, headers: &HeaderMap) -> &'a str {
    let wanted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    preferred(wanted, site.pages.keys().map(String::as_str))
}

/// The language of `known` that an `Accept-Language` header likes best; Japanese if none.
fn preferred<'a>(header: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let known: Vec<&str> = known.collect();
    let mut best = ("ja", 0.0);
    for item in header.split(',') {
        let mut parts = item.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let quality = parts
            .find_map(|part| part.trim().strip_prefix("q=")?.parse::<f32>().ok())
            .unwrap_or(1.0);
        let primary = tag.split('-').next().unwrap_or_default();
        if let Some(code) = known.iter().find(|code| code.eq_ignore_ascii_case(primary))
            && quality > best.1
        {
            best = (code, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_gets_the_language_liked_best() {
        for (header, want) in [
            ("", "ja"),
            ("en-US,en;q=0.9,ja;q=0.8", "en"),
            ("ja,en;q=0.9", "ja"),
            ("fr, en;q=0.2", "en"),
            ("fr", "ja"),
            ("en;q=0", "ja"),
            ("JA-JP", "ja"),
        ] {
            assert_eq!(
                preferred(header, ["en", "ja"].into_iter()),
                want,
                "{header}"
            );
        }
        assert_eq!(preferred("en", ["ja"].into_iter()), "ja");
    }
}
