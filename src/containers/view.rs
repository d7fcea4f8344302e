//! The files a container sees: its own writable layer, and the mounts. Everything a program in a container opens goes through here,
//! so that neither `..` nor a symbolic link leads out to the host.
//!
//! This is a view, no jail: it is kept by our own programs, which are the only ones that run in a container.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Mount;
use super::image::ImageKind;

/// As Linux: after so many symbolic links a path is a loop.
const MOST_LINKS: usize = 40;

/// Devices that mean the same in a container as outside.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// A container's files.
#[derive(Debug, Clone)]
pub(super) struct View {
    root: PathBuf,
    /// Longest path first, so that the first that fits is the one that counts.
    mounts: Vec<Mount>,
}

/// Where a path of the container lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// On the host.
    pub(super) host: PathBuf,
    /// In the container: absolute, without `..` and links.
    pub(super) path: String,
    pub(super) read_only: bool,
}

/// How to open a file for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Truncate,
    Append,
}

impl View {
    /// The view with this writable layer and these mounts.
    pub(super) fn new(root: PathBuf, mounts: &[Mount]) -> Self {
        let mut mounts: Vec<Mount> = mounts
            .iter()
            .map(|mount| Mount {
                path: format!("/{}", mount.path.trim_matches('/')),
                ..mount.clone()
            })
            .collect();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path.len()));
        Self { root, mounts }
    }

    /// Makes the writable layer as the image has it: folders, a few files under `/etc`, programs under `/bin`.
    pub(super) fn prepare(
        &self,
        image: ImageKind,
        hostname: &str,
        programs: &[&str],
    ) -> io::Result<()> {
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
            fs::create_dir_all(self.root.join(folder))?;
        }
        let user = match image {
            ImageKind::Postgres => "postgres:x:999:999::/var/lib/postgresql:/bin/bash\n",
            ImageKind::Busybox => "",
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
            fs::write(self.root.join(file), text)?;
        }
        for program in programs {
            write_program(&self.root.join("bin").join(program))?;
        }
        for mount in &self.mounts {
            // A mount point shows in its parent's listing, as long as that is ours and no mount itself.
            let parent = self.place(parent_of(&mount.path));
            if parent.host.starts_with(&self.root) {
                let point = self.root.join(mount.path.trim_matches('/'));
                if mount.host.is_file() {
                    fs::create_dir_all(parent.host)?;
                    fs::write(point, "")?;
                } else {
                    fs::create_dir_all(point)?;
                }
            }
        }
        Ok(())
    }

    /// The host path of an absolute path without links, by the mounts alone.
    fn place(&self, path: String) -> Place {
        for mount in &self.mounts {
            let below = if mount.path == "/" {
                path.strip_prefix('/')
            } else {
                path.strip_prefix(&mount.path)
                    .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                    .map(|rest| rest.trim_start_matches('/'))
            };
            if let Some(below) = below {
                let host = if below.is_empty() {
                    mount.host.clone()
                } else {
                    mount.host.join(below)
                };
                return Place {
                    host,
                    read_only: mount.read_only,
                    path,
                };
            }
        }
        if DEVICES.contains(&path.as_str()) {
            return Place {
                host: PathBuf::from(&path),
                read_only: false,
                path,
            };
        }
        Place {
            host: self.root.join(path.trim_start_matches('/')),
            read_only: false,
            path,
        }
    }

    /// Follows a path from a working directory, links included: the last part's link only if `follow`.
    pub(super) fn resolve(&self, directory: &str, path: &str, follow: bool) -> io::Result<Place> {
        if path.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let start = if path.starts_with('/') {
            "/"
        } else {
            directory
        };
        let mut done: Vec<String> = Vec::new();
        let mut todo: Vec<String> = parts_reversed(path);
        todo.extend(parts_reversed(start));
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            if todo.is_empty() && !follow {
                break;
            }
            let here = self.place(format!("/{}", done.join("/")));
            let is_link = fs::symlink_metadata(&here.host).is_ok_and(|about| about.is_symlink());
            if is_link && !DEVICES.contains(&here.path.as_str()) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = fs::read_link(&here.host)?;
                let target = target.to_string_lossy();
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                todo.extend(parts_reversed(&target));
            }
        }
        Ok(self.place(format!("/{}", done.join("/"))))
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, directory: &str, path: &str) -> io::Result<File> {
        let place = self.resolve(directory, path, true)?;
        if place.host.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        File::open(place.host)
    }

    /// Opens a file for writing and makes it if it is missing.
    pub(super) fn create(&self, directory: &str, path: &str, how: Write) -> io::Result<File> {
        let place = self.writable(directory, path, true)?;
        if place.host.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut options = OpenOptions::new();
        match how {
            Write::Truncate => options.write(true).truncate(true),
            Write::Append => options.append(true),
        };
        // A device is there already; creating it is what one may not do.
        options.create(!DEVICES.contains(&place.path.as_str()));
        options.open(place.host)
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
    pub(super) fn is_mount_point(&self, path: &str) -> bool {
        path == "/" || self.mounts.iter().any(|mount| mount.path == path)
    }

    /// The names of the mount points and devices that a listing of this folder has to show although the host's folder lacks them.
    pub(super) fn extra_names(&self, path: &str) -> Vec<String> {
        let devices = DEVICES.iter().map(|device| (*device).to_owned());
        let points = self.mounts.iter().map(|mount| mount.path.clone());
        points
            .chain(devices)
            .filter(|point| point != "/" && parent_of(point) == path)
            .filter_map(|point| point.rsplit('/').next().map(str::to_owned))
            .collect()
    }

    /// The mounts, as `mount` lists them.
    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }
}

