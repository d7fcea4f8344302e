//! What only the shell itself can do: its variables, its directory, its flow.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::programs::{self, Source, reason};
use super::parse::{self, is_name};
use super::{Flow, Shell};

/// The signals that a script may name, with their numbers.
const SIGNALS: [(&str, i32); 8] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
];

/// Builtins before which assignments stay.
pub(super) fn is_special(name: &str) -> bool {
    matches!(
        name,
        ":" | "."
            | "eval"
            | "exec"
            | "exit"
            | "export"
            | "readonly"
            | "return"
            | "set"
            | "shift"
            | "trap"
            | "unset"
    )
}

/// Runs a builtin; `None` if this is none.
pub(super) fn run(shell: &mut Shell, argv: &[String]) -> Option<Flow> {
    let number = |at: usize, otherwise: i32| {
        argv.get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    };
    shell.status = match argv[0].as_str() {
        ":" => 0,
        "cd" => cd(shell, argv.get(1)),
        "pwd" => {
            let line = format!("{}\n", shell.world.directory);
            i32::from(shell.streams.output.write_all(line.as_bytes()).is_err())
        }
        "exit" => {
            shell.status = number(1, shell.status) & 0xff;
            return Some(Flow::Exit);
        }
        "return" => {
            shell.status = number(1, shell.status) & 0xff;
            return Some(Flow::Return);
        }
        "break" => {
            return Some(Flow::Break(
                usize::try_from(number(1, 1)).unwrap_or(1).max(1),
            ));
        }
        "continue" => {
            return Some(Flow::Continue(
                usize::try_from(number(1, 1)).unwrap_or(1).max(1),
            ));
        }
        "export" | "readonly" | "local" => export(shell, argv),
        "unset" => {
            for name in argv[1..].iter().filter(|name| !name.starts_with('-')) {
                shell.variables.remove(name);
                shell.exported.remove(name);
                shell.functions.remove(name);
            }
            0
        }
        "set" => set(shell, argv),
        "shift" => {
            let count = usize::try_from(number(1, 1)).unwrap_or(1);
            if count > shell.arguments.len() {
                shell.complain("shift: can't shift that many");
                1
            } else {
                shell.arguments.drain(..count);
                0
            }
        }
        "read" => read(shell, argv),
        "eval" => match parse::parse(&argv[1..].join(" ")) {
            Ok(list) => {
                shell.status = 0;
                return Some(shell.list(&list));
            }
            Err(_) => {
                shell.complain("eval: syntax error");
                2
            }
        },
        "." | "source" => {
            let Some(path) = argv.get(1) else {
                shell.complain("filename argument required");
                return Some(Flow::Next);
            };
            shell.file(&path.clone())
        }
        "exec" if argv.len() > 1 => {
            shell.status = shell.program(&argv[1..], Vec::new());
            return Some(Flow::Exit);
        }
        "exec" => 0,
        "command" | "type" => find(shell, argv)?,
        "wait" => wait(shell),
        "trap" => trap(shell, argv),
        "kill" => kill(shell, argv),
        "umask" => i32::from(shell.streams.output.write_all(b"0022\n").is_err()),
        "jobs" | "hash" | "times" => 0,
        _ => return None,
    };
    Some(Flow::Next)
}

fn cd(shell: &mut Shell, to: Option<&String>) -> i32 {
    let target = match to.map(String::as_str) {
        None | Some("~") => shell.get("HOME").unwrap_or_else(|| "/".to_owned()),
        Some("-") => {
            let old = shell
                .get("OLDPWD")
                .unwrap_or_else(|| shell.world.directory.clone());
            let _ = shell
                .streams
                .output
                .write_all(format!("{old}\n").as_bytes());
            old
        }
        Some(path) => path.to_owned(),
    };
    let error = match shell
        .world
        .view
        .resolve(&shell.world.directory, &target, true)
    {
        Ok(place) if place.is_folder() => {
            let old = std::mem::replace(&mut shell.world.directory, place.path);
            let new = shell.world.directory.clone();
            shell.set("OLDPWD", old);
            shell.set("PWD", new);
            return 0;
        }
        Ok(place) => match place.about() {
            Ok(_) => "Not a directory".to_owned(),
            Err(error) => reason(&error),
        },
        Err(error) => reason(&error),
    };
    shell.complain(format_args!("cd: can't cd to {target}: {error}"));
    2
}

