//! The log file of a container, in the format the kubelet reads from a container runtime:
//! `2026-11-23T00:48:39.875000000Z stdout F text`, `P` instead of `F` for a line that goes on in the next entry.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;

/// containerd cuts lines longer than this into partial entries.
const LONGEST_ENTRY: usize = 16 * 1024;

/// A container's log. Both streams write to it.
#[derive(Debug)]
pub(super) struct Log(Mutex<File>);

impl Log {
    /// Opens the file for appending, and makes it and its folder if they are missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    fn write(&self, stream: &str, whole: bool, text: &[u8]) {
        let tag = if whole { 'F' } else { 'P' };
        let mut entry = format!("{:.9} {stream} {tag} ", Timestamp::now()).into_bytes();
        entry.extend_from_slice(text);
        entry.push(b'\n');
        // A full disk must not end the container, and there is nobody else to tell.
        let _ = self.0.lock().unwrap().write_all(&entry);
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

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let mut rest = self.pending.as_slice();
        loop {
            if let Some(end) = rest.iter().take(LONGEST_ENTRY).position(|&b| b == b'\n') {
                self.log.write(self.stream, true, &rest[..end]);
                rest = &rest[end + 1..];
            } else if rest.len() >= LONGEST_ENTRY {
                self.log.write(self.stream, false, &rest[..LONGEST_ENTRY]);
                rest = &rest[LONGEST_ENTRY..];
            } else {
                break;
            }
        }
        self.pending = rest.to_vec();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.log.write(self.stream, true, &self.pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_stamped_and_tagged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod/0.log");
        let log = std::sync::Arc::new(Log::open(&path).unwrap());
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
}
