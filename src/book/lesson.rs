//! The lesson (`lesson.toml`): the steps that tick themselves, what the page offers in each, its hints, and the
//! queries that show the rows in a volume. Hands on compiled rules; never evaluates one against a cluster.

mod act;
mod rule;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;

pub use act::Act;
pub use rule::{Rule, VARIABLES};

use super::manifest::Manifests;
use super::report::{ContentErrors, Notes};
use super::shelf::Shelf;
use super::{Chapter, text};

/// The file, the same for every language.
const PATH: &str = "lesson.toml";

/// Everything in `lesson.toml`, checked.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// Which query shows the rows of which Pods.
    pub looks: Vec<Look>,
    /// The steps, in the order of the lesson.
    pub steps: Vec<Step>,
}

/// Which query shows the rows of the Pods whose names begin alike.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What the Pods' names begin with.
    pub pods: String,
    /// The database user.
    pub user: String,
    /// The database.
    pub database: String,
    /// The query.
    pub query: String,
}

/// A step of the lesson.
#[derive(Clone, Debug)]
pub struct Step {
    /// The anchor of its heading, the same in every language.
    pub id: String,
    /// The objective it ticks.
    pub objective: Option<String>,
    /// The steps that have to be done before it begins.
    pub after: Vec<String>,
    /// Whether it is done.
    pub check: Rule,
    /// Whether its tick is to be taken back.
    pub undo: Option<Rule>,
    /// What the page offers to do in it.
    pub acts: Vec<Act>,
    /// What may keep a reader waiting; the first that holds is shown.
    pub hints: Vec<Hint>,
    /// Whether a run of the lesson ends with it: what comes after begins all steps anew.
    pub ends: bool,
}

/// A word of help that depends on the state of the cluster.
#[derive(Clone, Debug)]
pub struct Hint {
    /// When it is shown.
    pub when: Rule,
    /// A key of `words.toml`.
    pub say: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    look: Vec<Look>,
    #[serde(default)]
    step: Vec<RawStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    id: Spanned<String>,
    objective: Option<Spanned<String>>,
    after: Option<Vec<Spanned<String>>>,
    check: Spanned<String>,
    undo: Option<Spanned<String>>,
    #[serde(default)]
    acts: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    hint: Vec<RawHint>,
    #[serde(default)]
    ends: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHint {
    when: Spanned<String>,
    say: Spanned<String>,
}

/// What a lesson may refer to: a chapter with the anchors in it.
pub(super) type Anchored<'a> = (&'a Chapter, &'a BTreeSet<String>);

/// Reads the lesson and holds it against the chapter in every language. No file is no lesson.
pub(super) fn read(
    shelf: &Shelf,
    paths: &[String],
    manifests: &Manifests,
    chapters: &[Anchored<'_>],
    errors: &mut ContentErrors,
) -> Lesson {
    if !paths.iter().any(|path| path == PATH) {
        return Lesson::default();
    }
    let Some(source) = text(shelf, PATH, errors) else {
        return Lesson::default();
    };
    let shown = shelf.shown(PATH);
    check(
        &source,
        manifests,
        chapters,
        &mut Notes::new(&shown, errors),
    )
}

fn check(
    source: &str,
    manifests: &Manifests,
    chapters: &[Anchored<'_>],
    notes: &mut Notes<'_>,
) -> Lesson {
    let file: File = super::words::parse(source, notes);
    let reader = Reader {
        source,
        manifests,
        chapters,
    };
    let mut steps: Vec<Step> = Vec::new();
    for raw in file.step {
        let before: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        if let Some(step) = reader.step(raw, &before, notes) {
            steps.push(step);
        }
    }
    Lesson {
        looks: file.look,
        steps,
    }
}

struct Reader<'a> {
    source: &'a str,
    manifests: &'a Manifests,
    chapters: &'a [Anchored<'a>],
}

impl Reader<'_> {
    fn step(&self, raw: RawStep, before: &[&str], notes: &mut Notes<'_>) -> Option<Step> {
        let line = self.line(&raw.id.span());
        let id = raw.id.into_inner();
        if before.contains(&id.as_str()) {
            notes.add(
                line,
                format!("the step `{id}` is there twice; take one out"),
            );
        }
        for (chapter, anchors) in self.chapters {
            if !anchors.contains(&id) {
                let language = &chapter.language;
                notes.add(
                    line,
                    format!("no heading in `{language}` has the anchor `{{#{id}}}`; a step is named after its heading"),
                );
            }
        }
        let objective = raw.objective.map(|objective| {
            self.objective(&objective, notes);
            objective.into_inner()
        });
        let after = match raw.after {
            None => before
                .last()
                .map(|id| (*id).to_owned())
                .into_iter()
                .collect(),
            Some(named) => named
                .into_iter()
                .map(|named| {
                    if !before.contains(&named.get_ref().as_str()) {
                        notes.add(
                            self.line(&named.span()),
                            format!(
                                "`after` names `{}`, which is no step before this one",
                                named.get_ref()
                            ),
                        );
                    }
                    named.into_inner()
                })
                .collect(),
        };
        let acts = raw
            .acts
            .into_iter()
            .filter_map(|act| {
                let line = self.line(&act.span());
                Act::read(act.into_inner(), self.manifests)
                    .map_err(|message| notes.add(line, message))
                    .ok()
            })
            .collect();
        let check = self.rule("check", &raw.check, notes);
        let undo = raw.undo.map(|undo| self.rule("undo", &undo, notes));
        let hints: Vec<Option<Hint>> = raw
            .hint
            .into_iter()
            .map(|hint| self.hint(hint, notes))
            .collect();
        Some(Step {
            id,
            objective,
            after,
            check: check?,
            undo: match undo {
                Some(undo) => Some(undo?),
                None => None,
            },
            acts,
            hints: hints.into_iter().collect::<Option<_>>()?,
            ends: raw.ends,
        })
    }

