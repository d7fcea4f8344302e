//! Programs that read files or standard input and write what they make of it: `cat`, `head`, `grep`, `sort` and the like.
//!
//! All of them stream: what has come goes on before more is read, nothing is read that is not needed, and only `sort`
//! keeps all of it, as it must.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::super::image::ImageKind;
use super::super::view;
use super::buffer::{CHUNK, Lines, Output, copy, text_of};
use super::options::{Options, count};
use super::{Source, Streams, World, base64, grep, reason, sort, tail, translate};

/// Runs a program of this kind; `None` if it is not one.
pub(super) fn run(
    name: &str,
    world: &mut World,
    argv: &[String],
    streams: &mut Streams,
) -> Option<io::Result<i32>> {
    let args = &argv[1..];
    Some(match name {
        "cat" => each(name, "", world, args, streams, cat),
        "head" => each(name, "nc", world, args, streams, head),
        "tail" => tail::run(world, args, streams),
        "wc" => word_count(world, args, streams),
        "grep" => grep::run(world, args, streams),
        "sort" => sort::run(world, args, streams),
        "uniq" => each(name, "", world, args, streams, unique),
        "cut" => each(name, "dfcb", world, args, streams, cut),
        "base64" => each(name, "w", world, args, streams, base64::run),
        "tee" => tee(world, args, streams),
        "tr" => translate::run(args, streams),
        _ => return None,
    })
}

/// Opens what an operand names, or says why not.
pub(super) fn open(name: &str, world: &World, path: &str, streams: &mut Streams) -> Option<Source> {
    if path == "-" {
        return Some(streams.input.clone());
    }
    match world.view.open(&world.directory, path) {
        Ok(file) => Some(Source::File(Arc::new(file), Arc::clone(&world.console))),
        Err(error) => {
            // In Debian's words, or in busybox's, which opens files in two ways.
            let why = reason(&error);
            let opens = ["cat", "tail", "sort", "uniq", "base64"].contains(&name);
            if world.image == ImageKind::Busybox && opens {
                streams.complain(format_args!("{name}: can't open '{path}': {why}"));
            } else {
                streams.complain(format_args!("{name}: {path}: {why}"));
            }
            None
        }
    }
}

/// Does the same with each file, or with standard input.
fn each(
    name: &str,
    valued: &str,
    world: &World,
    args: &[String],
    streams: &mut Streams,
    work: impl Fn(&Options, Source, &mut Output) -> io::Result<()>,
) -> io::Result<i32> {
    let mut options = Options::parse(args, valued)?;
    if options.operands.is_empty() {
        options.operands.push("-".to_owned());
    }
    let mut out = Output::new(&streams.output);
    let mut code = 0;
    let has_titles = name == "head" && options.operands.len() > 1 && !options.has('q');
    for (nth, path) in options.operands.iter().enumerate() {
        let Some(source) = open(name, world, path, streams) else {
            code = 1;
            continue;
        };
        if has_titles {
            title(&mut out, nth == 0, path)?;
        }
        match work(&options, source, &mut out) {
            // A folder opens, but cannot be read.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                out.flush()?;
                streams.complain(format_args!("{name}: {path}: {}", reason(&error)));
                code = 1;
            }
            done => done?,
        }
    }
    out.flush()?;
    Ok(code)
}

/// The line between the files of `head` and `tail`.
pub(super) fn title(out: &mut Output, is_first: bool, path: &str) -> io::Result<()> {
    let gap = if is_first { "" } else { "\n" };
    let path = if path == "-" { "standard input" } else { path };
    writeln!(out, "{gap}==> {path} <==")
}

fn cat(options: &Options, mut source: Source, out: &mut Output) -> io::Result<()> {
    if !options.has('n') {
        // Each piece goes out as it comes.
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..count])?;
            out.flush()?;
        }
    }
    let mut lines = Lines::new(source);
    let mut number = 0_u64;
    while let Some(line) = lines.next(out)? {
        number += 1;
        write!(out, "{number:>6}\t")?;
        out.write_all(line)?;
    }
    Ok(())
}

