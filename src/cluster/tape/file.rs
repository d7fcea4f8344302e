//! A run written into a file, line by line, so that a program that is killed has lost the last line at most.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Scribe, head};
use crate::cluster::change::Change;

/// A file that a run is written into.
#[derive(Debug)]
pub struct TapeFile {
    path: PathBuf,
    file: File,
    scribe: Scribe,
    lines: usize,
}

/// Why a run could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// There is such a file.
    #[error("{} is there already; choose another name, or --force to write over it", .0.display())]
    Exists(PathBuf),
    /// Anything else.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TapeFile {
    /// Makes the file; `over` says whether one that is there may be lost. The recording begins at
    /// `zero`, in milliseconds since the epoch.
    pub fn create(path: &Path, over: bool, zero: i64, namespace: &str) -> Result<Self, NotWritten> {
        let mut options = OpenOptions::new();
        options.write(true);
        if over {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let file = options.open(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => NotWritten::Exists(path.to_owned()),
            _ => NotWritten::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        let mut tape = Self {
            path: path.to_owned(),
            file,
            scribe: Scribe::new(Some(zero), namespace.to_owned()),
            lines: 0,
        };
        tape.write(head(zero, namespace))?;
        Ok(tape)
    }

    /// Writes a change down.
    pub fn note(&mut self, change: &Change) -> Result<(), NotWritten> {
        for note in self.scribe.note(change) {
            self.write(note.line(self.scribe.ms))?;
        }
        Ok(())
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// One line in one piece; there is no buffer that a kill could empty.
    fn write(&mut self, mut line: String) -> Result<(), NotWritten> {
        line.push('\n');
        self.lines += 1;
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| NotWritten::Io {
                path: self.path.clone(),
                source,
            })
    }
}
