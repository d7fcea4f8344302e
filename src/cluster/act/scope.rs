//! The objects of the lesson: what the manifests name, and what grows out of that. Nothing else is
//! ever changed from a page.

use kube::core::DynamicObject;
use serde_json::Value;

/// What the manifests hold.
#[derive(Debug, Clone, Default)]
pub struct Scope(Vec<File>);

/// One file of manifests.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) folder: String,
    pub(super) name: String,
    pub(super) objects: Vec<Value>,
}

impl Scope {
    /// Reads manifests, each with its path as `FOLDER/FILE`.
    ///
    /// # Errors
    /// The path of one that is not YAML, and what the parser said.
    pub fn read<'a>(manifests: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut files = Vec::new();
        for (path, text) in manifests {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let objects: Vec<Value> = serde_saphyr::from_multiple(text)
                .map_err(|error| format!("{path}: {}", error.without_snippet()))?;
            files.push(File {
                folder: folder.into(),
                name: name.into(),
                objects: objects.into_iter().filter(Value::is_object).collect(),
            });
        }
        files.sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
        Ok(Self(files))
    }

    /// The files of a folder in order, or the one that is named; empty if there is no such thing.
    pub(super) fn files(&self, folder: &str, file: Option<&str>) -> Vec<&File> {
        let wanted = |it: &&File| it.folder == folder && file.is_none_or(|file| it.name == file);
        self.0.iter().filter(wanted).collect()
    }

    /// The folders, sorted.
    pub fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = self.0.iter().map(|file| file.folder.clone()).collect();
        folders.dedup();
        folders.retain(|folder| !folder.is_empty());
        folders
    }

    /// Every object that a manifest holds, in the order in which they are applied.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().flat_map(|file| &file.objects)
    }

    /// Whether a manifest holds an object of this kind and name.
    pub(in crate::cluster) fn names(&self, kind: &str, name: &str) -> bool {
        self.objects()
            .any(|object| text(object, "/kind") == kind && text(object, "/metadata/name") == name)
    }

    /// Whether it is a claim of the lesson: a manifest's own, or `TEMPLATE-SET-ORDINAL` of a
    /// StatefulSet's.
    pub(super) fn claims(&self, name: &str) -> bool {
        self.names("PersistentVolumeClaim", name)
            || self.sets().any(|set| {
                let of = text(set, "/metadata/name");
                templates(set).any(|template| {
                    let stem = format!("{}-{of}-", text(template, "/metadata/name"));
                    name.strip_prefix(&stem).is_some_and(is_ordinal)
                })
            })
    }

    /// Whether it is a volume of the lesson: a manifest's own, or one that holds, or held, the data
    /// of one of its claims in this namespace.
    pub(super) fn holds(&self, volume: &DynamicObject, namespace: &str) -> bool {
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        if self.names("PersistentVolume", name) {
            return true;
        }
        let claim = text(&volume.data, "/spec/claimRef/name");
        if !claim.is_empty() {
            return text(&volume.data, "/spec/claimRef/namespace") == namespace
                && self.claims(claim);
        }
        // A volume that was released to anybody has no claim any more, but local-path's folders
        // are called VOLUME_NAMESPACE_CLAIM.
        ["/spec/hostPath/path", "/spec/local/path"]
            .into_iter()
            .filter_map(|at| text(&volume.data, at).rsplit('/').next())
            .filter_map(|folder| folder.strip_prefix(&format!("{name}_{namespace}_")))
            .any(|claim| self.claims(claim))
    }

    /// A selector for the claims that StatefulSets make, by the labels that they give them; empty
    /// if there are none.
    pub fn claim_selector(&self) -> String {
        let mut values: Vec<&str> = self
            .sets()
            .filter(|set| templates(set).next().is_some())
            .map(|set| text(set, "/spec/selector/matchLabels/app"))
            .filter(|value| !value.is_empty())
            .collect();
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [] => String::new(),
            [one] => format!("app={one}"),
            _ => format!("app in ({})", values.join(",")),
        }
    }

    fn sets(&self) -> impl Iterator<Item = &Value> {
        self.objects()
            .filter(|object| text(object, "/kind") == "StatefulSet")
    }
}

fn templates(set: &Value) -> impl Iterator<Item = &Value> {
    set.pointer("/spec/volumeClaimTemplates")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn is_ordinal(text: &str) -> bool {
    text == "0"
        || (!text.is_empty()
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text at a JSON pointer, empty if there is none.
pub(super) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let lesson = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  volumeClaimTemplates:
    - metadata: {name: data}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: fixed}
";
        let lane = "kind: PersistentVolumeClaim\nmetadata: {name: lane-claim}\n";
        let manifests = [
            ("b/1.yaml", lesson),
            ("a/2.yaml", lane),
            ("a/1.yaml", "---\n"),
        ];
        Scope::read(manifests.into_iter()).expect("YAML")
    }

    #[test]
    fn files_are_found_in_order() {
        let scope = scope();
        let names: Vec<&str> = scope
            .files("a", None)
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names, ["1.yaml", "2.yaml"]);
        assert_eq!(scope.files("a", Some("2.yaml")).len(), 1);
        assert!(scope.files("a", Some("../b/1.yaml")).is_empty());
        assert!(scope.files("c", None).is_empty());
        assert_eq!(scope.folders(), ["a", "b"]);
        assert_eq!(scope.claim_selector(), "app=db");
    }

    #[test]
    fn claims_are_those_of_manifests_and_of_templates() {
        for (name, known) in [
            ("lane-claim", true),
            ("data-db-0", true),
            ("data-db-12", true),
            ("data-db-", false),
            ("data-db-01", false),
            ("data-db-x", false),
            ("data-db2-0", false),
            ("other-db-0", false),
            ("mine", false),
        ] {
            assert_eq!(scope().claims(name), known, "{name}");
        }
    }

    #[test]
    fn volumes_are_those_of_claims_in_this_namespace() {
        for (name, spec, known) in [
            ("fixed", json!({}), true),
            (
                "v",
                json!({"claimRef": {"name": "data-db-0", "namespace": "n"}}),
                true,
            ),
            (
                "v",
                json!({"claimRef": {"name": "data-db-0", "namespace": "other"}}),
                false,
            ),
            (
                "v",
                json!({"claimRef": {"name": "mine", "namespace": "n"}}),
                false,
            ),
            (
                "v",
                json!({"hostPath": {"path": "/opt/v_n_data-db-0"}}),
                true,
            ),
            (
                "v",
                json!({"hostPath": {"path": "/opt/v_other_data-db-0"}}),
                false,
            ),
            ("v", json!({"local": {"path": "/opt/v_n_mine"}}), false),
            ("v", json!({}), false),
        ] {
            let volume: DynamicObject =
                serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))
                    .expect("a volume");
            assert_eq!(scope().holds(&volume, "n"), known, "{name} {spec}");
        }
    }
}
