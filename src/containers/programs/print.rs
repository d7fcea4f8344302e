//! `echo`, `printf` and `yes`: what they are given, with escapes and formats.

use std::io::{self, Write};
use std::iter::Peekable;
use std::str::Chars;

use super::Sink;
use super::buffer::Output;

pub(super) fn echo(out: &mut Sink, args: &[String]) -> io::Result<i32> {
    let (mut newline, mut escapes, mut skip) = (true, false, 0);
    for arg in args {
        match arg.as_str() {
            "-n" => newline = false,
            "-e" => escapes = true,
            "-ne" | "-en" => (newline, escapes) = (false, true),
            _ => break,
        }
        skip += 1;
    }
    let text = args[skip..].join(" ");
    let mut bytes = if escapes {
        unescape(&text)
    } else {
        text.into_bytes()
    };
    if newline {
        bytes.push(b'\n');
    }
    // One write, so that lines of several writers do not mix.
    out.write_all(&bytes)?;
    Ok(0)
}

/// Writes until nobody reads.
pub(super) fn yes(out: &mut Sink, args: &[String]) -> io::Result<i32> {
    let line = match args.join(" ") {
        text if args.is_empty() && text.is_empty() => "y\n".to_owned(),
        text => text + "\n",
    };
    let lines = line.repeat((8192 / line.len()).max(1));
    loop {
        out.write_all(lines.as_bytes())?;
    }
}

/// Escapes as bytes: an octal or hexadecimal one need not be a character.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            result.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        match chars.next() {
            Some('n') => result.push(b'\n'),
            Some('t') => result.push(b'\t'),
            Some('r') => result.push(b'\r'),
            Some('e') => result.push(0x1b),
            Some('a') => result.push(0x07),
            Some('b') => result.push(0x08),
            Some('f') => result.push(0x0c),
            Some('v') => result.push(0x0b),
            Some('\\') | None => result.push(b'\\'),
            Some('x') if chars.peek().is_some_and(char::is_ascii_hexdigit) => {
                result.push(code(&mut chars, 16, 2, 0));
            }
            Some(digit @ '0'..='7') => {
                let first = digit.to_digit(8).unwrap_or(0);
                // A zero that begins it is one digit more.
                let more = if first == 0 { 3 } else { 2 };
                result.push(code(&mut chars, 8, more, first));
            }
            Some(other) => {
                result.push(b'\\');
                result.extend(other.encode_utf8(&mut [0; 4]).bytes());
            }
        }
    }
    result
}

/// A byte from at most so many digits.
fn code(chars: &mut Peekable<Chars<'_>>, base: u32, most: usize, first: u32) -> u8 {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(base)) else {
            break;
        };
        value = value * base + digit;
        chars.next();
    }
    (value & 0xff) as u8
}

/// Between the percent sign and the letter: flags, width and precision.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    is_left: bool,
    fills_zeros: bool,
    plus: &'static str,
    width: usize,
    pub(super) precision: Option<usize>,
}

impl Spec {
    /// Reads what comes before the letter. A star takes its number from `values`.
    pub(super) fn parse<'a>(
        chars: &mut Peekable<Chars<'_>>,
        values: &mut impl Iterator<Item = &'a String>,
    ) -> io::Result<Self> {
        let mut spec = Self::default();
        while let Some(flag) = chars.next_if(|c| "-+ 0#".contains(*c)) {
            match flag {
                '-' => spec.is_left = true,
                '0' => spec.fills_zeros = true,
                '+' => spec.plus = "+",
                ' ' if spec.plus.is_empty() => spec.plus = " ",
                _ => {}
            }
        }
        let mut size = |chars: &mut Peekable<Chars<'_>>| -> io::Result<usize> {
            let mut digits = String::new();
            if chars.next_if_eq(&'*').is_some() {
                digits = values.next().cloned().unwrap_or_default();
            }
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            // The C library's sizes are an int, and so is what people wait for.
            match digits.parse::<i32>() {
                Ok(size) => Ok(usize::try_from(size).unwrap_or(0)),
                Err(_) if digits.is_empty() => Ok(0),
                Err(_) => Err(io::Error::other(format!("invalid number '{digits}'"))),
            }
        };
        spec.width = size(chars)?;
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(chars)?);
        }
        Ok(spec)
    }

    /// Text, cut to the precision and padded to the width.
    fn text(&self, text: &[u8], out: &mut Output) -> io::Result<()> {
        let text = String::from_utf8_lossy(text);
        let end = self
            .precision
            .and_then(|most| text.char_indices().nth(most))
            .map_or(text.len(), |(at, _)| at);
        self.pad("", &text[..end], 0, false, out)
    }

    /// A number's digits with its sign, padded to the width; with zeros at least to the precision.
    pub(super) fn number(&self, digits: &str, is_whole: bool, out: &mut Output) -> io::Result<()> {
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => (self.plus, digits),
        };
        let least = self.precision.filter(|_| is_whole).unwrap_or(0);
        let zeros = least.saturating_sub(digits.len());
        let fills = self.fills_zeros && !(is_whole && self.precision.is_some());
        self.pad(sign, digits, zeros, fills, out)
    }

    fn pad(
        &self,
        sign: &str,
        text: &str,
        zeros: usize,
        fills_zeros: bool,
        out: &mut Output,
    ) -> io::Result<()> {
        let length = sign.len() + zeros + text.chars().count();
        let gap = self.width.saturating_sub(length);
        let fills_zeros = fills_zeros && !self.is_left;
        if !self.is_left && !fills_zeros {
            out.fill(b' ', gap)?;
        }
        out.write_all(sign.as_bytes())?;
        out.fill(b'0', if fills_zeros { gap + zeros } else { zeros })?;
        out.write_all(text.as_bytes())?;
        out.fill(b' ', if self.is_left { gap } else { 0 })
    }
}

