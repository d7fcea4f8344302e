//! `grep`'s patterns: basic and extended regular expressions of POSIX, as the regex crate takes them. It matches in time
//! that grows with the line only, whatever the pattern.

use regex::bytes::{Regex, RegexBuilder};

/// How a pattern is meant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct How {
    /// The text is itself (`-F`).
    pub(super) fixed: bool,
    /// Extended (`-E`): braces and their kin have a meaning without a backslash.
    pub(super) extended: bool,
    pub(super) any_case: bool,
    /// Only whole words (`-w`) or whole lines (`-x`).
    pub(super) words: bool,
    pub(super) lines: bool,
}

/// Makes one expression of patterns, of which one has to fit. The error is what `grep` says.
pub(super) fn compile(patterns: &[String], how: How) -> Result<Regex, String> {
    let all: Vec<String> = patterns
        .iter()
        .flat_map(|pattern| pattern.split('\n'))
        .map(|pattern| {
            if how.fixed {
                regex::escape(pattern)
            } else {
                translate(pattern, how.extended)
            }
        })
        .collect();
    let mut text = format!("(?:{})", all.join("|"));
    if how.words {
        text = format!(r"(?-u:\b){text}(?-u:\b)");
    }
    if how.lines {
        text = format!("^{text}$");
    }
    RegexBuilder::new(&text)
        .case_insensitive(how.any_case)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "Regular expression too big".to_owned(),
            _ => "Invalid regular expression".to_owned(),
        })
}

/// A POSIX expression in the words of the regex crate.
fn translate(pattern: &str, extended: bool) -> String {
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    // Where an expression begins, an asterisk is itself and a caret is an anchor.
    let mut begins = true;
    while let Some(c) = chars.next() {
        let is_first = std::mem::replace(&mut begins, false);
        match c {
            '\\' => match chars.next() {
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) if !extended => {
                    begins = matches!(c, '(' | '|');
                    text.push(c);
                }
                Some('<') => text.push_str(r"(?-u:\b{start})"),
                Some('>') => text.push_str(r"(?-u:\b{end})"),
                Some(c @ ('b' | 'B')) => text.push_str(&format!("(?-u:\\{c})")),
                Some(c @ ('w' | 'W' | 's' | 'S')) => text.extend(['\\', c]),
                // A reference to a group is nothing that can be matched in one go: no such expression.
                Some(c @ '1'..='9') => text.extend(['\\', c]),
                Some(c) => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                None => text.push('\\'),
            },
            '[' => bracket(&mut chars, &mut text),
            '*' if is_first => text.push_str(r"\*"),
            '^' if !is_first && !extended => text.push_str(r"\^"),
            '^' => {
                text.push('^');
                begins = true;
            }
            '$' if !extended && chars.peek().is_some_and(|next| !matches!(next, '|' | '\\')) => {
                text.push_str(r"\$");
            }
            // Between alternatives also without a backslash, as many write it.
            '|' => {
                text.push('|');
                begins = true;
            }
            '(' | ')' | '{' | '}' | '+' | '?' if !extended => text.extend(['\\', c]),
            '(' => {
                text.push('(');
                begins = true;
            }
            '.' | '*' | '$' | ')' | '{' | '}' | '+' | '?' => text.push(c),
            c => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    text
}

/// `[…]`: a backslash is itself in it, and a bracket where it stands first.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, text: &mut String) {
    text.push('[');
    if chars.next_if_eq(&'^').is_some() {
        text.push('^');
    }
    if chars.next_if_eq(&']').is_some() {
        text.push_str(r"\]");
    }
    while let Some(c) = chars.next() {
        match c {
            ']' => {
                text.push(']');
                return;
            }
            '[' if chars.peek() == Some(&':') => {
                text.push('[');
                for c in chars.by_ref() {
                    text.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '\\' | '[' | '&' | '~' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, line: &str, how: How) -> bool {
        compile(&[pattern.to_owned()], how)
            .unwrap()
            .is_match(line.as_bytes())
    }

    #[test]
    fn lines_fit_basic_patterns() {
        for (pattern, line, fit) in [
            ("app", "apple", true),
            ("^app", "pineapple", false),
            ("e$", "apple", true),
            ("a.*e", "xapplex", true),
            ("^$", "", true),
            ("x|pl", "apple", true),
            ("x\\|pl", "apple", true),
            ("1\\.5", "125", false),
            ("りん", "りんご", true),
            ("*a", "*a", true),
            ("a+", "a+", true),
            ("a\\+$", "aaa", true),
            ("a$b", "a$b", true),
            ("[]x]", "]", true),
            ("[^[:digit:]]", "7", false),
            ("[\\.]", "\\", true),
            ("\\(ab\\)\\{2\\}", "abab", true),
            ("\\<ab\\>", "x ab y", true),
        ] {
            assert_eq!(fits(pattern, line, How::default()), fit, "{pattern} {line}");
        }
    }

    #[test]
    fn options_change_what_a_pattern_means() {
        let how = How::default();
        let any_case = How {
            any_case: true,
            ..how
        };
        let extended = How {
            extended: true,
            ..how
        };
        assert!(fits("APP", "apple", any_case));
        assert!(fits("(ab){2}|x+", "abab", extended));
        assert!(fits("a.c", "a.c", How { fixed: true, ..how }));
        assert!(!fits("a.c", "abc", How { fixed: true, ..how }));
        assert!(!fits("app", "apple", How { words: true, ..how }));
        assert!(!fits("app", "apple", How { lines: true, ..how }));
    }

    #[test]
    fn a_monstrous_pattern_is_refused_or_matched_in_time() {
        let stars = "a*".repeat(2000) + "b";
        assert!(!fits(&stars, &"a".repeat(2000), How::default()));
        let deep = "\\(".repeat(100_000);
        assert!(compile(&[deep], How::default()).is_err());
        let long = "\\(a\\{999\\}\\)\\{999\\}".to_owned();
        assert_eq!(
            compile(&[long], How::default()).unwrap_err(),
            "Regular expression too big"
        );
    }
}