fn head(options: &Options, source: Source, out: &mut Output) -> io::Result<()> {
    if let Some(text) = options.value('c') {
        if let Some(all_but) = text.strip_prefix('-') {
            return all_but_bytes(source, count(all_but)?, out);
        }
        copy(&mut source.take(count(text)?), out)?;
        return out.flush();
    }
    let text = options.value('n').unwrap_or("10");
    let mut lines = Lines::new(source);
    if let Some(all_but) = text.strip_prefix('-') {
        let most = usize::try_from(count(all_but)?).unwrap_or(usize::MAX);
        let mut kept = VecDeque::new();
        while let Some(line) = lines.next(out)? {
            kept.push_back(line.to_vec());
            if kept.len() > most
                && let Some(line) = kept.pop_front()
            {
                out.write_all(&line)?;
            }
        }
        return Ok(());
    }
    for _ in 0..count(text)? {
        match lines.next(out)? {
            Some(line) => out.write_all(line)?,
            None => break,
        }
    }
    lines.give_back();
    out.flush()
}

fn all_but_bytes(mut source: Source, most: u64, out: &mut Output) -> io::Result<()> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut kept = VecDeque::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        kept.extend(&buffer[..count]);
        let over = kept.len().saturating_sub(most);
        let pieces: Vec<u8> = kept.drain(..over).collect();
        out.write_all(&pieces)?;
    }
}

/// Lines, words, characters and bytes.
type Count = [u64; 4];

fn word_count(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut options = Options::parse(args, "")?;
    let reads_input = options.operands.is_empty();
    if reads_input {
        options.operands.push("-".to_owned());
    }
    let mut out = Output::new(&streams.output);
    let (mut total, mut code) = (Count::default(), 0);
    for path in &options.operands {
        let Some(source) = open("wc", world, path, streams) else {
            code = 1;
            continue;
        };
        let counted = match counts(source) {
            Ok(counted) => counted,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                streams.complain(format_args!("wc: {path}: {}", reason(&error)));
                code = 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        for (sum, one) in total.iter_mut().zip(counted) {
            *sum += one;
        }
        let name = if reads_input { "" } else { path };
        write_count(&options, counted, name, &mut out)?;
    }
    if options.operands.len() > 1 {
        write_count(&options, total, "total", &mut out)?;
    }
    out.flush()?;
    Ok(code)
}

fn counts(mut source: Source) -> io::Result<Count> {
    let mut counted = Count::default();
    let mut in_word = false;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(counted);
        }
        for byte in &buffer[..count] {
            counted[0] += u64::from(*byte == b'\n');
            // What goes on a character of UTF-8 counts with it.
            counted[2] += u64::from(byte & 0xc0 != 0x80);
            let is_space = byte.is_ascii_whitespace() || *byte == 0x0b;
            counted[1] += u64::from(!is_space && !in_word);
            in_word = !is_space;
        }
        counted[3] += count as u64;
    }
}

fn write_count(options: &Options, counted: Count, path: &str, out: &mut Output) -> io::Result<()> {
    let all = !"lwmc".chars().any(|flag| options.has(flag));
    let mut words: Vec<String> = ['l', 'w', 'm', 'c']
        .into_iter()
        .zip(counted)
        .filter(|(flag, _)| (all && *flag != 'm') || options.has(*flag))
        .map(|(_, n)| {
            if all {
                format!("{n:>7}")
            } else {
                n.to_string()
            }
        })
        .collect();
    if !path.is_empty() {
        words.push(path.to_owned());
    }
    writeln!(out, "{}", words.join(" "))
}

