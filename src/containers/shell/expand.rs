//! From a word as written to the words a command gets: parameters, command substitution, arithmetic, splitting, patterns.

use super::super::view::View;
use super::Shell;
use super::arithmetic;
use super::parse::{Part, Word};

/// A character of a word, and whether it was quoted.
type Marked = (char, bool);

/// A word can't be expanded: the message.
pub(super) type Failed = String;

impl Shell {
    /// The fields that words become.
    pub(super) fn fields(&mut self, words: &[Word]) -> Result<Vec<String>, Failed> {
        let mut fields = Vec::new();
        for word in words {
            for field in self.split(word)? {
                let is_pattern = field
                    .iter()
                    .any(|(c, quoted)| !quoted && "*?[".contains(*c));
                let matches = if is_pattern {
                    glob(&self.world.view, &self.world.directory, &field)
                } else {
                    Vec::new()
                };
                if matches.is_empty() {
                    fields.push(text(&field));
                } else {
                    fields.extend(matches);
                }
            }
        }
        Ok(fields)
    }

    /// A word that stays one: in an assignment, after a redirection.
    pub(super) fn single(&mut self, word: &Word) -> Result<String, Failed> {
        Ok(text(&self.joined(word)?))
    }

    /// A word that stays one, as a pattern: quoted characters are themselves.
    pub(super) fn pattern(&mut self, word: &Word) -> Result<Vec<Marked>, Failed> {
        self.joined(word)
    }

    fn joined(&mut self, word: &Word) -> Result<Vec<Marked>, Failed> {
        let mut all = Vec::new();
        for (at, part) in word.iter().enumerate() {
            if let Part::Text {
                text,
                quoted: false,
            } = part
            {
                all.extend(self.home(at, text).chars().map(|c| (c, false)));
            } else {
                for (nth, (value, quoted)) in self.values(part)?.into_iter().enumerate() {
                    if nth > 0 {
                        all.push((' ', quoted));
                    }
                    all.extend(value.chars().map(|c| (c, quoted)));
                }
            }
        }
        Ok(all)
    }

    /// `~` at the start of a word.
    fn home(&self, at: usize, text: &str) -> String {
        match text.strip_prefix('~') {
            Some(rest) if at == 0 && (rest.is_empty() || rest.starts_with('/')) => {
                format!("{}{rest}", self.get("HOME").unwrap_or_default())
            }
            _ => text.to_owned(),
        }
    }

    fn split(&mut self, word: &Word) -> Result<Vec<Vec<Marked>>, Failed> {
        let separators = self.get("IFS").unwrap_or_else(|| " \t\n".to_owned());
        let mut fields = Vec::new();
        let mut field: Option<Vec<Marked>> = None;
        for (at, part) in word.iter().enumerate() {
            if let Part::Text { text, quoted } = part {
                let text = if *quoted {
                    text.clone()
                } else {
                    self.home(at, text)
                };
                field
                    .get_or_insert_default()
                    .extend(text.chars().map(|c| (c, *quoted)));
                continue;
            }
            for (nth, (value, quoted)) in self.values(part)?.into_iter().enumerate() {
                // "$@" is as many fields as there are parameters.
                if nth > 0 {
                    fields.extend(field.take());
                }
                if quoted {
                    field
                        .get_or_insert_default()
                        .extend(value.chars().map(|c| (c, true)));
                    continue;
                }
                for c in value.chars() {
                    if separators.contains(c) {
                        fields.extend(field.take());
                    } else {
                        field.get_or_insert_default().push((c, false));
                    }
                }
            }
        }
        fields.extend(field);
        Ok(fields)
    }

    /// What a part becomes, and whether that is quoted. More than one value only for `$@` and `$*`; none for an unset `"$@"`.
    fn values(&mut self, part: &Part) -> Result<Vec<(String, bool)>, Failed> {
        match part {
            Part::Text { text, quoted } => Ok(vec![(text.clone(), *quoted)]),
            Part::Command { list, quoted } => {
                let mut output = self.capture(list);
                output.truncate(output.trim_end_matches('\n').len());
                Ok(vec![(output, *quoted)])
            }
            Part::Arithmetic { word, quoted } => {
                let expression = self.single(word)?;
                let value = arithmetic::evaluate(&expression, &|name| self.get(name))
                    .map_err(|why| format!("arithmetic expression: {why}: \"{expression}\""))?;
                Ok(vec![(value.to_string(), *quoted)])
            }
            Part::Variable {
                name,
                operator,
                quoted,
                ..
            } if operator.is_empty() && (name == "@" || name == "*") => {
                let all = self.arguments.clone();
                if name == "*" && *quoted {
                    return Ok(vec![(all.join(" "), true)]);
                }
                Ok(all.into_iter().map(|value| (value, *quoted)).collect())
            }
            Part::Variable {
                name,
                operator,
                word,
                quoted,
            } => {
                let value = self.parameter(name, operator, word)?;
                Ok(vec![(value, *quoted)])
            }
        }
    }

