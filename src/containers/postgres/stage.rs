//! How a database comes to lie in the data directory: made in a folder of its own inside ([`Stage`]), and moved up when it is whole. A start after a kill, at
//! whatever point, finds a whole database, or something of which it is sure that this program made it; that, and nothing else, is ever removed here.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::super::place::Place;
use super::super::remove_tree;
use super::backend::{DESCRIPTION, DESCRIPTION_SCHEMA, FILES, LOCK_OF_STAGE};
use super::datadir::holds_version;

/// The name of a folder in which a database is made, before the number that makes it ours.
const STAGE: &str = ".eizoku-initdb";
/// Where the database is made in a stage.
const NEW: &str = "new";
/// The file that says that the database in a stage is whole.
const DONE: &str = "done";

/// What the names begin with under which earlier versions of this program wrote the parts of a database before they were whole.
const EARLIER_STAGES: [&str; 2] = [".pgdata-initdb-", ".oliphaunt.json.oliphaunt-write-"];

/// Has a database made, by a function that gets the folder to make it in, and moves it to where it belongs. What was made is removed if that fails.
pub(super) fn make(directory: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let stage = Stage::begin(directory)?;
    let made = make(&stage.new_database()).and_then(|()| stage.finish());
    if let Err(error) = made {
        stage.clear()?;
        return Err(error);
    }
    stage.publish(directory)
}

/// After an end at any point: what is whole goes on being moved, what is half made and ours is removed, and a database as earlier versions of this
/// program laid it out is brought into the layout of now. `begun` is the file in which those said that making one had begun and not ended.
pub(super) fn recover(directory: &Path, begun: &Place) -> io::Result<()> {
    for stage in Stage::all(directory)? {
        if stage.is_done() {
            stage.publish(directory)?;
        } else if stage.is_ours() {
            stage.clear()?;
        }
    }
    if !holds_version(directory) && begun.about().is_ok_and(|about| about.is_file()) {
        clear_earlier_layout(directory, begun)?;
    } else if !holds_version(directory) && has_earlier_layout(directory) {
        // Done from the start: what is moved in is whole, and would be moved up if this ended here.
        let stage = Stage::begin(directory)?;
        fs::create_dir(stage.new_database())?;
        stage.finish()?;
        fs::rename(directory.join(FILES), stage.new_database().join(FILES))?;
        stage.publish(directory)?;
    }
    Ok(())
}

/// A folder in the data directory in which a database is made. Its name ends in its own inode's number, so that no other folder, a copy of it neither, is
/// taken for one that this program made.
#[derive(Debug)]
struct Stage(PathBuf);

impl Stage {
    fn begin(directory: &Path) -> io::Result<Self> {
        let fresh = directory.join(STAGE);
        // One that has no number yet is empty, or not ours.
        absent_is_fine(fs::remove_dir(&fresh))?;
        fs::DirBuilder::new().mode(0o700).create(&fresh)?;
        let number = fs::symlink_metadata(&fresh)?.ino();
        let stage = directory.join(format!("{STAGE}-{number:x}"));
        rename_new(&fresh, &stage)?;
        Ok(Self(stage))
    }

    fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut stages = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_stage = name
                .strip_prefix(STAGE)
                .is_some_and(|rest| rest.starts_with('-'));
            if is_stage && entry.file_type()?.is_dir() {
                stages.push(Self(entry.path()));
            } else if name == STAGE {
                let _ = fs::remove_dir(entry.path());
            }
        }
        Ok(stages)
    }

    /// Where the database is made.
    fn new_database(&self) -> PathBuf {
        self.0.join(NEW)
    }

    fn is_ours(&self) -> bool {
        let number = fs::symlink_metadata(&self.0).map(|about| about.ino());
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        number.is_ok_and(|number| name == format!("{STAGE}-{number:x}"))
    }

    fn is_done(&self) -> bool {
        fs::symlink_metadata(self.0.join(DONE)).is_ok_and(|about| about.is_file())
    }

    /// Says that the database is whole, once all of it is on the disk.
    fn finish(&self) -> io::Result<()> {
        sync(&self.0)?;
        File::create(self.0.join(DONE))?.sync_all()?;
        File::open(&self.0)?.sync_all()
    }

    /// Moves the database up, entry by entry, the version last; nothing that is there already is replaced. May be ended and begun again at any point.
    fn publish(&self, directory: &Path) -> io::Result<()> {
        let from = self.new_database().join(FILES);
        let names = match fs::read_dir(&from) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (version, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| name == "PG_VERSION");
        for name in others.iter().chain(&version) {
            rename_new(&from.join(name), &directory.join(name))?;
        }
        sync(directory)?;
        // Described no longer, unless what it describes is still to be moved.
        if has_description(directory) && !directory.join(FILES).exists() {
            fs::remove_file(directory.join(DESCRIPTION))?;
        }
        self.clear()
    }

    /// Removes what was made here, and nothing else; what somebody else put here stays.
    fn clear(&self) -> io::Result<()> {
        remove_tree(&self.new_database())?;
        for file in [LOCK_OF_STAGE, DONE] {
            absent_is_fine(fs::remove_file(self.0.join(file)))?;
        }
        match fs::remove_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => absent_is_fine(other),
        }
    }
}

