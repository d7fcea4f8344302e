//! Styles and scripts, from `static/`, under one address that changes with their content: a page
//! may keep them for ever, and a module finds its neighbours by their plain names.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::RustEmbed;

use super::Site;
use super::packed::Packed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/static"]
struct Static;

/// The style sheets in the order in which they go into the one that is served.
const STYLES: [&str; 6] = [
    "css/base.css",
    "css/chapter.css",
    "css/panel.css",
    "css/menu.css",
    "css/steps.css",
    "css/print.css",
];
/// The name of that one.
const STYLE: &str = "css/eizoku.css";

/// Every file under its name below `static/`.
#[derive(Debug, Clone)]
pub struct Assets {
    files: BTreeMap<String, Packed>,
    version: String,
}

impl Assets {
    /// Reads all of them; what is written in the source tree is in the binary.
    pub fn load() -> Self {
        let mut files: BTreeMap<String, Bytes> = Static::iter()
            .filter_map(|name| {
                Some((
                    name.to_string(),
                    Static::get(&name)?.data.into_owned().into(),
                ))
            })
            .collect();
        let styles: Vec<String> = STYLES
            .iter()
            .filter_map(|name| files.remove(*name))
            .map(|style| without_comments(&String::from_utf8_lossy(&style)))
            .collect();
        files.insert(STYLE.into(), styles.concat().into());
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        Self {
            files: files
                .into_iter()
                .map(|(name, bytes)| {
                    let packed = Packed::new(content_type(&name), bytes);
                    (name, packed)
                })
                .collect(),
            version: format!("{:016x}", hasher.finish()),
        }
    }

    /// Every file, to be packed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.files.values()
    }

    /// The address of a file, for a page.
    pub fn url(&self, name: &str) -> String {
        debug_assert!(self.files.contains_key(name), "static/{name} is missing");
        format!("/static/{}/{name}", self.version)
    }
}

/// `GET /static/{version}/{name}`
pub(super) async fn get(
    State(site): State<Site>,
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(file) = site.assets.files.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Under an old version's address this is another file than the page expects: never keep it.
    let cache = if version == site.assets.version {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    file.answer(&headers, cache)
}

/// A style sheet without its comments: they are for us, and every reader would pay for them.
fn without_comments(style: &str) -> String {
    let mut rest = style;
    let mut kept = String::with_capacity(style.len());
    while let Some(begin) = rest.find("/*") {
        kept.push_str(&rest[..begin]);
        rest = rest[begin..]
            .split_once("*/")
            .map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

/// The media type of a file by its ending.
pub(super) fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        Some("yaml") => "application/yaml; charset=utf-8",
        Some("gz") => "application/gzip",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_at_home() {
        for (style, want) in [
            ("a { b: c }", "a { b: c }"),
            ("/* x */a /* y\n */b", "a b"),
            ("a /* never closed", "a "),
        ] {
            assert_eq!(without_comments(style), want);
        }
    }
}