fn unique(options: &Options, source: Source, out: &mut Output) -> io::Result<()> {
    let mut lines = Lines::new(source);
    let mut run: Option<(Vec<u8>, u64)> = None;
    let end = |run: Option<(Vec<u8>, u64)>, out: &mut Output| -> io::Result<()> {
        let Some((line, times)) = run else {
            return Ok(());
        };
        if (options.has('d') && times < 2) || (options.has('u') && times > 1) {
            return Ok(());
        }
        if options.has('c') {
            write!(out, "{times:>7} ")?;
        }
        out.write_all(&line)?;
        out.write_all(b"\n")
    };
    while let Some(line) = lines.next(out)? {
        let line = text_of(line);
        match &mut run {
            Some((before, times)) if before == line => *times += 1,
            _ => end(run.replace((line.to_vec(), 1)), out)?,
        }
    }
    end(run, out)
}

fn cut(options: &Options, source: Source, out: &mut Output) -> io::Result<()> {
    let fields = options.value('f');
    let places = fields
        .or(options.value('c'))
        .or(options.value('b'))
        .ok_or_else(|| io::Error::other("expected a list of bytes, characters, or fields"))?;
    let ranges = ranges(places)?;
    let chosen = |at: usize| ranges.iter().any(|range| range.contains(&at));
    let delimiter = options.value('d').unwrap_or("\t");
    if delimiter.chars().count() != 1 {
        return Err(io::Error::other("the delimiter must be a single character"));
    }
    let mut lines = Lines::new(source);
    while let Some(line) = lines.next(out)? {
        let line = String::from_utf8_lossy(text_of(line));
        if fields.is_none() {
            let part = line.chars().zip(1..).filter(|(_, at)| chosen(*at));
            let part: String = part.map(|(c, _)| c).collect();
            writeln!(out, "{part}")?;
        } else if line.contains(delimiter) {
            let parts = line.split(delimiter).zip(1..).filter(|(_, at)| chosen(*at));
            let parts: Vec<&str> = parts.map(|(part, _)| part).collect();
            writeln!(out, "{}", parts.join(delimiter))?;
        } else if !options.has('s') {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// `1,3-5,7-`: places, counted from 1.
fn ranges(text: &str) -> io::Result<Vec<std::ops::RangeInclusive<usize>>> {
    let wrong = || io::Error::other(format!("invalid range {text}"));
    text.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let place = |text: &str, otherwise: usize| match text {
                "" if range.len() > 1 => Ok(otherwise),
                digits if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
                    Ok(digits.parse().unwrap_or(usize::MAX))
                }
                _ => Err(wrong()),
            };
            let (first, last) = (place(first, 1)?, place(last, usize::MAX)?);
            if first == 0 || last < first {
                return Err(wrong());
            }
            Ok(first..=last)
        })
        .collect()
}

fn tee(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let options = Options::parse(args, "")?;
    let how = if options.has('a') {
        view::Write::Append
    } else {
        view::Write::Truncate
    };
    let (mut files, mut code) = (Vec::new(), 0);
    for path in &options.operands {
        match world.view.create(&world.directory, path, how) {
            Ok(file) => files.push((path, file)),
            Err(error) => {
                streams.complain(format_args!("tee: {path}: {}", reason(&error)));
                code = 1;
            }
        }
    }
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = streams.input.read(&mut buffer)?;
        if count == 0 {
            return Ok(code);
        }
        streams.output.write_all(&buffer[..count])?;
        // A file that cannot be written to is left out from then on.
        files.retain_mut(|(path, file)| match file.write_all(&buffer[..count]) {
            Ok(()) => true,
            Err(error) => {
                streams.complain(format_args!("tee: {path}: {}", reason(&error)));
                code = 1;
                false
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_cut() {
        assert_eq!(ranges("2").unwrap(), [2..=2]);
        assert_eq!(
            ranges("1,3-5,7-,-2").unwrap(),
            [1..=1, 3..=5, 7..=usize::MAX, 1..=2]
        );
        assert_eq!(
            ranges("99999999999999999999999-").unwrap(),
            [usize::MAX..=usize::MAX]
        );
        for wrong in ["", "0", "5-2", "-", "x", "1-2-3"] {
            assert!(ranges(wrong).is_err(), "{wrong}");
        }
    }
}