/// Whether a database lies here as earlier versions of this program laid it out: one folder deeper, beside a description.
fn has_earlier_layout(folder: &Path) -> bool {
    has_description(folder)
        && fs::symlink_metadata(folder.join(FILES)).is_ok_and(|about| about.is_dir())
}

/// Removes what earlier versions of this program left of a database that they did not finish, if there is nothing else.
fn clear_earlier_layout(folder: &Path, begun: &Place) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let is_theirs = |name: &str| {
        [FILES, DESCRIPTION].contains(&name)
            || EARLIER_STAGES.iter().any(|stage| name.starts_with(stage))
    };
    if !entries
        .iter()
        .all(|entry| is_theirs(&entry.file_name().to_string_lossy()))
    {
        return Ok(());
    }
    for entry in entries {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    begun.remove_file()
}

fn has_description(folder: &Path) -> bool {
    let path = folder.join(DESCRIPTION);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|about| about.is_file());
    let schema = || {
        let text = fs::read(&path).ok()?;
        let description: serde_json::Value = serde_json::from_slice(&text).ok()?;
        Some(description["schema"] == DESCRIPTION_SCHEMA)
    };
    is_file && schema().unwrap_or(false)
}

/// Renames without ever replacing what is there.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows how.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => Ok(other?),
    }
}

