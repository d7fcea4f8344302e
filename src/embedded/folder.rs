//! The folder that a cluster keeps everything in.
//!
//! Owns who may be in it: one program, which is its owner's; and which folder it may be: an empty one, or one that carries
//! our mark. Refuses every other before anything in it is touched. Never deletes what it cannot have made.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The mark of a folder of ours, and what is in it.
const MARK: &str = "eizoku-data";
const MARK_HEAD: &str = "eizoku data folder, format ";
/// The form of the folder. A program refuses a newer one than it knows.
const FORMAT: u32 = 1;

const LOCK: &str = "lock";
const STORE: &str = "store.redb";
const KUBECONFIG: &str = "kubeconfig";
const PODS: &str = "pods";
const SCRATCH: &str = "c";
const NODE_ROOT: &str = "node";
const CACHE: &str = "cache";
/// What was in a folder before there was a mark.
const UNMARKED: [&str; 8] = [
    LOCK,
    STORE,
    KUBECONFIG,
    "kubeconfig.new",
    PODS,
    SCRATCH,
    NODE_ROOT,
    CACHE,
];
/// How the file of a store begins (redb, `docs/design.md`), and the kubeconfig beside it.
const STORE_HEAD: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
const KUBECONFIG_HEAD: &[u8] = b"apiVersion: v1\nkind: Config\nclusters:\n- name: eizoku\n";

/// A data folder that is ours, and ours alone as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// What a folder is found to be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing is in it that anybody could miss.
    Empty,
    Ours,
    /// One of ours from before there was a mark.
    Unmarked,
}

impl Folder {
    /// Takes the folder, and makes it when it is missing. With `fresh` what a cluster left in it is removed first.
    ///
    /// # Errors
    /// When it is not ours to take, in words that say what to do. Nothing in it has changed then.
    pub(crate) fn open(path: &Path, fresh: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        let path = &place(path)?;
        let found = look(path)?;
        // Only its owner may look in: Secrets lie here.
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(path, mode).with_context(|| {
            format!("{shown} cannot be kept from others; name a folder of your own with --data")
        })?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .with_context(|| {
                format!("nothing can be written in {shown}; name another folder with --data")
            })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another eizoku is running its cluster in {shown}; end it, or use another folder with --data"
            ),
            Err(TryLockError::Error(error)) => {
                bail!(
                    "{shown} cannot be locked ({error}); name a folder on a local disk with --data"
                )
            }
        }
        if found != Found::Ours {
            mark(path).with_context(|| {
                format!("nothing can be written in {shown}; free some space there, or name another folder with --data")
            })?;
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if fresh {
            folder
                .empty()
                .with_context(|| format!("{shown} cannot be emptied"))?;
        }
        Ok(folder)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        kubeconfig(&self.path)
    }

    /// What belongs to Pods as long as they live.
    pub(crate) fn pods(&self) -> PathBuf {
        self.path.join(PODS)
    }

    /// Writable layers; a short name, because sockets lie below it.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join(SCRATCH)
    }

    /// The node's disk.
    pub(crate) fn node_root(&self) -> PathBuf {
        self.path.join(NODE_ROOT)
    }

    /// What can be made again.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join(CACHE)
    }

    /// Whether there is a store with something in it.
    pub(crate) fn has_store(&self) -> bool {
        self.store().metadata().is_ok_and(|found| found.len() > 0)
    }

    /// Removes what a cluster keeps, but for the lock that is being held, and for what is not a cluster's.
    fn empty(&self) -> std::io::Result<()> {
        let missing_is_fine = |done: std::io::Result<()>| match done {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        for name in [STORE, "store.new", KUBECONFIG, "kubeconfig.new"] {
            missing_is_fine(fs::remove_file(self.path.join(name)))?;
        }
        for name in [PODS, SCRATCH, NODE_ROOT] {
            eizoku_containers::remove_tree(&self.path.join(name))?;
        }
        Ok(())
    }
}

/// Where the kubeconfig of a cluster in this folder lies, whether or not it runs.
pub(crate) fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join(KUBECONFIG)
}

/// The folder's own path, made when nothing is there.
fn place(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("the folder {} cannot be made", parent.display()))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(path)
                .with_context(|| format!("the folder {shown} cannot be made"))?;
        }
        Err(error) => bail!("{shown} cannot be looked at: {error}"),
        Ok(found) if found.is_symlink() => {
            bail!("{shown} is a link; name the folder that it leads to with --data")
        }
        Ok(found) if !found.is_dir() => {
            bail!("{shown} is not a folder; name a folder with --data")
        }
        Ok(_) => {}
    }
    let real = path
        .canonicalize()
        .with_context(|| format!("{shown} cannot be opened"))?;
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    if real.parent().is_none() || Some(&real) == home.as_ref() {
        bail!(
            "{shown} is for more than one program; name a folder of its own below it with --data"
        );
    }
    Ok(real)
}

