//! `sh`: a small POSIX shell over the built-in programs. Pipes and background commands are threads; there are no other processes.

mod arithmetic;
mod builtins;
mod expand;
mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::programs::{self, BROKEN_PIPE, Missing, Outlet, Sink, Source, Streams, World, reason};
use super::terminal::{History, Line};
use super::view;
use parse::{AndOr, Command, Fault, How, Kind, List, Pipeline, Redirect, Word};

/// Programs that a real shell runs itself, besides [`builtins`].
const IN_SHELL: [&str; 6] = ["[", "echo", "false", "printf", "test", "true"];

/// How deep functions, substitutions and scripts may nest before it is taken for a mistake.
const DEEPEST: usize = 200;

/// Whether a name fits a pattern of marked characters, as file names fit `*.sql`.
pub(super) fn matches(pattern: &[(char, bool)], text: &[char]) -> bool {
    expand::matches(pattern, text)
}

/// Where a script goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break(usize),
    Continue(usize),
    Return,
    Exit,
}

/// A running shell. A subshell is a clone.
#[derive(Clone)]
struct Shell {
    world: World,
    streams: Streams,
    variables: BTreeMap<String, String>,
    exported: BTreeSet<String>,
    functions: BTreeMap<String, Command>,
    /// `$0` and `$1` onward.
    name: String,
    arguments: Vec<String>,
    status: i32,
    is_interactive: bool,
    /// `set -e` and `set -x`.
    ends_on_error: bool,
    traces: bool,
    /// What to do on a signal, or on `EXIT`.
    traps: BTreeMap<String, String>,
    background: Arc<Mutex<Vec<JoinHandle<i32>>>>,
}

/// Runs `sh`; the result is its exit code.
pub(super) fn main(world: &mut World, argv: &[String], streams: Streams) -> i32 {
    let mut shell = Shell::new(world, streams);
    let base = argv[0].rsplit('/').next().unwrap_or("sh");
    shell.name = argv[0].clone();
    let mut args = argv[1..].iter();
    let mut command = None;
    let mut operands: Vec<String> = Vec::new();
    let mut wants_interactive = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--" => {
                operands.extend(args.by_ref().cloned());
            }
            "--login" | "--norc" | "--noprofile" => {}
            _ if arg.len() > 1 && arg.starts_with(['-', '+']) && !arg.starts_with("--") => {
                let on = arg.starts_with('-');
                for letter in arg[1..].chars() {
                    match letter {
                        'c' => command = Some(()),
                        'e' => shell.ends_on_error = on,
                        'x' => shell.traces = on,
                        'i' => wants_interactive = true,
                        'l' | 's' | 'u' => {}
                        'o' => {
                            args.next();
                        }
                        _ => {
                            shell.complain(format_args!("Illegal option -{letter}"));
                            return 2;
                        }
                    }
                }
            }
            _ => {
                operands.push(arg.clone());
                operands.extend(args.by_ref().cloned());
            }
        }
    }
    let mut operands = operands.into_iter();
    let code = if command.is_some() {
        let Some(script) = operands.next() else {
            shell.complain("-c requires an argument");
            return 2;
        };
        if let Some(name) = operands.next() {
            shell.name = name;
        }
        shell.arguments = operands.collect();
        shell.script(&script)
    } else if let Some(path) = operands.next() {
        shell.arguments = operands.collect();
        shell.file(&path)
    } else if shell.streams.are_a_terminal() {
        shell.interactive(base)
    } else {
        let _ = wants_interactive;
        shell.piped()
    };
    shell.run_trap("EXIT");
    code
}

/// Runs a script file, as when it is executed by its path.
pub(super) fn run_script(world: &mut World, path: &str, argv: &[String], streams: Streams) -> i32 {
    let mut shell = Shell::new(world, streams);
    shell.name = argv[0].clone();
    shell.arguments = argv[1..].to_vec();
    let code = shell.file(path);
    shell.run_trap("EXIT");
    code
}

impl Shell {
    fn new(world: &World, streams: Streams) -> Self {
        let mut variables = world.env.clone();
        variables.insert("PWD".to_owned(), world.directory.clone());
        Self {
            world: world.clone(),
            streams,
            exported: world.env.keys().cloned().collect(),
            variables,
            functions: BTreeMap::new(),
            name: "sh".to_owned(),
            arguments: Vec::new(),
            status: 0,
            is_interactive: false,
            ends_on_error: false,
            traces: false,
            traps: BTreeMap::new(),
            background: Arc::default(),
        }
    }

