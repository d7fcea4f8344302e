//! The files a container sees: its own writable layer, and the mounts. Everything a program in a container opens goes through here,
//! so that neither `..` nor a symbolic link leads out to the host.
//!
//! The layer and the mounts are held open by descriptors. A path is followed one name at a time from there ([`walk`]): each folder is opened in the one
//! before and never through a link, and a link is read and followed here, where an absolute one means the container's root. What is done at the end is
//! done by the last folder's descriptor and the last name ([`Place`]). So there is nothing that somebody could swap between a check and what follows it.
//! That is how `openat2` with `RESOLVE_IN_ROOT` does it, which knows of no mounts but the kernel's and is Linux alone.

mod walk;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::Mount;
use super::image::ImageKind;
use super::place::{Kind, LOOK, LOOK_INTO, Place};

pub(super) use super::place::Write;

/// Devices that mean the same in a container as outside.
pub(super) const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The writable layer's number among the trees; the mounts have the ones after it.
const LAYER: usize = 0;

/// A container's files.
#[derive(Debug, Clone)]
pub(super) struct View {
    root: Arc<OwnedFd>,
    /// Longest path first, so that the first that fits is the one that counts.
    points: Vec<Point>,
    links: Links,
    /// The host's, if the devices are to be seen.
    devices: Option<Arc<OwnedFd>>,
}

/// What a link that leads away means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// An absolute one begins at the root, and `..` there stays there: as a process sees it whose root it is.
    Inside,
    /// Leading out is an error.
    Beneath,
    /// There are none: one on the way is an error.
    Refused,
}

/// A mount, open.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Where the container sees it.
    pub(super) path: String,
    pub(super) read_only: bool,
    /// The folder that is mounted, or the one with the file that is.
    folder: Arc<OwnedFd>,
    /// The file's name; `.` is the folder.
    name: String,
    tree: usize,
}

impl View {
    /// The view with this writable layer, which has to be there, and these mounts.
    pub(super) fn new(root: &Path, mounts: &[Mount]) -> io::Result<Self> {
        let mut points = Vec::new();
        for (at, mount) in mounts.iter().enumerate() {
            points.push(Point::open(mount, LAYER + 1 + at)?);
        }
        points.sort_by_key(|point| std::cmp::Reverse(point.path.len()));
        Ok(Self {
            points,
            devices: open_trusted(Path::new("/dev")).ok().map(Arc::new),
            ..Self::of_folder(open_trusted(root)?, Links::Inside)
        })
    }

    /// A folder alone, without mounts and devices.
    pub(super) fn of_folder(folder: OwnedFd, links: Links) -> Self {
        Self {
            root: Arc::new(folder),
            points: Vec::new(),
            links,
            devices: None,
        }
    }

    /// The same, with links that mean something else.
    pub(super) fn with_links(&self, links: Links) -> Self {
        Self {
            links,
            ..self.clone()
        }
    }

    /// Makes the writable layer as the image has it: folders, a few files under `/etc`, programs under `/bin`.
    pub(super) fn prepare(
        &self,
        image: ImageKind,
        hostname: &str,
        programs: &[&str],
    ) -> io::Result<()> {
        let layer = Self {
            points: Vec::new(),
            devices: None,
            ..self.clone()
        };
        for folder in [
            "bin",
            "dev",
            "etc",
            "home",
            "proc",
            "root",
            "tmp",
            "usr/bin",
            "usr/local/bin",
            "var/log",
        ]
        .iter()
        .chain(image.folders())
        {
            layer.make_folders("/", folder)?;
        }
        let user = match image {
            ImageKind::Postgres => "postgres:x:999:999::/var/lib/postgresql:/bin/bash\n",
            ImageKind::Busybox => "",
        };
        let write = |path: &str, text: &str| {
            let mut file = layer.create("/", path, Write::Truncate)?;
            io::Write::write_all(&mut file, text.as_bytes())
        };
        for (file, text) in [
            ("etc/hostname", format!("{hostname}\n")),
            (
                "etc/hosts",
                format!("127.0.0.1\tlocalhost\n127.0.0.1\t{hostname}\n"),
            ),
            (
                "etc/passwd",
                format!("root:x:0:0:root:/root:/bin/sh\n{user}"),
            ),
        ] {
            write(file, &text)?;
        }
        for program in programs {
            let path = format!("/bin/{program}");
            write(&path, "")?;
            layer.resolve("/", &path, false)?.set_mode(0o755)?;
        }
        for point in &self.points {
            // A mount point shows in its parent's listing, as long as that is ours and no mount itself.
            let parent = parent_of(&point.path);
            if point.path == "/" || self.tree_of(&parent) != LAYER {
                continue;
            }
            if point.name == "." {
                layer.make_folders("/", &point.path)?;
            } else {
                layer.make_folders("/", &parent)?;
                write(&point.path, "")?;
            }
        }
        Ok(())
    }

