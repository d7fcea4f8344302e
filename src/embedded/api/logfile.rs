//! A container's log as its reader wants it: from the end, from a time on, so many bytes, and what comes after, piece by
//! piece. Of a log of any length only a piece is in memory.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use eizoku_containers::rotated_logs;
use jiff::Timestamp;

/// A piece of a file.
const CHUNK: u64 = 64 * 1024;

/// The longest entry that is waited for: what writes the file cuts them at 16 KiB of text.
const LONGEST_ENTRY: usize = 64 * 1024;

/// Which lines are wanted, and how.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) since: Option<Timestamp>,
    pub(super) has_times: bool,
    /// How many bytes at most.
    pub(super) limit: Option<u64>,
    /// How many of the last entries that are there now.
    pub(super) tail: Option<u64>,
    /// Whether what comes later is wanted, too.
    pub(super) follows: bool,
}

/// A log that is being read.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    wanted: Wanted,
    open: Option<Open>,
    /// An entry whose end has not come.
    rest: Vec<u8>,
    /// The last entry was the end of its line.
    at_line: bool,
}

#[derive(Debug)]
struct Open {
    file: std::fs::File,
    inode: u64,
    at: u64,
    /// Where to stop; nothing when it is followed.
    end: Option<u64>,
    /// Another file has taken its name: what it still holds is the last of it.
    is_old: bool,
}

impl LogFile {
    pub(super) fn new(path: PathBuf, wanted: Wanted) -> Self {
        Self {
            path,
            wanted,
            open: None,
            rest: Vec::new(),
            at_line: true,
        }
    }

    /// The next text; an empty one when there is none now. Blocks on the disk.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while text.is_empty() && !self.is_full() {
            let piece = self.piece()?;
            if piece.is_empty() {
                break;
            }
            self.rest.extend(piece);
            self.show(&mut text);
        }
        if let Some(limit) = &mut self.wanted.limit {
            let most = usize::try_from(*limit).unwrap_or(usize::MAX);
            if text.len() > most {
                // A character is not cut in two.
                let cut = text.utf8_chunks().fold((0, false), |(at, done), chunk| {
                    let whole = chunk.valid().len() + chunk.invalid().len();
                    match (done, at + whole <= most) {
                        (false, true) => (at + whole, false),
                        (false, false) => {
                            let valid = chunk.valid();
                            (at + valid.floor_char_boundary(most - at), true)
                        }
                        (true, _) => (at, true),
                    }
                });
                text.truncate(cut.0);
                *limit = 0;
            } else {
                *limit -= text.len() as u64;
            }
        }
        Ok(text)
    }

    /// Whether all is read that may be.
    pub(super) fn is_full(&self) -> bool {
        self.wanted.limit == Some(0)
    }

    /// The next bytes of the file, or of the one that took its place.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if self.open.is_none() {
                match Open::begin(&self.path, &mut self.wanted) {
                    Ok(open) => self.open = Some(open),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                }
            }
            let open = self.open.as_mut().expect("opened above");
            let most = open
                .end
                .map_or(CHUNK, |end| end.saturating_sub(open.at).min(CHUNK));
            let mut piece = Vec::new();
            open.file.seek(SeekFrom::Start(open.at))?;
            (&open.file).take(most).read_to_end(&mut piece)?;
            open.at += piece.len() as u64;
            if !piece.is_empty() || open.end.is_some() {
                return Ok(piece);
            }
            if open.is_old {
                match successor(&self.path, open.inode) {
                    Ok(next) => self.open = Some(next),
                    // Between two names; a look later it is there.
                    Err(_) => return Ok(piece),
                }
                continue;
            }
            if open.file.metadata()?.len() < open.at {
                // What could not be written was taken back.
                open.at = open.file.metadata()?.len();
                self.rest.clear();
            }
            match std::fs::metadata(&self.path) {
                Ok(now) if now.ino() != open.inode => open.is_old = true,
                _ => return Ok(piece),
            }
        }
    }

    /// Turns whole entries into what the reader gets.
    fn show(&mut self, text: &mut Vec<u8>) {
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.rest.len() > LONGEST_ENTRY => self.rest.len(),
            None => return,
        };
        let left = self.rest.split_off(end);
        let whole = std::mem::replace(&mut self.rest, left);
        for entry in whole.split_inclusive(|byte| *byte == b'\n') {
            self.show_entry(entry.strip_suffix(b"\n").unwrap_or(entry), text);
        }
    }

    /// An entry of the file is "time stream F text"; a reader wants the text, and the time when asked for.
    fn show_entry(&mut self, entry: &[u8], text: &mut Vec<u8>) {
        let mut parts = entry.splitn(4, |byte| *byte == b' ');
        let time = parts.next().unwrap_or_default();
        let is_whole = parts.nth(1) != Some(b"P");
        let words = parts.next().unwrap_or_default();
        if let Some(since) = self.wanted.since {
            let at = std::str::from_utf8(time)
                .ok()
                .and_then(|time| time.parse::<Timestamp>().ok());
            if at.is_some_and(|at| at < since) {
                return;
            }
            // Those after it are newer.
            self.wanted.since = None;
        }
        if self.wanted.has_times && self.at_line {
            text.extend_from_slice(time);
            text.push(b' ');
        }
        text.extend_from_slice(words);
        if is_whole {
            text.push(b'\n');
        }
        self.at_line = is_whole;
    }
}