/// Finds out whose the folder is, and refuses one that is not for us. Writes nothing.
fn look(path: &Path) -> anyhow::Result<Found> {
    let shown = path.display();
    let entries = fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries
        .with_context(|| format!("{shown} cannot be read; name another folder with --data"))?;
    let names: Vec<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    if has(MARK) {
        let text = head(&path.join(MARK), 64);
        let text = String::from_utf8_lossy(&text);
        let format = text
            .strip_prefix(MARK_HEAD)
            .and_then(|rest| rest.trim().parse::<u32>().ok());
        return match format {
            Some(FORMAT) => Ok(Found::Ours),
            Some(newer) if newer > FORMAT => bail!(
                "{shown} was made by a newer eizoku (format {newer}, this one knows {FORMAT}); use that one, or name another folder with --data"
            ),
            _ => bail!(
                "{shown} has a file {MARK} that this eizoku cannot read; name another folder with --data"
            ),
        };
    }
    // A start that was killed leaves a lock and half a mark; a disk of its own begins with this folder.
    let is_nothing = |name: &OsString| {
        name == "lost+found"
            || name == "eizoku-data.new"
            || name == LOCK && file(&path.join(LOCK)).is_some_and(|it| it.len() == 0)
    };
    if names.iter().all(is_nothing) {
        return Ok(Found::Empty);
    }
    let is_unmarked = names
        .iter()
        .all(|name| UNMARKED.iter().any(|known| name == known))
        && file(&path.join(LOCK)).is_some_and(|it| it.len() == 0)
        && head(&path.join(STORE), STORE_HEAD.len()) == STORE_HEAD
        && head(&path.join(KUBECONFIG), KUBECONFIG_HEAD.len()) == KUBECONFIG_HEAD;
    if is_unmarked {
        return Ok(Found::Unmarked);
    }
    bail!("{shown} is not empty and not a folder of eizoku's; name another with --data");
}

/// A file that is no link and nothing else.
fn file(path: &Path) -> Option<Metadata> {
    fs::symlink_metadata(path).ok().filter(Metadata::is_file)
}

/// The first bytes of a file; none when it is no file.
fn head(path: &Path, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if file(path).is_some()
        && let Ok(file) = File::open(path)
    {
        // What cannot be read does not begin as ours do.
        let _ = file.take(length as u64).read_to_end(&mut bytes);
    }
    bytes
}

/// Marks the folder as ours. The mark is there whole or not at all.
fn mark(folder: &Path) -> std::io::Result<()> {
    let fresh = folder.join("eizoku-data.new");
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)?;
    writeln!(file, "{MARK_HEAD}{FORMAT}")?;
    file.sync_all()?;
    fs::rename(fresh, folder.join(MARK))?;
    File::open(folder)?.sync_all()
}

/// The folders and files directly below one, without following it where it is a link.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|it| it.is_dir());
    if !is_folder {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn refusal(path: &Path, fresh: bool) -> String {
        Folder::open(path, fresh).map(drop).unwrap_err().to_string()
    }

    /// Everything below a folder, with its bytes.
    fn all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for name in names(folder) {
            let path = folder.join(name);
            if path.is_dir() {
                found.extend(all(&path));
                found.push((path, Vec::new()));
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                found.push((path, bytes));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_stays_as_it_is() {
        for files in [
            &["node/src/app.js", "c/main.c", "pods/notes/x", "kubeconfig"][..],
            &["lock", "store.redb", "kubeconfig"],
            &["a"],
            &["lock/x"],
            &["eizoku-data/x"],
        ] {
            for fresh in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
                for file in files {
                    let path = folder.path().join(file);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, "mine").unwrap();
                }
                let before = all(folder.path());
                let refused = refusal(folder.path(), fresh);
                assert!(refused.contains("name another"), "{refused}");
                assert_eq!(all(folder.path()), before, "{files:?}");
                let mode = folder.path().metadata().unwrap().mode() & 0o777;
                assert_eq!(mode, 0o755, "{files:?}");
            }
        }
    }

    #[test]
    fn what_is_no_folder_of_its_own_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        fs::create_dir(folder.path().join("empty")).unwrap();
        symlink(folder.path().join("empty"), &link).unwrap();
        fs::write(&file, "").unwrap();
        assert!(refusal(&link, false).contains("is a link"));
        assert!(refusal(&file, true).contains("not a folder"));
        assert!(refusal(Path::new("/"), true).contains("folder of its own"));
        assert!(names(&folder.path().join("empty")).is_empty());
    }

    #[test]
    fn our_own_is_taken_again_and_a_newer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/data");
        drop(Folder::open(&path, false).unwrap());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("notes"), "somebody's").unwrap();
        let held = Folder::open(&path, true).unwrap();
        assert!(refusal(&path, false).contains("another eizoku is running"));
        drop(held);
        assert_eq!(fs::read(path.join("notes")).unwrap(), b"somebody's");
        fs::write(path.join(MARK), format!("{MARK_HEAD}2\n")).unwrap();
        assert!(refusal(&path, true).contains("newer eizoku"));
    }

    #[test]
    fn a_folder_from_before_the_mark_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join(LOCK), "").unwrap();
        fs::write(path.join(STORE), [STORE_HEAD, b"rest"].concat()).unwrap();
        fs::write(path.join(KUBECONFIG), KUBECONFIG_HEAD).unwrap();
        fs::create_dir(path.join(NODE_ROOT)).unwrap();
        drop(Folder::open(path, false).unwrap());
        assert_eq!(look(path).unwrap(), Found::Ours);
    }

    #[test]
    fn a_start_that_was_killed_leaves_an_empty_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), "").unwrap();
        fs::write(folder.path().join("eizoku-data.new"), "eizo").unwrap();
        assert_eq!(look(folder.path()).unwrap(), Found::Empty);
        drop(Folder::open(folder.path(), false).unwrap());
        assert_eq!(look(folder.path()).unwrap(), Found::Ours);
    }
}
