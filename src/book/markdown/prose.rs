//! Running text: terms marked so that they light up together, and the letters between which a line break is no space.

use super::super::html::escape;
use super::super::words::Terms;

/// Whether a letter is set full width, so that a line break beside it is no space. Ranges after Unicode's East
/// Asian Width (UAX #11): CJK, kana, full-width forms and their punctuation.
pub(super) fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{33ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
        | '\u{20000}'..='\u{3fffd}')
}

/// `text` as HTML with each word of the book in `<span data-term>`; where two could begin, the longer one wins.
/// A Latin word counts only when no letter, digit, dot or hyphen of a longer name touches it.
pub(super) fn with_terms(text: &str, terms: &Terms) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut from = 0;
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let found = terms.words.iter().find(|(word, _)| {
            text[at..].starts_with(word.as_str()) && stands_alone(text, at, word)
        });
        if let Some((word, term)) = found {
            out.push_str(&escape(&text[from..at]));
            out.push_str(&format!(
                r#"<span data-term="{}">{}</span>"#,
                escape(term),
                escape(word)
            ));
            at += word.len();
            from = at;
        } else {
            at += letter.len_utf8();
        }
    }
    out.push_str(&escape(&text[from..]));
    out
}

/// A short text outside Markdown, in which backticks still mean code: the explanations of a manifest.
pub(super) fn with_terms_and_code(text: &str, terms: &Terms) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escape(part)));
        } else {
            out.push_str(&with_terms(part, terms));
        }
    }
    out
}

fn stands_alone(text: &str, at: usize, word: &str) -> bool {
    let joins = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let first_joins = word.starts_with(joins);
    let last_joins = word.ends_with(joins);
    let before = text[..at].chars().next_back();
    let after = text[at + word.len()..].chars().next();
    let touched_before = first_joins && before.is_some_and(|c| joins(c) || c == '.');
    let touched_after = last_joins && after.is_some_and(joins);
    !touched_before && !touched_after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_word_is_marked_and_parts_of_names_are_not() {
        let words = [
            ("PersistentVolumeClaim", "pvc"),
            ("PersistentVolume", "pv"),
            ("PVC", "pvc"),
            ("PV", "pv"),
            ("永続ボリューム要求", "pvc"),
        ];
        let terms = Terms {
            words: words.map(|(w, t)| (w.to_owned(), t.to_owned())).to_vec(),
            ..Terms::default()
        };
        let table = [
            (
                "PVCとPV。",
                r#"<span data-term="pvc">PVC</span>と<span data-term="pv">PV</span>。"#,
            ),
            (
                "PersistentVolumeClaim",
                r#"<span data-term="pvc">PersistentVolumeClaim</span>"#,
            ),
            ("PVCs と my-PVC と x.PVC", "PVCs と my-PVC と x.PVC"),
            (
                "永続ボリューム要求（PVC）",
                r#"<span data-term="pvc">永続ボリューム要求</span>（<span data-term="pvc">PVC</span>）"#,
            ),
            ("a < b", "a &lt; b"),
        ];
        for (text, wanted) in table {
            assert_eq!(with_terms(text, &terms), wanted);
        }
    }
}
