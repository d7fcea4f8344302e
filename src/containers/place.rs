//! One name in one folder that is held open: what is done to it is done by that folder's descriptor, so that nobody can put a link in the way between
//! looking and doing. No operation here follows a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::removal;

/// Opens something to look at it and to go on from it, which needs no right to read it where the system knows such a thing.
#[cfg(target_os = "linux")]
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// The same for a folder, and for nothing but a folder.
pub(super) const LOOK_INTO: OFlags = LOOK.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// Opens a folder to read its names.
pub(super) const LIST: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a file without waiting for whoever is at the other end of a pipe, and without taking a terminal.
const AT_ONCE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The rights of a file that may be set. No program of a container may lend its owner's rights to others.
const RIGHTS: u32 = 0o1777;

/// Where a path of a container leads to, whether there is something or not.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The folder it is in; absent where there is no such folder.
    folder: Option<Arc<OwnedFd>>,
    /// The name there; `.` is the folder itself.
    name: String,
    kind: Kind,
    /// Something is mounted here, or the name is `.`: it can be looked at and written to, but neither removed nor replaced.
    is_mount_point: bool,
    /// In the container: absolute, without `..` and links.
    pub(super) path: String,
    pub(super) read_only: bool,
}

/// What a place belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The writable layer or a mount, by its number: nothing is renamed or linked from one to another.
    Tree(usize),
    /// A device of the host, to be read and written, and nothing else.
    Device,
}

/// How to open a file for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Truncate,
    Append,
}

impl Place {
    pub(super) fn new(
        folder: Option<Arc<OwnedFd>>,
        name: String,
        kind: Kind,
        path: String,
        read_only: bool,
    ) -> Self {
        Self {
            folder,
            name,
            kind,
            is_mount_point: false,
            path,
            read_only,
        }
    }

    /// The same, as a place where something is mounted.
    pub(super) fn with_mount_point(self, is_mount_point: bool) -> Self {
        Self {
            is_mount_point,
            ..self
        }
    }