pub(super) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Waits until everything written to the folder's file system is on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::place::Write;
    use super::super::super::view::{Links, View, open_trusted};
    use super::*;

    /// Every path below a folder, sorted; what a file holds stands behind it.
    fn tree(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![folder.to_owned()];
        while let Some(next) = todo.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                if path.is_dir() {
                    found.push(format!("{name}/"));
                    todo.push(path);
                } else {
                    found.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    fn put(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
    }

    fn describe(folder: &Path) {
        let text = format!("{{\"schema\":\"{DESCRIPTION_SCHEMA}\"}}\n");
        fs::write(folder.join(DESCRIPTION), text).unwrap();
    }

    /// What the runtime leaves in the folder that a database is made in.
    fn initdb(folder: &Path) -> io::Result<()> {
        put(
            &folder.join(FILES),
            &["PG_VERSION", "base/1", "global/pg_control"],
        );
        describe(folder);
        put(folder.parent().unwrap(), &[LOCK_OF_STAGE]);
        Ok(())
    }

    const WHOLE: [&str; 5] = [
        "PG_VERSION=x",
        "base/",
        "base/1=x",
        "global/",
        "global/pg_control=x",
    ];

    fn nothing() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let files = View::of_folder(open_trusted(folder.path()).unwrap(), Links::Inside);
        let begun = files.resolve("/", "begun", false).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        (folder, begun)
    }

    #[test]
    fn a_database_comes_up_whole_and_alone() {
        let (folder, _) = nothing();
        let data = folder.path().join("data");
        make(&data, initdb).unwrap();
        assert_eq!(tree(&data), WHOLE);
    }

    #[test]
    fn what_was_made_goes_when_making_fails_and_nothing_else() {
        let (folder, _) = nothing();
        let data = folder.path().join("data");
        let failed = make(&data, |new| {
            initdb(new)?;
            put(&data, &["mine"]);
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(tree(&data), ["mine=x"]);
    }

    #[test]
    fn a_kill_while_making_leaves_something_that_is_cleared_and_only_that() {
        let (folder, begun) = nothing();
        let data = folder.path().join("data");
        // Before the stage has its number, before it is done, and a copy of one, which nobody can tell from a reader's own.
        fs::create_dir(data.join(STAGE)).unwrap();
        let stage = Stage::begin(&data).unwrap();
        initdb(&stage.new_database()).unwrap();
        put(
            &data,
            &["mine", ".eizoku-initdb-1/new/mine", ".eizoku-initdb-x"],
        );
        recover(&data, &begun).unwrap();
        let left = [
            ".eizoku-initdb-1/",
            ".eizoku-initdb-1/new/",
            ".eizoku-initdb-1/new/mine=x",
            ".eizoku-initdb-x=x",
            "mine=x",
        ];
        assert_eq!(tree(&data), left);
    }

    #[test]
    fn a_stage_with_something_of_the_readers_stays_with_that() {
        let (folder, begun) = nothing();
        let data = folder.path().join("data");
        let stage = Stage::begin(&data).unwrap();
        initdb(&stage.new_database()).unwrap();
        put(&stage.0, &["mine"]);
        let name = stage.0.file_name().unwrap().to_string_lossy().into_owned();
        recover(&data, &begun).unwrap();
        assert_eq!(tree(&data), [format!("{name}/"), format!("{name}/mine=x")]);
    }

    #[test]
    fn a_kill_while_moving_up_is_gone_on_from() {
        // After so many entries, and after the last.
        for moved in 0..=3 {
            let (folder, begun) = nothing();
            let data = folder.path().join("data");
            let stage = Stage::begin(&data).unwrap();
            initdb(&stage.new_database()).unwrap();
            stage.finish().unwrap();
            for name in ["base", "global", "PG_VERSION"].into_iter().take(moved) {
                rename_new(
                    &stage.new_database().join(FILES).join(name),
                    &data.join(name),
                )
                .unwrap();
            }
            recover(&data, &begun).unwrap();
            assert_eq!(tree(&data), WHOLE, "{moved}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_not_replaced() {
        let (folder, begun) = nothing();
        let data = folder.path().join("data");
        let stage = Stage::begin(&data).unwrap();
        initdb(&stage.new_database()).unwrap();
        stage.finish().unwrap();
        fs::write(data.join("base"), "mine").unwrap();
        let error = recover(&data, &begun).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let left = tree(&data);
        assert!(left.contains(&"base=mine".to_owned()), "{left:?}");
        assert!(
            left.iter()
                .any(|path| path.ends_with("new/pgdata/base/1=x")),
            "{left:?}"
        );
        // Once the reader has moved it away, nothing is lost.
        fs::remove_file(data.join("base")).unwrap();
        recover(&data, &begun).unwrap();
        assert_eq!(tree(&data), WHOLE);
    }

    #[test]
    fn an_earlier_versions_database_is_brought_up_from_any_point() {
        for killed in 0..4 {
            let (folder, begun) = nothing();
            let data = folder.path().join("data");
            initdb(&data).unwrap();
            // A folder of the reader's, named as the runtime's.
            put(&data, &["pgdata/pgdata/mine"]);
            let stage = (killed > 0).then(|| Stage::begin(&data).unwrap());
            if let Some(stage) = &stage {
                fs::create_dir(stage.new_database()).unwrap();
                if killed > 1 {
                    stage.finish().unwrap();
                }
                if killed > 2 {
                    fs::rename(data.join(FILES), stage.new_database().join(FILES)).unwrap();
                }
            }
            recover(&data, &begun).unwrap();
            recover(&data, &begun).unwrap();
            let mut left = tree(&data);
            left.retain(|path| !path.starts_with(DESCRIPTION));
            let mut whole = WHOLE.map(str::to_owned).to_vec();
            whole.extend(["pgdata/".to_owned(), "pgdata/mine=x".to_owned()]);
            assert_eq!(left, whole, "{killed}");
        }
    }

    #[test]
    fn what_an_earlier_version_left_half_made_is_cleared_unless_there_is_more() {
        for mine in [false, true] {
            let (folder, begun) = nothing();
            let data = folder.path().join("data");
            put(&data, &["pgdata/PG_VERSION", ".pgdata-initdb-1/base/1"]);
            begun.create(Write::Truncate).unwrap();
            if mine {
                put(&data, &["mine"]);
            }
            recover(&data, &begun).unwrap();
            assert_eq!(tree(&data).is_empty(), !mine);
            assert_eq!(begun.about().is_ok(), mine);
        }
    }

    #[test]
    fn folders_that_only_look_like_an_earlier_database_are_left_alone() {
        let (folder, begun) = nothing();
        let data = folder.path().join("data");
        put(&data, &["pgdata/mine", DESCRIPTION]);
        let before = tree(&data);
        recover(&data, &begun).unwrap();
        assert_eq!(tree(&data), before);
    }
}
