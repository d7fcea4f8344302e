//! A folder of the host in which containers write, as those see it who prepare it for them: ways in it are followed as safely as a container's own paths.

use std::io::{self, Write as _};
use std::path::Path;

use super::place::{LOOK_INTO, Place, Write};
use super::view::{Links, View, open_trusted};

/// A folder of the host that is held open. Nothing that is done by it leaves it, whatever links containers make there and whenever they make them.
#[derive(Debug)]
pub struct Disk(View);

/// What lies at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// A file.
    File,
    /// Something else: a pipe, a socket, a device.
    Special,
}

impl Disk {
    /// Opens a folder whose own path no container can change. Links in it mean what they mean to a process that has it as its root.
    ///
    /// # Errors
    /// What the host says when there is no such folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = open_trusted(folder)?;
        Ok(Self(View::of_folder(folder, Links::Inside)))
    }

    /// A folder of it, by a way without links, as [`Disk::find`] gives it. There, a link that leads out is an error.
    ///
    /// # Errors
    /// There is no such folder, or a link is on the way.
    pub fn below(&self, way: &str) -> io::Result<Self> {
        let folder = self.direct(way)?.step_into(LOOK_INTO)?;
        Ok(Self(View::of_folder(folder, Links::Beneath)))
    }

    /// Follows a path, and says what lies there and by which way without links it is reached.
    ///
    /// # Errors
    /// A folder is missing on the way, or the path leads out.
    pub fn find(&self, path: &str) -> io::Result<(String, Lies)> {
        let place = self.0.resolve("/", path, true)?;
        let lies = match place.about() {
            Ok(about) if about.is_dir() => Lies::Folder,
            Ok(about) if about.is_file() => Lies::File,
            Ok(_) => Lies::Special,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Lies::Nothing,
            Err(error) => return Err(error),
        };
        Ok((place.path, lies))
    }

    /// Makes a folder and those above it; the way to it without links.
    ///
    /// # Errors
    /// Something else is in the way, or the path leads out, or what the host says.
    pub fn make_folders(&self, path: &str) -> io::Result<String> {
        Ok(self.0.make_folders("/", path)?.path)
    }

    /// Writes a file, and makes the folders above it.
    ///
    /// # Errors
    /// As for [`Disk::make_folders`], or there is no space.
    pub fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some((folder, _)) = path.trim_start_matches('/').rsplit_once('/') {
            self.make_folders(folder)?;
        }
        self.0.create("/", path, Write::Truncate)?.write_all(bytes)
    }

    /// Removes what lies at the end of a way, with everything below it; a link there is removed itself. There being nothing is fine.
    ///
    /// # Errors
    /// A link is on the way, or what the host says.
    pub fn remove_tree(&self, way: &str) -> io::Result<()> {
        match self.direct(way).and_then(|place| place.remove_tree()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The place at the end of a way that has no link.
    fn direct(&self, way: &str) -> io::Result<Place> {
        let view = self.0.with_links(Links::Refused);
        view.resolve("/", if way.is_empty() { "/" } else { way }, false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_inside_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir_all(root.join("volume/in")).unwrap();
        fs::create_dir_all(outside.join("in")).unwrap();
        fs::write(outside.join("in/kept"), "").unwrap();
        symlink(&outside, root.join("volume/out")).unwrap();
        symlink("../../outside", root.join("volume/up")).unwrap();
        symlink("in", root.join("volume/near")).unwrap();
        let disk = Disk::open(&root).unwrap();
        assert_eq!(
            disk.find("/volume/near").unwrap(),
            ("/volume/in".into(), Lies::Folder)
        );
        let (way, lies) = disk
            .find("/volume/up/in")
            .unwrap_or(("none".into(), Lies::Nothing));
        assert_eq!(
            (way.as_str(), lies),
            ("none", Lies::Nothing),
            "in the root there is none"
        );
        assert!(disk.below("volume/near").is_err(), "a way has no links");
        let volume = disk.below("volume").unwrap();
        assert_eq!(volume.find("near").unwrap(), ("/in".into(), Lies::Folder));
        for out in ["out", "out/in", "up", "up/in", "../x", "in/../../x"] {
            assert!(volume.find(out).is_err(), "{out}");
            assert!(volume.make_folders(out).is_err(), "{out}");
        }
        for way in ["volume/out", "volume/out/in", "volume/up/in", "volume/near"] {
            let _ = disk.remove_tree(way);
        }
        assert!(outside.join("in/kept").exists() && root.join("volume/in").exists());
        disk.write("a/b", b"text").unwrap();
        assert_eq!(fs::read(root.join("a/b")).unwrap(), b"text");
        disk.remove_tree("volume").unwrap();
        disk.remove_tree("volume").unwrap();
        assert!(!root.join("volume").exists() && outside.join("in/kept").exists());
    }
}