    fn objective(&self, objective: &Spanned<String>, notes: &mut Notes<'_>) {
        let id = objective.get_ref();
        for (chapter, _) in self.chapters {
            if !chapter.objectives.iter().any(|known| known.id == *id) {
                let known: Vec<&str> = chapter.objectives.iter().map(|it| it.id.as_str()).collect();
                notes.add(
                    self.line(&objective.span()),
                    format!(
                        "no objective in `{}` has the id `{id}`; there are: {}",
                        chapter.language,
                        known.join(", ")
                    ),
                );
            }
        }
    }

    fn hint(&self, raw: RawHint, notes: &mut Notes<'_>) -> Option<Hint> {
        for (chapter, _) in self.chapters {
            let say = raw.say.get_ref();
            if !chapter.words.contains_key(say) {
                notes.add(
                    self.line(&raw.say.span()),
                    format!(
                        "`\"{say}\"` is missing in {}/words.toml; the hint shows it",
                        chapter.language
                    ),
                );
            }
        }
        Some(Hint {
            when: self.rule("when", &raw.when, notes)?,
            say: raw.say.into_inner(),
        })
    }

    fn rule(&self, field: &str, text: &Spanned<String>, notes: &mut Notes<'_>) -> Option<Rule> {
        match Rule::compile(text.get_ref()) {
            Ok(rule) => Some(rule),
            Err(faults) => {
                let span = text.span();
                // A text in three quotes begins on the line after them, if nothing follows them.
                let opening = self.source.get(span.start..).unwrap_or_default();
                let skipped =
                    usize::from(opening.starts_with("\"\"\"\n") || opening.starts_with("'''\n"));
                let first = self.line(&span) + skipped;
                for (line, message) in faults {
                    notes.add(first + line, format!("`{field}`: {message}"));
                }
                None
            }
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let start = span.start.min(self.source.len());
        self.source[..start].matches('\n').count() + 1
    }
}

#[cfg(test)]
mod tests;