/// The folder a path is in.
pub(super) fn parent_of(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    }
}

fn parts_reversed(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .rev()
        .map(str::to_owned)
        .collect()
}

fn write_program(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, "")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn view(folder: &Path) -> View {
        let volume = folder.join("volume");
        fs::create_dir_all(&volume).unwrap();
        let mounts = [
            Mount {
                host: volume.clone(),
                path: "/var/lib/postgresql".into(),
                read_only: false,
            },
            Mount {
                host: volume,
                path: "/config/".into(),
                read_only: true,
            },
        ];
        let view = View::new(folder.join("root"), &mounts);
        view.prepare(ImageKind::Postgres, "postgres-0", &["ls"])
            .unwrap();
        view
    }

    #[test]
    fn mounts_and_layer_are_found_where_the_container_sees_them() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(folder.path());
        let host = |path: &str| view.resolve("/tmp", path, true).unwrap().host;
        assert_eq!(host("a"), folder.path().join("root/tmp/a"));
        assert_eq!(host("/var/lib/postgresql"), folder.path().join("volume"));
        assert_eq!(
            host("/var/lib/postgresql/18/docker/base"),
            folder.path().join("volume/18/docker/base")
        );
        assert_eq!(
            host("/var/lib/postgresqlx"),
            folder.path().join("root/var/lib/postgresqlx")
        );
        assert_eq!(host("../../.."), folder.path().join("root"));
        assert_eq!(host("/dev/null"), Path::new("/dev/null"));
        assert_eq!(
            fs::read_to_string(host("/etc/hostname")).unwrap(),
            "postgres-0\n"
        );
        assert!(folder.path().join("root/config").is_dir());
    }

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(folder.path());
        fs::write(folder.path().join("secret"), "host").unwrap();
        for target in [
            folder.path().join("secret").to_str().unwrap(),
            "../../../../secret",
        ] {
            let link = folder.path().join("volume/link");
            let _ = fs::remove_file(&link);
            symlink(target, link).unwrap();
            assert!(
                view.open("/", "/var/lib/postgresql/link").is_err(),
                "{target}"
            );
        }
        symlink("/etc/hostname", folder.path().join("volume/name")).unwrap();
        assert!(view.open("/", "/var/lib/postgresql/name").is_ok());
        symlink("loop", folder.path().join("volume/loop")).unwrap();
        assert!(view.open("/", "/var/lib/postgresql/loop").is_err());
    }

    #[test]
    fn a_read_only_mount_refuses_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(folder.path());
        let error = view.create("/", "/config/a", Write::Truncate).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
        assert!(
            view.create("/var/lib/postgresql", "a", Write::Append)
                .is_ok()
        );
        assert!(view.open("/config", "a").is_ok());
    }
}
