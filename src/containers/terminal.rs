//! Standard input and output of a program in a container, with a terminal or without.
//!
//! With a terminal, typed bytes come raw from the other side of a WebSocket, so the line discipline is here: echo, editing, history, Ctrl-C, Ctrl-D,
//! characters of two columns, and CR LF at the end of lines. Programs read whole lines.

mod editor;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getppid};

use super::Size;
use super::frame::Frame;

pub(super) use editor::{History, Line};

/// What a program's reading of the terminal ends with when Ctrl-C is typed.
pub(super) const INTERRUPTED: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// How much input waits for a program. A pipe is left full then, as a real one is; on a terminal what is typed ahead
/// further is lost.
const MOST_INPUT: usize = 1 << 20;

/// The standard streams of this process.
pub(super) struct Console {
    tty: bool,
    input: Mutex<Input>,
    changed: Condvar,
    output: Mutex<Output>,
}

struct Input {
    bytes: VecDeque<u8>,
    ended: bool,
    size: Size,
    /// A line is being read; Ctrl-C belongs to the editor.
    editing: bool,
    /// Ctrl-C was typed while no line was read, and nobody has asked yet.
    interrupted: bool,
    on_interrupt: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Signals that came and that no shell has looked at.
    signals: Vec<&'static str>,
    /// The rest of a line that a program reads piece by piece.
    line: VecDeque<u8>,
}

#[derive(Default)]
struct Output {
    /// What stands in the last line: the prompt, when a line is read.
    last_line: Vec<u8>,
}

/// Which of the two output streams. On a terminal they are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

impl Console {
    pub(super) fn new(tty: bool) -> Self {
        Self {
            tty,
            input: Mutex::new(Input {
                bytes: VecDeque::new(),
                ended: false,
                size: Size {
                    width: 80,
                    height: 24,
                },
                editing: false,
                interrupted: false,
                on_interrupt: None,
                signals: Vec::new(),
                line: VecDeque::new(),
            }),
            changed: Condvar::new(),
            output: Mutex::default(),
        }
    }

    pub(super) fn is_tty(&self) -> bool {
        self.tty
    }

    /// Takes frames from the parent until the pipe ends, or the parent does.
    pub(super) fn fill(&self, from: &mut impl Read) {
        let parent = getppid();
        while let Ok(Some(frame)) = Frame::read(from) {
            match frame {
                Frame::Input(bytes) => {
                    if !self.has_room(parent) {
                        return;
                    }
                    self.typed(&bytes);
                }
                Frame::InputEnd => self.input.lock().unwrap().ended = true,
                Frame::Resize(size) => self.input.lock().unwrap().size = size,
                Frame::Order(_) => {}
            }
            self.changed.notify_all();
        }
    }

