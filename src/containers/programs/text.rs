//! Programs about text and the machine: `echo`, `cat`, `grep`, `date`, `env` and the like, with the options people use.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::super::image::ImageKind;
use super::{Sink, Source, Streams, World, locate, reason, run as run_program};

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
        "echo" => echo(&mut out, args),
        "printf" => printf(&mut out, args).map(|()| 0),
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
        "seq" => seq(&mut out, args).map(|()| 0),
        "yes" => loop {
            let word = if args.is_empty() {
                "y".to_owned()
            } else {
                args.join(" ")
            };
            if let Err(error) = writeln!(out, "{word}") {
                break Err(error);
            }
        },
        "tee" => tee(world, args, streams),
        "tr" => tr(args, streams),
        "tail" if args.iter().any(|arg| arg == "-f" || arg == "-F") => follow(world, args, streams),
        "cat" | "head" | "tail" | "wc" | "grep" | "sort" | "uniq" | "cut" | "base64" => {
            filter(name, world, args, streams)
        }
        "expr" => expr(&mut out, args),
        _ => return None,
    })
}

fn echo(out: &mut Sink, args: &[String]) -> io::Result<i32> {
    let (mut newline, mut escapes, mut skip) = (true, false, 0);
    for arg in args {
        match arg.as_str() {
            "-n" => newline = false,
            "-e" => escapes = true,
            "-ne" | "-en" => (newline, escapes) = (false, true),
            _ => break,
        }
        skip += 1;
    }
    let text = args[skip..].join(" ");
    let text = if escapes { unescape(&text) } else { text };
    // One write, so that lines of several writers do not mix.
    out.write_all(format!("{text}{}", if newline { "\n" } else { "" }).as_bytes())?;
    Ok(0)
}

fn unescape(text: &str) -> String {
    let mut result = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => result.push('\n'),
            Some('t') => result.push('\t'),
            Some('r') => result.push('\r'),
            Some('e') => result.push('\x1b'),
            Some('a') => result.push('\x07'),
            Some('\\') | None => result.push('\\'),
            Some(digit @ '0'..='7') => {
                let mut value = digit.to_digit(8).unwrap_or(0);
                while let Some(more) = chars.peek().and_then(|c| c.to_digit(8)) {
                    value = value * 8 + more;
                    chars.next();
                }
                result.push(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => result.extend(['\\', other]),
        }
    }
    result
}

fn printf(out: &mut Sink, args: &[String]) -> io::Result<()> {
    let Some((format, values)) = args.split_first() else {
        return Err(io::Error::other("usage: printf FORMAT [ARG]..."));
    };
    let mut values = values.iter();
    let mut text = String::new();
    loop {
        let left = values.len();
        let mut chars = format.chars().peekable();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            if c != '%' {
                plain.push(c);
                continue;
            }
            text.push_str(&unescape(&std::mem::take(&mut plain)));
            let mut spec = String::new();
            while let Some(c) = chars.next_if(|c| "-+ 0123456789.".contains(*c)) {
                spec.push(c);
            }
            match chars.next() {
                Some('%') => text.push('%'),
                Some('s') => {
                    text.push_str(&padded(&spec, values.next().map_or("", String::as_str)));
                }
                Some('b') => text.push_str(&unescape(values.next().map_or("", String::as_str))),
                Some('c') => text.extend(values.next().and_then(|value| value.chars().next())),
                Some(kind @ ('d' | 'i' | 'x' | 'o' | 'u')) => {
                    let number: i64 = values
                        .next()
                        .and_then(|value| value.trim().parse().ok())
                        .unwrap_or(0);
                    let digits = match kind {
                        'x' => format!("{number:x}"),
                        'o' => format!("{number:o}"),
                        _ => number.to_string(),
                    };
                    text.push_str(&padded(&spec, &digits));
                }
                Some(other) => return Err(io::Error::other(format!("%{other}: invalid format"))),
                None => text.push('%'),
            }
        }
        text.push_str(&unescape(&plain));
        // The format is used again as long as it takes arguments and there are some.
        if values.len() == 0 || values.len() == left {
            return out.write_all(text.as_bytes());
        }
    }
}

