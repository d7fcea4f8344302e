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
        for (name, module) in &mut files {
            if is_ours(name) {
                *module = without_remarks(&String::from_utf8_lossy(module)).into();
            }
        }
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

    /// The modules that `scripts` import, directly or through others, and that they do not begin
    /// with themselves; what is imported only when it is needed is not among them.
    pub fn imported(&self, scripts: &[&str]) -> Vec<String> {
        let mut found: Vec<String> = scripts.iter().map(ToString::to_string).collect();
        let mut next = 0;
        while let Some(name) = found.get(next) {
            let text = self.files.get(name).map(Packed::plain);
            let text = text.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            for import in text.iter().flat_map(|text| imports(text)) {
                let import = format!("js/{import}");
                if !found.contains(&import) {
                    found.push(import);
                }
            }
            next += 1;
        }
        found.split_off(scripts.len())
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

/// Whether a file is a module of our own: those of others stand in folders of their own, and keep
/// every word of their licence.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("js/")
        .and_then(|name| name.strip_suffix(".js"))
        .is_some_and(|name| !name.contains('/'))
}

/// A module without the comments that have lines of their own, for the same reason. The lines
/// stay, empty, so that what a browser says about one leads to the right place in the source.
fn without_remarks(module: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(module.len());
    for line in module.lines() {
        let begin = line.trim_start();
        let remark = inside || begin.starts_with("//") || begin.starts_with("/**");
        if inside || begin.starts_with("/**") {
            // What follows a comment on its last line is code.
            if let Some((_, after)) = begin.split_once("*/") {
                inside = false;
                kept.push_str(after);
            } else {
                inside = true;
            }
        }
        if !remark {
            kept.push_str(begin);
        }
        kept.push('\n');
    }
    kept
}

/// The neighbours that a module names in its `import … from './x.js'`.
fn imports(module: &str) -> impl Iterator<Item = &str> {
    module
        .split("from './")
        .skip(1)
        .filter_map(|rest| rest.split_once("';"))
        .map(|(name, _)| name)
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
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::routes::{EARLY, SCRIPTS};
    use super::*;

    #[test]
    fn a_module_keeps_its_lines_and_loses_its_remarks() {
        for (module, want) in [
            ("a\n  // why\n  b // c\n", "a\n\nb // c\n"),
            ("/**\n * @x\n */\nf()\n", "\n\n\nf()\n"),
            ("/** @type {x} */\nlet a;\n", "\nlet a;\n"),
            ("/** @type {x} */ let a;\n", " let a;\n"),
            (
                "let s = 'http://x'; /** y */\n",
                "let s = 'http://x'; /** y */\n",
            ),
        ] {
            assert_eq!(without_remarks(module), want);
        }
        assert!(is_ours("js/panel.js"));
        assert!(!is_ours("js/vendor/x.js") && !is_ours("css/a.css"));
    }

    #[test]
    fn what_a_first_visit_loads_beside_the_page_is_bounded() {
        let assets = Assets::load();
        let mut names = assets.imported(&SCRIPTS);
        names.extend(SCRIPTS.map(str::to_owned));
        names.extend(EARLY.map(str::to_owned));
        names.push(STYLE.to_owned());
        let mut sum = 0;
        for name in &names {
            let mut gz = GzEncoder::new(Vec::new(), Compression::default());
            gz.write_all(assets.files[name].plain()).unwrap();
            sum += gz.finish().unwrap().len();
        }
        assert!(sum < 110_000, "{sum} bytes compressed");
        // A request costs less than its bytes on this machine, as long as none waits for another.
        assert!(names.len() <= 45, "{} files", names.len());
    }

    #[test]
    fn a_page_is_told_of_every_module_it_will_need() {
        let assets = Assets::load();
        let modules = assets.imported(&["js/panel.js"]);
        for needed in ["js/model.js", "js/draw.js", "js/player.js"] {
            assert!(
                modules.iter().any(|it| it == needed),
                "{needed}: {modules:?}"
            );
        }
        assert!(!modules.iter().any(|it| it == "js/panel.js"));
        for module in &modules {
            assert!(
                assets.files.contains_key(module),
                "static/{module} is missing"
            );
        }
    }

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
