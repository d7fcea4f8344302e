//! Programs about files: `ls`, `mkdir`, `rm`, `test` and the like, with the options people use.

mod copy;

use std::io::{self, Write};
use std::time::SystemTime;

use jiff::Timestamp;

use super::super::place::{About, Place};
use super::super::view::parent_of;
use super::{Streams, World, locate, reason};

/// Runs a program of this kind; `None` if it is not one.
pub(super) fn run(
    name: &str,
    world: &mut World,
    argv: &[String],
    streams: &mut Streams,
) -> Option<io::Result<i32>> {
    let mut tool = Tool {
        name,
        world,
        streams,
        flags: String::new(),
        operands: Vec::new(),
        failed: false,
    };
    if matches!(name, "test" | "[") {
        return Some(Ok(tool.test(&argv[1..])));
    }
    if name == "find" {
        return Some(tool.find(&argv[1..]).map(|()| i32::from(tool.failed)));
    }
    tool.sort_out(&argv[1..]);
    let done = match name {
        "ls" => tool.list(),
        "touch" => tool.touch(),
        "mkdir" => tool.make_folders(),
        "rmdir" => tool.each(Tool::remove_folder),
        "rm" => tool.remove(),
        "cp" | "mv" => tool.copy_or_move(),
        "ln" => tool.link(),
        "chmod" => tool.change_mode(),
        "stat" => tool.stat(),
        "du" => tool.usage(),
        "df" => tool.free(),
        "mount" => tool.mounts(),
        "pwd" => writeln!(tool.streams.output, "{}", tool.world.directory),
        "sync" => Ok(()),
        "which" => tool.which(),
        "basename" => tool.base_name(),
        "dirname" => tool.each(|tool, path| {
            let parent = if path.contains('/') {
                parent_of(path)
            } else {
                ".".to_owned()
            };
            writeln!(tool.streams.output, "{parent}")
        }),
        _ => return None,
    };
    Some(done.map(|()| i32::from(tool.failed)))
}

struct Tool<'a> {
    name: &'a str,
    world: &'a mut World,
    streams: &'a mut Streams,
    /// The letters of all options.
    flags: String,
    operands: Vec<String>,
    failed: bool,
}