fn padded(spec: &str, text: &str) -> String {
    let (width, precision) = spec.split_once('.').unwrap_or((spec, ""));
    let text: String = match precision.parse() {
        Ok(most) => text.chars().take(most).collect(),
        Err(_) => text.to_owned(),
    };
    let wide: usize = width
        .trim_start_matches(['-', '+', ' ', '0'])
        .parse()
        .unwrap_or(0);
    let gap = wide.saturating_sub(text.chars().count());
    match width.chars().next() {
        Some('-') => text + &" ".repeat(gap),
        Some('0') => "0".repeat(gap) + &text,
        _ => " ".repeat(gap) + &text,
    }
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

fn seq(out: &mut Sink, args: &[String]) -> io::Result<()> {
    let numbers: Vec<i64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] if *step != 0 => (*first, *step, *last),
        _ => return Err(io::Error::other("invalid number")),
    };
    let mut n = first;
    while if step > 0 { n <= last } else { n >= last } {
        writeln!(out, "{n}")?;
        n += step;
    }
    Ok(())
}

fn tee(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    use super::super::view::Write as How;
    let append = args.first().is_some_and(|arg| arg == "-a");
    let how = if append { How::Append } else { How::Truncate };
    let mut files = Vec::new();
    for path in args.iter().skip(usize::from(append)) {
        files.push(world.view.create(&world.directory, path, how)?);
    }
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = streams.input.read(&mut buffer)?;
        if n == 0 {
            return Ok(0);
        }
        streams.output.write_all(&buffer[..n])?;
        for file in &mut files {
            file.write_all(&buffer[..n])?;
        }
    }
}

fn tr(args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let expand = |set: &String| {
        let chars: Vec<char> = unescape(set).chars().collect();
        let mut all = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            if at + 2 < chars.len() && chars[at + 1] == '-' {
                all.extend(chars[at]..=chars[at + 2]);
                at += 3;
            } else {
                all.push(chars[at]);
                at += 1;
            }
        }
        all
    };
    let mut text = String::new();
    streams.input.read_to_string(&mut text)?;
    let result: String = match args {
        [flag, set] if flag == "-d" => {
            let set = expand(set);
            text.chars().filter(|c| !set.contains(c)).collect()
        }
        [from, to] => {
            let (from, to) = (expand(from), expand(to));
            let swap = |c: char| match (from.iter().position(|known| *known == c), to.last()) {
                (Some(at), Some(last)) => *to.get(at).unwrap_or(last),
                _ => c,
            };
            text.chars().map(swap).collect()
        }
        _ => return Err(io::Error::other("usage: tr [-d] SET1 [SET2]")),
    };
    streams.output.write_all(result.as_bytes())?;
    Ok(0)
}

