//! `cp` and `mv`. Each name is found anew in the container's files, where a link leads no further than they do; a folder that stands in the way as a link is
//! not copied into.

use std::collections::HashSet;
use std::io;

use super::super::super::place::{Place, Write};
use super::Tool;

impl Tool<'_> {
    pub(super) fn copy_or_move(&mut self) -> io::Result<()> {
        let Some(target) = self.operands.pop().filter(|_| !self.operands.is_empty()) else {
            self.fail("missing file operand");
            return Ok(());
        };
        let into_folder = self
            .about(&target, true)
            .is_ok_and(|(_, about)| about.is_dir());
        if self.operands.len() > 1 && !into_folder {
            self.fail(format_args!("target '{target}' is not a directory"));
            return Ok(());
        }
        let is_move = self.name == "mv";
        let recursive = self.has('r') || self.has('R') || self.has('a');
        self.each(|tool, path| {
            let name = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(path);
            let target = if into_folder {
                format!("{}/{name}", target.trim_end_matches('/'))
            } else {
                target.clone()
            };
            if is_move {
                tool.move_to(path, &target)
            } else {
                let from = tool.at(path, !recursive || path.ends_with('/'))?;
                if from.about()?.is_dir() && !recursive {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                tool.copy(&from, &target)
            }
        })
    }

    fn move_to(&self, path: &str, target: &str) -> io::Result<()> {
        let (from, to) = (self.to_change(path)?, self.to_change(target)?);
        if self.world.view.has_mounts_below(&from.path) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        match from.rename(&to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
            other => return other,
        }
        // Between two mounts it is a copy and a removal. What is in the way goes first, so that a link there is replaced and not followed.
        if to.about().is_ok_and(|about| !about.is_dir()) {
            to.remove_file()?;
        }
        self.copy(&from, &to.path)?;
        from.remove_tree()
    }

    /// Copies a file, link or folder, as it is.
    fn copy(&self, from: &Place, target: &str) -> io::Result<()> {
        let to = self.at(target, true)?;
        if from.about()?.is_dir() && to.path.starts_with(&format!("{}/", from.path)) {
            return Err(io::Error::other("can't copy a directory into itself"));
        }
        self.copy_entry(from, target, &mut HashSet::new())
    }

    /// `made` are the folders that this copy has made: one volume may be mounted twice, and a copy must not go round in it.
    fn copy_entry(
        &self,
        from: &Place,
        target: &str,
        made: &mut HashSet<(u64, u64)>,
    ) -> io::Result<()> {
        let about = from.about()?;
        if about.is_symlink() {
            let to = self.at(target, false)?;
            if to.about().is_ok_and(|about| !about.is_dir()) {
                to.remove_file()?;
            }
            return to.link_to(&from.read_link()?);
        }
        if !about.is_dir() {
            let mut source = from.open()?;
            let to = self.at(target, true)?;
            if to.about().is_ok_and(|to| to.identity() == about.identity()) {
                return Err(io::Error::other(format!("'{target}' is the same file")));
            }
            let is_new = to.about().is_err();
            io::copy(&mut source, &mut to.create(Write::Truncate)?)?;
            return if is_new {
                to.set_mode(about.mode() & 0o777)
            } else {
                Ok(())
            };
        }
        if made.contains(&about.identity()) {
            return Ok(());
        }
        let to = self.at(target, false)?;
        match to.make_folder() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !to.is_folder() {
                    return Err(io::Error::other(format!(
                        "target '{target}' is not a directory"
                    )));
                }
            }
            other => {
                other?;
                made.insert(to.about()?.identity());
            }
        }
        let mut names = from.names()?;
        names.extend(self.world.view.extra_names(&from.path));
        names.sort();
        names.dedup();
        let join = |folder: &str, name: &str| format!("{}/{name}", folder.trim_end_matches('/'));
        for name in names {
            let below = self.at(&join(&from.path, &name), false)?;
            let about = below.about()?;
            // A device has no end, and a pipe nobody at the other one.
            if !about.is_file() && !about.is_dir() && !about.is_symlink() {
                continue;
            }
            self.copy_entry(&below, &join(&to.path, &name), made)?;
        }
        Ok(())
    }
}
