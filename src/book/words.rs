//! Words that are not chapter text: the live story (`stories.toml`), the page's and panel's own words
//! (`words.toml`) and the terms that light each other up (`terms.toml`).

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::banned::Banned;
use super::report::Notes;

/// The words of one transition, with placeholders such as `{pod}` that a frame's story fills.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Who did it.
    pub who: String,
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// The field that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The command that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubectl: Option<String>,
}

impl Story {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [
            Some(&self.who),
            Some(&self.what),
            Some(&self.why),
            self.field.as_ref(),
            self.kubectl.as_ref(),
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
    }
}

/// Words by key, as `panel.pause`.
pub type Words = BTreeMap<String, String>;
/// Stories by key, as `pod.killing`.
pub type Stories = BTreeMap<String, Story>;

/// The words that the page's frame needs; the panel's are its own affair.
pub const PAGE_WORDS: [&str; 33] = [
    "page.answer",
    "page.choice",
    "page.contents",
    "page.copied",
    "page.copy",
    "page.copy-failed",
    "page.dark",
    "page.download",
    "page.download-all",
    "page.explained",
    "page.guess.changes",
    "page.guess.same",
    "page.language",
    "page.light",
    "page.note",
    "page.note-hint",
    "page.notfound.text",
    "page.notfound.title",
    "page.objectives",
    "page.panel",
    "page.panel-without-script",
    "page.predict",
    "page.projector",
    "page.question",
    "page.right",
    "page.sections",
    "page.skip",
    "page.summary",
    "page.theme",
    "page.top",
    "page.warning",
    "page.write",
    "page.wrong",
];

pub(super) fn words(text: &str, notes: &mut Notes<'_>) -> Words {
    let words: Words = parse(text, notes);
    if !words.is_empty() {
        for key in PAGE_WORDS.iter().filter(|key| !words.contains_key(**key)) {
            notes.add(1, format!("`\"{key}\"` is missing; the page shows it"));
        }
    }
    words
}

/// Reads the stories and holds them against the keys and parameters that a frame can have.
pub(super) fn stories(text: &str, legal: &[(&str, &[&str])], notes: &mut Notes<'_>) -> Stories {
    let stories: Stories = parse(text, notes);
    if stories.is_empty() {
        return stories;
    }
    for (key, _) in legal.iter().filter(|(key, _)| !stories.contains_key(*key)) {
        notes.add(
            1,
            format!("`[\"{key}\"]` is missing; the panel tells it with `who`, `what` and `why`"),
        );
    }
    for (key, story) in &stories {
        let line = line_of_table(text, key);
        let Some((_, params)) = legal.iter().find(|(name, _)| name == key) else {
            notes.add(
                line,
                format!("nothing tells `{key}`; take it out or correct its name"),
            );
            continue;
        };
        for name in story.texts().flat_map(placeholders) {
            if !params.contains(&name) {
                let known = if params.is_empty() {
                    "none".to_owned()
                } else {
                    params.join(", ")
                };
                let line = line_within(text, line, &format!("{{{name}}}"));
                notes.add(
                    line,
                    format!("`{key}` has no `{{{name}}}`; it has: {known}"),
                );
            }
        }
    }
    stories
}

/// The terms of the book: which words mean them and which figure nodes are them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Words in prose with their term, longest first.
    pub words: Vec<(String, String)>,
    /// Term by Mermaid id of a node.
    pub nodes: BTreeMap<String, String>,
}

impl Terms {
    /// The term that `word` means, if it is exactly one of the words.
    pub fn of(&self, word: &str) -> Option<&str> {
        self.words
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, term)| term.as_str())
    }
}

/// The terms, and the words that are not to be used.
pub(super) fn terms(text: &str, notes: &mut Notes<'_>) -> (Terms, Banned) {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Allowed {
        words: Vec<String>,
    }
    #[derive(Default, Deserialize)]
    struct File {
        #[serde(default)]
        nodes: BTreeMap<String, String>,
        #[serde(default)]
        banned: BTreeMap<String, String>,
        #[serde(default)]
        allowed: Allowed,
        #[serde(flatten)]
        terms: BTreeMap<String, Vec<String>>,
    }
    let file: File = parse(text, notes);
    let mut words: Vec<(String, String)> = Vec::new();
    for (term, meant) in &file.terms {
        for word in meant {
            if words.iter().any(|(known, _)| known == word) {
                notes.add(
                    line_within(text, 1, word),
                    format!("`{word}` stands for two terms; keep one"),
                );
            }
            words.push((word.clone(), term.clone()));
        }
    }
    for (node, term) in &file.nodes {
        if !file.terms.contains_key(term) {
            notes.add(
                line_within(text, 1, node),
                format!("node `{node}` means `{term}`, which is no term above"),
            );
        }
    }
    words.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let banned = Banned {
        instead: file.banned,
        allowed: file.allowed.words,
    };
    let terms = Terms {
        words,
        nodes: file.nodes,
    };
    (terms, banned)
}