/// `tail -f`: what is there, then what comes, until Ctrl-C.
fn follow(world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let Some(path) = args
        .iter()
        .rfind(|arg| !arg.starts_with('-') && arg.parse::<u32>().is_err())
    else {
        return Err(io::Error::other("no file to follow"));
    };
    let mut file = world.view.open(&world.directory, path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let skip = text
        .iter()
        .rev()
        .skip(1)
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(9);
    let start = skip.map_or(0, |(at, _)| text.len() - 1 - at);
    streams.output.write_all(&text[start..])?;
    while !world.console.is_interrupted() {
        text.clear();
        file.read_to_end(&mut text)?;
        if text.is_empty() {
            world.console.sleep(Duration::from_millis(200));
        } else {
            streams.output.write_all(&text)?;
        }
    }
    Ok(130)
}

/// Options of the programs that read files or standard input.
#[derive(Default)]
struct Options {
    flags: String,
    /// `-n`, or `-5`.
    count: Option<String>,
    delimiter: char,
    fields: String,
    pattern: String,
}

fn filter(name: &str, world: &World, args: &[String], streams: &mut Streams) -> io::Result<i32> {
    let mut options = Options {
        delimiter: '\t',
        ..Options::default()
    };
    let mut files = Vec::new();
    let mut args = args.iter();
    let mut wants_pattern = name == "grep";
    while let Some(arg) = args.next() {
        let letters = arg.strip_prefix('-').filter(|letters| !letters.is_empty());
        let Some(letters) = letters else {
            if wants_pattern {
                options.pattern.clone_from(arg);
                wants_pattern = false;
            } else {
                files.push(arg.clone());
            }
            continue;
        };
        let takes_value = match name {
            "head" | "tail" => "nc",
            "cut" => "dfc",
            "grep" => "e",
            _ => "",
        };
        let first = letters.chars().next().unwrap_or_default();
        if letters.bytes().all(|b| b.is_ascii_digit()) {
            options.count = Some(letters.to_owned());
        } else if takes_value.contains(first) {
            let rest = letters[1..].to_owned();
            let value = if rest.is_empty() {
                args.next().cloned().unwrap_or_default()
            } else {
                rest
            };
            match first {
                'd' => options.delimiter = value.chars().next().unwrap_or('\t'),
                'f' => options.fields = value,
                'e' => {
                    options.pattern = value;
                    wants_pattern = false;
                }
                letter => {
                    options.flags.push(letter);
                    options.count = Some(value);
                }
            }
        } else {
            options.flags.push_str(letters);
        }
    }
    let many = files.len() > 1;
    if files.is_empty() {
        files.push("-".to_owned());
    }
    let mut job = Job {
        name,
        options,
        many,
        found: false,
        counts: Vec::new(),
        lines: Vec::new(),
    };
    let mut code = 0;
    for (nth, path) in files.iter().enumerate() {
        let source = if path == "-" {
            streams.input.clone()
        } else {
            match world.view.open(&world.directory, path) {
                Ok(file) => Source::File(std::sync::Arc::new(file)),
                Err(error) => {
                    code = if name == "grep" { 2 } else { 1 };
                    // In Debian's words, or in busybox's, which opens files in two ways.
                    let why = reason(&error);
                    let opens = ["cat", "tail", "sort", "uniq", "base64"].contains(&name);
                    if world.image == ImageKind::Busybox && opens {
                        streams.complain(format_args!("{name}: can't open '{path}': {why}"));
                    } else {
                        streams.complain(format_args!("{name}: {path}: {why}"));
                    }
                    continue;
                }
            }
        };
        if many && matches!(name, "head" | "tail") {
            let gap = if nth == 0 { "" } else { "\n" };
            writeln!(streams.output, "{gap}==> {path} <==")?;
        }
        job.file(source, path, &mut streams.output)?;
    }
    job.end(&mut streams.output)?;
    Ok(if name == "grep" && code == 0 {
        i32::from(!job.found)
    } else {
        code
    })
}

struct Job<'a> {
    name: &'a str,
    options: Options,
    many: bool,
    found: bool,
    counts: Vec<[usize; 3]>,
    lines: Vec<String>,
}