    fn complain(&mut self, text: impl std::fmt::Display) {
        let name = self.name.clone();
        self.streams.complain(format_args!("{name}: {text}"));
    }

    fn script(&mut self, text: &str) -> i32 {
        match parse::parse(text) {
            Ok(list) => {
                self.list(&list);
                self.status
            }
            Err(fault) => {
                self.complain(match fault {
                    Fault::Incomplete => "syntax error: unexpected end of file".to_owned(),
                    Fault::TooDeep => "syntax error: too deeply nested".to_owned(),
                    Fault::Unexpected(what) if what == "Bad substitution" => what,
                    Fault::Unexpected(what) => format!("syntax error: unexpected \"{what}\""),
                });
                2
            }
        }
    }

    fn file(&mut self, path: &str) -> i32 {
        let mut bytes = Vec::new();
        let read = self
            .world
            .view
            .open(&self.world.directory, path)
            .and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => self.script(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                self.complain(format_args!("can't open '{path}': {}", reason(&error)));
                if error.kind() == io::ErrorKind::NotFound {
                    127
                } else {
                    126
                }
            }
        }
    }

    /// Standard input is a script: each command runs as soon as it is whole, and may itself read what follows.
    fn piped(&mut self) -> i32 {
        let mut text = String::new();
        loop {
            let line = builtins::read_line(&mut self.streams.input);
            let ended = line.is_none();
            text.push_str(&line.unwrap_or_default());
            match parse::parse(&text) {
                Err(Fault::Incomplete) if !ended => continue,
                _ => {}
            }
            if !text.trim().is_empty() {
                match parse::parse(&text) {
                    Ok(list) => {
                        if self.list(&list) == Flow::Exit {
                            return self.status;
                        }
                    }
                    Err(_) => return self.script(&text),
                }
            }
            text.clear();
            if ended {
                return self.status;
            }
        }
    }

    fn interactive(&mut self, base: &str) -> i32 {
        self.is_interactive = true;
        let mut history = History::new();
        let mut text = String::new();
        loop {
            self.world.console.take_interrupt();
            let prompt = match (text.is_empty(), base) {
                (false, _) => "> ".to_owned(),
                (true, "bash") => {
                    let home = self.get("HOME").unwrap_or_default();
                    let directory = match self.world.directory.strip_prefix(&home) {
                        Some(rest) if !home.is_empty() => format!("~{rest}"),
                        _ => self.world.directory.clone(),
                    };
                    format!("root@{}:{directory}# ", self.world.hostname)
                }
                (true, _) if self.world.image == super::image::ImageKind::Busybox => {
                    format!("{} # ", self.world.directory)
                }
                (true, _) => "# ".to_owned(),
            };
            let _ = self.streams.output.write_all(prompt.as_bytes());
            match self.world.console.read_line(&mut history) {
                Line::Interrupt => {
                    text.clear();
                    self.status = 130;
                    continue;
                }
                Line::End if text.is_empty() => {
                    let end = if base == "bash" { "exit\n" } else { "\n" };
                    let _ = self.streams.output.write_all(end.as_bytes());
                    return self.status;
                }
                Line::End => {}
                Line::Text(line) => {
                    text.push_str(&line);
                    text.push('\n');
                    if parse::parse(&text) == Err(Fault::Incomplete) {
                        continue;
                    }
                }
            }
            let script = std::mem::take(&mut text);
            match parse::parse(&script) {
                Ok(list) => {
                    if self.list(&list) == Flow::Exit {
                        return self.status;
                    }
                    if self.world.console.is_interrupted() {
                        self.world.console.take_interrupt();
                        let _ = self.streams.output.write_all(b"\n");
                    }
                }
                Err(_) => self.status = self.script(&script),
            }
        }
    }

    /// A parameter's value: a variable, a positional or a special one.
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.arguments.len().to_string()),
            "$" => Some(if self.world.is_main {
                "1".to_owned()
            } else {
                std::process::id().to_string()
            }),
            "!" => Some(String::new()),
            "-" => Some(if self.ends_on_error { "e" } else { "" }.to_owned()),
            "@" | "*" => (!self.arguments.is_empty()).then(|| self.arguments.join(" ")),
            "0" => Some(self.name.clone()),
            name if name.starts_with(|c: char| c.is_ascii_digit()) => self
                .arguments
                .get(name.parse::<usize>().ok()?.checked_sub(1)?)
                .cloned(),
            name => self.variables.get(name).cloned(),
        }
    }

    fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    fn list(&mut self, list: &List) -> Flow {
        for (and_or, background) in list {
            if *background {
                let mut shell = self.clone();
                let and_or = and_or.clone();
                shell.is_interactive = false;
                let thread = self.world.threads.spawn(move || {
                    shell.and_or(&and_or);
                    shell.status
                });
                match thread {
                    Ok(thread) => {
                        let mut background = self.background.lock().unwrap();
                        background.retain(|thread| !thread.is_finished());
                        background.push(thread);
                    }
                    Err(error) => return self.cannot_fork(&error),
                }
                self.status = 0;
                continue;
            }
            let flow = self.and_or(and_or);
            if flow != Flow::Next {
                return flow;
            }
            if self.world.console.is_interrupted() {
                self.status = 130;
                return self.broken_off();
            }
            for signal in self.world.console.take_signals() {
                if self.run_trap(signal) == Flow::Exit {
                    return Flow::Exit;
                }
            }
        }
        Flow::Next
    }

    fn run_trap(&mut self, name: &str) -> Flow {
        let action = if name == "EXIT" {
            self.traps.remove(name)
        } else {
            self.traps.get(name).cloned()
        };
        match action.as_deref().map(parse::parse) {
            Some(Ok(list)) => {
                let status = self.status;
                let flow = self.list(&list);
                if flow == Flow::Next {
                    self.status = status;
                }
                flow
            }
            _ => Flow::Next,
        }
    }

    fn and_or(&mut self, and_or: &AndOr) -> Flow {
        let alone = and_or.rest.is_empty();
        let mut flow = self.pipeline(&and_or.first, alone);
        for (at, (wants_success, pipeline)) in and_or.rest.iter().enumerate() {
            if flow != Flow::Next {
                return flow;
            }
            if (self.status == 0) == *wants_success {
                flow = self.pipeline(pipeline, at + 1 == and_or.rest.len());
            }
        }
        flow
    }

    /// Runs a pipeline; `is_last`: a failure here is one that `set -e` means.
    fn pipeline(&mut self, pipeline: &Pipeline, is_last: bool) -> Flow {
        let flow = match pipeline.commands.as_slice() {
            [command] => self.command(command),
            commands => self.pipe(commands),
        };
        if pipeline.negated {
            self.status = i32::from(self.status == 0);
        } else if self.ends_on_error && is_last && self.status != 0 && flow == Flow::Next {
            return Flow::Exit;
        }
        flow
    }

    fn pipe(&mut self, commands: &[Command]) -> Flow {
        let mut input = self.streams.input.clone();
        let (mut threads, mut failed) = (Vec::new(), None);
        for (at, command) in commands.iter().enumerate() {
            let mut shell = self.clone();
            shell.streams.input = input.clone();
            shell.is_interactive = false;
            shell.ends_on_error = false;
            if at + 1 < commands.len() {
                match io::pipe() {
                    Ok((reader, writer)) => {
                        let console = || Arc::clone(&self.world.console);
                        shell.streams.output = Sink::Pipe(Arc::new(Outlet::new(writer)), console());
                        input = Source::Pipe(Arc::new(Mutex::new(reader)), console());
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let command = command.clone();
            let thread = self.world.threads.spawn(move || {
                shell.command(&command);
                // The pipe's ends close with the shell's streams.
                shell.status
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // This shell's copy of the last pipe would keep its writer from noticing that the reader has ended.
        drop(input);
        for thread in threads {
            self.status = thread.join().unwrap_or(1);
        }
        match failed {
            Some(error) => self.cannot_fork(&error),
            None => Flow::Next,
        }
    }

    fn cannot_fork(&mut self, error: &io::Error) -> Flow {
        self.complain(format_args!("can't fork: {}", reason(error)));
        self.status = 2;
        self.broken_off()
    }

    /// A script that cannot go on ends; at a prompt the rest of the line is dropped.
    fn broken_off(&self) -> Flow {
        if self.is_interactive {
            Flow::Break(usize::MAX)
        } else {
            Flow::Exit
        }
    }

    fn command(&mut self, command: &Command) -> Flow {
        if self.world.depth >= DEEPEST {
            self.complain("too deeply nested");
            self.status = 2;
            return self.broken_off();
        }
        self.world.depth += 1;
        let flow = self.redirected_command(command);
        self.world.depth -= 1;
        flow
    }

    fn redirected_command(&mut self, command: &Command) -> Flow {
        let kept = self.streams.clone();
        for redirect in &command.redirects {
            if let Err(text) = self.redirect(redirect) {
                self.streams = kept;
                self.complain(text);
                self.status = 1;
                return Flow::Next;
            }
        }
        // `exec >file` is for good.
        let stays = matches!(&command.kind, Kind::Simple { words, .. } if words.len() == 1 && is_exec(&words[0]));
        let flow = self.kind(&command.kind);
        if !stays {
            self.streams = kept;
        }
        flow
    }

    fn kind(&mut self, kind: &Kind) -> Flow {
        match kind {
            Kind::Simple { assignments, words } => self.simple(assignments, words),
            Kind::Group(list) => self.list(list),
            Kind::Subshell(list) => {
                let mut shell = self.clone();
                shell.is_interactive = false;
                shell.list(list);
                self.status = shell.status;
                Flow::Next
            }
            Kind::If {
                branches,
                otherwise,
            } => {
                for (condition, body) in branches {
                    let flow = self.condition(condition);
                    if flow != Flow::Next {
                        return flow;
                    }
                    if self.status == 0 {
                        return self.list(body);
                    }
                }
                self.status = 0;
                otherwise
                    .as_ref()
                    .map_or(Flow::Next, |list| self.list(list))
            }
            Kind::Loop {
                until,
                condition,
                body,
            } => {
                let mut status = 0;
                loop {
                    let flow = self.condition(condition);
                    if flow != Flow::Next {
                        return flow;
                    }
                    if (self.status == 0) == *until {
                        self.status = status;
                        return Flow::Next;
                    }
                    let flow = self.list(body);
                    status = self.status;
                    if let Some(flow) = after_round(flow) {
                        return flow;
                    }
                }
            }
            Kind::For { name, words, body } => {
                let values = match words {
                    Some(words) => match self.fields(words) {
                        Ok(values) => values,
                        Err(text) => return self.failed(&text),
                    },
                    None => self.arguments.clone(),
                };
                self.status = 0;
                for value in values {
                    self.set(name, value);
                    if let Some(flow) = after_round(self.list(body)) {
                        return flow;
                    }
                }
                Flow::Next
            }
            Kind::Case { word, arms } => self.case(word, arms),
            Kind::Function { name, body } => {
                self.functions.insert(name.clone(), body.as_ref().clone());
                self.status = 0;
                Flow::Next
            }
        }
    }

    /// A list whose failure is an answer and no reason to end.
    fn condition(&mut self, list: &List) -> Flow {
        let ends = std::mem::take(&mut self.ends_on_error);
        let flow = self.list(list);
        self.ends_on_error = ends;
        flow
    }

    fn case(&mut self, word: &Word, arms: &[(Vec<Word>, List)]) -> Flow {
        let text: Vec<char> = match self.single(word) {
            Ok(text) => text.chars().collect(),
            Err(text) => return self.failed(&text),
        };
        self.status = 0;
        for (patterns, list) in arms {
            for pattern in patterns {
                match self.pattern(pattern) {
                    Ok(pattern) if expand::matches(&pattern, &text) => return self.list(list),
                    Ok(_) => {}
                    Err(text) => return self.failed(&text),
                }
            }
        }
        Flow::Next
    }

    /// A word that can't be expanded ends a script.
    fn failed(&mut self, text: &str) -> Flow {
        self.complain(text);
        self.status = 2;
        self.broken_off()
    }

    fn simple(&mut self, assignments: &[(String, Word)], words: &[Word]) -> Flow {
        let before = self.status;
        let argv = match self.fields(words) {
            Ok(argv) => argv,
            Err(text) => return self.failed(&text),
        };
        if argv.is_empty() {
            // A command substitution's status stays; otherwise an assignment succeeds.
            self.status = if words.is_empty() { 0 } else { before };
        }
        let mut values = Vec::new();
        for (name, word) in assignments {
            match self.single(word) {
                Ok(value) => values.push((name.clone(), value)),
                Err(text) => return self.failed(&text),
            }
        }
        if self.traces {
            let shown: Vec<String> = values
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .chain(argv.iter().cloned())
                .collect();
            self.streams.complain(format_args!("+ {}", shown.join(" ")));
        }
        let Some(name) = argv.first() else {
            for (name, value) in values {
                self.set(&name, value);
            }
            return Flow::Next;
        };
        if let Some(function) = self.functions.get(name).cloned() {
            for (name, value) in values {
                self.set(&name, value);
            }
            let arguments = std::mem::replace(&mut self.arguments, argv[1..].to_vec());
            let flow = self.command(&function);
            self.arguments = arguments;
            return if flow == Flow::Return {
                Flow::Next
            } else {
                flow
            };
        }
        if builtins::is_special(name) {
            for (name, value) in &values {
                self.set(name, value.clone());
            }
        }
        let refused = self.streams.output.refused();
        let mut is_builtin = true;
        let flow = builtins::run(self, &argv).unwrap_or_else(|| {
            is_builtin = IN_SHELL.contains(&argv[0].as_str());
            self.status = self.program(&argv, values);
            Flow::Next
        });
        // SIGPIPE ends a shell that writes itself. A program ends alone the first time; a second time it is a loop, which
        // would never end.
        if self.streams.output.refused() > refused && (is_builtin || refused > 0) {
            self.status = BROKEN_PIPE;
            return Flow::Exit;
        }
        flow
    }

    fn program(&mut self, argv: &[String], values: Vec<(String, String)>) -> i32 {
        let mut world = self.world.clone();
        world.is_main = false;
        world.env = self
            .exported
            .iter()
            .filter_map(|name| Some((name.clone(), self.variables.get(name)?.clone())))
            .chain(values)
            .collect();
        let path = self.get("PATH").unwrap_or_default();
        match programs::locate(&world.view, world.image, &world.directory, &path, &argv[0]) {
            Ok(program) => programs::run(program, &mut world, argv, self.streams.clone()),
            Err(why) => {
                let (text, code) = match why {
                    Missing::NotInPath | Missing::NoFile => ("not found", 127),
                    Missing::NotExecutable | Missing::IsFolder => ("Permission denied", 126),
                };
                self.complain(format_args!("{}: {text}", argv[0]));
                code
            }
        }
    }

    /// What a list writes to standard output.
    fn capture(&mut self, list: &List) -> String {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let mut shell = self.clone();
        let console = Arc::clone(&self.world.console);
        shell.streams.output = Sink::Buffer(Arc::clone(&buffer), console);
        shell.is_interactive = false;
        shell.world.depth += 1;
        shell.list(list);
        self.status = shell.status;
        let mut bytes = std::mem::take(&mut *buffer.lock().unwrap());
        // No variable holds them, and no argument.
        bytes.retain(|byte| *byte != 0);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn redirect(&mut self, redirect: &Redirect) -> Result<(), String> {
        let target = self.single(&redirect.target)?;
        let (world, directory) = (&self.world, &self.world.directory);
        let wrong = |what: &str, error: &io::Error| format!("{what} {target}: {}", reason(error));
        match (redirect.stream, redirect.how) {
            (0, How::Read) => {
                let file = world
                    .view
                    .open(directory, &target)
                    .map_err(|error| wrong("can't open", &error))?;
                self.streams.input = Source::File(Arc::new(file), Arc::clone(&world.console));
            }
            (0, How::Here) => {
                self.streams.input =
                    Source::Text(Arc::new(Mutex::new(io::Cursor::new(target.into_bytes()))));
            }
            (stream @ (1 | 2), How::Truncate | How::Append) => {
                let how = if redirect.how == How::Append {
                    view::Write::Append
                } else {
                    view::Write::Truncate
                };
                let file = world
                    .view
                    .create(directory, &target, how)
                    .map_err(|error| wrong("can't create", &error))?;
                let sink = Sink::File(Arc::new(file), Arc::clone(&world.console));
                if stream == 1 {
                    self.streams.output = sink;
                } else {
                    self.streams.error = sink;
                }
            }
            (1, How::Same) if target == "2" => self.streams.output = self.streams.error.clone(),
            (2, How::Same) if target == "1" => self.streams.error = self.streams.output.clone(),
            (stream, How::Same) if target == stream.to_string() => {}
            (_, How::Same) if target == "-" => {}
            (stream, _) => return Err(format!("{stream}: Bad file descriptor")),
        }
        Ok(())
    }
}

/// What a loop does after a round; `None`: the next one.
fn after_round(flow: Flow) -> Option<Flow> {
    match flow {
        Flow::Next | Flow::Continue(1) => None,
        Flow::Break(1) => Some(Flow::Next),
        Flow::Break(usize::MAX) => Some(flow),
        Flow::Break(n) => Some(Flow::Break(n - 1)),
        Flow::Continue(n) => Some(Flow::Continue(n - 1)),
        other => Some(other),
    }
}

fn is_exec(word: &Word) -> bool {
    matches!(word.as_slice(), [parse::Part::Text { text, quoted: false }] if text == "exec")
}
