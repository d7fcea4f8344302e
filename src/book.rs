//! The chapter: sections, figures, manifests and words, read from `content/` and checked at start. Knows nobody.
//!
//! Owns the format an author writes and hands on HTML fragments, files and words, ready to be put into a page.
//! Never shows anything half: one error anywhere and the whole report comes back instead of a book.

mod banned;
mod figure;
mod front;
mod guess;
mod highlight;
mod html;
mod lesson;
mod manifest;
mod markdown;
mod quiz;
mod report;
mod shelf;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use figure::{Figure, draw_once};
pub use front::{Marker, Objective};
pub use lesson::{Act, Hint, Lesson, Look, Rule, Step, VARIABLES as RULE_VARIABLES};
pub use manifest::{Manifest, Manifests};
pub use quiz::{Question, QuestionKind};
pub use report::{ContentError, ContentErrors};
pub use shelf::Shelf;
pub use words::{PAGE_WORDS, Stories, Story, Terms, Words};

use banned::Form;
use markdown::Context;
use report::Notes;

/// The file that a chapter opens with.
const OPENING: &str = "00-opening.md";

/// Everything in `content/`, checked.
#[derive(Clone, Debug)]
pub struct Book {
    /// One chapter for each language, sorted by its code.
    pub languages: Vec<Chapter>,
    /// The files that a reader applies, shared by all languages.
    pub manifests: Manifests,
    /// The steps that tick themselves, shared by all languages.
    pub lesson: Lesson,
}

/// The chapter in one language.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// Code of the language, as `ja`.
    pub language: String,
    /// The title of the opening, which is the chapter's.
    pub title: String,
    /// The question that the chapter leads with.
    pub question: Option<String>,
    /// What a reader should be able to do at the end.
    pub objectives: Vec<Objective>,
    /// The opening; its `after_scene` follows the place of the live panel.
    pub opening: Section,
    /// The sections after it, in order of their file names.
    pub sections: Vec<Section>,
    /// The page's and the panel's own words.
    pub words: Words,
    /// The words of the live story.
    pub stories: Stories,
    /// The words that light each other up.
    pub terms: Terms,
}

/// One section of the chapter.
#[derive(Clone, Debug)]
pub struct Section {
    /// The anchor, the same in every language.
    pub id: String,
    /// The heading.
    pub title: String,
    /// What it asks of the reader.
    pub marker: Option<Marker>,
    /// Its text, as HTML that holds no script, style or event attribute.
    pub html: String,
    /// The rest of its text, if the place of the live panel is inside it.
    pub after_scene: Option<String>,
    /// The figures in it.
    pub figures: Vec<Figure>,
    /// The questions in it.
    pub questions: Vec<Question>,
}

impl Book {
    /// Reads and checks all content. `stories` are the keys that the live story can have, each with its parameters.
    ///
    /// # Errors
    /// Everything that is wrong, in one report, each with file, line and what to do.
    pub fn open(shelf: &Shelf, stories: &[(&str, &[&str])]) -> Result<Self, ContentErrors> {
        let mut errors = ContentErrors::default();
        let paths = match shelf.paths() {
            Ok(paths) => paths,
            Err(error) => {
                errors.push(
                    shelf.shown(""),
                    1,
                    format!("the content can't be listed: {error}"),
                );
                return Err(errors);
            }
        };
        let mut manifests = Manifests::default();
        for path in paths
            .iter()
            .filter(|path| path.starts_with("manifests/") && is_yaml(path))
        {
            if let Some(text) = text(shelf, path, &mut errors) {
                manifest::check(&text, &mut Notes::new(&shelf.shown(path), &mut errors));
                manifests.push(Manifest {
                    path: path["manifests/".len()..].to_owned(),
                    text,
                });
            }
        }
        let codes: BTreeSet<&str> = paths
            .iter()
            .filter_map(|path| path.split_once('/'))
            .map(|(folder, _)| folder)
            .filter(|f| is_language(f))
            .collect();
        if codes.is_empty() {
            errors.push(
                shelf.shown("ja"),
                1,
                "there is no language; the chapter lies in a folder such as `ja`",
            );
        }
        let mut shapes = Shapes::default();
        let chapters: Vec<(Chapter, BTreeSet<String>)> = codes
            .into_iter()
            .filter_map(|code| {
                chapter(
                    shelf,
                    code,
                    &paths,
                    &manifests,
                    stories,
                    &mut shapes,
                    &mut errors,
                )
            })
            .collect();
        shapes.check(&mut errors);
        let anchored: Vec<lesson::Anchored<'_>> = chapters
            .iter()
            .map(|(chapter, anchors)| (chapter, anchors))
            .collect();
        for (chapter, _) in &chapters {
            for (other, _) in &chapters {
                same_keys(shelf, chapter, other, &mut errors);
            }
        }
        let lesson = lesson::read(shelf, &paths, &manifests, &anchored, &mut errors);
        let languages = chapters.into_iter().map(|(chapter, _)| chapter).collect();
        errors.or(Self {
            languages,
            manifests,
            lesson,
        })
    }

