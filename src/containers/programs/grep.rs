//! `grep`.

use std::io::{self, Write};

use super::buffer::{Lines, Output, text_of};
use super::filter::open;
use super::options::{Options, count};
use super::pattern::{How, compile};
use super::{Source, Streams, World, reason};

/// Runs it; 0 if a line was found, 1 if none was, 2 if something went wrong.
pub(super) fn run(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut wrong = |text: &dyn std::fmt::Display| {
        streams.complain(format_args!("grep: {text}"));
        Ok(2)
    };
    let mut options = match Options::parse(args, "em") {
        Ok(options) => options,
        Err(error) => return wrong(&error),
    };
    let mut patterns: Vec<String> = options.values('e').map(str::to_owned).collect();
    if patterns.is_empty() {
        if options.operands.is_empty() {
            return wrong(&"no pattern");
        }
        patterns.push(options.operands.remove(0));
    }
    let how = How {
        fixed: options.has('F'),
        extended: options.has('E'),
        any_case: options.has('i') || options.has('y'),
        words: options.has('w'),
        lines: options.has('x'),
    };
    let pattern = match compile(&patterns, how) {
        Ok(pattern) => pattern,
        Err(why) => return wrong(&why),
    };
    let most = match options.value('m').map_or(Ok(u64::MAX), count) {
        Ok(most) => most,
        Err(error) => return wrong(&error),
    };
    let has_names = (options.operands.len() > 1 || options.has('H')) && !options.has('h');
    if options.operands.is_empty() {
        options.operands.push("-".to_owned());
    }
    let mut out = Output::new(&streams.output);
    let (mut found, mut failed) = (false, false);
    for path in &options.operands {
        let Some(source) = open("grep", world, path, streams) else {
            failed = true;
            continue;
        };
        let search = Search {
            options: &options,
            pattern: &pattern,
            title: if path == "-" {
                "(standard input)"
            } else {
                path
            },
            has_names,
            most,
        };
        match search.file(source, &mut out) {
            Ok(hits) => found |= hits > 0,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                out.flush()?;
                streams.complain(format_args!("grep: {path}: {}", reason(&error)));
                failed = true;
            }
            Err(error) => return Err(error),
        }
        if found && options.has('q') {
            return Ok(0);
        }
    }
    out.flush()?;
    Ok(match (failed, found) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    })
}

struct Search<'a> {
    options: &'a Options,
    pattern: &'a regex::bytes::Regex,
    title: &'a str,
    has_names: bool,
    most: u64,
}

impl Search<'_> {
    /// Writes what is found in one file; how many lines that are. Reads no further than it must.
    fn file(&self, source: Source, out: &mut Output) -> io::Result<u64> {
        let options = self.options;
        let (counts, lists) = (options.has('c'), options.has('l'));
        let (mut hits, mut number) = (0, 0_u64);
        let mut lines = Lines::new(source);
        while hits < self.most
            && let Some(line) = lines.next(out)?
        {
            number += 1;
            let line = text_of(line);
            if self.pattern.is_match(line) == options.has('v') {
                continue;
            }
            hits += 1;
            if options.has('q') || lists {
                break;
            }
            if counts {
                continue;
            }
            if options.has('o') {
                for part in self.pattern.find_iter(line).filter(|part| !part.is_empty()) {
                    self.line(number, part.as_bytes(), out)?;
                }
            } else {
                self.line(number, line, out)?;
            }
        }
        if lists && hits > 0 {
            writeln!(out, "{}", self.title)?;
        } else if counts && !options.has('q') {
            if self.has_names {
                write!(out, "{}:", self.title)?;
            }
            writeln!(out, "{hits}")?;
        }
        lines.give_back();
        Ok(hits)
    }

    fn line(&self, number: u64, text: &[u8], out: &mut Output) -> io::Result<()> {
        if self.has_names {
            write!(out, "{}:", self.title)?;
        }
        if self.options.has('n') {
            write!(out, "{number}:")?;
        }
        out.write_all(text)?;
        out.write_all(b"\n")
    }
}
