//! The data directory: where `$PGDATA` lies, whose it is now, what is in it, and the steps that make one.
//!
//! On the host it looks as in the container: PostgreSQL's files lie in it and nothing else of ours, whatever is mounted where. What is in it is never removed,
//! but for what this program itself left half made there ([`stage`]).

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};

use super::super::place::Place;
use super::super::programs::{World, reason};
use super::super::view::View;
use super::stage;
use super::wire::Report;

/// How long to wait for the lock: the processes of an owner that was killed may still be dying.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A container's data directory, locked for it.
#[derive(Debug)]
pub(super) struct DataDirectory {
    /// In the container: absolute.
    pub(super) path: String,
    /// On the host.
    pub(super) host: PathBuf,
    /// The names that the container sees in it although they are not in the host's folder: what is mounted there.
    mounted: Vec<String>,
    read_only: bool,
    /// Held by this process and every backend, so that it is free when the last one that could write has ended.
    _lock: File,
}

/// Why there is no data directory to work with: lines for the log or for standard error, and the container's exit code.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The entry point's or initdb's, as they print it.
    Said(String, i32),
    /// The postmaster's, with the line about its end.
    Logged(Report),
}

/// What is in a data directory that has no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Nothing,
    OnlyHidden,
    LostAndFound,
    Files,
}

