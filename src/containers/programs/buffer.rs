//! What is read by lines, and written in large pieces but never later than somebody waits for it.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use super::{Sink, Source};

/// As pipes and files like it.
pub(super) const CHUNK: usize = 64 * 1024;

/// Output that is kept back until it is worth a write. What is left must be flushed: after an error nothing is written
/// again.
pub(super) struct Output {
    sink: Sink,
    kept: Vec<u8>,
}

impl Output {
    pub(super) fn new(sink: &Sink) -> Self {
        Self {
            sink: sink.clone(),
            kept: Vec::new(),
        }
    }

    /// Writes so many of one byte, without having them all at once.
    pub(super) fn fill(&mut self, byte: u8, mut count: usize) -> io::Result<()> {
        let piece = [byte; 1024];
        while count > 0 {
            let now = count.min(piece.len());
            self.write_all(&piece[..now])?;
            count -= now;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        self.sink.write_all(&kept)
    }
}

/// An input, line by line.
pub(super) struct Lines {
    reader: BufReader<Source>,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn new(source: Source) -> Self {
        Self {
            reader: BufReader::with_capacity(CHUNK, source),
            line: Vec::new(),
        }
    }

    /// The next line with its newline, if it has one; nothing at the end. Before it waits for more, what was written goes
    /// out.
    pub(super) fn next(&mut self, out: &mut Output) -> io::Result<Option<&[u8]>> {
        if !self.reader.buffer().contains(&b'\n') {
            out.flush()?;
        }
        self.line.clear();
        let count = self.reader.read_until(b'\n', &mut self.line)?;
        // A monstrous line does not keep its memory.
        if self.line.capacity() > CHUNK && self.line.len() < CHUNK / 2 {
            self.line.shrink_to(CHUNK);
        }
        Ok((count > 0).then_some(&self.line))
    }

    /// Gives back to a file what was read ahead of what was used, for the program after this one.
    pub(super) fn give_back(self) {
        let ahead = i64::try_from(self.reader.buffer().len()).unwrap_or(0);
        if let Source::File(file, _) = self.reader.get_ref() {
            let _ = file.as_ref().seek(SeekFrom::Current(-ahead));
        }
    }
}

/// A line without its newline.
pub(super) fn text_of(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Hands everything on as it comes.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}
