//! Editing one line on a terminal that may be narrower than the line: the keys of readline that people use without thinking.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Console;

/// As many lines as psql keeps by default.
const MOST_LINES: usize = 500;

/// What came of reading a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Line {
    /// A line, without its end.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line, or the connection's end.
    End,
}

/// Lines typed before.
#[derive(Debug, Default)]
pub(in super::super) struct History {
    lines: Vec<String>,
    keep: bool,
}

impl History {
    /// An empty history that grows.
    pub(in super::super) fn new() -> Self {
        Self {
            lines: Vec::new(),
            keep: true,
        }
    }

    /// For programs that have none.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Remembers a line, unless it is empty or the same as the one before.
    fn add(&mut self, line: &str) {
        if self.keep && !line.trim().is_empty() && self.lines.last().is_none_or(|last| last != line)
        {
            self.lines.push(line.to_owned());
            if self.lines.len() > MOST_LINES {
                self.lines.remove(0);
            }
        }
    }
}

/// Keys that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Char(char),
    Enter,
    Interrupt,
    /// Ctrl-D: delete, or the end of input on an empty line.
    DeleteOrEnd,
    /// The connection has ended.
    Gone,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    KillToEnd,
    KillToStart,
    KillWord,
    KillWordRight,
    Yank,
    Swap,
    Clear,
    Search,
    Escape,
    Unknown,
}

/// Reads one line after `prompt`, which is on the screen already.
pub(super) fn read(console: &Console, prompt: &str, history: &mut History) -> Line {
    let mut edit = Edit {
        console,
        prompt: prompt.to_owned(),
        text: Vec::new(),
        cursor: 0,
        row: 0,
        killed: Vec::new(),
    };
    edit.row = edit.place(edit.prompt_cells(), &[]).0;
    let line = edit.run(history);
    if edit.cursor < edit.text.len() {
        edit.cursor = edit.text.len();
        edit.draw();
    }
    if let Line::Text(text) = &line {
        history.add(text);
    }
    match line {
        Line::Interrupt => console.write_raw(b"^C\r\n"),
        Line::Text(_) => console.write_raw(b"\r\n"),
        Line::End => {}
    }
    line
}

struct Edit<'a> {
    console: &'a Console,
    prompt: String,
    text: Vec<char>,
    /// Before which character the cursor stands.
    cursor: usize,
    /// How many rows below the prompt's first row the cursor stands on the screen.
    row: usize,
    killed: Vec<char>,
}

