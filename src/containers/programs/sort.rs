//! `sort`, the one program here that has to keep all that it reads.

use std::cmp::Ordering;
use std::io::{self, Write};

use super::buffer::{Lines, Output, text_of};
use super::filter::open;
use super::options::Options;
use super::{Streams, World};

pub(super) fn run(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut options = Options::parse(args, "kt")?;
    if options.operands.is_empty() {
        options.operands.push("-".to_owned());
    }
    let key = Key::parse(&options)?;
    let mut out = Output::new(&streams.output);
    let mut all: Vec<Box<[u8]>> = Vec::new();
    for path in &options.operands {
        let Some(source) = open("sort", world, path, streams) else {
            return Ok(2);
        };
        let mut lines = Lines::new(source);
        while let Some(line) = lines.next(&mut out)? {
            all.push(text_of(line).into());
        }
    }
    let order = |a: &[u8], b: &[u8]| {
        let order = key.order(a, b);
        if key.reverse { order.reverse() } else { order }
    };
    all.sort_by(|a, b| {
        let last_resort = || if key.reverse { b.cmp(a) } else { a.cmp(b) };
        let order = order(a, b);
        if options.has('u') {
            order
        } else {
            order.then_with(last_resort)
        }
    });
    if options.has('u') {
        all.dedup_by(|a, b| key.order(a, b) == Ordering::Equal);
    }
    for line in all {
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(0)
}

/// What lines are compared by.
struct Key {
    /// The first field, counted from 0, and the one after the last.
    fields: Option<(usize, usize)>,
    separator: Option<u8>,
    numeric: bool,
    any_case: bool,
    reverse: bool,
}

impl Key {
    fn parse(options: &Options) -> io::Result<Self> {
        let wrong = |text: &str| io::Error::other(format!("bad field specification '{text}'"));
        let mut letters = String::new();
        let mut fields = None;
        if let Some(text) = options.value('k') {
            let place = |text: &str| -> io::Result<(usize, String)> {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                let field = text[..digits].parse().unwrap_or(usize::MAX);
                if digits == 0 || field == 0 {
                    return Err(wrong(text));
                }
                Ok((field, text[digits..].to_owned()))
            };
            let (first, last) = text.split_once(',').unwrap_or((text, ""));
            let (from, more) = place(first)?;
            letters.push_str(&more);
            let to = if last.is_empty() {
                usize::MAX
            } else {
                let (to, more) = place(last)?;
                letters.push_str(&more);
                to
            };
            fields = Some((from - 1, to));
        }
        let has = |flag: char| options.has(flag) || letters.contains(flag);
        Ok(Self {
            fields,
            separator: options.value('t').and_then(|text| text.bytes().next()),
            numeric: has('n') || has('g'),
            any_case: has('f'),
            reverse: has('r'),
        })
    }

    fn order(&self, a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (self.part(a), self.part(b));
        if self.numeric {
            number(a).total_cmp(&number(b))
        } else if self.any_case {
            a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase())
        } else {
            a.cmp(b)
        }
    }

    fn part<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let Some((from, to)) = self.fields else {
            return line;
        };
        let (mut field, mut begin, mut in_field) = (0, None, false);
        for (at, byte) in line.iter().enumerate() {
            // Without a separator a field begins with the blanks before it.
            let is_border = match self.separator {
                Some(separator) => *byte == separator,
                None => byte.is_ascii_whitespace() && in_field,
            };
            in_field = !byte.is_ascii_whitespace();
            if begin.is_none() && field == from {
                begin = Some(at);
            }
            if is_border {
                field += 1;
                if field == to {
                    return &line[begin.unwrap_or(at)..at];
                }
                if field == from {
                    begin = Some(at + usize::from(self.separator.is_some()));
                }
            }
        }
        &line[begin.unwrap_or(line.len())..]
    }
}

/// The number that a text begins with; 0 if it begins with none.
fn number(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let length = text
        .iter()
        .enumerate()
        .take_while(|(at, b)| b.is_ascii_digit() || **b == b'.' || (*at == 0 && **b == b'-'))
        .count();
    std::str::from_utf8(&text[..length])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_sort() {
        let part = |key: &str, separator: Option<&str>, line: &str| {
            let mut args = vec!["-k".to_owned(), key.to_owned()];
            args.extend(separator.map(|text| format!("-t{text}")));
            let key = Key::parse(&Options::parse(&args, "kt").unwrap()).unwrap();
            String::from_utf8(key.part(line.as_bytes()).to_vec()).unwrap()
        };
        assert_eq!(part("2", None, "a bb c"), " bb c");
        assert_eq!(part("2,2", None, "a bb c"), " bb");
        assert_eq!(part("2,2", Some(","), "a,bb,c"), "bb");
        assert_eq!(part("1,1", Some(","), "a,bb,c"), "a");
        assert_eq!(part("9", Some(","), "a,bb"), "");
        assert!(Key::parse(&Options::parse(&["-k0".to_owned()], "kt").unwrap()).is_err());
        assert_eq!(
            (number(b" -7x"), number(b"x"), number(b"1.5")),
            (-7.0, 0.0, 1.5)
        );
    }
}