fn export(shell: &mut Shell, argv: &[String]) -> i32 {
    if argv.len() == 1 || argv[1] == "-p" {
        let lines: String = shell
            .exported
            .iter()
            .filter_map(|name| {
                Some(format!(
                    "export {name}='{}'\n",
                    shell.variables.get(name)?.replace('\'', "'\\''")
                ))
            })
            .collect();
        return i32::from(shell.streams.output.write_all(lines.as_bytes()).is_err());
    }
    for arg in &argv[1..] {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        if !is_name(name) {
            shell.complain(format_args!("{}: {arg}: bad variable name", argv[0]));
            return 2;
        }
        if let Some(value) = value {
            shell.set(name, value.to_owned());
        }
        if argv[0] == "export" {
            shell.exported.insert(name.to_owned());
        }
    }
    0
}

fn set(shell: &mut Shell, argv: &[String]) -> i32 {
    if argv.len() == 1 {
        let lines: String = shell
            .variables
            .iter()
            .map(|(name, value)| format!("{name}='{value}'\n"))
            .collect();
        return i32::from(shell.streams.output.write_all(lines.as_bytes()).is_err());
    }
    let mut args = argv[1..].iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            shell.arguments = args.cloned().collect();
            return 0;
        }
        let (on, letters) = match arg.split_at_checked(1) {
            Some(("-", letters)) => (true, letters),
            Some(("+", letters)) => (false, letters),
            _ => {
                shell.arguments = std::iter::once(arg).chain(args).cloned().collect();
                return 0;
            }
        };
        for letter in letters.chars() {
            match letter {
                'e' => shell.ends_on_error = on,
                'x' => shell.traces = on,
                'o' => match args.next().map(String::as_str) {
                    Some("errexit") => shell.ends_on_error = on,
                    Some("xtrace") => shell.traces = on,
                    _ => {}
                },
                _ => {}
            }
        }
    }
    0
}

/// Reads bytes up to and with a newline; `None` at the end. One byte at a time, because what follows is for others.
pub(super) fn read_line(input: &mut Source) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while let Ok(1) = input.read(&mut byte) {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
}

fn read(shell: &mut Shell, argv: &[String]) -> i32 {
    let mut names: Vec<&String> = Vec::new();
    let mut args = argv[1..].iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-r" => {}
            "-p" => {
                let prompt = args.next().cloned().unwrap_or_default();
                let _ = shell.streams.error.write_all(prompt.as_bytes());
            }
            _ => names.push(arg),
        }
    }
    let line = read_line(&mut shell.streams.input);
    let status = i32::from(line.is_none());
    let line = line.unwrap_or_default();
    let mut rest = line.trim();
    let reply = "REPLY".to_owned();
    if names.is_empty() {
        names.push(&reply);
    }
    for (at, name) in names.iter().enumerate() {
        let value = if at + 1 == names.len() {
            std::mem::take(&mut rest)
        } else {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = after.trim_start();
            word
        };
        shell.set(name, value.to_owned());
    }
    status
}