    /// The chapter in the language of that code.
    pub fn chapter(&self, language: &str) -> Option<&Chapter> {
        self.languages
            .iter()
            .find(|chapter| chapter.language == language)
    }
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Whether a folder of `content/` is a language: two lower-case letters.
fn is_language(folder: &str) -> bool {
    folder.len() == 2 && folder.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// One file as text with plain line ends, or a note on why not.
fn text(shelf: &Shelf, path: &str, errors: &mut ContentErrors) -> Option<String> {
    let bytes = match shelf.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            errors.push(shelf.shown(path), 1, format!("can't be read: {error}"));
            return None;
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}').replace("\r\n", "\n")),
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count()
                + 1;
            errors.push(shelf.shown(path), line, "is not UTF-8; save it as UTF-8");
            None
        }
    }
}

fn chapter(
    shelf: &Shelf,
    language: &str,
    paths: &[String],
    manifests: &Manifests,
    legal: &[(&str, &[&str])],
    shapes: &mut Shapes,
    errors: &mut ContentErrors,
) -> Option<(Chapter, BTreeSet<String>)> {
    let file = |name: &str, errors: &mut ContentErrors| {
        let path = format!("{language}/{name}");
        (
            text(shelf, &path, errors).unwrap_or_default(),
            shelf.shown(&path),
        )
    };
    let (terms_source, terms_path) = file("terms.toml", errors);
    let (terms, banned) = words::terms(&terms_source, &mut Notes::new(&terms_path, errors));
    let (source, path) = file("words.toml", errors);
    let mut notes = Notes::new(&path, errors);
    banned.check(&source, Form::Toml, &mut notes);
    let words = words::words(&source, &mut notes);
    let (source, path) = file("stories.toml", errors);
    let mut notes = Notes::new(&path, errors);
    banned.check(&source, Form::Toml, &mut notes);
    let stories = words::stories(&source, legal, &mut notes);

    let context = Context {
        manifests,
        terms: &terms,
        words: &words,
    };
    let mut anchors = Anchors::default();
    let mut opening: Option<(Section, Option<String>, Vec<Objective>)> = None;
    let mut sections = Vec::new();
    let prefix = format!("{language}/");
    for path in paths
        .iter()
        .filter(|path| path.starts_with(&prefix) && path.ends_with(".md"))
    {
        let Some(source) = text(shelf, path, errors) else {
            continue;
        };
        let shown = shelf.shown(path);
        let is_opening = path[prefix.len()..] == *OPENING;
        let mut notes = Notes::new(&shown, errors);
        banned.check(&source, Form::Markdown, &mut notes);
        let Some((front, body, before)) = front::split(&source, &mut notes) else {
            continue;
        };
        if !is_opening && (!front.objectives.is_empty() || front.question.is_some()) {
            notes.add(
                2,
                format!("`objectives` and `question` belong to {OPENING}"),
            );
        }
        let mut rendered = markdown::render(body, before, &front.id, &context, &mut notes);
        if is_opening {
            // The opening has no heading of its own but the chapter's; what follows that is the second level.
            rendered.html = a_level_up(&rendered.html);
            rendered.after_scene = rendered.after_scene.as_deref().map(a_level_up);
        }
        if !is_opening && rendered.after_scene.is_some() {
            notes.add(
                1,
                format!("`::: scene` belongs to {OPENING}: the panel stands beside the opening"),
            );
        }
        // The opening comes first; without it there is an error of its own.
        let objectives = if is_opening {
            &front.objectives
        } else {
            opening
                .as_ref()
                .map_or(&front.objectives, |(_, _, known)| known)
        };
        for (goal, line) in &rendered.goals {
            if !objectives.iter().any(|objective| objective.id == *goal) {
                notes.add(
                    *line,
                    format!("`{goal}` is no objective; {OPENING} lists them"),
                );
            }
        }
        for (shape, line) in rendered.shapes {
            shapes.add(language, shape, &shown, line);
        }
        anchors.add(
            &shown,
            std::iter::once((front.id.clone(), 1)).chain(rendered.ids),
            rendered.links,
            errors,
        );
        let section = Section {
            id: front.id,
            title: front.title,
            marker: front.marker,
            html: rendered.html,
            after_scene: rendered.after_scene,
            figures: rendered.figures,
            questions: rendered.questions,
        };
        if is_opening {
            opening = Some((section, front.question, front.objectives));
        } else {
            sections.push(section);
        }
    }
    anchors.check(errors);
    let Some((opening, question, objectives)) = opening else {
        let path = format!("{language}/{OPENING}");
        // If the file is there, what is wrong with it has been noted.
        if !paths.contains(&path) {
            errors.push(
                shelf.shown(&path),
                1,
                "is missing; the chapter opens with it",
            );
        }
        return None;
    };
    let drawn: BTreeSet<&str> = std::iter::once(&opening)
        .chain(&sections)
        .flat_map(|section| &section.figures)
        .flat_map(|figure| &figure.nodes)
        .map(String::as_str)
        .collect();
    // A figure that is broken has no nodes; its own error comes first.
    if errors.is_empty() {
        for node in terms
            .nodes
            .keys()
            .filter(|node| !drawn.contains(node.as_str()))
        {
            let line = terms_source
                .lines()
                .position(|line| line.starts_with(node.as_str()))
                .map_or(1, |at| at + 1);
            errors.push(
                &terms_path,
                line,
                format!("no figure has a node `{node}`; correct its id or take it out"),
            );
        }
    }
    let chapter = Chapter {
        language: language.to_owned(),
        title: opening.title.clone(),
        question,
        objectives,
        opening,
        sections,
        words,
        stories,
        terms,
    };
    Some((chapter, anchors.seen.into_keys().collect()))
}