    /// The mount that a path is, if it is one.
    fn point(&self, path: &str) -> Option<&Point> {
        self.points.iter().find(|point| point.path == path)
    }

    /// The mount that a path lies in; absent: the writable layer.
    fn around(&self, path: &str) -> Option<&Point> {
        self.points.iter().find(|point| is_in(path, &point.path))
    }

    fn tree_of(&self, path: &str) -> usize {
        self.around(path).map_or(LAYER, |point| point.tree)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, directory: &str, path: &str) -> io::Result<File> {
        self.resolve(directory, path, true)?.open()
    }

    /// Opens a file for writing and makes it if it is missing.
    pub(super) fn create(&self, directory: &str, path: &str, how: Write) -> io::Result<File> {
        self.resolve(directory, path, true)?.create(how)
    }

    /// A place that may be changed.
    pub(super) fn writable(&self, directory: &str, path: &str, follow: bool) -> io::Result<Place> {
        let place = self.resolve(directory, path, follow)?;
        if place.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(place)
    }

    /// Whether this path is where something is mounted: it can't be removed or renamed.
    fn is_mount_point(&self, path: &str) -> bool {
        path == "/" || self.point(path).is_some() || self.is_device(path)
    }

    /// Whether something is mounted below this path: then it can't be removed or renamed either.
    pub(super) fn has_mounts_below(&self, path: &str) -> bool {
        let mut all = self.points.iter().map(|point| point.path.as_str());
        let is_below = |point: &str| point != path && is_in(point, path);
        all.any(is_below) || (self.devices.is_some() && DEVICES.into_iter().any(is_below))
    }

    fn is_device(&self, path: &str) -> bool {
        self.devices.is_some() && DEVICES.contains(&path) && self.around(path).is_none()
    }

    /// The names of the mount points and devices that a listing of this folder has to show although the host's folder lacks them.
    pub(super) fn extra_names(&self, path: &str) -> Vec<String> {
        let devices = self.devices.iter().flat_map(|_| DEVICES);
        let points = self.points.iter().map(|point| point.path.as_str());
        points
            .chain(devices)
            .filter(|point| *point != "/" && parent_of(point) == path)
            .filter_map(|point| point.rsplit('/').next().map(str::to_owned))
            .collect()
    }

    /// The mounts, as `mount` lists them.
    pub(super) fn mounts(&self) -> &[Point] {
        &self.points
    }

    /// Everything that is held open, with whether it may only be read: what a second wall has to let through.
    #[cfg(target_os = "linux")]
    pub(super) fn held(&self) -> io::Result<Vec<(OwnedFd, bool)>> {
        let mut held = vec![(self.root.try_clone()?, false)];
        for point in &self.points {
            let flags = LOOK | OFlags::NOFOLLOW;
            let itself =
                rustix::fs::openat(&point.folder, point.name.as_str(), flags, Mode::empty())?;
            held.push((itself, point.read_only));
        }
        Ok(held)
    }
}

impl Point {
    fn open(mount: &Mount, tree: usize) -> io::Result<Self> {
        let (mut folder, mut name) = (Arc::new(open_trusted(&mount.host)?), ".".to_owned());
        let mut parts: Vec<&str> = mount
            .below
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let last = parts.pop();
        for part in parts {
            folder = Arc::new(rustix::fs::openat(&folder, part, LOOK_INTO, Mode::empty())?);
        }
        if let Some(last) = last {
            let place = Place::new(
                Some(Arc::clone(&folder)),
                last.to_owned(),
                Kind::Tree(tree),
                mount.path.clone(),
                mount.read_only,
            );
            let about = place.about()?;
            if about.is_dir() {
                folder = Arc::new(rustix::fs::openat(&folder, last, LOOK_INTO, Mode::empty())?);
            } else if about.is_symlink() {
                return Err(rustix::io::Errno::LOOP.into());
            } else {
                name = last.to_owned();
            }
        }
        Ok(Self {
            path: clean(&mount.path),
            read_only: mount.read_only,
            folder,
            name,
            tree,
        })
    }
}

/// Opens a folder whose path no container can change.
pub(super) fn open_trusted(folder: &Path) -> io::Result<OwnedFd> {
    let flags = LOOK | OFlags::DIRECTORY;
    Ok(rustix::fs::openat(CWD, folder, flags, Mode::empty())?)
}

/// A path without empty parts, `.` and `..`, which stays at the root.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a path is another one, or below it.
fn is_in(path: &str, folder: &str) -> bool {
    folder == "/"
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder a path is in.
pub(super) fn parent_of(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    }
}

#[cfg(test)]
mod race;
#[cfg(test)]
mod tests;
