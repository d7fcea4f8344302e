//! `tar`, as far as `kubectl cp` and curious people need it: create, extract and list, from and to a file or a pipe.

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use tar::{Archive, Builder, EntryType, Header};

use super::super::view;
use super::{Streams, World, reason};

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    /// `c`, `x` or `t`.
    mode: Option<char>,
    is_verbose: bool,
    /// The archive; `-` and none are the pipe.
    file: Option<String>,
    directory: Option<String>,
    operands: Vec<String>,
}

/// Runs it. What could not be done is said and counts as 1, as every program here does it.
pub(super) fn run(world: &mut World, argv: &[String], streams: &mut Streams) -> io::Result<i32> {
    let order = match Order::parse(&argv[1..]) {
        Ok(order) => order,
        Err(words) => {
            streams.complain(format_args!("tar: {words}"));
            return Ok(1);
        }
    };
    let here = world.directory.clone();
    if let Some(directory) = &order.directory {
        let place = world.view.resolve(&here, directory, true)?;
        if !place.is_folder() {
            streams.complain(format_args!("tar: can't change directory to '{directory}'"));
            return Ok(1);
        }
        world.directory = place.path;
    }
    let file = order.file.as_deref().filter(|name| *name != "-");
    let done = match (order.mode, file) {
        (Some('c'), None) => create(world, streams, streams.output.clone(), &order),
        (Some('c'), Some(name)) => match world.view.create(&here, name, view::Write::Truncate) {
            Ok(file) => create(world, streams, file, &order),
            Err(error) => Ok(cannot_open(streams, name, &error)),
        },
        (_, None) => extract(world, streams, streams.input.clone(), &order),
        (_, Some(name)) => match world.view.open(&here, name) {
            Ok(file) => extract(world, streams, file, &order),
            Err(error) => Ok(cannot_open(streams, name, &error)),
        },
    };
    world.directory = here;
    done.map(i32::from)
}

impl Order {
    /// Reads the options, bundled or not, with the leading hyphen or without it.
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut order = Self::default();
        let mut args = args.iter();
        let mut is_first = true;
        while let Some(arg) = args.next() {
            let letters = match arg.strip_prefix('-') {
                Some("") | None if !is_first => {
                    order.operands.push(arg.clone());
                    continue;
                }
                // What is kept of a file's owner and rights is the same with and without these.
                Some(long) if long.starts_with('-') => match long {
                    "-no-same-owner" | "-no-same-permissions" => continue,
                    _ => return Err(format!("unrecognized option '{arg}'")),
                },
                Some(letters) => letters,
                None => arg,
            };
            is_first = false;
            for letter in letters.chars() {
                match letter {
                    'c' | 'x' | 't' => order.mode = Some(letter),
                    'v' => order.is_verbose = true,
                    'm' | 'p' | 'o' => {}
                    'f' | 'C' => {
                        let value = args
                            .next()
                            .ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                        let place = if letter == 'f' {
                            &mut order.file
                        } else {
                            &mut order.directory
                        };
                        *place = Some(value.clone());
                    }
                    other => return Err(format!("invalid option -- '{other}'")),
                }
            }
        }
        if order.mode.is_none() {
            return Err("must specify exactly one of 'c', 'x' or 't'".to_owned());
        }
        if order.mode == Some('c') && order.operands.is_empty() {
            return Err("empty archive".to_owned());
        }
        Ok(order)
    }

    /// Whether a member is asked for: all are, if none is named.
    fn wants(&self, name: &str) -> bool {
        let is_named = |operand: &String| {
            let operand = operand.trim_matches('/');
            name.strip_prefix(operand)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.operands.is_empty() || self.operands.iter().any(is_named)
    }
}

/// Writes an archive; true says that something is missing from it.
fn create(world: &World, streams: &mut Streams, to: impl Write, order: &Order) -> io::Result<bool> {
    let mut archive = Builder::new(to);
    let mut has_failed = false;
    if order.operands.iter().any(|path| path.starts_with('/')) {
        streams.complain("tar: removing leading '/' from member names");
    }
    // Deepest last, so that what is taken from the end comes in order.
    let mut left: Vec<String> = order.operands.iter().rev().cloned().collect();
    while let Some(path) = left.pop() {
        let added = add(world, &mut archive, &path);
        match added {
            Ok(below) => {
                if order.is_verbose {
                    streams.complain(member(&path));
                }
                left.extend(below.into_iter().rev());
            }
            // Without a reader there is nobody to write for.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
            Err(error) => {
                has_failed = true;
                streams.complain(format_args!("tar: {path}: {}", reason(&error)));
            }
        }
    }
    archive.finish()?;
    Ok(has_failed)
}

