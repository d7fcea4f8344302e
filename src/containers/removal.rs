//! Removing a folder with everything in it, by descriptors: a folder that somebody swaps for a link meanwhile is not followed, and neither depth
//! nor size of a tree matters.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode};
use rustix::io::Errno;

use super::place::{LIST, LOOK, set_mode};

/// How many folders are held open at once. What lies deeper is moved up to the first one and removed there.
const DEEPEST: usize = 64;

/// How many names are read at once.
const BATCH: usize = 1024;

/// How often a folder is read anew. Somebody who goes on writing into it is not waited for for ever.
const ROUNDS: usize = 1 << 20;

/// Removes a folder and everything below it; a link is removed and never followed. There being none is fine.
///
/// The folder that it is in has to be out of reach of containers.
///
/// # Errors
/// What the host says when something can't be removed.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let held = match rustix::fs::openat(CWD, parent, LOOK, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    match remove(&held, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a name in a folder and, if it is a folder, everything in it.
pub(super) fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    let Some(top) = enter(folder, &name)? else {
        return Ok(());
    };
    let mut rest = Rest {
        top: &top,
        moved: 0,
    };
    rest.empty(&top, 0)?;
    Ok(rustix::fs::unlinkat(folder, &name, AtFlags::REMOVEDIR)?)
}

struct Rest<'a> {
    top: &'a OwnedFd,
    /// How many folders were moved up.
    moved: u64,
}

impl Rest<'_> {
    /// Removes everything in a folder.
    fn empty(&mut self, folder: &OwnedFd, depth: usize) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let names = some_names(folder)?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                match self.remove(folder, &name, depth) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
        }
        Err(io::ErrorKind::DirectoryNotEmpty.into())
    }

    fn remove(&mut self, folder: &OwnedFd, name: &CString, depth: usize) -> io::Result<()> {
        let Some(below) = enter(folder, name)? else {
            return Ok(());
        };
        if depth == DEEPEST {
            return self.move_up(folder, name);
        }
        self.empty(&below, depth + 1)?;
        match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
            // Somebody has put something there just now: it goes in the next round.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Moves a folder up to the first one, under a name that nothing has.
    fn move_up(&mut self, folder: &OwnedFd, name: &CString) -> io::Result<()> {
        loop {
            let new = format!(".removed-{}", self.moved);
            self.moved += 1;
            match rustix::fs::renameat(folder, name, self.top, new) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                other => return Ok(other?),
            }
        }
    }
}

/// Opens a folder to remove what is in it. What is no folder is removed, and nothing is given back.
fn enter(folder: &OwnedFd, name: &CString) -> io::Result<Option<OwnedFd>> {
    let kept = match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) => return Ok(None),
        Err(why @ (Errno::ISDIR | Errno::PERM)) => why,
        Err(error) => return Err(error.into()),
    };
    let open = || rustix::fs::openat(folder, name, LIST, Mode::empty());
    let opened = open().or_else(|error| match error {
        // Its own owner has taken the right to look into it.
        Errno::ACCESS if set_mode(folder, name, 0o700).is_ok() => open(),
        error => Err(error),
    });
    match opened {
        // No folder after all, and the host does not want it removed.
        Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Err(kept.into()),
        other => Ok(Some(other?)),
    }
}

fn some_names(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (outside, tree) = (folder.path().join("outside"), folder.path().join("tree"));
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        fs::create_dir_all(tree.join("a/b/closed")).unwrap();
        fs::write(tree.join("a/file"), "").unwrap();
        symlink(&outside, tree.join("a/b/link")).unwrap();
        symlink("../../outside/kept", tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b/closed"), fs::Permissions::from_mode(0o000)).unwrap();
        for number in 0..BATCH + 5 {
            fs::write(tree.join(format!("a/{number}")), "").unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
        remove_tree(&tree).unwrap();
        symlink(&outside, &tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(outside.join("kept").exists() && !tree.is_symlink());
    }

    /// A container can make folders deeper than a path may be long and than files may be open.
    #[test]
    fn depth_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut at = rustix::fs::openat(CWD, &tree, LIST, Mode::empty()).unwrap();
        for _ in 0..1_200 {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
            at = rustix::fs::openat(&at, "d", LIST, Mode::empty()).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
