//! Manifests: the YAML files that a reader applies, alone and as an archive of a folder.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use serde_json::Value;

use super::report::Notes;

/// One file of `content/manifests`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Path below `manifests/`, for instance `stateful-app/01-secret.yaml`.
    pub path: String,
    /// The file as it is; always valid YAML.
    pub text: String,
}

impl Manifest {
    /// The name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The folder it lies in, empty for none.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// All manifests, sorted by path.
#[derive(Clone, Debug, Default)]
pub struct Manifests(Vec<Manifest>);

impl Manifests {
    pub(super) fn push(&mut self, manifest: Manifest) {
        self.0.push(manifest);
        self.0.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Every file, by path.
    pub fn iter(&self) -> impl Iterator<Item = &Manifest> {
        self.0.iter()
    }

    /// One file by its path below `manifests/`.
    pub fn get(&self, path: &str) -> Option<&Manifest> {
        self.0.iter().find(|manifest| manifest.path == path)
    }

    /// The folders that hold manifests, sorted; each can be had as an archive.
    pub fn folders(&self) -> Vec<&str> {
        let mut folders: Vec<_> = self
            .iter()
            .map(Manifest::folder)
            .filter(|folder| !folder.is_empty())
            .collect();
        folders.dedup();
        folders
    }

    /// A `.tar.gz` of one folder, unpacking into a folder of that name; `None` if there is no such folder.
    /// The same content gives the same bytes, whenever and wherever it is packed.
    pub fn archive(&self, folder: &str) -> Option<Vec<u8>> {
        let files: Vec<_> = self
            .iter()
            .filter(|manifest| manifest.folder() == folder)
            .collect();
        if files.is_empty() || folder.is_empty() {
            return None;
        }
        let mut tar = tar::Builder::new(Vec::new());
        for manifest in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(manifest.text.len() as u64);
            header.set_mode(0o644);
            // Some unpackers warn about 1970; the day that PostgreSQL 18 came out is as good as any.
            header.set_mtime(1_758_758_400);
            tar.append_data(&mut header, &manifest.path, manifest.text.as_bytes())
                .expect("writing to memory with a short path does not fail");
        }
        let tar = tar.into_inner().expect("writing to memory does not fail");
        let mut gz = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::best());
        gz.write_all(&tar).and_then(|()| gz.finish()).ok()
    }
}

/// Checks that every document of a manifest is YAML and names an object.
pub(super) fn check(text: &str, notes: &mut Notes<'_>) {
    match serde_saphyr::from_multiple::<Value>(text) {
        Err(error) => {
            let line = error
                .location()
                .map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
            notes.add(line, format!("not valid YAML: {}", error.without_snippet()));
        }
        Ok(documents) if documents.iter().all(Value::is_null) => {
            notes.add(1, "the manifest is empty");
        }
        Ok(documents) => {
            for document in documents.iter().filter(|document| !document.is_null()) {
                for field in ["/apiVersion", "/kind", "/metadata/name"] {
                    if !document.pointer(field).is_some_and(Value::is_string) {
                        let kind = document
                            .pointer("/kind")
                            .and_then(Value::as_str)
                            .unwrap_or("object");
                        let field = field[1..].replace('/', ".");
                        notes.add(
                            1,
                            format!("a {kind} has no `{field}`; kubectl would refuse it"),
                        );
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::report::ContentErrors;
    use super::*;

    fn two() -> Manifests {
        let mut manifests = Manifests::default();
        for path in ["app/02.yaml", "app/01.yaml", "other/01.yaml"] {
            manifests.push(Manifest {
                path: path.to_owned(),
                text: format!("# {path}\n"),
            });
        }
        manifests
    }

    #[test]
    fn an_archive_holds_the_folder_and_is_always_the_same() {
        let bytes = two().archive("app").unwrap();
        assert_eq!(bytes, two().archive("app").unwrap());
        let mut tar = Vec::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut tar)
            .unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let files: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        let file = |path: &str| (path.to_owned(), format!("# {path}\n"));
        assert_eq!(files, [file("app/01.yaml"), file("app/02.yaml")]);
        assert_eq!(two().archive("nowhere"), None);
        assert_eq!(two().folders(), ["app", "other"]);
    }

    #[test]
    fn a_manifest_must_be_yaml_that_names_objects() {
        let table = [
            (
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n",
                "",
            ),
            ("apiVersion: v1\n  kind: Pod\n", "m.yaml:2: not valid YAML"),
            (
                "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
                "m.yaml:1: a Pod has no `metadata.name`",
            ),
            ("", "m.yaml:1: the manifest is empty"),
        ];
        for (text, wanted) in table {
            let mut errors = ContentErrors::default();
            check(text, &mut Notes::new("m.yaml", &mut errors));
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.is_empty(), wanted.is_empty(), "{text:?}: {errors:?}");
            assert!(
                errors.iter().all(|error| error.starts_with(wanted)),
                "{text:?}: {errors:?}"
            );
        }
    }
}
