//! The log file of a container, in the format the kubelet reads from a container runtime:
//! `2026-11-23T00:48:39.875000000Z stdout F text`, `P` instead of `F` for a line that goes on in the next entry.
//!
//! A file that has grown long becomes `FILE.1` and a new one begins, as the kubelet rotates logs; the oldest goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;

/// containerd cuts lines longer than this into partial entries.
const LONGEST_ENTRY: usize = 16 * 1024;

/// The kubelet's `containerLogMaxSize` and `containerLogMaxFiles`.
const LONGEST_FILE: u64 = 10 << 20;
const MOST_FILES: usize = 5;

/// The older files of a log, newest first.
pub fn rotated(path: &Path) -> impl Iterator<Item = PathBuf> {
    let path = path.to_owned();
    (1..MOST_FILES).map(move |n| {
        let mut name = path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    })
}

/// A container's log. Both streams write to it.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    longest: u64,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    /// Nothing when it could not be opened; the next entry tries again.
    file: Option<File>,
    size: u64,
    /// The last entries could not be written, and that was said.
    is_failing: bool,
}

impl Log {
    /// Opens the file for appending, and makes it and its folder if they are missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_longest(path, LONGEST_FILE)
    }

    fn with_longest(path: &Path, longest: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let log = Self {
            path: path.to_owned(),
            longest,
            current: Mutex::default(),
        };
        log.current.lock().unwrap().open(path)?;
        Ok(log)
    }

    /// Writes entries down, all or none. A disk that is full must not end the container, nor fill the server's memory:
    /// they are lost, and that is said once.
    fn write(&self, entries: &[u8]) {
        let mut current = self.current.lock().unwrap();
        match self.try_write(&mut current, entries) {
            Ok(()) => current.is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut current.is_failing, true) {
                    tracing::warn!(%error, path = %self.path.display(), "a container's log cannot be written; what it says meanwhile is lost");
                }
            }
        }
    }

    fn try_write(&self, current: &mut Current, entries: &[u8]) -> io::Result<()> {
        let length = entries.len() as u64;
        if current.size > 0 && current.size + length > self.longest {
            self.rotate()?;
            current.file = None;
        }
        if current.file.is_none() {
            current.open(&self.path)?;
        }
        let file = current.file.as_mut().expect("opened above");
        let written = file.write_all(entries);
        match &written {
            Ok(()) => current.size += length,
            // Half an entry would spoil the one that comes after it.
            Err(_) => drop(file.set_len(current.size)),
        }
        written
    }

    fn rotate(&self) -> io::Result<()> {
        let mut older = rotated(&self.path).collect::<Vec<_>>();
        older.reverse();
        for pair in older.windows(2) {
            match std::fs::rename(&pair[1], &pair[0]) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match older.last() {
            Some(newest) => std::fs::rename(&self.path, newest),
            None => Ok(()),
        }
    }
}

impl Current {
    fn open(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }
}

/// Cuts one stream into log lines.
#[derive(Debug)]
pub(super) struct Lines {
    log: std::sync::Arc<Log>,
    stream: &'static str,
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn new(log: std::sync::Arc<Log>, stream: &'static str) -> Self {
        Self {
            log,
            stream,
            pending: Vec::new(),
        }
    }

    /// Takes what was read at once. It gets one stamp, and is written at once.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let stamp = stamp();
        let mut entries = Vec::with_capacity(bytes.len() + 64);
        let mut rest = self.pending.as_slice();
        loop {
            if let Some(end) = rest.iter().take(LONGEST_ENTRY).position(|&b| b == b'\n') {
                entry(&mut entries, &stamp, self.stream, 'F', &rest[..end]);
                rest = &rest[end + 1..];
            } else if rest.len() >= LONGEST_ENTRY {
                entry(
                    &mut entries,
                    &stamp,
                    self.stream,
                    'P',
                    &rest[..LONGEST_ENTRY],
                );
                rest = &rest[LONGEST_ENTRY..];
            } else {
                break;
            }
        }
        self.pending = rest.to_vec();
        if !entries.is_empty() {
            self.log.write(&entries);
        }
    }
}

fn stamp() -> String {
    format!("{:.9}", Timestamp::now())
}

fn entry(to: &mut Vec<u8>, stamp: &str, stream: &str, tag: char, text: &[u8]) {
    let tag = if tag == 'F' { " F " } else { " P " };
    for part in [
        stamp.as_bytes(),
        b" ",
        stream.as_bytes(),
        tag.as_bytes(),
        text,
        b"\n",
    ] {
        to.extend_from_slice(part);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            let mut last = Vec::new();
            entry(&mut last, &stamp(), self.stream, 'F', &self.pending);
            self.log.write(&last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lines_are_cut_stamped_and_tagged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod/0.log");
        let log = Arc::new(Log::open(&path).unwrap());
        let mut lines = Lines::new(log, "stdout");
        lines.push(b"one\ntw");
        lines.push(b"o\n");
        lines.push(&vec![b'x'; LONGEST_ENTRY + 3]);
        drop(lines);
        let text = std::fs::read_to_string(&path).unwrap();
        let entries: Vec<_> = text.lines().map(|l| l.split_once(' ').unwrap()).collect();
        assert_eq!(entries[0].1, "stdout F one");
        assert_eq!(entries[1].1, "stdout F two");
        assert!(entries[2].1.starts_with("stdout P xxx"));
        assert_eq!(entries[3].1, "stdout F xxx");
        for (stamp, _) in entries {
            assert_eq!(stamp.len(), "2026-11-23T00:48:39.875000000Z".len());
            assert!(stamp.parse::<Timestamp>().is_ok());
        }
    }

    #[test]
    fn a_long_log_is_five_files_of_which_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let log = Arc::new(Log::with_longest(&path, 1000).unwrap());
        let mut lines = Lines::new(log, "stdout");
        for n in 0..300 {
            lines.push(format!("line {n:03} {}\n", "x".repeat(40)).as_bytes());
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), MOST_FILES);
        for file in files {
            assert!(file.unwrap().metadata().unwrap().len() <= 1000);
        }
        // Oldest first they are the last lines without a gap.
        let mut all: Vec<_> = rotated(&path).collect();
        all.reverse();
        all.push(path);
        let text: String = all
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let numbers: Vec<usize> = text
            .lines()
            .map(|line| line.split(' ').nth(4).unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (300 - numbers.len()..300).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_the_next_line_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let log = Log::with_longest(&path, 1000).unwrap();
        // As a full disk: nothing can be written to this one.
        log.current.lock().unwrap().file = Some(File::open("/dev/null").unwrap());
        log.write(b"lost\n");
        assert!(log.current.lock().unwrap().is_failing);
        log.current.lock().unwrap().file = None;
        log.write(b"kept\n");
        assert!(!log.current.lock().unwrap().is_failing);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");
    }
}
