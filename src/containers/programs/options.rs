//! The options of programs that read files or standard input.

use std::io;

/// Letters, letters with values, and the rest.
#[derive(Debug, Default)]
pub(super) struct Options {
    flags: String,
    values: Vec<(char, String)>,
    pub(super) operands: Vec<String>,
}

/// Long options, as letters.
const LONG: [(&str, char); 22] = [
    ("bytes", 'c'),
    ("characters", 'c'),
    ("count", 'c'),
    ("decode", 'd'),
    ("delimiter", 'd'),
    ("extended-regexp", 'E'),
    ("fields", 'f'),
    ("fixed-strings", 'F'),
    ("follow", 'f'),
    ("ignore-case", 'i'),
    ("invert-match", 'v'),
    ("key", 'k'),
    ("line-number", 'n'),
    ("lines", 'n'),
    ("max-count", 'm'),
    ("number", 'n'),
    ("numeric-sort", 'n'),
    ("only-matching", 'o'),
    ("quiet", 'q'),
    ("reverse", 'r'),
    ("unique", 'u'),
    ("wrap", 'w'),
];

impl Options {
    /// Reads arguments; the letters in `valued` take a value. `-5` is `-n 5` where `-n` takes one.
    pub(super) fn parse(args: &[String], valued: &str) -> io::Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(letters) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                options.operands.push(arg.clone());
                continue;
            };
            if letters == "-" {
                options.operands.extend(args.by_ref().cloned());
            } else if let Some(long) = letters.strip_prefix('-') {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                match LONG.iter().find(|(known, _)| *known == name) {
                    Some((_, letter)) if valued.contains(*letter) => {
                        let value = match value {
                            Some(value) => value,
                            None => missing(args.next(), letter)?,
                        };
                        options.values.push((*letter, value));
                    }
                    Some((_, letter)) => options.flags.push(*letter),
                    // There is one way to colour what is found: not at all.
                    None if name == "color" || name == "colour" => {}
                    None => return Err(io::Error::other(format!("unrecognized option: {name}"))),
                }
            } else if valued.contains('n') && letters.bytes().all(|b| b.is_ascii_digit()) {
                options.values.push(('n', letters.to_owned()));
            } else {
                let mut rest = letters.chars();
                while let Some(letter) = rest.next() {
                    if !valued.contains(letter) {
                        options.flags.push(letter);
                        continue;
                    }
                    let value = match rest.as_str() {
                        "" => missing(args.next(), &letter)?,
                        value => value.to_owned(),
                    };
                    options.values.push((letter, value));
                    break;
                }
            }
        }
        Ok(options)
    }

    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// The last value of a letter.
    pub(super) fn value(&self, letter: char) -> Option<&str> {
        self.values(letter).last()
    }

    pub(super) fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(known, _)| *known == letter)
            .map(|(_, value)| value.as_str())
    }
}

fn missing(value: Option<&String>, letter: &char) -> io::Result<String> {
    value
        .cloned()
        .ok_or_else(|| io::Error::other(format!("option requires an argument -- '{letter}'")))
}

/// A count such as `10`, `2k` or `1M`. One that is larger than anything is the largest there is.
pub(super) fn count(text: &str) -> io::Result<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" => 1,
        "b" => 512,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "G" => 1 << 30,
        _ => 0,
    };
    if digits.is_empty() || factor == 0 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(io::Error::other(format!("invalid number '{text}'")));
    }
    Ok(digits
        .parse::<u64>()
        .unwrap_or(u64::MAX)
        .saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units_and_no_end() {
        for (text, wanted) in [
            ("10", Some(10)),
            ("2k", Some(2048)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("18446744073709551615G", Some(u64::MAX)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("1x", None),
        ] {
            assert_eq!(count(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn options_are_read_as_people_write_them() {
        let args = ["-n5", "-rc", "7", "--", "-x"].map(str::to_owned);
        let options = Options::parse(&args, "nc").unwrap();
        assert_eq!(
            (options.value('n'), options.value('c')),
            (Some("5"), Some("7"))
        );
        assert!(options.has('r') && !options.has('x'));
        assert_eq!(options.operands, ["-x"]);
        let options = Options::parse(&["-20".to_owned()], "n").unwrap();
        assert_eq!(options.value('n'), Some("20"));
        assert!(Options::parse(&["-n".to_owned()], "n").is_err());
    }
}
