//! Programs about the machine and its environment: `date`, `env`, `sleep`, `ps` and the like, with the options people use.

use std::io::{self, Write};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{Sink, Streams, World, locate, print, run as run_program, seq};

/// Runs a program of this kind; `None` if it is not one.
pub(super) fn run(
    name: &str,
    world: &mut World,
    argv: &[String],
    streams: &mut Streams,
) -> Option<io::Result<i32>> {
    let args = &argv[1..];
    let mut out = streams.output.clone();
    Some(match name {
        "true" => Ok(0),
        "false" => Ok(1),
        "echo" => print::echo(&mut out, args),
        "printf" => print::printf(&out, args),
        "seq" => seq::run(&out, args),
        "yes" => print::yes(&mut out, args),
        "env" | "printenv" => return Some(environment(name, world, args, streams)),
        "date" => date(&mut out, args).map(|()| 0),
        "sleep" => sleep(world, args, streams),
        "hostname" => writeln!(out, "{}", world.hostname).map(|()| 0),
        "whoami" => writeln!(out, "root").map(|()| 0),
        "id" => writeln!(out, "uid=0(root) gid=0(root) groups=0(root)").map(|()| 0),
        "uname" => uname(&mut out, world, args).map(|()| 0),
        "nproc" => writeln!(
            out,
            "{}",
            std::thread::available_parallelism().map_or(1, usize::from)
        )
        .map(|()| 0),
        "uptime" => writeln!(
            out,
            " {} up, load average: 0.00, 0.00, 0.00",
            now().strftime("%H:%M:%S")
        )
        .map(|()| 0),
        "ps" => processes(&mut out, world).map(|()| 0),
        "expr" => expr(&mut out, args),
        _ => return None,
    })
}

fn environment(
    name: &str,
    world: &mut World,
    args: &[String],
    streams: &mut Streams,
) -> io::Result<i32> {
    if name == "printenv" && !args.is_empty() {
        let mut code = 0;
        for arg in args {
            match world.env.get(arg) {
                Some(value) => writeln!(streams.output, "{value}")?,
                None => code = 1,
            }
        }
        return Ok(code);
    }
    let mut world = world.clone();
    let mut args = args.iter().skip_while(|arg| arg.as_str() == "-").peekable();
    while let Some(arg) = args.peek() {
        match (arg.as_str(), arg.split_once('=')) {
            ("-i", _) => world.env.clear(),
            ("-u", _) => {
                args.next();
                if let Some(name) = args.peek() {
                    world.env.remove(*name);
                }
            }
            (_, Some((name, value))) => {
                world.env.insert(name.to_owned(), value.to_owned());
            }
            _ => break,
        }
        args.next();
    }
    let argv: Vec<String> = args.cloned().collect();
    if let Some(program) = argv.first() {
        let path = world.env.get("PATH").cloned().unwrap_or_default();
        return match locate(&world.view, world.image, &world.directory, &path, program) {
            Ok(found) => Ok(run_program(found, &mut world, &argv, streams.clone())),
            Err(_) => {
                streams.complain(format_args!(
                    "env: can't execute '{program}': No such file or directory"
                ));
                Ok(127)
            }
        };
    }
    let text: String = world
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    streams.output.write_all(text.as_bytes())?;
    Ok(0)
}

fn now() -> Zoned {
    // Containers run in UTC unless they are told otherwise.
    Timestamp::now().to_zoned(TimeZone::UTC)
}

fn date(out: &mut Sink, args: &[String]) -> io::Result<()> {
    let mut now = now();
    let mut format = "%a %b %e %H:%M:%S %Z %Y".to_owned();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-u" | "--utc" => {}
            "-Iseconds" | "-Is" => format = "%Y-%m-%dT%H:%M:%S+00:00".to_owned(),
            "-I" => format = "%Y-%m-%d".to_owned(),
            "-R" => format = "%a, %d %b %Y %H:%M:%S +0000".to_owned(),
            "-d" | "--date" => {
                let text = args.next().map(String::as_str).unwrap_or_default();
                let seconds = text
                    .strip_prefix('@')
                    .and_then(|seconds| seconds.parse().ok());
                let moment = seconds
                    .and_then(|seconds| Timestamp::from_second(seconds).ok())
                    .or_else(|| text.parse().ok());
                let moment =
                    moment.ok_or_else(|| io::Error::other(format!("invalid date '{text}'")))?;
                now = moment.to_zoned(TimeZone::UTC);
            }
            arg => match arg.strip_prefix('+') {
                Some(own) => own.clone_into(&mut format),
                None => return Err(io::Error::other(format!("invalid date '{arg}'"))),
            },
        }
    }
    // jiff writes fractions as %f with a width; date's nanoseconds are %N.
    let format = format.replace("%N", "%9f");
    let text = jiff::fmt::strtime::format(&format, &now)
        .map_err(|error| io::Error::other(error.to_string()))?;
    writeln!(out, "{text}")
}

