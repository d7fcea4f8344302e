//! `tail`: the end of a file without its beginning, and what comes after.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use super::buffer::{CHUNK, Output, copy};
use super::filter::{open, title};
use super::options::{Options, count};
use super::{Source, Streams, World};

/// How often a file that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Which part of an input is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    LastLines(u64),
    LastBytes(u64),
    /// From this line or byte onward, counted from 0.
    FromLine(u64),
    FromByte(u64),
}

pub(super) fn run(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    // `tail +5` is `tail -n +5`, as it always was.
    let first = args.first().filter(|arg| {
        arg.strip_prefix('+')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let args: Vec<String> = match first {
        Some(from) => [format!("-n{from}")]
            .into_iter()
            .chain(args[1..].iter().cloned())
            .collect(),
        None => args.to_vec(),
    };
    let mut options = Options::parse(&args, "ncs")?;
    let follows = options.has('f') || options.has('F');
    let part = Part::of(&options)?;
    if options.operands.is_empty() {
        options.operands.push("-".to_owned());
    }
    let has_titles = (options.operands.len() > 1 || options.has('v')) && !options.has('q');
    let mut out = Output::new(&streams.output);
    let (mut code, mut files) = (0, Vec::new());
    for (nth, path) in options.operands.iter().enumerate() {
        let Some(mut source) = open("tail", world, path, streams) else {
            code = 1;
            continue;
        };
        if has_titles {
            title(&mut out, nth == 0, path)?;
        }
        part.write(&mut source, &mut out)?;
        out.flush()?;
        if let Source::File(file, _) = source {
            files.push((path.as_str(), file));
        }
    }
    if follows && !files.is_empty() {
        return follow(world, &options, files, has_titles, &mut out);
    }
    Ok(code)
}

impl Part {
    fn of(options: &Options) -> io::Result<Self> {
        let (text, is_bytes) = match options.value('c') {
            Some(text) => (text, true),
            None => (options.value('n').unwrap_or("10"), false),
        };
        if let Some(from) = text.strip_prefix('+') {
            let skip = count(from)?.saturating_sub(1);
            return Ok(if is_bytes {
                Self::FromByte(skip)
            } else {
                Self::FromLine(skip)
            });
        }
        let last = count(text.strip_prefix('-').unwrap_or(text))?;
        Ok(if is_bytes {
            Self::LastBytes(last)
        } else {
            Self::LastLines(last)
        })
    }

    fn write(self, source: &mut Source, out: &mut Output) -> io::Result<()> {
        if let Source::File(file, _) = source
            && file.metadata()?.is_file()
        {
            let start = match self {
                Self::LastBytes(last) => Some(file.metadata()?.len().saturating_sub(last)),
                Self::LastLines(last) => Some(start_of_lines(file, last)?),
                Self::FromByte(skip) => Some(skip),
                Self::FromLine(_) => None,
            };
            if let Some(start) = start {
                file.as_ref().seek(SeekFrom::Start(start))?;
                return copy(source, out);
            }
        }
        match self {
            Self::LastLines(last) => last_lines(source, last, out),
            Self::LastBytes(last) => last_bytes(source, last, out),
            Self::FromByte(skip) => {
                io::copy(&mut source.take(skip), &mut io::sink())?;
                copy(source, out)
            }
            Self::FromLine(skip) => {
                let mut reader = BufReader::with_capacity(CHUNK, source);
                for _ in 0..skip {
                    if reader.skip_until(b'\n')? == 0 {
                        break;
                    }
                }
                copy(&mut reader, out)
            }
        }
    }
}

/// Where the last lines of a file begin; read from its end.
fn start_of_lines(mut file: &File, last: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if last == 0 {
        return Ok(length);
    }
    let mut found = 0;
    let mut buffer = vec![0; CHUNK];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let piece = &mut buffer[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        for (at, byte) in piece.iter().enumerate().rev() {
            let at = start + at as u64;
            // The newline at the very end ends the last line and begins none.
            if *byte == b'\n' && at + 1 < length {
                found += 1;
                if found == last {
                    return Ok(at + 1);
                }
            }
        }
        end = start;
    }
    Ok(0)
}

fn last_lines(source: &mut Source, last: u64, out: &mut Output) -> io::Result<()> {
    if last == 0 {
        return Ok(());
    }
    let mut reader = BufReader::with_capacity(CHUNK, source);
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        lines.push_back(std::mem::take(&mut line));
        if lines.len() as u64 > last {
            line = lines.pop_front().unwrap_or_default();
            line.clear();
        }
    }
    lines.iter().try_for_each(|line| out.write_all(line))
}

fn last_bytes(source: &mut Source, last: u64, out: &mut Output) -> io::Result<()> {
    let most = usize::try_from(last).unwrap_or(usize::MAX);
    let mut kept = VecDeque::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        kept.extend(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(most));
    }
    let (first, second) = kept.as_slices();
    out.write_all(first)?;
    out.write_all(second)
}

/// What comes, until Ctrl-C. A file that has become shorter is read from its start; with `-F` also another one of the
/// same name.
fn follow(
    world: &World,
    options: &Options,
    mut files: Vec<(&str, Arc<File>)>,
    has_titles: bool,
    out: &mut Output,
) -> io::Result<i32> {
    let mut shown = files.len() - 1;
    let mut buffer = vec![0; CHUNK];
    while !world.console.is_interrupted() {
        let mut is_quiet = true;
        for (nth, (path, file)) in files.iter_mut().enumerate() {
            let count = file.as_ref().read(&mut buffer)?;
            if count > 0 {
                is_quiet = false;
                if has_titles && shown != nth {
                    title(out, false, path)?;
                }
                shown = nth;
                out.write_all(&buffer[..count])?;
                out.flush()?;
                continue;
            }
            let about = file.metadata()?;
            if about.is_file() && about.len() < file.as_ref().stream_position()? {
                file.as_ref().seek(SeekFrom::Start(0))?;
            }
            if options.has('F')
                && let Ok(new) = world.view.open(&world.directory, path)
                && new.metadata().is_ok_and(|new| new.ino() != about.ino())
            {
                *file = Arc::new(new);
            }
        }
        if is_quiet {
            world.console.sleep(LOOK_EVERY);
        }
    }
    Ok(130)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let long = "x".repeat(CHUNK);
        for (text, last, rest) in [
            ("a\nb\nc\n".to_owned(), 2, "b\nc\n".to_owned()),
            ("a\nb\nc".to_owned(), 2, "b\nc".to_owned()),
            ("a\n".to_owned(), 9, "a\n".to_owned()),
            (String::new(), 3, String::new()),
            ("a\nb\n".to_owned(), 0, String::new()),
            ("\n\n\n".to_owned(), 2, "\n\n".to_owned()),
            (
                format!("a\n{long}\n{long}\n"),
                2,
                format!("{long}\n{long}\n"),
            ),
        ] {
            std::fs::write(&path, &text).unwrap();
            let start = start_of_lines(&File::open(&path).unwrap(), last).unwrap();
            assert_eq!(text[start as usize..], rest);
        }
    }
}