    /// Waits until there is room for more input; false if the parent ends meanwhile, whose pipe nobody reads then. A
    /// terminal is always read, because Ctrl-C may be in what comes.
    fn has_room(&self, parent: Option<Pid>) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        let mut input = self.input.lock().unwrap();
        while !self.tty && input.bytes.len() > MOST_INPUT {
            input = self.changed.wait_timeout(input, LOOK_EVERY).unwrap().0;
            if getppid() != parent {
                return false;
            }
        }
        true
    }

    fn typed(&self, bytes: &[u8]) {
        let mut input = self.input.lock().unwrap();
        for &byte in bytes {
            if self.tty && byte == 3 && !input.editing {
                // As a terminal does: an interrupt throws away what was typed ahead.
                input.bytes.clear();
                input.interrupted = true;
                let hook = input.on_interrupt.clone();
                drop(input);
                self.write(Stream::Output, b"^C");
                if let Some(hook) = hook {
                    hook();
                }
                input = self.input.lock().unwrap();
            } else if !self.tty || input.bytes.len() < MOST_INPUT {
                input.bytes.push_back(byte);
            }
        }
    }

    /// Says what to do, besides setting the mark, when Ctrl-C is typed while no line is read.
    #[cfg(feature = "postgres")]
    pub(super) fn on_interrupt(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.input.lock().unwrap().on_interrupt = Some(Arc::new(hook));
    }

    /// Whether Ctrl-C was typed since the last call.
    pub(super) fn take_interrupt(&self) -> bool {
        std::mem::take(&mut self.input.lock().unwrap().interrupted)
    }

    /// An error if Ctrl-C was typed and nobody has taken note yet. Whatever reads or writes asks: a program that only ever
    /// does that would not notice otherwise.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_interrupted() {
            return Err(INTERRUPTED.into());
        }
        Ok(())
    }

    /// Whether Ctrl-C was typed and nobody has taken note yet.
    pub(super) fn is_interrupted(&self) -> bool {
        self.input.lock().unwrap().interrupted
    }

    /// Makes this process do with signals what the first process of a container does: nothing, unless a shell has a trap.
    pub(super) fn heed_signals(self: &Arc<Self>) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let guard = runtime.enter();
        let kinds = [
            ("HUP", SignalKind::hangup()),
            ("INT", SignalKind::interrupt()),
            ("QUIT", SignalKind::quit()),
            ("TERM", SignalKind::terminate()),
            ("USR1", SignalKind::user_defined1()),
            ("USR2", SignalKind::user_defined2()),
        ];
        let mut tasks = Vec::new();
        for (name, kind) in kinds {
            let mut signals = signal(kind)?;
            let console = Arc::clone(self);
            tasks.push(async move {
                while signals.recv().await.is_some() {
                    console.input.lock().unwrap().signals.push(name);
                    console.changed.notify_all();
                }
            });
        }
        drop(guard);
        std::thread::spawn(move || runtime.block_on(futures::future::join_all(tasks)));
        Ok(())
    }

    /// The signals that came since the last call, by name.
    pub(super) fn take_signals(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.input.lock().unwrap().signals)
    }

    /// The signals that came and were not taken.
    pub(super) fn signals(&self) -> Vec<&'static str> {
        self.input.lock().unwrap().signals.clone()
    }

    /// Waits; returns early if Ctrl-C is typed.
    pub(super) fn sleep(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        let mut input = self.input.lock().unwrap();
        while !input.interrupted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            input = self.changed.wait_timeout(input, left).unwrap().0;
        }
    }

    pub(super) fn size(&self) -> Size {
        self.input.lock().unwrap().size
    }

    /// What stands in the last line of the screen.
    #[cfg(feature = "postgres")]
    pub(super) fn prompt(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap().last_line).into_owned()
    }

    /// Reads one edited line from the terminal. What stands in the last line of the screen is its prompt.
    pub(super) fn read_line(&self, history: &mut History) -> Line {
        let mut input = self.input.lock().unwrap();
        input.editing = true;
        input.interrupted = false;
        drop(input);
        let prompt = std::mem::take(&mut self.output.lock().unwrap().last_line);
        let line = editor::read(self, &String::from_utf8_lossy(&prompt), history);
        self.input.lock().unwrap().editing = false;
        line
    }

    /// The next typed byte; `None` at the end of input.
    fn next_byte(&self) -> Option<u8> {
        let mut input = self.input.lock().unwrap();
        loop {
            if let Some(byte) = input.bytes.pop_front() {
                self.changed.notify_all();
                return Some(byte);
            }
            if input.ended {
                return None;
            }
            input = self.changed.wait(input).unwrap();
        }
    }

    /// The next typed byte if it comes soon. An escape key alone sends one byte, an arrow key three at once.
    fn next_byte_soon(&self) -> Option<u8> {
        const SOON: Duration = Duration::from_millis(50);
        let input = self.input.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(input, SOON, |input| input.bytes.is_empty() && !input.ended);
        waited.unwrap().0.bytes.pop_front()
    }

    /// Reads input as a program does: bytes from a pipe, or from a terminal line by line.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.tty {
            if self.input.lock().unwrap().line.is_empty() {
                match self.read_line(&mut History::none()) {
                    Line::Text(text) => {
                        let mut input = self.input.lock().unwrap();
                        input.line.extend(text.bytes());
                        input.line.push_back(b'\n');
                    }
                    Line::Interrupt => {
                        self.input.lock().unwrap().interrupted = true;
                        return Err(INTERRUPTED.into());
                    }
                    Line::End => return Ok(0),
                }
            }
            self.input.lock().unwrap().line.read(buffer)
        } else {
            let mut input = self.input.lock().unwrap();
            while input.bytes.is_empty() && !input.ended {
                input = self.changed.wait(input).unwrap();
            }
            let count = input.bytes.read(buffer);
            self.changed.notify_all();
            count
        }
    }

    /// Writes output. On a terminal a newline also returns the carriage.
    pub(super) fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut output = self.output.lock().unwrap();
        if !self.tty {
            let _ = match stream {
                Stream::Output => io::stdout()
                    .write_all(bytes)
                    .and_then(|()| io::stdout().flush()),
                Stream::Error => io::stderr().write_all(bytes),
            };
            return;
        }
        let mut raw = Vec::with_capacity(bytes.len() + 8);
        for &byte in bytes {
            if byte == b'\n' {
                raw.push(b'\r');
                output.last_line.clear();
            } else {
                output.last_line.push(byte);
            }
            raw.push(byte);
        }
        drop(output);
        self.write_raw(&raw);
    }

    /// Writes to the terminal what the editor draws.
    fn write_raw(&self, bytes: &[u8]) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }
}