fn sleep(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut total = 0.0;
    for arg in args {
        if arg == "infinity" || arg == "inf" {
            total = f64::from(u32::MAX);
            continue;
        }
        let (digits, unit) = match arg.char_indices().last() {
            Some((at, unit)) if unit.is_ascii_alphabetic() => (&arg[..at], unit),
            _ => (arg.as_str(), 's'),
        };
        let factor = match unit {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86_400.0,
            _ => f64::NAN,
        };
        match digits.parse::<f64>() {
            Ok(number) if number >= 0.0 && !factor.is_nan() => total += number * factor,
            _ => {
                streams.complain(format_args!("sleep: invalid number '{arg}'"));
                return Ok(1);
            }
        }
    }
    if args.is_empty() {
        streams.complain("sleep: missing operand");
        return Ok(1);
    }
    world
        .console
        .sleep(Duration::from_secs_f64(total.min(f64::from(u32::MAX))));
    Ok(if world.console.is_interrupted() {
        130
    } else {
        0
    })
}

fn uname(out: &mut Sink, world: &World, args: &[String]) -> io::Result<()> {
    let (host, machine) = (&world.hostname, std::env::consts::ARCH);
    match args.first().map(String::as_str) {
        Some("-a") => writeln!(out, "Linux {host} 6.0.0-eizoku {machine} GNU/Linux"),
        Some("-n") => writeln!(out, "{host}"),
        Some("-m" | "-p") => writeln!(out, "{machine}"),
        Some("-r") => writeln!(out, "6.0.0-eizoku"),
        _ => writeln!(out, "Linux"),
    }
}

/// The main process, and this one.
fn processes(out: &mut Sink, world: &World) -> io::Result<()> {
    let mut text = "PID   USER     TIME  COMMAND\n".to_owned();
    let main = world.main_argv.join(" ");
    let is_postgres = main.starts_with("docker-entrypoint.sh");
    let (user, main) = if is_postgres {
        ("postgres", "postgres")
    } else {
        ("root", main.as_str())
    };
    text.push_str(&format!("    1 {user:<8} 0:00 {main}\n"));
    if !world.is_main {
        text.push_str(&format!("{:>5} root     0:00 ps\n", std::process::id()));
    }
    out.write_all(text.as_bytes())
}

/// `expr a + b` and comparisons; 0 if the result is neither empty nor 0.
fn expr(out: &mut Sink, args: &[String]) -> io::Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|_| io::Error::other("non-integer argument"))
    };
    let result = match words.as_slice() {
        [word] => (*word).to_owned(),
        ["length", text] => text.chars().count().to_string(),
        [a, "=", b] => i32::from(a == b).to_string(),
        [a, "!=", b] => i32::from(a != b).to_string(),
        [a, operator, b] => {
            let (a, b) = (number(a)?, number(b)?);
            match *operator {
                "+" => a.wrapping_add(b),
                "-" => a.wrapping_sub(b),
                "*" => a.wrapping_mul(b),
                "/" | "%" if b == 0 => return Err(io::Error::other("division by zero")),
                "/" => a.wrapping_div(b),
                "%" => a.wrapping_rem(b),
                "<" => i64::from(a < b),
                ">" => i64::from(a > b),
                "<=" => i64::from(a <= b),
                ">=" => i64::from(a >= b),
                _ => return Err(io::Error::other("syntax error")),
            }
            .to_string()
        }
        _ => return Err(io::Error::other("syntax error")),
    };
    writeln!(out, "{result}")?;
    Ok(i32::from(result.is_empty() || result == "0"))
}
