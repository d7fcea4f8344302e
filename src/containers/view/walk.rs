//! Following a path through a view, one name at a time.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::{Kind, LAYER, LOOK_INTO, Links, Place, View, is_in};

/// As Linux: after so many symbolic links a path is a loop.
const MOST_LINKS: usize = 40;

/// As Linux: a path has at most so many bytes.
const LONGEST: usize = 4096;

/// Whether folders that are missing on the way are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsAnError,
    IsMade,
}

impl View {
    /// Follows a path from a working directory, links included: the last part's link only if `follow`. What the path leads to need not be there.
    pub(in super::super) fn resolve(
        &self,
        directory: &str,
        path: &str,
        follow: bool,
    ) -> io::Result<Place> {
        self.walk(directory, path, follow, Missing::IsAnError)
    }

    /// Makes a folder and those above it, as `mkdir -p`; what is there already is fine if it is a folder.
    pub(in super::super) fn make_folders(&self, directory: &str, path: &str) -> io::Result<Place> {
        // The last name is a folder to be made like those before it.
        self.walk(directory, &format!("{path}/."), true, Missing::IsMade)
    }

    fn walk(
        &self,
        directory: &str,
        path: &str,
        follow: bool,
        missing: Missing,
    ) -> io::Result<Place> {
        if path.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let is_absolute = path.starts_with('/');
        let mut todo = parts_reversed(path);
        // `a/.` is what `a` leads to, and a folder.
        let wants_folder = path.ends_with("/.");
        if !is_absolute {
            todo.extend(parts_reversed(directory));
        }
        let mut names: Vec<String> = Vec::new();
        let mut here = self.stand(&names)?;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if todo.iter().chain(&names).map(String::len).sum::<usize>() > LONGEST {
                return Err(Errno::NAMETOOLONG.into());
            }
            if part == ".." {
                if names.pop().is_none() && self.links != Links::Inside {
                    return Err(Errno::XDEV.into());
                }
                here = self.stand(&names)?;
                continue;
            }
            let is_last = todo.is_empty() && !wants_folder;
            let place = self.entry(&here, &names, &part)?;
            // What is mounted there counts, whatever lies below it.
            if !self.is_mount_point(&place.path) && (!is_last || follow) {
                match place.read_link() {
                    Ok(target) => {
                        links += 1;
                        if links > MOST_LINKS || self.links == Links::Refused {
                            return Err(Errno::LOOP.into());
                        }
                        if target.starts_with('/') {
                            if self.links == Links::Beneath {
                                return Err(Errno::XDEV.into());
                            }
                            names.clear();
                            here = self.stand(&names)?;
                        }
                        todo.extend(parts_reversed(&target));
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
                    Err(error) => return Err(error),
                }
            }
            if is_last {
                return Ok(place);
            }
            here = match self.enter(&place) {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && missing == Missing::IsMade =>
                {
                    match place.make_folder() {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(error);
                        }
                        _ => self.enter(&place)?,
                    }
                }
                other => other?,
            };
            names.push(part);
        }
        // The path has ended in a folder that was gone through: `/`, `..`, or a link to one of these. It cannot be removed by such a name.
        let path = joined(&names);
        let around = self.around(&path);
        let kind = Kind::Tree(around.map_or(LAYER, |point| point.tree));
        let read_only = around.is_some_and(|point| point.read_only);
        Ok(Place::new(here, ".".to_owned(), kind, path, read_only).with_mount_point(true))
    }

    /// The folder that these names lead to, none of which is a link.
    fn stand(&self, names: &[String]) -> io::Result<Option<Arc<OwnedFd>>> {
        let mut here = match self.point("/") {
            Some(point) => Some(Arc::clone(&point.folder)),
            None => Some(Arc::clone(&self.root)),
        };
        for (at, name) in names.iter().enumerate() {
            let place = self.entry(&here, &names[..at], name)?;
            here = self.enter(&place)?;
        }
        Ok(here)
    }

    /// A name in the folder that is reached, or what is mounted there.
    fn entry(
        &self,
        here: &Option<Arc<OwnedFd>>,
        names: &[String],
        name: &str,
    ) -> io::Result<Place> {
        let path = match joined(names).as_str() {
            "/" => format!("/{name}"),
            folder => format!("{folder}/{name}"),
        };
        let around = self.around(&path);
        let kind = Kind::Tree(around.map_or(LAYER, |point| point.tree));
        let read_only = around.is_some_and(|point| point.read_only);
        let (folder, name, kind) = match around {
            Some(point) if point.path == path => {
                (Some(Arc::clone(&point.folder)), point.name.as_str(), kind)
            }
            None if self.is_device(&path) => (self.devices.clone(), name, Kind::Device),
            _ => (here.clone(), name, kind),
        };
        let is_mount_point = self.is_mount_point(&path);
        let place = Place::new(folder, name.to_owned(), kind, path, read_only);
        Ok(place.with_mount_point(is_mount_point))
    }

    /// Opens the folder at a place. One that is missing, but is on the way to a mount, is entered all the same: nothing is in it but that way.
    fn enter(&self, place: &Place) -> io::Result<Option<Arc<OwnedFd>>> {
        match self.open_folder(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut points = self.points.iter();
                if points.any(|point| is_in(&point.path, &place.path)) {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
            other => other.map(Some),
        }
    }

    fn open_folder(&self, place: &Place) -> io::Result<Arc<OwnedFd>> {
        place.step_into(LOOK_INTO).map(Arc::new)
    }
}

fn joined(names: &[String]) -> String {
    format!("/{}", names.join("/"))
}

fn parts_reversed(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .rev()
        .map(str::to_owned)
        .collect()
}
