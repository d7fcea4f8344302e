//! `tr`: characters for characters, as they come. A byte that is part of no character stands for itself.

use std::io::{self, Read, Write};

use super::Streams;
use super::buffer::{CHUNK, Output};
use super::print::unescape;

/// A character, or a byte that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Char(char),
    Byte(u8),
}

/// What is to be done with each sign.
struct Table {
    /// The first set, and whether all others are meant.
    from: Vec<char>,
    complement: bool,
    deletes: bool,
    to: Vec<char>,
    /// Signs of which several in a row become one.
    squeezes: Option<(Vec<char>, bool)>,
    last: Option<Sign>,
}

pub(super) fn run(args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut table = Table::parse(args)?;
    let mut out = Output::new(&streams.output);
    let mut buffer = vec![0; CHUNK];
    // The begin of a character whose end has not come.
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let count = streams.input.read(&mut buffer)?;
        rest.extend_from_slice(&buffer[..count]);
        let whole = if count == 0 {
            rest.len()
        } else {
            whole_of(&rest)
        };
        for chunk in rest[..whole].utf8_chunks() {
            let chars = chunk.valid().chars().map(Sign::Char);
            let bytes = chunk.invalid().iter().map(|byte| Sign::Byte(*byte));
            for sign in chars.chain(bytes) {
                table.write(sign, &mut out)?;
            }
        }
        rest.drain(..whole);
        out.flush()?;
        if count == 0 {
            return Ok(0);
        }
    }
}

/// How many bytes are there without a character that is only begun.
fn whole_of(bytes: &[u8]) -> usize {
    match std::str::from_utf8(&bytes[bytes.len().saturating_sub(3)..]) {
        // An error without a length is a text that ends too early.
        Err(_) => (1..=bytes.len().min(3))
            .map(|back| bytes.len() - back)
            .find(|at| matches!(std::str::from_utf8(&bytes[*at..]), Err(error) if error.error_len().is_none()))
            .unwrap_or(bytes.len()),
        Ok(_) => bytes.len(),
    }
}

impl Table {
    fn parse(args: &[String]) -> io::Result<Self> {
        let mut letters = String::new();
        let mut sets = Vec::new();
        for arg in args {
            match arg.strip_prefix('-') {
                Some(flags) if !flags.is_empty() && sets.is_empty() => letters.push_str(flags),
                _ => sets.push(set(arg)?),
            }
        }
        let has = |flag: char| letters.contains(flag);
        let (complement, deletes) = (has('c') || has('C'), has('d'));
        let mut sets = sets.into_iter();
        let (from, to, more) = (sets.next(), sets.next(), sets.next());
        let usage = || io::Error::other("usage: tr [-cds] SET1 [SET2]");
        let from = from.filter(|_| more.is_none()).ok_or_else(usage)?;
        let is_squeeze_alone = has('s') && to.is_none() && !deletes;
        if to.is_none() && !deletes && !is_squeeze_alone {
            return Err(usage());
        }
        let squeezes = has('s').then(|| match &to {
            Some(to) => (to.clone(), false),
            None => (from.clone(), complement),
        });
        Ok(Self {
            from,
            complement,
            deletes,
            to: if deletes {
                Vec::new()
            } else {
                to.unwrap_or_default()
            },
            squeezes,
            last: None,
        })
    }

    fn write(&mut self, sign: Sign, out: &mut Output) -> io::Result<()> {
        let at = match sign {
            Sign::Char(c) => self.from.iter().position(|known| *known == c),
            Sign::Byte(_) => None,
        };
        let is_meant = at.is_some() != self.complement;
        if is_meant && self.deletes {
            return Ok(());
        }
        let sign = match self.to.last() {
            // A set that is too short goes on with its last character.
            Some(last) if is_meant => {
                let same_place = at.and_then(|at| self.to.get(at));
                Sign::Char(*same_place.unwrap_or(last))
            }
            _ => sign,
        };
        if let Some((set, complement)) = &self.squeezes
            && self.last == Some(sign)
        {
            let is_in = matches!(sign, Sign::Char(c) if set.contains(&c));
            if is_in != *complement {
                return Ok(());
            }
        }
        self.last = Some(sign);
        match sign {
            Sign::Char(c) => out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Sign::Byte(byte) => out.write_all(&[byte]),
        }
    }
}

/// `a-z`, `[:alpha:]`, escapes, and characters as they are.
fn set(text: &str) -> io::Result<Vec<char>> {
    let text = String::from_utf8_lossy(&unescape(text)).into_owned();
    let chars: Vec<char> = text.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let class = CLASSES.iter().find(|(name, _)| {
            let name: Vec<char> = name.chars().collect();
            chars[at..].starts_with(&name)
        });
        if let Some((name, holds)) = class {
            all.extend((0_u8..128).map(char::from).filter(holds));
            at += name.len();
        } else if at + 2 < chars.len() && chars[at + 1] == '-' {
            if chars[at] > chars[at + 2] {
                let range: String = chars[at..at + 3].iter().collect();
                return Err(io::Error::other(format!("bad range '{range}'")));
            }
            all.extend(chars[at]..=chars[at + 2]);
            at += 3;
        } else {
            all.push(chars[at]);
            at += 1;
        }
    }
    Ok(all)
}

type Class = (&'static str, fn(&char) -> bool);

const CLASSES: [Class; 9] = [
    ("[:alnum:]", char::is_ascii_alphanumeric),
    ("[:alpha:]", char::is_ascii_alphabetic),
    ("[:blank:]", |c| matches!(c, ' ' | '\t')),
    ("[:cntrl:]", char::is_ascii_control),
    ("[:digit:]", char::is_ascii_digit),
    ("[:lower:]", char::is_ascii_lowercase),
    ("[:punct:]", char::is_ascii_punctuation),
    ("[:space:]", |c| c.is_ascii_whitespace() || *c == '\x0b'),
    ("[:upper:]", char::is_ascii_uppercase),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_those_of_tr() {
        assert_eq!(set("a-cx").unwrap(), ['a', 'b', 'c', 'x']);
        assert_eq!(set("[:digit:]-").unwrap().len(), 11);
        assert_eq!(set("\\n").unwrap(), ['\n']);
        assert!(set("z-a").is_err());
    }

    #[test]
    fn a_character_is_waited_for_and_a_byte_is_not() {
        let text = "xり".as_bytes();
        assert_eq!(whole_of(text), 4);
        assert_eq!(whole_of(&text[..3]), 1);
        assert_eq!(whole_of(&text[..2]), 1);
        assert_eq!(whole_of(b"x\xff"), 2);
        assert_eq!(whole_of(b"\x82\x8a"), 2);
        assert_eq!(whole_of(b""), 0);
    }
}