/// Notes every key that `chapter` has no words for and `other` has. A file that could not be read
/// has none at all and was noted.
fn same_keys(shelf: &Shelf, chapter: &Chapter, other: &Chapter, errors: &mut ContentErrors) {
    let mut note = |file: &str, shown: &str| {
        let path = shelf.shown(&format!("{}/{file}", chapter.language));
        let theirs = shelf.shown(&format!("{}/{file}", other.language));
        errors.push(path, 1, format!("{shown} is missing; {theirs} has it"));
    };
    if !chapter.words.is_empty() {
        for key in other.words.keys() {
            if !chapter.words.contains_key(key) {
                note("words.toml", &format!("`\"{key}\"`"));
            }
        }
    }
    if chapter.stories.is_empty() {
        return;
    }
    for (key, theirs) in &other.stories {
        let Some(ours) = chapter.stories.get(key) else {
            note("stories.toml", &format!("`[\"{key}\"]`"));
            continue;
        };
        for (name, ours, theirs) in [
            ("field", &ours.field, &theirs.field),
            ("kubectl", &ours.kubectl, &theirs.kubectl),
        ] {
            if ours.is_none() && theirs.is_some() {
                note("stories.toml", &format!("`{name}` of `[\"{key}\"]`"));
            }
        }
    }
}

/// HTML with its headings one level higher; `<` in text is escaped, so that only tags are met.
fn a_level_up(html: &str) -> String {
    ["3", "4", "5", "6"].iter().zip(["2", "3", "4", "5"]).fold(
        html.to_owned(),
        |html, (from, to)| {
            html.replace(&format!("<h{from}"), &format!("<h{to}"))
                .replace(&format!("</h{from}>"), &format!("</h{to}>"))
        },
    )
}

/// The anchors of a language and the links to them, for what only the whole of it can tell.
#[derive(Default)]
struct Anchors {
    seen: BTreeMap<String, (String, usize)>,
    links: Vec<(String, String, usize)>,
}

impl Anchors {
    fn add(
        &mut self,
        path: &str,
        ids: impl Iterator<Item = (String, usize)>,
        links: Vec<(String, usize)>,
        errors: &mut ContentErrors,
    ) {
        for (id, line) in ids {
            if let Some((other, first)) = self.seen.get(&id) {
                errors.push(
                    path,
                    line,
                    format!("the id `{id}` is taken, by {other}:{first}; choose another"),
                );
            } else {
                self.seen.insert(id, (path.to_owned(), line));
            }
        }
        self.links.extend(
            links
                .into_iter()
                .map(|(target, line)| (target, path.to_owned(), line)),
        );
    }

    fn check(&self, errors: &mut ContentErrors) {
        for (target, path, line) in &self.links {
            if !self.seen.contains_key(target) {
                errors.push(path, *line, format!("the link `#{target}` leads nowhere; no heading, figure or question has that id"));
            }
        }
    }
}

/// What the scripts of a page find in the text, by language: a reader who changes the language goes on with the same
/// questions and predictions.
#[derive(Default)]
struct Shapes(BTreeMap<String, BTreeMap<String, (String, usize)>>);

impl Shapes {
    fn add(&mut self, language: &str, shape: String, path: &str, line: usize) {
        self.0
            .entry(language.to_owned())
            .or_default()
            .insert(shape, (path.to_owned(), line));
    }

    fn check(&self, errors: &mut ContentErrors) {
        for (language, shapes) in &self.0 {
            for (other, there) in self.0.iter().filter(|(other, _)| *other != language) {
                for (shape, (path, line)) in shapes {
                    if !there.contains_key(shape) {
                        errors.push(
                            path,
                            *line,
                            format!("`{}` is not in `{other}`; ids, acts and answers are the same in every language", shape.trim_end()),
                        );
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
