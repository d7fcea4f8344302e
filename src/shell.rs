//! How a word is written for a POSIX shell, so that a line that a reader copies says what it shows and no more. The
//! page has the same in `static/js/shell.js`; `tests/frames/shell.json` holds both to one way of writing it.

use std::borrow::Cow;

/// The word as a shell reads it: as it is where it is plainly safe; in single quotes; or, with signs that nobody sees
/// or that end a line, as `$'…'` (POSIX.1-2024, Shell Command Language, 2.2.4; bash, zsh, ksh and busybox have long
/// had it).
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    if !text.chars().any(is_unseen) {
        return format!("'{}'", text.replace('\'', r"'\''")).into();
    }
    let mut quoted = String::from("$'");
    for sign in text.chars() {
        match sign {
            '\\' => quoted.push_str(r"\\"),
            '\'' => quoted.push_str(r"\'"),
            '\n' => quoted.push_str(r"\n"),
            '\r' => quoted.push_str(r"\r"),
            '\t' => quoted.push_str(r"\t"),
            // Three octal digits each, so that no digit after them is taken for a fourth.
            sign if is_unseen(sign) => {
                let mut bytes = [0; 4];
                for byte in sign.encode_utf8(&mut bytes).bytes() {
                    quoted.push_str(&format!("\\{byte:03o}"));
                }
            }
            sign => quoted.push(sign),
        }
    }
    quoted.push('\'');
    quoted.into()
}

/// Whether a sign means itself wherever it stands in a word.
fn is_plain(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "-_./:@,+".contains(sign)
}

/// Whether a sign shows nothing, or changes the order in which others are shown: controls, and what Unicode calls
/// format characters and default ignorable ones.
fn is_unseen(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = include_str!("../tests/frames/shell.json");

    fn rows() -> Vec<[String; 2]> {
        let rows: Vec<[String; 2]> = serde_json::from_str(FIXTURE).expect("JSON");
        assert!(rows.len() >= 30);
        rows
    }

    #[test]
    fn a_word_is_written_as_the_page_writes_it() {
        for [text, want] in rows() {
            assert_eq!(word(&text), want, "{text:?}");
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for [text, written] in rows() {
            let script = format!("printf %s {written}");
            let output = std::process::Command::new("bash")
                .args(["-c", &script])
                .output()
                .expect("bash");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{written}");
        }
    }
}