impl Edit<'_> {
    fn run(&mut self, history: &History) -> Line {
        // Which line of the history is shown; its length stands for the new line, which is kept here meanwhile.
        let mut shown = history.lines.len();
        let mut fresh: Vec<char> = Vec::new();
        loop {
            match self.key() {
                Key::Enter => return Line::Text(self.text.iter().collect()),
                Key::Interrupt => return Line::Interrupt,
                Key::Gone if self.text.is_empty() => return Line::End,
                Key::Gone => return Line::Text(self.text.iter().collect()),
                Key::DeleteOrEnd if self.text.is_empty() => return Line::End,
                Key::Up | Key::Down if history.lines.is_empty() => {}
                key @ (Key::Up | Key::Down) => {
                    let next = if key == Key::Up {
                        shown.saturating_sub(1)
                    } else {
                        (shown + 1).min(history.lines.len())
                    };
                    if shown == history.lines.len() {
                        fresh.clone_from(&self.text);
                    }
                    shown = next;
                    self.text = match history.lines.get(shown) {
                        Some(line) => line.chars().collect(),
                        None => fresh.clone(),
                    };
                    self.cursor = self.text.len();
                    self.draw();
                }
                Key::Search => {
                    if let Some(line) = self.search(history) {
                        return line;
                    }
                }
                key => self.edit(key),
            }
        }
    }

    fn edit(&mut self, key: Key) {
        let end = self.text.len();
        match key {
            Key::Char(typed) => {
                let before = self.place(self.prompt_cells(), &self.text);
                self.text.insert(self.cursor, typed);
                self.cursor += 1;
                let after = self.place(self.prompt_cells(), &self.text);
                if self.cursor == self.text.len() && before.0 == after.0 && !typed.is_control() {
                    // Ordinary typing: the screen needs no more than the character.
                    self.console
                        .write_raw(typed.encode_utf8(&mut [0; 4]).as_bytes());
                    return;
                }
            }
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Delete | Key::DeleteOrEnd if self.cursor < end => {
                self.text.remove(self.cursor);
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(end),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = end,
            Key::WordLeft => self.cursor = self.word_left(|c| !c.is_alphanumeric()),
            Key::WordRight => self.cursor = self.word_right(),
            Key::KillToEnd => self.killed = self.text.split_off(self.cursor),
            Key::KillToStart => self.kill_back_to(0),
            Key::KillWord => self.kill_back_to(self.word_left(char::is_whitespace)),
            Key::KillWordRight => {
                let to = self.word_right();
                self.killed = self.text.drain(self.cursor..to).collect();
            }
            Key::Yank => {
                let killed = self.killed.clone();
                self.cursor += killed.len();
                let at = self.cursor - killed.len();
                self.text.splice(at..at, killed);
            }
            Key::Swap if self.cursor > 0 && end > 1 => {
                let right = self.cursor.min(end - 1);
                self.text.swap(right - 1, right);
                self.cursor = right + 1;
            }
            Key::Clear => {
                self.console.write_raw(b"\x1b[H\x1b[2J");
                self.row = 0;
            }
            _ => {
                self.console.write_raw(b"\x07");
                return;
            }
        }
        self.draw();
    }

    /// Ctrl-R. `Some` if a line came of it, `None` if editing goes on.
    fn search(&mut self, history: &History) -> Option<Line> {
        let prompt = self.prompt.clone();
        let kept = (self.text.clone(), self.cursor);
        let mut wanted = String::new();
        let mut from = history.lines.len();
        let ended = loop {
            let found = history.lines[..from]
                .iter()
                .rposition(|line| !wanted.is_empty() && line.contains(&wanted));
            if let Some(at) = found {
                from = at + 1;
                self.text = history.lines[at].chars().collect();
            }
            let failed = if found.is_none() && !wanted.is_empty() {
                "failed "
            } else {
                ""
            };
            self.prompt = format!("({failed}reverse-i-search)`{wanted}': ");
            self.cursor = self.text.len();
            self.draw();
            match self.key() {
                Key::Char(typed) => {
                    wanted.push(typed);
                    from = history.lines.len();
                }
                Key::Backspace => {
                    wanted.pop();
                    from = history.lines.len();
                }
                Key::Search => from = found.unwrap_or(from),
                key @ (Key::Interrupt | Key::Gone) => {
                    (self.text, self.cursor) = kept;
                    break (key == Key::Interrupt).then_some(Line::Interrupt);
                }
                Key::Enter => break Some(Line::Text(self.text.iter().collect())),
                _ => break None,
            }
        };
        self.prompt = prompt;
        self.draw();
        ended
    }

    fn kill_back_to(&mut self, start: usize) {
        self.killed = self.text.drain(start..self.cursor).collect();
        self.cursor = start;
    }

    fn word_left(&self, separates: impl Fn(char) -> bool) -> usize {
        let mut at = self.cursor;
        while at > 0 && separates(self.text[at - 1]) {
            at -= 1;
        }
        while at > 0 && !separates(self.text[at - 1]) {
            at -= 1;
        }
        at
    }

    fn word_right(&self) -> usize {
        let mut at = self.cursor;
        while at < self.text.len() && !self.text[at].is_alphanumeric() {
            at += 1;
        }
        while at < self.text.len() && self.text[at].is_alphanumeric() {
            at += 1;
        }
        at
    }

    fn key(&self) -> Key {
        let Some(byte) = self.console.next_byte() else {
            return Key::Gone;
        };
        match byte {
            b'\r' | b'\n' => Key::Enter,
            1 => Key::Home,
            2 => Key::Left,
            3 => Key::Interrupt,
            4 => Key::DeleteOrEnd,
            5 => Key::End,
            6 => Key::Right,
            8 | 127 => Key::Backspace,
            9 => Key::Char(' '),
            11 => Key::KillToEnd,
            12 => Key::Clear,
            14 => Key::Down,
            16 => Key::Up,
            18 => Key::Search,
            20 => Key::Swap,
            21 => Key::KillToStart,
            23 => Key::KillWord,
            25 => Key::Yank,
            27 => self.escape(),
            0..32 => Key::Unknown,
            _ => self.character(byte),
        }
    }

    /// What follows an escape byte: `ESC [ … letter`, `ESC O letter`, or a letter typed with Meta.
    fn escape(&self) -> Key {
        match self.console.next_byte_soon() {
            Some(b'[' | b'O') => {
                let mut number = Vec::new();
                loop {
                    match self.console.next_byte_soon() {
                        Some(byte @ (b'0'..=b'9' | b';')) => number.push(byte),
                        Some(byte) => {
                            let with_control = number.ends_with(b";5") || number.ends_with(b";3");
                            return match (byte, number.as_slice()) {
                                (b'A', _) => Key::Up,
                                (b'B', _) => Key::Down,
                                (b'C', _) if with_control => Key::WordRight,
                                (b'D', _) if with_control => Key::WordLeft,
                                (b'C', _) => Key::Right,
                                (b'D', _) => Key::Left,
                                (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
                                (b'F', _) | (b'~', b"4" | b"8") => Key::End,
                                (b'~', b"3") => Key::Delete,
                                _ => Key::Unknown,
                            };
                        }
                        None => return Key::Unknown,
                    }
                }
            }
            Some(b'b') => Key::WordLeft,
            Some(b'f') => Key::WordRight,
            Some(b'd') => Key::KillWordRight,
            Some(8 | 127) => Key::KillWord,
            _ => Key::Escape,
        }
    }

    /// A character whose first byte has been read. A broken one is one replacement character.
    fn character(&self, first: u8) -> Key {
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let mut bytes = vec![first];
        while bytes.len() < length {
            match self.console.next_byte() {
                Some(byte) => bytes.push(byte),
                None => break,
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        Key::Char(text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn prompt_cells(&self) -> usize {
        self.prompt.width()
    }

    /// Row and column after drawing these characters from this column on. A wide character that does not fit goes to the next row.
    fn place(&self, column: usize, text: &[char]) -> (usize, usize) {
        let width = usize::from(self.console.size().width).max(2);
        let (mut row, mut column) = (column / width, column % width);
        for c in text {
            let cells = cells(*c);
            if column + cells > width {
                row += 1;
                column = 0;
            }
            column += cells;
        }
        if column >= width {
            (row + 1, 0)
        } else {
            (row, column)
        }
    }

    /// Draws prompt and text anew and puts the cursor where it belongs.
    fn draw(&mut self) {
        let mut screen = String::new();
        if self.row > 0 {
            screen.push_str(&format!("\x1b[{}A", self.row));
        }
        screen.push_str("\r\x1b[J");
        screen.push_str(&self.prompt);
        for &c in &self.text {
            if c.is_control() {
                screen.push('?');
            } else {
                screen.push(c);
            }
        }
        let start = self.prompt_cells();
        let end = self.place(start, &self.text);
        let cursor = self.place(start, &self.text[..self.cursor]);
        if end.1 == 0 && end.0 > 0 {
            // The terminal waits with the wrap until the next character comes.
            screen.push_str("\r\n");
        }
        if end.0 > cursor.0 {
            screen.push_str(&format!("\x1b[{}A", end.0 - cursor.0));
        }
        screen.push('\r');
        if cursor.1 > 0 {
            screen.push_str(&format!("\x1b[{}C", cursor.1));
        }
        self.row = cursor.0;
        self.console.write_raw(screen.as_bytes());
    }
}

/// How many columns a character takes.
fn cells(c: char) -> usize {
    c.width().unwrap_or(1)
}
