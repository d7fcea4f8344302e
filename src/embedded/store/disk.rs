//! The file of the store: opened, written to, and opened again after it failed.
//!
//! Owns the redb database. Every failure is an answer in words that say what to do; none is a panic and none is lasting:
//! what the disk refused is taken back from the file before the next write. Knows bytes, never objects.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// Objects that could not be read, under their keys and the revision at which this was found. They are kept for whoever
/// can read them.
const ASIDE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("aside");

/// What is written to find out whether there is room.
const PROBE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("probe");

const REVISION: &str = "revision";
/// The mirror answers every read, so that the file's own cache need only hold the way to the next write.
const CACHE: usize = 8 << 20;

/// Why the disk did not take a write, or does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("no space is left on the disk of {file}: free some space there and try again")]
    Full { file: String },
    #[error("the disk of {file} failed: {why}")]
    Failed { file: String, why: String },
}

/// All that is in the file.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) revision: u64,
    /// Key and bytes of each object.
    pub(super) objects: Vec<(String, Vec<u8>)>,
}

/// What the file should say where nobody knows whether a failed write is in it.
#[derive(Debug)]
struct Doubt {
    key: String,
    bytes: Option<Vec<u8>>,
    revision: u64,
}

/// The file, for one writer.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    /// None after a failure, until it has been opened again.
    database: Option<Database>,
    doubt: Option<Doubt>,
    /// Bytes of the largest write that was refused and had no successor since.
    refused: usize,
}

impl Disk {
    /// Opens the file, or makes it, and reads everything that is in it.
    ///
    /// # Errors
    /// When it cannot be read. It is left as it is.
    pub(super) fn open(path: &Path) -> Result<(Self, Content), DiskError> {
        let is_there = path.metadata().is_ok_and(|found| found.len() > 0);
        let mut disk = Self {
            path: path.to_owned(),
            database: None,
            doubt: None,
            refused: 0,
        };
        let content = disk.careful(|disk| {
            let database = if is_there {
                database(&disk.path)?
            } else {
                made(&disk.path)?
            };
            let writing = database.begin_write()?;
            writing.open_table(OBJECTS)?;
            writing.open_table(COUNTERS)?;
            writing.commit()?;
            let reading = database.begin_read()?;
            let mut content = Content {
                revision: reading
                    .open_table(COUNTERS)?
                    .get(REVISION)?
                    .map_or(0, |counter| counter.value()),
                ..Content::default()
            };
            for entry in reading.open_table(OBJECTS)?.iter()? {
                let (key, bytes) = entry?;
                let entry = (key.value().to_owned(), bytes.value().to_owned());
                content.objects.push(entry);
            }
            disk.database = Some(database);
            Ok(content)
        })?;
        Ok((disk, content))
    }