/// The name in an archive: without leading slash.
fn member(path: &str) -> String {
    match path.trim_start_matches('/').trim_end_matches('/') {
        "" => ".".to_owned(),
        name => name.to_owned(),
    }
}

/// Adds one file, link or folder; gives what is in the folder.
fn add(world: &World, archive: &mut Builder<impl Write>, path: &str) -> io::Result<Vec<String>> {
    let place = world.view.resolve(&world.directory, path, false)?;
    let about = place.about()?;
    let name = member(path);
    let mut header = Header::new_gnu();
    header.set_mode(about.mode());
    let since = about.modified().duration_since(SystemTime::UNIX_EPOCH);
    header.set_mtime(since.map_or(0, |since| since.as_secs()));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if about.is_dir() {
        header.set_entry_type(EntryType::Directory);
        archive.append_data(&mut header, format!("{name}/"), io::empty())?;
        let mut below: Vec<String> = place
            .names()?
            .into_iter()
            .chain(world.view.extra_names(&place.path))
            .map(|name| format!("{}/{name}", path.trim_end_matches('/')))
            .collect();
        below.sort();
        below.dedup();
        return Ok(below);
    }
    if about.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        archive.append_link(&mut header, name, place.read_link()?)?;
    } else if about.is_file() {
        header.set_entry_type(EntryType::Regular);
        header.set_size(about.len());
        // A file that shrinks while it is read must not shift what comes after it.
        let file = place.open()?.chain(io::repeat(0));
        archive.append_data(&mut header, name, file.take(about.len()))?;
    } else {
        return Err(io::Error::other("not a file, a folder or a link: left out"));
    }
    Ok(Vec::new())
}

/// Unpacks an archive, or lists it; true says that something of it is not there.
fn extract(
    world: &World,
    streams: &mut Streams,
    from: impl Read,
    order: &Order,
) -> io::Result<bool> {
    let mut archive = Archive::new(from);
    let mut has_failed = false;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let name = name.trim_start_matches('/');
        if !order.wants(name.trim_end_matches('/')) {
            continue;
        }
        if order.mode == Some('t') {
            writeln!(streams.output, "{name}")?;
            continue;
        }
        if order.is_verbose {
            streams.complain(name);
        }
        if let Err(error) = unpack(world, &mut entry, name) {
            has_failed = cannot_open(streams, name, &error);
        }
    }
    Ok(has_failed)
}

fn cannot_open(streams: &mut Streams, name: &str, error: &io::Error) -> bool {
    streams.complain(format_args!("tar: can't open '{name}': {}", reason(error)));
    true
}

/// Makes one member. The view keeps it in the container, whatever its name and whatever links lead there.
fn unpack(world: &World, entry: &mut tar::Entry<impl Read>, name: &str) -> io::Result<()> {
    let (view, here) = (&world.view, &world.directory);
    let name = name.trim_end_matches('/');
    if let Some((parent, _)) = name.rsplit_once('/') {
        view.make_folders(here, parent)?;
    }
    let mode = Permissions::from_mode(entry.header().mode()? & 0o777);
    match entry.header().entry_type() {
        EntryType::Directory => {
            let folder = if name.is_empty() { "." } else { name };
            view.make_folders(here, folder).map(drop)
        }
        EntryType::Symlink => {
            let target = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?;
            let place = view.writable(here, name, false)?;
            let _ = place.remove_file();
            place.link_to(&target.to_string_lossy())
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            // A link in the way is replaced, as tar does it, and not written through.
            let place = view.writable(here, name, false)?;
            if place.about().is_ok_and(|about| about.is_symlink()) {
                place.remove_file()?;
            }
            let mut file = place.create(view::Write::Truncate)?;
            io::copy(entry, &mut file)?;
            file.set_permissions(mode)
        }
        _ => Err(io::Error::other("not a file, a folder or a link: left out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Order, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Order::parse(&args)
    }

    #[test]
    fn options_are_read_as_people_and_kubectl_write_them() {
        let into = |directory: Option<&str>, file: &str| Order {
            mode: Some('x'),
            file: Some(file.to_owned()),
            directory: directory.map(str::to_owned),
            ..Order::default()
        };
        assert_eq!(parse("-xmf - -C /data"), Ok(into(Some("/data"), "-")));
        assert_eq!(
            parse("--no-same-permissions --no-same-owner -xmf - -C /data"),
            Ok(into(Some("/data"), "-"))
        );
        assert_eq!(parse("xf a.tar"), Ok(into(None, "a.tar")));
        assert_eq!(parse("cf - /data").unwrap().operands, ["/data"]);
        assert_eq!(parse("xzf a").unwrap_err(), "invalid option -- 'z'");
        assert_eq!(
            parse("-f").unwrap_err(),
            "option requires an argument -- 'f'"
        );
        assert!(parse("cf -").is_err());
    }
}