    fn parameter(&mut self, name: &str, operator: &str, word: &Word) -> Result<String, Failed> {
        let value = self.get(name);
        let is_set = |value: &Option<String>| match value {
            Some(value) => !operator.starts_with(':') || !value.is_empty(),
            None => false,
        };
        match operator.trim_start_matches(':') {
            "" => Ok(value.unwrap_or_default()),
            "#" if operator == "#" && word.is_empty() => {
                let count = if name == "@" || name == "*" {
                    self.arguments.len()
                } else {
                    value.unwrap_or_default().chars().count()
                };
                Ok(count.to_string())
            }
            "-" if is_set(&value) => Ok(value.unwrap_or_default()),
            "-" => self.single(word),
            "+" if is_set(&value) => self.single(word),
            "+" => Ok(String::new()),
            "=" if is_set(&value) => Ok(value.unwrap_or_default()),
            "=" => {
                let value = self.single(word)?;
                self.set(name, value.clone());
                Ok(value)
            }
            "?" if is_set(&value) => Ok(value.unwrap_or_default()),
            "?" => {
                let text = self.single(word)?;
                let text = if text.is_empty() {
                    "parameter not set".to_owned()
                } else {
                    text
                };
                Err(format!("{name}: {text}"))
            }
            cut => {
                let pattern = self.pattern(word)?;
                let value: Vec<char> = value.unwrap_or_default().chars().collect();
                Ok(remove(&value, &pattern, cut))
            }
        }
    }
}

/// `${name#pattern}` and its kin.
fn remove(value: &[char], pattern: &[Marked], cut: &str) -> String {
    let length = value.len();
    let at_start = cut.starts_with('#');
    let longest = cut.len() == 2;
    // How many characters to take away, in the order in which to try.
    let mut counts: Vec<usize> = (0..=length).collect();
    if longest {
        counts.reverse();
    }
    for count in counts {
        let (part, rest) = if at_start {
            (&value[..count], &value[count..])
        } else {
            (&value[length - count..], &value[..length - count])
        };
        if matches(pattern, part) {
            return rest.iter().collect();
        }
    }
    value.iter().collect()
}

/// Whether a text fits a pattern with `*`, `?` and `[…]`.
pub(super) fn matches(pattern: &[Marked], text: &[char]) -> bool {
    let Some((&(first, quoted), rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    match (first, quoted) {
        ('*', false) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        ('?', false) => !text.is_empty() && matches(rest, &text[1..]),
        ('[', false) if rest.iter().skip(1).any(|(c, _)| *c == ']') => {
            let Some(&c) = text.first() else { return false };
            let negated = matches!(rest[0].0, '!' | '^');
            let start = usize::from(negated);
            let end = rest
                .iter()
                .skip(start + 1)
                .position(|(c, _)| *c == ']')
                .map(|at| at + start + 1);
            let Some(end) = end else { return false };
            let set: Vec<char> = rest[start..end].iter().map(|(c, _)| *c).collect();
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == '-' {
                    found |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= set[at] == c;
                    at += 1;
                }
            }
            found != negated && matches(&rest[end + 1..], &text[1..])
        }
        (c, _) => text.first() == Some(&c) && matches(rest, &text[1..]),
    }
}

fn text(marked: &[Marked]) -> String {
    marked.iter().map(|(c, _)| *c).collect()
}

/// The files whose paths fit a pattern, sorted; none if no file does.
fn glob(view: &View, directory: &str, pattern: &[Marked]) -> Vec<String> {
    let is_absolute = pattern.first().is_some_and(|(c, _)| *c == '/');
    let mut found = vec![if is_absolute {
        "/".to_owned()
    } else {
        String::new()
    }];
    for part in pattern
        .split(|(c, _)| *c == '/')
        .filter(|part| !part.is_empty())
    {
        let is_pattern = part.iter().any(|(c, quoted)| !quoted && "*?[".contains(*c));
        let mut next = Vec::new();
        for base in found {
            let join = |name: &str| {
                if base.is_empty() || base.ends_with('/') {
                    format!("{base}{name}")
                } else {
                    format!("{base}/{name}")
                }
            };
            if !is_pattern {
                next.push(join(&text(part)));
                continue;
            }
            let folder = if base.is_empty() { "." } else { base.as_str() };
            let Ok(place) = view.resolve(directory, folder, true) else {
                continue;
            };
            let mut names: Vec<String> = place
                .names()
                .unwrap_or_default()
                .into_iter()
                .chain(view.extra_names(&place.path))
                .filter(|name| part[0].0 == '.' || !name.starts_with('.'))
                .filter(|name| matches(part, &name.chars().collect::<Vec<_>>()))
                .collect();
            names.sort();
            names.dedup();
            next.extend(names.iter().map(|name| join(name)));
        }
        found = next;
    }
    found.retain(|path| {
        view.resolve(directory, path, false)
            .is_ok_and(|place| place.about().is_ok())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let fits = |pattern: &str, text: &str| {
            let pattern: Vec<Marked> = pattern.chars().map(|c| (c, false)).collect();
            matches(&pattern, &text.chars().collect::<Vec<_>>())
        };
        for (pattern, text, fit) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "abbc", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("*.sql", "01.sql", true),
            ("[", "[", true),
            ("りん*", "りんご", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
        assert!(!matches(&[('*', true)], &['a']), "a quoted star is a star");
    }

    #[test]
    fn ends_are_cut_off() {
        let cut = |value: &str, pattern: &str, how: &str| {
            let pattern: Vec<Marked> = pattern.chars().map(|c| (c, false)).collect();
            remove(&value.chars().collect::<Vec<_>>(), &pattern, how)
        };
        assert_eq!(cut("/a/b.tar.gz", "*/", "##"), "b.tar.gz");
        assert_eq!(cut("b.tar.gz", ".*", "%"), "b.tar");
        assert_eq!(cut("b.tar.gz", ".*", "%%"), "b");
        assert_eq!(cut("b.tar.gz", "x", "#"), "b.tar.gz");
    }
}