    /// Writes one object (none: removes it) and the revision of this, both or nothing. `before` is what memory says of the
    /// object, in case nobody can tell what became of the write.
    pub(super) fn commit(
        &mut self,
        key: &str,
        bytes: Option<&[u8]>,
        revision: u64,
        before: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<(), DiskError> {
        self.recover()?;
        let written = self.careful(|disk| disk.put(key, bytes, revision));
        let size = key.len() + bytes.map_or(0, <[u8]>::len);
        if written.is_ok() {
            if size >= self.refused {
                self.refused = 0;
            }
        } else {
            self.refused = self.refused.max(size);
            self.doubt = Some(Doubt {
                key: key.to_owned(),
                bytes: before(),
                revision: revision - 1,
            });
        }
        written
    }

    /// After a failure: opens the file again, and makes it say what memory says. Writes nothing when all is well.
    pub(super) fn recover(&mut self) -> Result<(), DiskError> {
        if self.database.is_some() {
            return Ok(());
        }
        self.careful(|disk| {
            disk.database = Some(database(&disk.path)?);
            if let Some(doubt) = &disk.doubt {
                disk.put(&doubt.key, doubt.bytes.as_deref(), doubt.revision)?;
            }
            disk.doubt = None;
            Ok(())
        })
    }

    /// Whether the disk takes writes: after a failure, whether it would take the largest one that was refused.
    pub(super) fn ready(&mut self) -> Result<(), DiskError> {
        self.recover()?;
        if self.refused > 0 {
            let bytes = vec![0; self.refused];
            self.careful(|disk| {
                for probe in [Some(bytes.as_slice()), None] {
                    let database = disk.database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
                    let writing = database.begin_write()?;
                    match probe {
                        Some(bytes) => drop(writing.open_table(PROBE)?.insert("", bytes)?),
                        None => drop(writing.delete_table(PROBE)?),
                    }
                    writing.commit()?;
                }
                Ok(())
            })?;
            self.refused = 0;
        }
        Ok(())
    }

    /// Moves objects that cannot be read to where they are kept and do no harm.
    pub(super) fn put_aside(&mut self, keys: &[String], revision: u64) -> Result<(), DiskError> {
        self.careful(|disk| {
            let database = disk.database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            let writing = database.begin_write()?;
            {
                let mut objects = writing.open_table(OBJECTS)?;
                let mut aside = writing.open_table(ASIDE)?;
                for key in keys {
                    if let Some(bytes) = objects.remove(key.as_str())? {
                        let kept = format!("{key}\0{revision}");
                        aside.insert(kept.as_str(), bytes.value())?;
                    }
                }
            }
            Ok(writing.commit()?)
        })
    }

    fn put(&self, key: &str, bytes: Option<&[u8]>, revision: u64) -> Result<(), redb::Error> {
        let database = self.database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let writing = database.begin_write()?;
        {
            let mut objects = writing.open_table(OBJECTS)?;
            match bytes {
                Some(bytes) => objects.insert(key, bytes)?,
                None => objects.remove(key)?,
            };
            writing.open_table(COUNTERS)?.insert(REVISION, revision)?;
        }
        Ok(writing.commit()?)
    }

    /// Does something to the file. Whatever goes wrong, a panic on a file that was damaged included, closes the database:
    /// redb takes no more writes after a failure until the file is opened again.
    fn careful<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, redb::Error>,
    ) -> Result<T, DiskError> {
        let file = self.path.display().to_string();
        let failed = match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(redb::Error::Io(error)))
                if matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                ) =>
            {
                DiskError::Full { file }
            }
            Ok(Err(error)) => DiskError::Failed {
                file,
                why: error.to_string(),
            },
            Err(_) => DiskError::Failed {
                file,
                why: "the file is damaged".to_owned(),
            },
        };
        let database = self.database.take();
        // Closing writes, too, and may find the same damage.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        Err(failed)
    }
}

/// Opens a file that is there. It is checked from end to end: redb trusts what it reads later.
fn database(path: &Path) -> Result<Database, redb::Error> {
    let database = Database::builder()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .open(path)?;
    Ok(database)
}

/// Makes a file that appears under its name only when it can be opened: a start that is killed leaves none.
fn made(path: &Path) -> Result<Database, redb::Error> {
    let fresh = path.with_extension("new");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    let backend = FileBackend::new(file)?;
    let database = Database::builder()
        .set_cache_size(CACHE)
        .create_with_backend(backend)?;
    std::fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(path: &Path) -> (u64, Vec<(String, String)>) {
        let (_, content) = Disk::open(path).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let objects = content.objects.into_iter();
        let objects = objects.map(|(key, bytes)| (key, text(bytes))).collect();
        (content.revision, objects)
    }

    #[test]
    fn what_a_failed_write_left_is_taken_back_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let (mut disk, _) = Disk::open(&path).unwrap();
        disk.commit("a", Some(b"1"), 1, || None).unwrap();
        // Both came to the disk, and were said to have failed.
        for (key, before) in [("a", Some(b"1".to_vec())), ("b", None)] {
            disk.put(key, Some(b"2"), 2).unwrap();
            disk.database = None;
            disk.doubt = Some(Doubt {
                key: key.to_owned(),
                bytes: before,
                revision: 1,
            });
            disk.recover().unwrap();
        }
        disk.commit("c", Some(b"3"), 2, || None).unwrap();
        drop(disk);
        let kept = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        assert_eq!(content(&path), (2, vec![kept("a", "1"), kept("c", "3")]));
    }

    #[test]
    fn a_damaged_file_is_said_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let (mut disk, _) = Disk::open(&path).unwrap();
        for number in 1..200 {
            let key = format!("k{number}");
            let bytes = vec![b'x'; 3_000];
            disk.commit(&key, Some(&bytes), number, || None).unwrap();
        }
        drop(disk);
        let whole = std::fs::read(&path).unwrap();
        let middle = whole.len() / 2;
        let mut holed = whole.clone();
        holed[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
        for damaged in [
            whole[..middle].to_vec(),
            whole[..10].to_vec(),
            vec![0; whole.len()],
            b"no store at all".to_vec(),
            holed,
        ] {
            std::fs::write(&path, &damaged).unwrap();
            let refused = Disk::open(&path).map(drop);
            assert!(
                matches!(refused, Err(DiskError::Failed { .. })),
                "{refused:?}"
            );
            assert!(std::fs::read(&path).unwrap() == damaged, "{refused:?}");
        }
    }
}