impl Tool<'_> {
    fn sort_out(&mut self, args: &[String]) {
        let mut ended = false;
        for arg in args {
            if ended || !arg.starts_with('-') || arg.len() == 1 {
                self.operands.push(arg.clone());
            } else if arg == "--" {
                ended = true;
            } else if let Some(long) = arg.strip_prefix("--") {
                self.flags.push_str(match long {
                    "all" => "a",
                    "recursive" => "r",
                    "force" => "f",
                    "parents" => "p",
                    "human-readable" => "h",
                    "directory" => "d",
                    "symbolic" => "s",
                    _ => "",
                });
            } else {
                self.flags.push_str(&arg[1..]);
            }
        }
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn fail(&mut self, text: impl std::fmt::Display) {
        self.failed = true;
        let name = self.name;
        self.streams.complain(format_args!("{name}: {text}"));
    }

    fn at(&self, path: &str, follow: bool) -> io::Result<Place> {
        self.world.view.resolve(&self.world.directory, path, follow)
    }

    fn about(&self, path: &str, follow: bool) -> io::Result<(Place, About)> {
        let place = self.at(path, follow)?;
        let about = place.about()?;
        Ok((place, about))
    }

    /// A place that may be changed.
    fn to_change(&self, path: &str) -> io::Result<Place> {
        let here = &self.world.directory;
        self.world.view.writable(here, path, false)
    }

    fn each(
        &mut self,
        mut action: impl FnMut(&mut Self, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.operands.is_empty() {
            self.fail("missing operand");
        }
        for path in self.operands.clone() {
            match action(self, &path) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
                Err(error) => self.fail(format_args!("{path}: {}", reason(&error))),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn names(&self, place: &Place) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = place
            .names()?
            .into_iter()
            .chain(self.world.view.extra_names(&place.path))
            .filter(|name| self.has('a') || self.has('A') || !name.starts_with('.'))
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn list(&mut self) -> io::Result<()> {
        if self.operands.is_empty() {
            self.operands.push(".".to_owned());
        }
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for path in self.operands.clone() {
            let follow = !self.has('l') || path.ends_with('/');
            match self.about(&path, follow) {
                Ok((_, about)) if about.is_dir() && !self.has('d') => folders.push(path),
                Ok(_) => files.push(path),
                Err(error) => self.fail(format_args!("{path}: {}", reason(&error))),
            }
        }
        self.entries("", &files)?;
        let has_titles = self.operands.len() > 1 || self.has('R');
        let mut is_first = files.is_empty();
        folders.reverse();
        while let Some(path) = folders.pop() {
            if has_titles {
                let gap = if is_first { "" } else { "\n" };
                writeln!(self.streams.output, "{gap}{path}:")?;
            }
            is_first = false;
            let place = self.at(&path, true)?;
            let mut names = match self.names(&place) {
                Ok(names) => names,
                Err(error) => {
                    self.fail(format_args!("can't open '{path}': {}", reason(&error)));
                    continue;
                }
            };
            if self.has('R') {
                for name in names.iter().rev() {
                    let below = format!("{}/{name}", path.trim_end_matches('/'));
                    if self
                        .about(&below, false)
                        .is_ok_and(|(_, about)| about.is_dir())
                    {
                        folders.push(below);
                    }
                }
            }
            if self.has('a') {
                names.splice(0..0, [".".to_owned(), "..".to_owned()]);
            }
            if self.has('l') {
                writeln!(self.streams.output, "total {}", names.len() * 4)?;
            }
            self.entries(&path, &names)?;
        }
        Ok(())
    }

    fn entries(&mut self, folder: &str, names: &[String]) -> io::Result<()> {
        let path = |name: &String| {
            if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            }
        };
        if !self.has('l') {
            if self.streams.are_a_terminal() && !self.has('1') {
                return self.columns(names);
            }
            for name in names {
                writeln!(self.streams.output, "{name}")?;
            }
            return Ok(());
        }
        for name in names {
            // A mount point that only the view knows has no entry of its own in the folder.
            let Ok((place, about)) = self.about(&path(name), false) else {
                continue;
            };
            let size = if self.has('h') {
                human(about.len())
            } else {
                about.len().to_string()
            };
            let link = place.read_link();
            let link = link.map(|to| format!(" -> {to}")).unwrap_or_default();
            let (mode, links) = (mode_text(&about), about.links());
            let owner = self.owner(&place.path);
            let when = moment(about.modified()).strftime("%b %e %H:%M").to_string();
            writeln!(
                self.streams.output,
                "{mode} {links:>4} {owner:<8} {owner:<8} {size:>9} {when} {name}{link}"
            )?;
        }
        Ok(())
    }

    /// PostgreSQL's files belong to postgres, all others to root, whoever runs this program.
    fn owner(&self, path: &str) -> &'static str {
        let pgdata = self
            .world
            .env
            .get("PGDATA")
            .filter(|pgdata| pgdata.len() > 1);
        match pgdata {
            Some(pgdata) if path.starts_with(pgdata.as_str()) => "postgres",
            _ => "root",
        }
    }

    fn columns(&mut self, names: &[String]) -> io::Result<()> {
        use unicode_width::UnicodeWidthStr;
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0) + 2;
        let columns = (usize::from(self.world.console.size().width) / widest.max(1)).max(1);
        let rows = names.len().div_ceil(columns);
        for row in 0..rows {
            let mut line = String::new();
            for name in names.iter().skip(row).step_by(rows) {
                line.push_str(name);
                line.push_str(&" ".repeat(widest - name.width()));
            }
            writeln!(self.streams.output, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn touch(&mut self) -> io::Result<()> {
        self.each(|tool, path| {
            let place = tool.at(path, true)?;
            if place.is_folder() {
                return Ok(());
            }
            place.touch()
        })
    }

    fn make_folders(&mut self) -> io::Result<()> {
        self.each(|tool, path| {
            let made = if tool.has('p') {
                let (view, here) = (&tool.world.view, &tool.world.directory);
                view.make_folders(here, path).map(drop)
            } else {
                tool.to_change(path).and_then(|place| place.make_folder())
            };
            made.map_err(|error| worded("can't create directory", &error))
        })
    }

    fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        self.to_change(path)?.remove_folder()
    }

    fn remove(&mut self) -> io::Result<()> {
        if self.operands.is_empty() && self.has('f') {
            return Ok(());
        }
        let recursive = self.has('r') || self.has('R');
        self.each(|tool, path| {
            let removed = tool.to_change(path).and_then(|place| {
                if !place.about()?.is_dir() {
                    place.remove_file()
                } else if recursive {
                    tool.remove_all(&place)
                } else {
                    Err(io::ErrorKind::IsADirectory.into())
                }
            });
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tool.has('f') => Ok(()),
                other => other,
            }
        })
    }

    /// Removes a folder, but nothing that is mounted in it.
    fn remove_all(&self, place: &Place) -> io::Result<()> {
        if self.world.view.has_mounts_below(&place.path) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        place.remove_tree()
    }

    fn link(&mut self) -> io::Result<()> {
        let [target, name] = self.operands.as_slice() else {
            self.fail("missing operand");
            return Ok(());
        };
        let place = self.to_change(name)?;
        if self.has('f') {
            let _ = place.remove_file();
        }
        if self.has('s') {
            place.link_to(target)
        } else {
            self.at(target, true)?.hard_link(&place)
        }
    }

    fn change_mode(&mut self) -> io::Result<()> {
        // A mode such as -x looks like an option.
        if self.operands.len() < 2 {
            self.fail("missing operand");
            return Ok(());
        }
        let mode = self.operands.remove(0);
        self.each(|tool, path| {
            let place = tool
                .world
                .view
                .writable(&tool.world.directory, path, true)?;
            let old = place.about()?.mode();
            let new = changed_mode(old, &mode).ok_or_else(|| io::Error::other("invalid mode"))?;
            place.set_mode(new)
        })
    }

    fn stat(&mut self) -> io::Result<()> {
        self.each(|tool, path| {
            let (place, about) = tool.about(path, false)?;
            let kind = if about.is_dir() {
                "directory"
            } else if about.is_symlink() {
                "symbolic link"
            } else {
                "regular file"
            };
            let (owner, mode) = (tool.owner(&place.path), about.mode());
            let text = mode_text(&about);
            let when = moment(about.modified()).strftime("%Y-%m-%d %H:%M:%S%.9f +0000").to_string();
            writeln!(
                tool.streams.output,
                "  File: {path}\n  Size: {:<10}\tBlocks: {:<10} IO Block: {:<6} {kind}\nInode: {:<10}  Links: {}\nAccess: ({mode:04o}/{text})  Owner: {owner}\nModify: {when}",
                about.len(),
                about.blocks(),
                about.block_size(),
                about.inode(),
                about.links()
            )
        })
    }

    fn usage(&mut self) -> io::Result<()> {
        if self.operands.is_empty() {
            self.operands.push(".".to_owned());
        }
        self.each(|tool, path| {
            let bytes = tool.used(&tool.at(path, true)?)?;
            let size = if tool.has('h') {
                human(bytes)
            } else {
                bytes.div_ceil(1024).to_string()
            };
            writeln!(tool.streams.output, "{size}\t{path}")
        })
    }

    /// Bytes on the disk.
    fn used(&self, place: &Place) -> io::Result<u64> {
        let about = place.about()?;
        let mut bytes = about.blocks() * 512;
        if about.is_dir() {
            for name in place.names()? {
                let path = format!("{}/{name}", place.path.trim_end_matches('/'));
                bytes += self.used(&self.at(&path, false)?)?;
            }
        }
        Ok(bytes)
    }

    fn free(&mut self) -> io::Result<()> {
        let paths = if self.operands.is_empty() {
            std::iter::once("/".to_owned())
                .chain(
                    self.world
                        .view
                        .mounts()
                        .iter()
                        .map(|mount| mount.path.clone()),
                )
                .collect()
        } else {
            self.operands.clone()
        };
        let unit = if self.has('h') { "Size" } else { "1K-blocks" };
        writeln!(
            self.streams.output,
            "{:<20} {unit:>10} {:>10} {:>10} Use% Mounted on",
            "Filesystem", "Used", "Available"
        )?;
        for path in paths {
            let place = self.at(&path, true)?;
            let held = place.hold();
            let Ok(about) = held.and_then(|folder| Ok(rustix::fs::fstatvfs(folder)?)) else {
                continue;
            };
            let total = about.f_blocks * about.f_frsize;
            let used = total - about.f_bfree * about.f_frsize;
            let free = about.f_bavail * about.f_frsize;
            let percent = if used + free == 0 {
                0
            } else {
                (used * 100).div_ceil(used + free)
            };
            let human = self.has('h');
            let show = |bytes: u64| {
                if human {
                    self::human(bytes)
                } else {
                    (bytes / 1024).to_string()
                }
            };
            let source = if path == "/" { "overlay" } else { "volume" };
            writeln!(
                self.streams.output,
                "{source:<20} {:>10} {:>10} {:>10} {percent:>3}% {path}",
                show(total),
                show(used),
                show(free)
            )?;
        }
        Ok(())
    }

    fn mounts(&mut self) -> io::Result<()> {
        writeln!(
            self.streams.output,
            "overlay on / type overlay (rw,relatime)"
        )?;
        for mount in self.world.view.mounts().to_vec() {
            let mode = if mount.read_only { "ro" } else { "rw" };
            writeln!(
                self.streams.output,
                "volume on {} type ext4 ({mode},relatime)",
                mount.path
            )?;
        }
        Ok(())
    }

    fn which(&mut self) -> io::Result<()> {
        let path = self.world.env.get("PATH").cloned().unwrap_or_default();
        for name in self.operands.clone() {
            match locate(
                &self.world.view,
                self.world.image,
                &self.world.directory,
                &path,
                &name,
            ) {
                Ok(super::Program::BuiltIn(name)) => writeln!(self.streams.output, "/bin/{name}")?,
                Ok(super::Program::Script(path)) => writeln!(self.streams.output, "{path}")?,
                Err(_) => self.failed = true,
            }
        }
        Ok(())
    }

    fn base_name(&mut self) -> io::Result<()> {
        let Some(path) = self.operands.first() else {
            self.fail("missing operand");
            return Ok(());
        };
        let name = path
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("/");
        let suffix = self.operands.get(1).map_or("", String::as_str);
        let name = name
            .strip_suffix(suffix)
            .filter(|rest| !rest.is_empty())
            .unwrap_or(name);
        writeln!(self.streams.output, "{name}")
    }

    fn find(&mut self, args: &[String]) -> io::Result<()> {
        self.flags.push('a');
        let starts: Vec<String> = args
            .iter()
            .take_while(|arg| !arg.starts_with('-'))
            .cloned()
            .collect();
        let mut tests = args[starts.len()..].iter();
        let (mut name, mut kind, mut deepest) = (None, None, usize::MAX);
        while let Some(test) = tests.next() {
            match (test.as_str(), tests.next()) {
                ("-name", Some(pattern)) => {
                    name = Some(pattern.chars().map(|c| (c, false)).collect::<Vec<_>>());
                }
                ("-type", Some(letter)) => kind = letter.chars().next(),
                ("-maxdepth", Some(depth)) => deepest = depth.parse().unwrap_or(usize::MAX),
                ("-print", None) => {}
                (other, _) => {
                    self.fail(format_args!("unrecognized: {other}"));
                    return Ok(());
                }
            }
        }
        let starts = if starts.is_empty() {
            vec![".".to_owned()]
        } else {
            starts
        };
        let mut todo: Vec<(String, usize)> =
            starts.into_iter().rev().map(|path| (path, 0)).collect();
        while let Some((path, depth)) = todo.pop() {
            let (place, about) = match self.about(&path, false) {
                Ok(found) => found,
                Err(error) => {
                    self.fail(format_args!("{path}: {}", reason(&error)));
                    continue;
                }
            };
            let base: Vec<char> = path.rsplit('/').next().unwrap_or(&path).chars().collect();
            let fits = name
                .as_ref()
                .is_none_or(|pattern| super::shell::matches(pattern, &base))
                && kind.is_none_or(|kind| {
                    mode_text(&about).starts_with(if kind == 'f' { '-' } else { kind })
                });
            if fits {
                writeln!(self.streams.output, "{path}")?;
            }
            if about.is_dir() && depth < deepest {
                let names = self.names(&place)?;
                let join = |name: &String| format!("{}/{name}", path.trim_end_matches('/'));
                todo.extend(names.iter().rev().map(|name| (join(name), depth + 1)));
            }
        }
        Ok(())
    }

    /// `test`: 0 true, 1 false, 2 not understood.
    fn test(&mut self, args: &[String]) -> i32 {
        let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
        if self.name == "[" && words.pop() != Some("]") {
            self.fail("missing ]");
            return 2;
        }
        match self.any(&words) {
            Some(answer) => i32::from(!answer),
            None => {
                self.fail("syntax error");
                2
            }
        }
    }

    fn any(&self, words: &[&str]) -> Option<bool> {
        // Three words are one comparison, also when the middle one is -o or -a.
        let split = |by: &str| {
            words
                .iter()
                .position(|word| *word == by)
                .filter(|at| words.len() > 3 && *at > 0)
        };
        if let Some(at) = split("-o") {
            return Some(self.any(&words[..at])? || self.any(&words[at + 1..])?);
        }
        if let Some(at) = split("-a") {
            return Some(self.any(&words[..at])? && self.any(&words[at + 1..])?);
        }
        match words {
            [] => Some(false),
            [word] => Some(!word.is_empty()),
            ["!", rest @ ..] => Some(!self.any(rest)?),
            ["-n", text] => Some(!text.is_empty()),
            ["-z", text] => Some(text.is_empty()),
            ["-t", _] => Some(self.streams.are_a_terminal()),
            ["-h" | "-L", path] => Some(
                self.about(path, false)
                    .is_ok_and(|(_, about)| about.is_symlink()),
            ),
            [test, path] if test.len() == 2 && test.starts_with('-') => {
                let about = self.about(path, true).ok();
                let is = |check: &dyn Fn(&About) -> bool| {
                    about.as_ref().is_some_and(|(_, about)| check(about))
                };
                Some(match *test {
                    "-e" | "-a" | "-r" => about.is_some(),
                    "-f" => is(&About::is_file),
                    "-d" => is(&About::is_dir),
                    "-s" => is(&|about| about.len() > 0),
                    "-x" => is(&|about| about.is_dir() || about.mode() & 0o111 != 0),
                    "-w" => about.as_ref().is_some_and(|(place, _)| !place.read_only),
                    _ => return None,
                })
            }
            [a, "=" | "==", b] => Some(a == b),
            [a, "!=", b] => Some(a != b),
            [a, operator, b] => {
                let (a, b): (i64, i64) = (a.trim().parse().ok()?, b.trim().parse().ok()?);
                Some(match *operator {
                    "-eq" => a == b,
                    "-ne" => a != b,
                    "-lt" => a < b,
                    "-le" => a <= b,
                    "-gt" => a > b,
                    "-ge" => a >= b,
                    _ => return None,
                })
            }
            _ => None,
        }
    }
}

fn worded(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{what}: {}", reason(error)))
}

fn moment(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}

/// As `ls -l` shows kind and permissions.
fn mode_text(about: &About) -> String {
    let kind = if about.is_dir() {
        'd'
    } else if about.is_symlink() {
        'l'
    } else {
        '-'
    };
    let mode = about.mode();
    let bits = (0..9).map(|bit| {
        if mode & (0o400 >> bit) != 0 {
            ['r', 'w', 'x'][bit % 3]
        } else {
            '-'
        }
    });
    std::iter::once(kind).chain(bits).collect()
}

/// `755`, `u+x`, `+x`, `go-w`.
fn changed_mode(old: u32, text: &str) -> Option<u32> {
    if let Ok(mode) = u32::from_str_radix(text, 8) {
        return Some(mode & 0o7777);
    }
    let at = text.find(['+', '-', '='])?;
    let who: u32 = match &text[..at] {
        "" | "a" => 0o777,
        who => who.chars().try_fold(0, |all, c| {
            Some(
                all | match c {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    _ => return None,
                },
            )
        })?,
    };
    let what = text[at + 1..].chars().try_fold(0, |all, c| {
        Some(
            all | match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                _ => return None,
            },
        )
    })?;
    Some(match text.as_bytes()[at] {
        b'+' => old | (who & what),
        b'-' => old & !(who & what),
        _ => (old & !who) | (who & what),
    })
}

/// 1536 as 1.5K.
fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if size < 1024.0 {
            return if unit.is_empty() || size >= 10.0 {
                format!("{size:.0}{unit}")
            } else {
                format!("{size:.1}{unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_says() {
        for (old, text, new) in [
            (0o644, "755", Some(0o755)),
            (0o644, "+x", Some(0o755)),
            (0o755, "go-rx", Some(0o700)),
            (0o644, "u=x", Some(0o144)),
            (0o644, "z", None),
        ] {
            assert_eq!(changed_mode(old, text), new, "{text}");
        }
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(
            [human(12), human(1536), human(40 << 20), human(3 << 40)],
            ["12", "1.5K", "40M", "3.0T"]
        );
    }
}