/// Reads TOML, or notes the error with its line and hands on nothing.
pub(super) fn parse<T: Default + DeserializeOwned>(text: &str, notes: &mut Notes<'_>) -> T {
    toml::from_str(text).unwrap_or_else(|error| {
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        notes.add(
            line,
            format!("TOML: {}", error.message().replace('\n', " ")),
        );
        T::default()
    })
}

/// The placeholders in a text: a brace directly followed by a lower-case letter and letters up to the closing
/// brace, so that a path such as `{.status.phase}` is none.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(start, _)| {
        let rest = &text[start + 1..];
        let name = &rest[..rest.find('}')?];
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphabetic());
        good.then_some(name)
    })
}

fn line_of_table(text: &str, key: &str) -> usize {
    let (quoted, bare) = (format!("[\"{key}\"]"), format!("[{key}]"));
    text.lines()
        .position(|line| line.starts_with(&quoted) || line.starts_with(&bare))
        .map_or(1, |at| at + 1)
}

/// The first line from `from` on that holds `needle`, or `from`.
fn line_within(text: &str, from: usize, needle: &str) -> usize {
    text.lines()
        .skip(from - 1)
        .position(|line| line.contains(needle))
        .map_or(from, |at| from + at)
}

#[cfg(test)]
mod tests {
    use super::super::report::ContentErrors;
    use super::*;

    const LEGAL: &[(&str, &[&str])] =
        &[("pod.ready", &["pod"]), ("pod.killing", &["pod", "grace"])];
    const GOOD: &str = "[\"pod.ready\"]\nwho='k'\nwhat='{pod}'\nwhy='w'\n[\"pod.killing\"]\nwho='k'\nwhat='{pod}'\n\
        why='{grace}'\nkubectl=\"kubectl get pod {pod} -o jsonpath='{.status.phase}'\"\n";

    fn noted(run: impl FnOnce(&mut Notes<'_>)) -> Vec<String> {
        let mut errors = ContentErrors::default();
        run(&mut Notes::new("f", &mut errors));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn stories_hold_every_key_and_only_what_a_frame_can_fill() {
        let table = [
            (GOOD.to_owned(), None),
            (
                GOOD.replace("[\"pod.ready\"]", "[\"pod.steady\"]"),
                Some("f:1: `[\"pod.ready\"]` is missing"),
            ),
            (
                GOOD.replace("[\"pod.ready\"]", "[\"pod.steady\"]"),
                Some("f:1: nothing tells `pod.steady`"),
            ),
            (
                GOOD.replace("{grace}", "{seconds}"),
                Some("f:8: `pod.killing` has no `{seconds}`; it has: pod, grace"),
            ),
            (
                GOOD.replace("why='w'\n", ""),
                Some("f:1: TOML: missing field `why`"),
            ),
            (GOOD.replace("why='w'", "why="), Some("f:4: TOML: ")),
        ];
        for (text, wanted) in table {
            let errors = noted(|notes| {
                stories(&text, LEGAL, notes);
            });
            match wanted {
                None => assert_eq!(errors, Vec::<String>::new()),
                Some(wanted) => assert!(
                    errors.iter().any(|e| e.starts_with(wanted)),
                    "{wanted}: {errors:?}"
                ),
            }
        }
    }

    #[test]
    fn a_path_in_braces_is_no_placeholder() {
        let found: Vec<_> =
            placeholders("{pod} {.status.phase} {oldUid} {} {Pod} {a-b} {").collect();
        assert_eq!(found, ["pod", "oldUid"]);
    }

    #[test]
    fn longer_words_come_first_and_nodes_name_known_terms() {
        let text = "pv = [\"PV\", \"PersistentVolume\"]\npvc = [\"PVC\", \"PV\"]\n[nodes]\nPVC = \"pvc\"\nX = \"xx\"\n";
        let mut read = Terms::default();
        let errors = noted(|notes| read = terms(text, notes).0);
        assert_eq!(read.words[0].0, "PersistentVolume");
        assert_eq!(read.of("PVC"), Some("pvc"));
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(
            errors
                .iter()
                .any(|error| error == "f:5: node `X` means `xx`, which is no term above")
        );
        assert!(
            errors
                .iter()
                .any(|error| error.contains("`PV` stands for two terms"))
        );
    }

    #[test]
    fn the_pages_own_words_must_be_there() {
        let errors = noted(|notes| {
            words("\"page.copy\" = \"コピー\"\n", notes);
        });
        assert_eq!(errors.len(), PAGE_WORDS.len() - 1);
        assert!(errors[0].starts_with("f:1: `\"page."), "{errors:?}");
    }
}