impl Open {
    fn begin(path: &Path, wanted: &mut Wanted) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        let about = file.metadata()?;
        let at = match wanted.tail.take() {
            Some(lines) => start_of_tail(&file, about.len(), lines)?,
            None => 0,
        };
        Ok(Self {
            file,
            inode: about.ino(),
            at,
            end: (!wanted.follows).then_some(about.len()),
            is_old: false,
        })
    }
}

/// The file that was begun when this one was full; the oldest there is, if that is gone already.
fn successor(path: &Path, inode: u64) -> io::Result<Open> {
    let mut next = path.to_owned();
    for older in rotated_logs(path) {
        match std::fs::metadata(&older) {
            Ok(about) if about.ino() == inode => break,
            Ok(_) => next = older,
            Err(_) => break,
        }
    }
    let mut wanted = Wanted {
        follows: true,
        ..Wanted::default()
    };
    Open::begin(&next, &mut wanted)
}

/// Where the last entries begin, read from the end.
fn start_of_tail(mut file: &std::fs::File, length: u64, lines: u64) -> io::Result<u64> {
    if lines == 0 {
        return Ok(length);
    }
    let mut found = 0;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut piece)?;
        for (at, byte) in piece.iter().enumerate().rev() {
            let next = start + at as u64 + 1;
            if *byte == b'\n' && next < length {
                found += 1;
                if found == lines {
                    return Ok(next);
                }
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn entry(second: u32, tag: char, text: &str) -> String {
        format!("2026-01-01T00:00:{second:02}.000000000Z stdout {tag} {text}\n")
    }

    fn all(log: &mut LogFile) -> String {
        let mut text = Vec::new();
        loop {
            let piece = log.read().unwrap();
            if piece.is_empty() {
                return String::from_utf8(text).unwrap();
            }
            text.extend(piece);
        }
    }

    #[test]
    fn a_reader_gets_what_it_wants() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let text = entry(1, 'F', "one  two")
            + &entry(2, 'P', "りん")
            + &entry(2, 'F', "ご")
            + &entry(3, 'F', "end");
        fs::write(&path, text).unwrap();
        let read = |wanted: Wanted| all(&mut LogFile::new(path.clone(), wanted));
        let plain = Wanted::default;
        assert_eq!(read(plain()), "one  two\nりんご\nend\n");
        let since = "2026-01-01T00:00:02Z".parse().ok();
        assert_eq!(read(Wanted { since, ..plain() }), "りんご\nend\n");
        assert_eq!(
            read(Wanted {
                tail: Some(1),
                ..plain()
            }),
            "end\n"
        );
        assert_eq!(
            read(Wanted {
                tail: Some(0),
                ..plain()
            }),
            ""
        );
        assert_eq!(
            read(Wanted {
                tail: Some(u64::MAX),
                ..plain()
            })
            .lines()
            .count(),
            3
        );
        assert_eq!(
            read(Wanted {
                limit: Some(11),
                ..plain()
            }),
            "one  two\n"
        );
        assert_eq!(
            read(Wanted {
                limit: Some(12),
                ..plain()
            }),
            "one  two\nり"
        );
        assert_eq!(
            read(Wanted {
                has_times: true,
                ..plain()
            })
            .lines()
            .nth(1),
            Some("2026-01-01T00:00:02.000000000Z りんご")
        );
        let gone = LogFile::new(folder.path().join("nope"), plain()).read();
        assert_eq!(gone.unwrap(), b"");
    }

    #[test]
    fn the_end_of_a_long_log_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        // Two gigabytes with nothing in them, and three lines.
        let mut file = fs::File::create(&path).unwrap();
        file.set_len(2 << 30).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        write!(
            file,
            "\n{}{}{}",
            entry(1, 'F', "a"),
            entry(2, 'F', "b"),
            entry(3, 'F', "c")
        )
        .unwrap();
        let wanted = Wanted {
            tail: Some(2),
            ..Wanted::default()
        };
        let mut log = LogFile::new(path, wanted);
        assert_eq!(log.read().unwrap(), b"b\nc\n");
        assert!(log.rest.capacity() <= 2 * CHUNK as usize);
    }

    #[test]
    fn following_goes_on_over_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let append = |text: &str| {
            let mut file = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let rotate = || {
            let older: Vec<_> = rotated_logs(&path).collect();
            for n in (1..older.len()).rev() {
                let _ = fs::rename(&older[n - 1], &older[n]);
            }
            fs::rename(&path, &older[0]).unwrap();
        };
        append(&entry(1, 'F', "a"));
        let wanted = Wanted {
            follows: true,
            ..Wanted::default()
        };
        let mut log = LogFile::new(path.clone(), wanted);
        assert_eq!(all(&mut log), "a\n");
        append(&entry(2, 'F', "b"));
        // Three files are full before anybody looks.
        for n in 3..6 {
            rotate();
            append(&entry(n, 'F', &format!("line {n}")));
        }
        assert_eq!(all(&mut log), "b\nline 3\nline 4\nline 5\n");
        rotate();
        assert_eq!(all(&mut log), "");
        append(&entry(7, 'F', "z"));
        assert_eq!(all(&mut log), "z\n");
    }
}
