//! Words that readers are not to meet, of which `terms.toml` says what stands instead. Looks at sentences only: code,
//! keys, comments and identifiers may be called what they like.

use std::collections::BTreeMap;

use super::report::Notes;

/// The words and what stands instead, and longer words in which they may be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Banned {
    pub(super) instead: BTreeMap<String, String>,
    pub(super) allowed: Vec<String>,
}

/// How the sentences stand in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// `key = "sentence"`, one a line.
    Toml,
    /// Running text, with explanations of manifests and labels of figures in its fences.
    Markdown,
}

impl Banned {
    /// Notes each banned word in a file's sentences, with its line.
    pub(super) fn check(&self, text: &str, form: Form, notes: &mut Notes<'_>) {
        let mut fence = None;
        for (number, line) in text.lines().enumerate() {
            let sentence = match form {
                Form::Toml => of_toml(line),
                Form::Markdown => of_markdown(line, &mut fence),
            };
            for word in self.found(&sentence) {
                let instead = &self.instead[word];
                notes.add(
                    number + 1,
                    format!("`{word}` is banned by terms.toml; write instead: {instead}"),
                );
            }
        }
    }

    fn found<'a>(&'a self, sentence: &str) -> impl Iterator<Item = &'a str> {
        let lower = sentence.to_lowercase();
        self.instead.keys().map(String::as_str).filter(move |word| {
            let mut ends = lower.match_indices(*word);
            ends.any(|(at, _)| stands_alone(&lower, at, word) && !self.allows(&lower, at, word))
        })
    }

    /// Whether the word at this place is a part of one that may be used.
    fn allows(&self, sentence: &str, at: usize, word: &str) -> bool {
        let end = at + word.len();
        self.allowed.iter().any(|allowed| {
            let mut found = sentence.match_indices(allowed.as_str());
            found.any(|(start, _)| start <= at && end <= start + allowed.len())
        })
    }
}

/// A Latin word is meant only where no letter touches it: `body` is not in `nobody`. Japanese has no such gaps.
fn stands_alone(sentence: &str, at: usize, word: &str) -> bool {
    let is_letter = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
    let latin = word.is_ascii();
    !latin
        || !is_letter(sentence[..at].chars().next_back())
            && !is_letter(sentence[at + word.len()..].chars().next())
}

/// What is to be read of a line of TOML: no comment, no header of a table, no key, no placeholder.
fn of_toml(line: &str) -> String {
    let line = line.trim_start();
    if line.starts_with(['#', '[']) {
        return String::new();
    }
    let value = line.split_once(" = ").map_or(line, |(_, value)| value);
    without(value, '{', '}')
}

/// What is to be read of a line of Markdown. `fence` is the code block that the line before stood in.
fn of_markdown(line: &str, fence: &mut Option<String>) -> String {
    if let Some(rest) = line.strip_prefix("```") {
        *fence = match fence {
            Some(_) => None,
            None => Some(rest.split_whitespace().next().unwrap_or("").to_owned()),
        };
        return String::new();
    }
    match fence.as_deref() {
        None if line.starts_with(":::") => String::new(),
        None => without(&without(line, '`', '`'), '{', '}'),
        Some("mermaid") => line.to_owned(),
        // After the line of a manifest stands what it means; after `#` in YAML, too.
        Some("manifest") => line
            .split_once("=>")
            .map_or_else(String::new, |(_, it)| without(it, '`', '`')),
        Some("yaml") => line
            .split_once("# ")
            .map_or_else(String::new, |(_, it)| it.to_owned()),
        Some(_) => String::new(),
    }
}

/// The text without what stands between two marks.
fn without(text: &str, open: char, close: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        let Some((_, after)) = after.split_once(close) else {
            return out;
        };
        // What stood on both sides does not become one word.
        out.push(' ');
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::ContentErrors;
    use super::*;

    fn banned(words: &[&str], allowed: &[&str]) -> Banned {
        Banned {
            instead: words
                .iter()
                .map(|word| ((*word).to_owned(), "…".to_owned()))
                .collect(),
            allowed: allowed.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    fn lines(of: &Banned, form: Form, text: &str) -> Vec<String> {
        let mut errors = ContentErrors::default();
        of.check(text, form, &mut Notes::new("f", &mut errors));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_word_is_met_in_sentences_only() {
        let ja = banned(&["席", "サーバ"], &["指定席", "サーバー"]);
        let text = "席です。\n指定席とサーバー。\n指定席の席。\n`席` {#席}\n::: note 席\n```console\n席\n```\n```manifest a.yaml\n席: a => 席\n```\n```mermaid\nA[\"席\"]\n```\n```yaml\n席: 1 # 席\n```\nサーバ\n";
        let found = lines(&ja, Form::Markdown, text);
        let at: Vec<&str> = found
            .iter()
            .map(|it| &it[..it.find(": ").unwrap()])
            .collect();
        assert_eq!(at, ["f:1", "f:3", "f:10", "f:13", "f:16", "f:18"]);
        assert_eq!(
            found[0],
            "f:1: `席` is banned by terms.toml; write instead: …"
        );
    }

    #[test]
    fn a_latin_word_is_whole_and_keys_are_no_sentences() {
        let en = banned(&["body", "anew"], &["listed anew"]);
        let text = "# body\n[\"pod.body\"]\n\"aria.body\" = \"Nobody, {body}.\"\n\"a\" = \"A Body.\"\nwhat = \"listed anew\"\nwhy = \"made anew\"\n";
        let found = lines(&en, Form::Toml, text);
        let at: Vec<&str> = found
            .iter()
            .map(|it| &it[..it.find(": ").unwrap()])
            .collect();
        assert_eq!(at, ["f:4", "f:6"]);
    }
}
