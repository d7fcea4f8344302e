//! `seq`: numbers, as many as somebody reads.

use std::io::{self, Write};

use super::Sink;
use super::buffer::Output;
use super::options::Options;
use super::print::{Spec, fixed};

pub(super) fn run(sink: &Sink, args: &[String]) -> io::Result<i32> {
    // A negative number is no option.
    let first = args
        .iter()
        .position(|arg| arg.parse::<f64>().is_ok() && !arg.starts_with("-s"))
        .unwrap_or(args.len());
    let mut options = Options::parse(&args[..first], "sf")?;
    options.operands.extend(args[first..].iter().cloned());
    let words: Vec<&str> = options.operands.iter().map(String::as_str).collect();
    let (first, step, last) = match words.as_slice() {
        [last] => ("1", "1", *last),
        [first, last] => (*first, "1", *last),
        [first, step, last] => (*first, *step, *last),
        [] => return Err(io::Error::other("missing operand")),
        _ => return Err(io::Error::other("extra operand")),
    };
    let mut series = Series {
        out: Output::new(sink),
        separator: options.value('s').unwrap_or("\n"),
        width: 0,
        has_begun: false,
    };
    if options.has('w') {
        series.width = first.len().max(last.len());
    }
    match (whole(first), whole(step), whole(last)) {
        (Some(first), Some(step), Some(last)) if options.value('f').is_none() => {
            if step == 0 {
                return Err(no_step(words[1]));
            }
            let mut n = first;
            while if step > 0 { n <= last } else { n >= last } {
                series.write(&n.to_string())?;
                n += step;
            }
        }
        _ => {
            let (start, by, end) = (number(first)?, number(step)?, number(last)?);
            if by == 0.0 || !start.is_finite() || !by.is_finite() {
                return Err(no_step(step));
            }
            let digits = decimals(first).max(decimals(step)).min(50);
            // A little more than the end, because a tenth is not exactly one.
            let end = end + by.abs() * 1e-9 * by.signum();
            let mut count = 0_u64;
            loop {
                let n = start + by * count as f64;
                if if by > 0.0 { n > end } else { n < end } {
                    break;
                }
                match options.value('f') {
                    Some(format) => series.formatted(format, n)?,
                    None => series.write(&format!("{n:.digits$}"))?,
                }
                count += 1;
            }
        }
    }
    series.end()
}

fn no_step(text: &str) -> io::Error {
    io::Error::other(format!("invalid Zero increment value: '{text}'"))
}

/// A whole number that can be counted on from without an overflow.
fn whole(text: &str) -> Option<i128> {
    text.parse::<i64>().ok().map(i128::from)
}

fn number(text: &str) -> io::Result<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|number| !number.is_nan())
        .ok_or_else(|| io::Error::other(format!("invalid number '{text}'")))
}

fn decimals(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, digits)| digits.len())
}

struct Series<'a> {
    out: Output,
    separator: &'a str,
    width: usize,
    has_begun: bool,
}

impl Series<'_> {
    fn separate(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            self.out.write_all(self.separator.as_bytes())?;
        }
        Ok(())
    }

    fn write(&mut self, digits: &str) -> io::Result<()> {
        self.separate()?;
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", digits),
        };
        self.out.write_all(sign.as_bytes())?;
        let zeros = self.width.saturating_sub(sign.len() + digits.len());
        self.out.fill(b'0', zeros)?;
        self.out.write_all(digits.as_bytes())
    }

    /// `-f`: one `%g`, `%f` or `%e` in a text.
    fn formatted(&mut self, format: &str, n: f64) -> io::Result<()> {
        self.separate()?;
        let wrong = || io::Error::other(format!("invalid format '{format}'"));
        let mut chars = format.chars().peekable();
        let mut has_number = false;
        while let Some(c) = chars.next() {
            if c != '%' {
                self.out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
                continue;
            }
            if chars.next_if_eq(&'%').is_some() {
                self.out.write_all(b"%")?;
                continue;
            }
            let spec = Spec::parse(&mut chars, &mut std::iter::empty())?;
            let digits = match chars.next() {
                Some('g') => n.to_string(),
                Some('f') => fixed(n, &spec),
                Some('e') => format!("{n:e}"),
                _ => return Err(wrong()),
            };
            if std::mem::replace(&mut has_number, true) {
                return Err(wrong());
            }
            spec.number(&digits, false, &mut self.out)?;
        }
        if has_number { Ok(()) } else { Err(wrong()) }
    }

    fn end(mut self) -> io::Result<i32> {
        if self.has_begun {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Console;
    use std::sync::{Arc, Mutex};

    fn seq(line: &str) -> String {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::Buffer(Arc::clone(&bytes), Arc::new(Console::new(false)));
        match run(&sink, &args) {
            Ok(_) => String::from_utf8(bytes.lock().unwrap().clone()).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn numbers_are_those_of_seq() {
        for (line, text) in [
            ("3", "1\n2\n3\n"),
            ("-1 1", "-1\n0\n1\n"),
            ("5 -2 1", "5\n3\n1\n"),
            ("2 1", ""),
            ("-s , 3", "1,2,3\n"),
            ("-w 9 11", "09\n10\n11\n"),
            ("0.1 0.1 0.3", "0.1\n0.2\n0.3\n"),
            ("-f %03g 2", "001\n002\n"),
            ("-f a%.1fb 1", "a1.0b\n"),
            ("-f x 1", "invalid format 'x'"),
            ("-f %99999999999g 1", "invalid number '99999999999'"),
            ("1 0 1", "invalid Zero increment value: '0'"),
            ("x", "invalid number 'x'"),
            (
                "9223372036854775806 9223372036854775807",
                "9223372036854775806\n9223372036854775807\n",
            ),
        ] {
            assert_eq!(seq(line), text, "{line}");
        }
    }
}