impl Job<'_> {
    fn has(&self, flag: char) -> bool {
        self.options.flags.contains(flag)
    }

    fn file(&mut self, mut source: Source, path: &str, out: &mut Sink) -> io::Result<()> {
        match self.name {
            "cat" if !self.has('n') => {
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let n = source.read(&mut buffer)?;
                    if n == 0 {
                        return Ok(());
                    }
                    out.write_all(&buffer[..n])?;
                }
            }
            "wc" => {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes)?;
                let text = String::from_utf8_lossy(&bytes);
                let count = [
                    bytes.iter().filter(|b| **b == b'\n').count(),
                    text.split_whitespace().count(),
                    bytes.len(),
                ];
                self.counts.push(count);
                self.write_count(count, path, out)
            }
            "base64" => {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes)?;
                if self.has('d') {
                    return out.write_all(&decode(&bytes));
                }
                writeln!(out, "{}", encode(&bytes))
            }
            _ => self.each_line(source, path, out),
        }
    }

    fn each_line(&mut self, source: Source, path: &str, out: &mut Sink) -> io::Result<()> {
        let count = self.options.count.clone();
        let limit: usize = count.as_deref().map_or(10, |text| {
            text.trim_start_matches('+').parse().unwrap_or(10)
        });
        if self.has('c') && matches!(self.name, "head" | "tail") {
            let mut bytes = Vec::new();
            let mut source = source;
            source.read_to_end(&mut bytes)?;
            let limit = limit.min(bytes.len());
            let part = if self.name == "head" {
                &bytes[..limit]
            } else {
                &bytes[bytes.len() - limit..]
            };
            return out.write_all(part);
        }
        let from_start = count.as_deref().is_some_and(|text| text.starts_with('+'));
        let mut hits = 0;
        let mut reader = BufReader::new(source);
        let mut number = 0;
        let mut bytes = Vec::new();
        loop {
            if self.name == "head" && number >= limit {
                break;
            }
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            number += 1;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            let line = String::from_utf8_lossy(&bytes).into_owned();
            match self.name {
                "cat" => writeln!(out, "{number:>6}\t{line}")?,
                "head" => writeln!(out, "{line}")?,
                "tail" if from_start => {
                    if number >= limit {
                        writeln!(out, "{line}")?;
                    }
                }
                "cut" => writeln!(out, "{}", self.cut(&line))?,
                "grep" => {
                    let fits = fits(&self.options.pattern, &line, self.has('i'), self.has('F'));
                    if fits != self.has('v') {
                        self.found = true;
                        hits += 1;
                        if !self.has('c') && !self.has('q') {
                            let title = if self.many {
                                format!("{path}:")
                            } else {
                                String::new()
                            };
                            let at = if self.has('n') {
                                format!("{number}:")
                            } else {
                                String::new()
                            };
                            writeln!(out, "{title}{at}{line}")?;
                        }
                    }
                }
                _ => self.lines.push(line),
            }
        }
        if self.name == "grep" && self.has('c') {
            writeln!(out, "{hits}")?;
        }
        if self.name == "tail" && !from_start {
            let skip = self.lines.len().saturating_sub(limit);
            for line in self.lines.drain(..).skip(skip) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    fn cut(&self, line: &str) -> String {
        let parts: Vec<&str> = line.split(self.options.delimiter).collect();
        if parts.len() == 1 {
            return line.to_owned();
        }
        let mut chosen = Vec::new();
        for range in self.options.fields.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let first = first.parse().unwrap_or(1).max(1);
            let last = last.parse().unwrap_or(parts.len()).min(parts.len());
            chosen.extend((first..=last).map(|at| parts[at - 1]));
        }
        chosen.join(&self.options.delimiter.to_string())
    }

    fn write_count(&self, count: [usize; 3], path: &str, out: &mut Sink) -> io::Result<()> {
        let all = !self.has('l') && !self.has('w') && !self.has('c');
        let mut words: Vec<String> = ['l', 'w', 'c']
            .into_iter()
            .zip(count)
            .filter(|(flag, _)| all || self.has(*flag))
            .map(|(_, n)| {
                if all {
                    format!("{n:>7}")
                } else {
                    n.to_string()
                }
            })
            .collect();
        if path != "-" {
            words.push(path.to_owned());
        }
        writeln!(out, "{}", words.join(" "))
    }

    fn end(&mut self, out: &mut Sink) -> io::Result<()> {
        match self.name {
            "wc" if self.counts.len() > 1 => {
                let total = self.counts.iter().fold([0; 3], |sum, count| {
                    [sum[0] + count[0], sum[1] + count[1], sum[2] + count[2]]
                });
                self.write_count(total, "total", out)?;
            }
            "sort" => {
                if self.has('n') {
                    self.lines.sort_by_key(|line| {
                        let line = line.trim_start();
                        let end = line
                            .find(|c: char| !c.is_ascii_digit() && c != '-')
                            .unwrap_or(line.len());
                        line[..end].parse::<i64>().unwrap_or(0)
                    });
                } else {
                    self.lines.sort();
                }
                if self.has('r') {
                    self.lines.reverse();
                }
                if self.has('u') {
                    self.lines.dedup();
                }
                for line in &self.lines {
                    writeln!(out, "{line}")?;
                }
            }
            "uniq" => {
                let mut at = 0;
                while at < self.lines.len() {
                    let run = self.lines[at..]
                        .iter()
                        .take_while(|line| **line == self.lines[at])
                        .count();
                    if self.has('c') {
                        writeln!(out, "{run:>7} {}", self.lines[at])?;
                    } else {
                        writeln!(out, "{}", self.lines[at])?;
                    }
                    at += run;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a line fits a basic regular expression: `^`, `$`, `.`, `*`, and `\|` or `|` between alternatives.
fn fits(pattern: &str, line: &str, any_case: bool, fixed: bool) -> bool {
    let (pattern, line) = if any_case {
        (pattern.to_lowercase(), line.to_lowercase())
    } else {
        (pattern.to_owned(), line.to_owned())
    };
    if fixed {
        return line.contains(&pattern);
    }
    let line: Vec<char> = line.chars().collect();
    pattern.replace("\\|", "|").split('|').any(|part| {
        let part: Vec<char> = part.chars().collect();
        match part.split_first() {
            Some(('^', rest)) => fits_here(rest, &line),
            _ => (0..=line.len()).any(|at| fits_here(&part, &line[at..])),
        }
    })
}

fn fits_here(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        ['\\', c, rest @ ..] => text.first() == Some(c) && fits_here(rest, &text[1..]),
        [c, '*', rest @ ..] => {
            let run = text.iter().take_while(|t| *c == '.' || *t == c).count();
            (0..=run).rev().any(|skip| fits_here(rest, &text[skip..]))
        }
        [c, rest @ ..] => {
            text.first().is_some_and(|t| *c == '.' || t == c) && fits_here(rest, &text[1..])
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk
            .iter()
            .fold(0_u32, |all, byte| (all << 8) | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            if at > chunk.len() {
                text.push('=');
            } else {
                text.push(char::from(ALPHABET[(all >> (18 - 6 * at) & 63) as usize]));
            }
        }
    }
    text
}

fn decode(text: &[u8]) -> Vec<u8> {
    let values: Vec<u32> = text
        .iter()
        .filter_map(|byte| ALPHABET.iter().position(|known| known == byte))
        .filter_map(|at| u32::try_from(at).ok())
        .collect();
    let mut bytes = Vec::new();
    for chunk in values.chunks(4).filter(|chunk| chunk.len() > 1) {
        let all = chunk.iter().fold(0, |all, value| (all << 6) | value) << (6 * (4 - chunk.len()));
        bytes.extend(&all.to_be_bytes()[1..chunk.len()]);
    }
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_padding_are_those_of_printf() {
        assert_eq!(unescape("a\\tb\\n\\\\ \\101 \\q"), "a\tb\n\\ A \\q");
        assert_eq!(padded("5", "ab"), "   ab");
        assert_eq!(padded("-5", "ab"), "ab   ");
        assert_eq!(padded("05", "12"), "00012");
        assert_eq!(padded(".1", "ab"), "a");
    }

    #[test]
    fn lines_fit_basic_patterns() {
        for (pattern, line, fit) in [
            ("app", "apple", true),
            ("^app", "pineapple", false),
            ("e$", "apple", true),
            ("a.*e", "xapplex", true),
            ("^$", "", true),
            ("x|pl", "apple", true),
            ("1\\.5", "125", false),
            ("りん", "りんご", true),
        ] {
            assert_eq!(fits(pattern, line, false, false), fit, "{pattern} {line}");
        }
        assert!(fits("APP", "apple", true, false));
    }

    #[test]
    fn base64_goes_both_ways() {
        for (plain, coded) in [
            ("", ""),
            ("a", "YQ=="),
            ("password", "cGFzc3dvcmQ="),
            ("りんご", "44KK44KT44GU"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded.as_bytes()), plain.as_bytes());
        }
    }
}