    fn folder(&self) -> io::Result<&OwnedFd> {
        self.folder
            .as_deref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The folder, if the place may be changed.
    fn changeable(&self) -> io::Result<&OwnedFd> {
        if self.kind == Kind::Device {
            return Err(Errno::PERM.into());
        }
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.folder()
    }

    /// The folder, if what is in the place may be removed or replaced.
    fn replaceable(&self) -> io::Result<&OwnedFd> {
        if self.is_mount_point {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        self.changeable()
    }

    /// What is there.
    pub(super) fn about(&self) -> io::Result<About> {
        let folder = self.folder()?;
        let stat = rustix::fs::statat(folder, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(About(stat))
    }

    pub(super) fn is_folder(&self) -> bool {
        self.about().is_ok_and(|about| about.is_dir())
    }

    /// Where a link leads.
    pub(super) fn read_link(&self) -> io::Result<String> {
        let target = rustix::fs::readlinkat(self.folder()?, self.name.as_str(), Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// The names in a folder, those that are text.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let folder = self.hold()?;
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self) -> io::Result<File> {
        self.open_file(OFlags::RDONLY)
    }

    /// Opens a file for writing and makes it if it is missing.
    pub(super) fn create(&self, how: Write) -> io::Result<File> {
        if self.kind == Kind::Device {
            return self.open_file(OFlags::WRONLY);
        }
        self.changeable()?;
        let flags = OFlags::WRONLY | OFlags::CREATE;
        match how {
            Write::Append => self.open_file(flags | OFlags::APPEND),
            Write::Truncate => {
                // Only once it is sure to be a file.
                let file = self.open_file(flags)?;
                file.set_len(0)?;
                Ok(file)
            }
        }
    }

    fn open_file(&self, flags: OFlags) -> io::Result<File> {
        let mode = Mode::from_raw_mode(0o666);
        let file = rustix::fs::openat(self.folder()?, self.name.as_str(), flags | AT_ONCE, mode)?;
        let file = File::from(file);
        let about = file.metadata()?;
        if self.kind == Kind::Device {
            // A device is read to its end, however long it takes.
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
        } else if about.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        } else if !about.is_file() {
            // As on a file system that is mounted without devices; a pipe could keep whoever opens it waiting for ever.
            return Err(Errno::NXIO.into());
        }
        Ok(file)
    }

    /// Makes a file if there is none, and sets the time of its last change to now.
    pub(super) fn touch(&self) -> io::Result<()> {
        let file = self.create(Write::Append)?;
        if self.kind == Kind::Device {
            return Ok(());
        }
        file.set_modified(SystemTime::now())
    }

    pub(super) fn make_folder(&self) -> io::Result<()> {
        let mode = Mode::from_raw_mode(0o777);
        Ok(rustix::fs::mkdirat(
            self.changeable()?,
            self.name.as_str(),
            mode,
        )?)
    }

    /// Removes what is no folder.
    pub(super) fn remove_file(&self) -> io::Result<()> {
        let folder = self.replaceable()?;
        rustix::fs::unlinkat(folder, self.name.as_str(), AtFlags::empty()).map_err(|error| {
            match error {
                Errno::PERM if self.is_folder() => io::ErrorKind::IsADirectory.into(),
                error => error.into(),
            }
        })
    }

    pub(super) fn remove_folder(&self) -> io::Result<()> {
        let folder = self.replaceable()?;
        Ok(rustix::fs::unlinkat(
            folder,
            self.name.as_str(),
            AtFlags::REMOVEDIR,
        )?)
    }

    /// Removes a folder and everything in it, or a file.
    pub(super) fn remove_tree(&self) -> io::Result<()> {
        removal::remove(self.replaceable()?, OsStr::new(&self.name))
    }

    /// Renames within one tree; between two it is an error, as between two file systems.
    pub(super) fn rename(&self, to: &Self) -> io::Result<()> {
        self.same_tree(to)?;
        Ok(rustix::fs::renameat(
            self.replaceable()?,
            self.name.as_str(),
            to.replaceable()?,
            to.name.as_str(),
        )?)
    }

    /// Gives a file another name within one tree.
    pub(super) fn hard_link(&self, new: &Self) -> io::Result<()> {
        self.same_tree(new)?;
        Ok(rustix::fs::linkat(
            self.changeable()?,
            self.name.as_str(),
            new.replaceable()?,
            new.name.as_str(),
            AtFlags::empty(),
        )?)
    }

    /// Makes a link that leads to `target`, which may be anything.
    pub(super) fn link_to(&self, target: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(
            target,
            self.replaceable()?,
            self.name.as_str(),
        )?)
    }

    fn same_tree(&self, other: &Self) -> io::Result<()> {
        if self.kind == other.kind {
            Ok(())
        } else {
            Err(Errno::XDEV.into())
        }
    }

    /// Sets the rights of a file or folder.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        set_mode(self.changeable()?, self.name.as_str(), mode)
    }

    /// Opens a folder, to do something with all of it.
    pub(super) fn hold(&self) -> io::Result<OwnedFd> {
        self.step_into(LIST)
    }

    /// Opens a folder, to go on from it.
    pub(super) fn step_into(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let (folder, name) = (self.folder()?, self.name.as_str());
        let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
        // Systems differ in what they call it if it is a link.
        Ok(opened.map_err(|error| match error {
            Errno::LOOP | Errno::MLINK => Errno::NOTDIR,
            error => error,
        })?)
    }
}

/// Sets the rights of a name in a folder, never those of what a link leads to.
pub(super) fn set_mode(
    folder: &OwnedFd,
    name: impl rustix::path::Arg,
    mode: u32,
) -> io::Result<()> {
    let mode = (mode & RIGHTS) as rustix::fs::RawMode;
    let mode = Mode::from_raw_mode(mode);
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        // Older kernels cannot do it by name without following a link, and to open a file its rights would have to allow that.
        let held = rustix::fs::openat(folder, name, LOOK | OFlags::NOFOLLOW, Mode::empty())?;
        if About(rustix::fs::fstat(&held)?).is_symlink() {
            return Err(Errno::OPNOTSUPP.into());
        }
        let itself = format!("/proc/self/fd/{}", held.as_raw_fd());
        Ok(rustix::fs::chmod(itself, mode)?)
    }
    #[cfg(not(target_os = "linux"))]
    Ok(rustix::fs::chmodat(
        folder,
        name,
        mode,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct About(pub(super) Stat);

#[allow(
    clippy::unnecessary_cast,
    reason = "the widths of these fields differ between systems"
)]
impl About {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    pub(super) fn is_symlink(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.0.st_size as u64
    }

    /// The rights, twelve bits.
    pub(super) fn mode(&self) -> u32 {
        self.0.st_mode as u32 & 0o7777
    }

    pub(super) fn links(&self) -> u64 {
        self.0.st_nlink as u64
    }

    /// Of 512 bytes each.
    pub(super) fn blocks(&self) -> u64 {
        self.0.st_blocks as u64
    }

    pub(super) fn block_size(&self) -> u64 {
        self.0.st_blksize as u64
    }

    pub(super) fn inode(&self) -> u64 {
        self.0.st_ino as u64
    }

    /// What no other file has at the same time.
    pub(super) fn identity(&self) -> (u64, u64) {
        (self.0.st_dev as u64, self.0.st_ino as u64)
    }

    pub(super) fn modified(&self) -> SystemTime {
        let seconds = u64::try_from(self.0.st_mtime as i64).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::new(seconds, self.0.st_mtime_nsec as u32)
    }
}