/// `command -v name` and `type name`; `command name …` runs it.
fn find(shell: &mut Shell, argv: &[String]) -> Option<i32> {
    let describes = argv[0] == "type";
    let name = match argv.get(1).map(String::as_str) {
        Some("-v") if !describes => argv.get(2)?,
        Some(_) if describes => argv.get(1)?,
        Some(_) => {
            let code = shell.program(&argv[1..], Vec::new());
            return Some(code);
        }
        None => return Some(0),
    };
    let own = [
        "cd", "exit", "export", "read", "set", "trap", "wait", "kill", "eval", "exec", "type",
        "command",
    ];
    let path = shell.get("PATH").unwrap_or_default();
    let found = if own.contains(&name.as_str()) {
        Some((name.clone(), "is a shell builtin".to_owned()))
    } else if shell.functions.contains_key(name) {
        Some((name.clone(), "is a function".to_owned()))
    } else {
        match programs::locate(
            &shell.world.view,
            shell.world.image,
            &shell.world.directory,
            &path,
            name,
        ) {
            Ok(programs::Program::BuiltIn(program)) => {
                Some((format!("/bin/{program}"), format!("is /bin/{program}")))
            }
            Ok(programs::Program::Script(path)) => Some((path.clone(), format!("is {path}"))),
            Err(_) => None,
        }
    };
    let name = name.clone();
    match found {
        Some((_, text)) if describes => {
            let _ = shell
                .streams
                .output
                .write_all(format!("{name} {text}\n").as_bytes());
            Some(0)
        }
        Some((path, _)) => {
            let _ = shell
                .streams
                .output
                .write_all(format!("{path}\n").as_bytes());
            Some(0)
        }
        None => {
            if describes {
                let _ = shell
                    .streams
                    .output
                    .write_all(format!("{name}: not found\n").as_bytes());
            }
            Some(127)
        }
    }
}

/// Waits for background commands; a signal with a trap ends the wait.
fn wait(shell: &mut Shell) -> i32 {
    loop {
        let mut jobs = shell.background.lock().unwrap();
        jobs.retain(|job| !job.is_finished());
        if jobs.is_empty() {
            return 0;
        }
        drop(jobs);
        let has_trap = |signal: &&str| shell.traps.contains_key(*signal);
        if shell.world.console.is_interrupted()
            || shell.world.console.signals().iter().any(has_trap)
        {
            return 143;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn trap(shell: &mut Shell, argv: &[String]) -> i32 {
    let Some((action, names)) = argv[1..].split_first() else {
        let lines: String = shell
            .traps
            .iter()
            .map(|(name, action)| format!("trap -- '{action}' {name}\n"))
            .collect();
        return i32::from(shell.streams.output.write_all(lines.as_bytes()).is_err());
    };
    for name in names {
        let known = SIGNALS.iter().find(|(known, number)| {
            name.trim_start_matches("SIG") == *known || *name == number.to_string()
        });
        let name = match (name.as_str(), known) {
            ("EXIT" | "0", _) => "EXIT",
            (_, Some((known, _))) => known,
            (name, None) => {
                let text = format!("trap: {name}: bad trap");
                shell.complain(text);
                return 1;
            }
        };
        if action == "-" {
            shell.traps.remove(name);
        } else {
            shell.traps.insert(name.to_owned(), action.clone());
        }
    }
    0
}

/// `kill [-signal] 1`: the container's main process is the one that can be signalled.
fn kill(shell: &mut Shell, argv: &[String]) -> i32 {
    let mut args: Vec<&str> = argv[1..].iter().map(String::as_str).collect();
    if args.first() == Some(&"-l") {
        let names: Vec<_> = SIGNALS
            .iter()
            .map(|(name, number)| format!("{number}) {name}"))
            .collect();
        return i32::from(
            shell
                .streams
                .output
                .write_all(format!("{}\n", names.join(" ")).as_bytes())
                .is_err(),
        );
    }
    if args.first() == Some(&"-s") && args.len() > 1 {
        args.remove(0);
    } else if args.first().is_none_or(|arg| !arg.starts_with('-')) {
        args.insert(0, "-TERM");
    }
    let name = args
        .remove(0)
        .trim_start_matches('-')
        .trim_start_matches("SIG")
        .to_owned();
    let signal = match SIGNALS
        .iter()
        .find(|(known, number)| name == *known || name == number.to_string())
    {
        Some((_, number)) => *number,
        None if name == "0" => 0,
        None => {
            shell.complain(format_args!("kill: invalid signal: {name}"));
            return 1;
        }
    };
    let mut status = 0;
    for process in args {
        let sent = match (
            process,
            Signal::from_named_raw(signal),
            Pid::from_raw(shell.world.main_process),
        ) {
            ("1", Some(signal), Some(pid)) => kill_process(pid, signal).is_ok(),
            ("1", None, Some(_)) => true,
            _ => false,
        };
        if !sent {
            shell.complain(format_args!("kill: ({process}) - No such process"));
            status = 1;
        }
    }
    status
}