/// Writes values as the format says; what is long is written as it is made.
pub(super) fn printf(sink: &Sink, args: &[String]) -> io::Result<i32> {
    let Some((format, values)) = args.split_first() else {
        return Err(io::Error::other("usage: printf FORMAT [ARG]..."));
    };
    let mut out = Output::new(sink);
    let mut values = values.iter();
    loop {
        let left = values.len();
        let mut chars = format.chars().peekable();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            if c != '%' {
                plain.push(c);
                continue;
            }
            out.write_all(&unescape(&std::mem::take(&mut plain)))?;
            let spec = Spec::parse(&mut chars, &mut values)?;
            let kind = chars.next();
            match kind {
                Some('%') => out.write_all(b"%")?,
                None => out.write_all(b"%")?,
                Some('s') => {
                    spec.text(
                        values.next().map_or("", String::as_str).as_bytes(),
                        &mut out,
                    )?;
                }
                Some('b') => {
                    spec.text(
                        &unescape(values.next().map_or("", String::as_str)),
                        &mut out,
                    )?;
                }
                Some('c') => {
                    let first: String = values
                        .next()
                        .into_iter()
                        .flat_map(|v| v.chars())
                        .take(1)
                        .collect();
                    spec.text(first.as_bytes(), &mut out)?;
                }
                Some(kind @ ('d' | 'i' | 'x' | 'X' | 'o' | 'u')) => {
                    let number = values.next().map_or(0, |value| whole(value));
                    let digits = match kind {
                        'x' => format!("{number:x}"),
                        'X' => format!("{number:X}"),
                        'o' => format!("{number:o}"),
                        'u' => (number as u64).to_string(),
                        _ => number.to_string(),
                    };
                    spec.number(&digits, true, &mut out)?;
                }
                Some('f' | 'F') => {
                    let number = values.next().and_then(|value| value.trim().parse().ok());
                    spec.number(&fixed(number.unwrap_or(0.0), &spec), false, &mut out)?;
                }
                Some(other) => return Err(io::Error::other(format!("%{other}: invalid format"))),
            }
        }
        out.write_all(&unescape(&plain))?;
        // The format is used again as long as it takes arguments and there are some.
        if values.len() == 0 || values.len() == left {
            out.flush()?;
            return Ok(0);
        }
    }
}

/// A number with the digits after the point that a format asks for.
pub(super) fn fixed(number: f64, spec: &Spec) -> String {
    // There are no more digits than these in any number.
    let digits = spec.precision.unwrap_or(6).min(1100);
    format!("{number:.digits$}")
}

/// `42`, `-7`, `0x1f`, `017`, or a character after a quote.
fn whole(text: &str) -> i64 {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(['\'', '"']) {
        return rest.chars().next().map_or(0, |c| i64::from(u32::from(c)));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let value = i128::from_str_radix(digits, base).unwrap_or(0) * sign;
    i64::try_from(value).unwrap_or(if sign < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Console;
    use std::sync::{Arc, Mutex};

    fn said(work: impl FnOnce(&Sink) -> io::Result<i32>) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::Buffer(Arc::clone(&bytes), Arc::new(Console::new(false)));
        let code = work(&sink);
        let text = String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        match code {
            Ok(_) => text,
            Err(error) => format!("{text}{error}"),
        }
    }

    fn printed(words: &[&str]) -> String {
        let args: Vec<String> = words.iter().map(ToString::to_string).collect();
        said(|sink| printf(sink, &args))
    }

    #[test]
    fn escapes_are_those_of_printf() {
        assert_eq!(unescape("a\\tb\\n\\\\ \\101 \\q"), b"a\tb\n\\ A \\q");
        assert_eq!(unescape("\\0101\\x41\\377"), b"AA\xff");
        assert_eq!(unescape("\\7777777777777"), b"\xff7777777777");
    }

    #[test]
    fn formats_are_those_of_printf() {
        for (words, text) in [
            (["%5s|", "ab"], "   ab|"),
            (["%-5s|", "ab"], "ab   |"),
            (["%05d", "12"], "00012"),
            (["%05d", "-12"], "-0012"),
            (["%.1s", "ab"], "a"),
            (["%.4d", "12"], "0012"),
            (["%+d", "12"], "+12"),
            (["%x", "-1"], "ffffffffffffffff"),
            (["%d", "99999999999999999999"], "9223372036854775807"),
            (["%d", "-9223372036854775808"], "-9223372036854775808"),
            (["%.2f", "2.345"], "2.35"),
            (["%d", "'A"], "65"),
            (["%s%%\\n", "100"], "100%\n"),
            (["%99999999999d", "1"], "invalid number '99999999999'"),
            (["%q", "1"], "%q: invalid format"),
        ] {
            assert_eq!(printed(&words), text, "{words:?}");
        }
        assert_eq!(
            printed(&["%s-%03d\\n", "a", "7", "b", "8"]),
            "a-007\nb-008\n"
        );
        assert_eq!(printed(&["%*d", "4", "7"]), "   7");
        assert_eq!(printed(&["%.999999999f", "0"]).len(), 1102);
    }
}
