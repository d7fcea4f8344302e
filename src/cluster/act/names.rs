//! What may stand in an address of the API, and in a line that a reader copies.

use super::refusal::{Reason, Refusal};

/// The longest name (RFC 1123; `IsDNS1123Subdomain` in `apimachinery/pkg/util/validation`).
const LONGEST_NAME: usize = 253;
/// The longest uid that is taken; those of the API have 36 signs.
const LONGEST_UID: usize = 64;
/// The longest selector that is taken.
const LONGEST_SELECTOR: usize = 1000;

/// Refuses what is no DNS subdomain: no object of the lesson's kinds has such a name.
pub(crate) fn name(text: &str) -> Result<(), Refusal> {
    let is_edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &[u8]| {
        label.first().is_some_and(is_edge)
            && label.last().is_some_and(is_edge)
            && label.iter().all(|byte| is_edge(byte) || *byte == b'-')
    };
    if text.len() <= LONGEST_NAME && text.as_bytes().split(|byte| *byte == b'.').all(is_label) {
        return Ok(());
    }
    invalid(format!(
        "{text:?} is no name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
         '-' or '.', and must start and end with an alphanumeric character"
    ))
}

/// Refuses what is no uid.
pub(crate) fn uid(text: &str) -> Result<(), Refusal> {
    let is_uid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=LONGEST_UID).contains(&text.len()) && text.bytes().all(is_uid) {
        return Ok(());
    }
    invalid(format!("{text:?} is no uid"))
}

/// Refuses what cannot be a label selector; whether it is one the API says.
pub(super) fn selector(text: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,=!() ".contains(&byte);
    if (1..=LONGEST_SELECTOR).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(());
    }
    invalid(format!("{text:?} is no label selector"))
}

/// Refuses statements with signs that no keyboard writes. A program's argument cannot hold a NUL at all.
pub(super) fn sql(text: &str) -> Result<(), Refusal> {
    let is_odd = |sign: char| sign.is_control() && !matches!(sign, '\n' | '\r' | '\t');
    if text.chars().any(is_odd) {
        return invalid("the SQL holds control characters".into());
    }
    Ok(())
}

fn invalid(words: String) -> Result<(), Refusal> {
    Err(Refusal::new(Reason::Invalid, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_api_has() {
        let longest = "a".repeat(LONGEST_NAME);
        let too_long = "a".repeat(LONGEST_NAME + 1);
        for (text, is_name) in [
            ("postgres-statefulset-0", true),
            ("a.b-c.0", true),
            (&longest, true),
            (&too_long, false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a..b", false),
            (".", false),
            ("..", false),
            ("A", false),
            ("a/b", false),
            ("a%2fb", false),
            ("a?x=y", false),
            ("a#", false),
            ("a b", false),
            ("a\nb", false),
            ("a;b", false),
            ("$(a)", false),
            ("ａ", false),
            ("a\u{200b}", false),
        ] {
            assert_eq!(name(text).is_ok(), is_name, "{text:?}");
        }
    }

    #[test]
    fn uids_selectors_and_statements_are_plain() {
        for (text, is_uid) in [
            ("0b7a2c1e-9f0c-4d53-8a51-6f6f0b0c7a11", true),
            ("", false),
            ("u;", false),
            ("u\n", false),
        ] {
            assert_eq!(uid(text).is_ok(), is_uid, "{text:?}");
        }
        for (text, is_selector) in [
            ("app in (lane-emptydir,lane-deployment)", true),
            ("app.kubernetes.io/name=x,tier!=y,!z", true),
            ("", false),
            ("a=b;c", false),
            ("a='b'", false),
            ("a=b\nc", false),
        ] {
            assert_eq!(selector(text).is_ok(), is_selector, "{text:?}");
        }
        assert!(sql("SELECT 1;\n\tSELECT 'みかん'").is_ok());
        assert!(sql("SELECT '\0'").is_err());
        assert!(sql("SELECT '\u{1b}[2J'").is_err());
    }
}