impl DataDirectory {
    /// Makes the folder if it is missing, as the entry point does, and takes it for this container; what an earlier start left half done is finished
    /// or cleared.
    pub(super) fn claim(world: &World, pgdata: &str) -> Result<Self, Refusal> {
        let cannot_make = |error: io::Error| {
            let why = reason(&error);
            Refusal::Said(
                format!("mkdir: cannot create directory ‘{pgdata}’: {why}"),
                1,
            )
        };
        let place = make_folders(&world.view, &world.directory, pgdata).map_err(cannot_make)?;
        let path = absolute(&world.directory, pgdata);
        let cannot_open = |error: io::Error| {
            let why = reason(&error);
            Refusal::Said(
                format!("initdb: error: could not access directory \"{path}\": {why}"),
                1,
            )
        };
        let lock = File::from(place.hold().map_err(|error| {
            // On the way to a mount, and nowhere else: that mount is what it holds.
            if error.kind() == io::ErrorKind::NotFound && world.view.has_mounts_below(&place.path) {
                not_empty(&path)
            } else {
                cannot_open(error)
            }
        })?);
        // Not everybody may; PostgreSQL says so if it matters.
        let _ = lock.set_permissions(fs::Permissions::from_mode(0o700));
        let until = Instant::now() + LOCK_PATIENCE;
        while lock.try_lock().is_err() {
            if Instant::now() >= until {
                let mut report =
                    Report::fatal("F0001", "lock file \"postmaster.pid\" already exists");
                report.hint = Some(format!(
                    "Is another postmaster (PID 1) running in data directory \"{path}\"?"
                ));
                return Err(Refusal::Logged(report));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        fcntl_setfd(&lock, FdFlags::empty()).map_err(|error| cannot_open(error.into()))?;
        let place_path = place.path;
        let directory = Self {
            mounted: world.view.extra_names(&place_path),
            host: path_of(lock.as_fd()).map_err(cannot_open)?,
            read_only: place.read_only,
            path,
            _lock: lock,
        };
        if !directory.read_only {
            let beside = format!("{}/../.{}.setting-up", place_path, directory.name());
            let begun = world.view.resolve("/", &beside, false);
            let recovered = begun.and_then(|begun| stage::recover(&directory.host, &begun));
            recovered.map_err(|error| match error.kind() {
                // A file that somebody made where one of the database's is to be.
                io::ErrorKind::AlreadyExists => not_empty(&directory.path),
                _ => directory.unusable(&error),
            })?;
        }
        Ok(directory)
    }

    /// Whether the entry point takes it for a database: a version is written down in it.
    pub(super) fn has_database(&self) -> bool {
        holds_version(&self.host)
    }

    /// Refuses what `initdb` refuses.
    pub(super) fn is_fit_for_initdb(&self) -> Result<(), Refusal> {
        let path = &self.path;
        let content = self.content().map_err(|error| self.unusable(&error))?;
        let more = match content {
            Content::Nothing if self.read_only => {
                let text = format!(
                    "initdb: error: could not change permissions of directory \"{path}\": Read-only file system"
                );
                return Err(Refusal::Said(text, 1));
            }
            Content::Nothing => return Ok(()),
            Content::Files => return Err(not_empty(path)),
            Content::OnlyHidden => mount_point("a dot-prefixed/invisible file"),
            Content::LostAndFound => mount_point("a lost+found directory"),
        };
        let text = format!("initdb: error: directory \"{path}\" exists but is not empty\n{more}");
        Err(Refusal::Said(text, 1))
    }

    /// Refuses what a postmaster refuses before it starts anything, in its order.
    pub(super) fn is_fit_for_postgres(&self, version: &str) -> Result<(), Refusal> {
        let path = &self.path;
        let written = fs::read(self.host.join("PG_VERSION")).map_err(|error| {
            let text = format!(
                "could not open file \"{path}/PG_VERSION\": {}",
                reason(&error)
            );
            Refusal::Logged(Report::fatal("58000", text))
        })?;
        let text = String::from_utf8_lossy(&written);
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let major = version.split('.').next().unwrap_or(version);
        if digits == 0 {
            let text = format!("\"{path}\" is not a valid data directory");
            let mut report = Report::fatal("22023", text);
            report.detail = Some(format!(
                "File \"{path}/PG_VERSION\" does not contain valid data."
            ));
            report.hint = Some("You might need to initdb.".to_owned());
            return Err(Refusal::Logged(report));
        }
        if &text[..digits] != major {
            let mut report = Report::fatal("22023", "database files are incompatible with server");
            report.detail = Some(format!(
                "The data directory was initialized by PostgreSQL version {text}, which is not compatible with this version {version}."
            ));
            return Err(Refusal::Logged(report));
        }
        if self.read_only {
            let text = "could not create lock file \"postmaster.pid\": Read-only file system";
            return Err(Refusal::Logged(Report::fatal("25006", text)));
        }
        let control = self.host.join("global/pg_control");
        let readable = File::open(&control).and_then(|file| match file.metadata()?.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(()),
        });
        readable.map_err(|error| {
            let why = reason(&error);
            let text = format!(
                "postgres: could not find the database system\nExpected to find it in the directory \"{path}\",\nbut could not open file \"{path}/global/pg_control\": {why}"
            );
            Refusal::Said(text, 2)
        })
    }

    /// Removes the files of a postmaster that did not end in order. The lock says that it has ended.
    pub(super) fn forget_postmaster(&self) -> io::Result<()> {
        for name in ["postmaster.pid", "postmaster.opts"] {
            stage::absent_is_fine(fs::remove_file(self.host.join(name)))?;
        }
        Ok(())
    }

    /// Has a database made, by a function that gets the folder to make it in. See [`stage::make`].
    pub(super) fn make(&self, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        stage::make(&self.host, make)
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn unusable(&self, error: &io::Error) -> Refusal {
        let text = format!(
            "initdb: error: could not access directory \"{}\": {}",
            self.path,
            reason(error)
        );
        Refusal::Said(text, 1)
    }

    /// As PostgreSQL's `pg_check_dir` tells them apart.
    fn content(&self) -> io::Result<Content> {
        let names = fs::read_dir(&self.host)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .chain(self.mounted.iter().cloned().map(Ok))
            .collect::<io::Result<Vec<String>>>()?;
        let is_hidden = |name: &String| name.starts_with('.');
        let is_lost_and_found = |name: &String| name == "lost+found";
        Ok(if names.is_empty() {
            Content::Nothing
        } else if !names
            .iter()
            .all(|name| is_hidden(name) || is_lost_and_found(name))
        {
            Content::Files
        } else if names.iter().any(is_lost_and_found) {
            Content::LostAndFound
        } else {
            Content::OnlyHidden
        })
    }
}

/// Makes a folder and those above it, as `mkdir -p` does.
fn make_folders(view: &View, directory: &str, path: &str) -> io::Result<Place> {
    if path.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let last = path.trim_end_matches('/');
    let about = |follow| view.resolve(directory, last, follow)?.about();
    // A link that leads nowhere is there, too.
    if about(false).is_ok_and(|about| about.is_symlink()) && about(true).is_err() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    view.make_folders(directory, path)
        .map_err(|error| match about(true) {
            Ok(about) if !about.is_dir() => io::ErrorKind::AlreadyExists.into(),
            _ => error,
        })
}

/// A path of a folder that is held open, in this process and in those that it starts: whoever renames a folder above it changes nothing.
fn path_of(held: BorrowedFd<'_>) -> io::Result<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        Ok(PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())))
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::os::unix::ffi::OsStringExt;
        let path = rustix::fs::getpath(held)?.into_bytes();
        Ok(PathBuf::from(std::ffi::OsString::from_vec(path)))
    }
}

/// A path as messages show it.
fn absolute(directory: &str, path: &str) -> String {
    let path = match path.strip_prefix('/') {
        Some(path) => format!("/{path}"),
        None => format!("{}/{path}", directory.trim_end_matches('/')),
    };
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// What the entry point of the image looks for: a file with a version in it.
pub(super) fn holds_version(folder: &Path) -> bool {
    fs::metadata(folder.join("PG_VERSION")).is_ok_and(|about| about.len() > 0)
}

fn not_empty(path: &str) -> Refusal {
    let text = format!(
        "initdb: error: directory \"{path}\" exists but is not empty\n\
         initdb: hint: If you want to create a new database system, either remove or empty the directory \"{path}\" or run initdb with an argument other than \"{path}\"."
    );
    Refusal::Said(text, 1)
}

fn mount_point(what: &str) -> String {
    format!(
        "initdb: detail: It contains {what}, perhaps due to it being a mount point.\n\
         initdb: hint: Using a mount point directly as the data directory is not recommended.\n\
         Create a subdirectory under the mount point."
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::Mount;
    use super::*;

    /// A view with one volume at this path.
    fn view(folder: &Path, at: &str) -> View {
        for below in ["root/var/lib", "volume"] {
            fs::create_dir_all(folder.join(below)).unwrap();
        }
        let mount = Mount {
            host: folder.join("volume"),
            below: String::new(),
            path: at.to_owned(),
            read_only: false,
        };
        View::new(&folder.join("root"), &[mount]).unwrap()
    }

    #[test]
    fn the_data_directory_lies_where_the_container_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(folder.path(), "/var/lib/postgresql");
        let below = |path: &str| folder.path().join(path);
        std::os::unix::fs::symlink("/var/lib/postgresql/deep", below("root/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", below("volume/dangling")).unwrap();
        fs::write(below("volume/file"), "").unwrap();
        let made = |path: &str| {
            let held = make_folders(&view, "/var/lib/postgresql", path)?.hold()?;
            path_of(held.as_fd())?.canonicalize()
        };
        for (path, host) in [
            ("/var/lib/postgresql", "volume"),
            ("/var/lib/postgresql/", "volume"),
            ("/var/lib/postgresql/18/docker", "volume/18/docker"),
            ("/var/lib//postgresql/deep/er/", "volume/deep/er"),
            ("/link/x", "volume/deep/x"),
            ("relative/x", "volume/relative/x"),
            ("../other", "root/var/lib/other"),
            ("/pgdata", "root/pgdata"),
        ] {
            assert_eq!(made(path).unwrap(), below(host), "{path}");
            assert!(below(host).is_dir(), "{path}");
        }
        for (path, kind) in [
            ("/var/lib/postgresql/file", io::ErrorKind::AlreadyExists),
            ("/var/lib/postgresql/file/x", io::ErrorKind::NotADirectory),
            ("/var/lib/postgresql/dangling", io::ErrorKind::AlreadyExists),
            ("", io::ErrorKind::NotFound),
        ] {
            assert_eq!(made(path).unwrap_err().kind(), kind, "{path}");
        }
        assert_eq!(absolute("/a/", "b/"), "/a/b");
        assert_eq!(absolute("/", "b"), "/b");
        assert_eq!(absolute("/", "/b/c/"), "/b/c");
    }
}
