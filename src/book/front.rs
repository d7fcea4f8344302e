//! Front matter: the YAML between `---` lines at the top of a section file.

use serde::Deserialize;

use super::report::Notes;

/// What a reader should be able to do after the chapter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// ASCII, the key under which progress is kept.
    pub id: String,
    /// The sentence shown.
    pub text: String,
}

/// What a section asks of the reader: understand, try, or answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Marker {
    /// 【See】: something to understand.
    See,
    /// 【Do】: something to try.
    Do,
    /// 【Check】: something to answer.
    Check,
}

impl Marker {
    /// The word as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::See => "See",
            Self::Do => "Do",
            Self::Check => "Check",
        }
    }
}

/// The fields an author may set. Those that are missing are empty, and said to be so.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Front {
    pub(super) title: String,
    pub(super) id: String,
    pub(super) marker: Option<Marker>,
    pub(super) question: Option<String>,
    pub(super) objectives: Vec<Objective>,
}

/// Splits a file into front matter and body; the number is the count of lines before the body.
/// Notes what is wrong and goes on with empty fields, so that the body is checked all the same; hands on `None` where
/// nobody can tell where the body begins.
pub(super) fn split<'a>(text: &'a str, notes: &mut Notes<'_>) -> Option<(Front, &'a str, usize)> {
    const SHAPE: &str =
        "begin the file with a line `---`, then `title:` and `id:`, then a line `---`";
    let Some(rest) = text.strip_prefix("---\n") else {
        notes.add(1, format!("front matter is missing; {SHAPE}"));
        return Some((Front::default(), text, 0));
    };
    let Some(end) = rest.find("\n---\n") else {
        notes.add(1, format!("front matter is not closed; {SHAPE}"));
        return None;
    };
    let (yaml, body) = (&rest[..end], &rest[end + "\n---\n".len()..]);
    let before = yaml.lines().count() + 2;
    let front: Front = match serde_saphyr::from_str(yaml) {
        Ok(front) => front,
        Err(error) => {
            let line = error
                .location()
                .map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
            notes.add(
                line + 1,
                format!("front matter: {}", error.without_snippet()),
            );
            return Some((Front::default(), body, before));
        }
    };
    if !is_id(&front.id) {
        notes.add(
            line_of(yaml, "id:"),
            if front.id.is_empty() {
                "`id` is missing; write an anchor of a-z, 0-9 and `-`".to_owned()
            } else {
                format!("`id: {}` must be ASCII: a-z, 0-9 and `-`", front.id)
            },
        );
    }
    if front.title.trim().is_empty() {
        notes.add(
            line_of(yaml, "title:"),
            "`title` is missing; write the section's title",
        );
    }
    for objective in &front.objectives {
        if !is_id(&objective.id) {
            notes.add(
                line_of(yaml, &objective.id),
                format!(
                    "objective `{}`: an id must be ASCII: a-z, 0-9 and `-`",
                    objective.id
                ),
            );
        }
    }
    Some((front, body, before))
}

/// Whether `id` can be an anchor that stays the same in every language.
pub(super) fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The line of the file on which `needle` first stands in the front matter (its first line is the file's second).
fn line_of(yaml: &str, needle: &str) -> usize {
    yaml.lines()
        .position(|line| line.contains(needle))
        .map_or(1, |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::super::report::ContentErrors;
    use super::*;

    fn read(text: &str) -> (Option<Front>, Vec<String>) {
        let mut errors = ContentErrors::default();
        let front = split(text, &mut Notes::new("a.md", &mut errors)).map(|(front, ..)| front);
        (front, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_section_names_its_title_id_and_marker() {
        let (front, errors) = read("---\ntitle: 永続化\nid: storage\nmarker: See\n---\n本文\n");
        assert_eq!(errors, Vec::<String>::new());
        let front = front.unwrap();
        assert_eq!(
            (front.title.as_str(), front.id.as_str(), front.marker),
            ("永続化", "storage", Some(Marker::See))
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let table = [
            ("本文だけ\n", "a.md:1: front matter is missing"),
            ("---\ntitle: x\n", "a.md:1: front matter is not closed"),
            ("---\ntitle: x\n---\n", "a.md:1: `id` is missing"),
            (
                "---\ntitle: x\nid: x\nmarker: Look\n---\n",
                "a.md:4: front matter: ",
            ),
            (
                "---\ntitle: x\nid: x\ncolour: red\n---\n",
                "a.md:4: front matter: ",
            ),
            (
                "---\ntitle: x\nid: 永続\n---\n",
                "a.md:3: `id: 永続` must be ASCII",
            ),
            (
                "---\ntitle: \"\"\nid: x\n---\n",
                "a.md:2: `title` is missing",
            ),
        ];
        for (text, wanted) in table {
            let (_, errors) = read(text);
            assert!(
                errors.iter().any(|error| error.contains(wanted)),
                "{text:?}: {errors:?}"
            );
            assert!(
                errors.iter().all(|error| !error.contains('\n')),
                "one line each: {errors:?}"
            );
        }
    }
}
