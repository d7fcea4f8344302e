//! Where content lies: inside the program, or in a folder that an author edits. The one place in `book` that
//! reads files; what is in them is read elsewhere.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

/// `content/` as it was at build time (in a debug build: as it is now).
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/content"]
struct Embedded;

/// A source of content files. Paths are relative to it and use `/`.
#[derive(Clone, Debug)]
pub struct Shelf(Place);

#[derive(Clone, Debug)]
enum Place {
    Embedded,
    Folder(PathBuf),
}

impl Shelf {
    /// The content built into the program.
    pub fn embedded() -> Self {
        Self(Place::Embedded)
    }

    /// The content in a folder, as given by `--content`.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Place::Folder(path.into()))
    }

    /// Every file on the shelf, sorted, so that a run never depends on the order of a directory.
    ///
    /// # Errors
    /// If the folder, or one inside it, can't be listed.
    pub fn paths(&self) -> io::Result<Vec<String>> {
        let mut paths = match &self.0 {
            Place::Embedded => Embedded::iter().map(Cow::into_owned).collect(),
            Place::Folder(root) => {
                let mut found = Vec::new();
                walk(root, "", &mut found)?;
                found
            }
        };
        paths.sort();
        Ok(paths)
    }

    /// The bytes of one file.
    ///
    /// # Errors
    /// If there is no such file or it can't be read.
    pub fn read(&self, path: &str) -> io::Result<Cow<'static, [u8]>> {
        match &self.0 {
            Place::Embedded => Embedded::get(path)
                .map(|file| file.data)
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "not in the program")),
            Place::Folder(root) => Ok(Cow::Owned(fs::read(root.join(path))?)),
        }
    }

    /// The path as an author knows it, for messages.
    pub fn shown(&self, path: &str) -> String {
        match &self.0 {
            Place::Embedded => format!("content/{path}"),
            Place::Folder(root) => root.join(path).display().to_string(),
        }
    }
}

/// Lists the files below `root/under`. Names that begin with a dot are an editor's or a file system's, not content.
fn walk(root: &Path, under: &str, found: &mut Vec<String>) -> io::Result<()> {
    let folder = root.join(under);
    let entries = fs::read_dir(&folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = if under.is_empty() {
            name
        } else {
            format!("{under}/{name}")
        };
        // Followed, so that a linked folder is content, too.
        if entry.path().is_dir() {
            walk(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lists_its_files_sorted_without_those_of_an_editor() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ja")).unwrap();
        for name in ["ja/b.md", "ja/a.md", "ja/.b.md.swp", "ja/b.md~", "z.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let shelf = Shelf::folder(dir.path());
        assert_eq!(shelf.paths().unwrap(), ["ja/a.md", "ja/b.md", "z.txt"]);
        assert_eq!(shelf.read("ja/a.md").unwrap().as_ref(), b"ja/a.md");
        assert!(shelf.shown("ja/a.md").ends_with("/ja/a.md"));
    }

    #[test]
    fn a_missing_folder_is_named_in_the_error() {
        let error = Shelf::folder("/nowhere/at-all").paths().unwrap_err();
        assert!(error.to_string().contains("/nowhere/at-all"), "{error}");
    }
}
