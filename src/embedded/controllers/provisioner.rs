//! The local-path provisioner: makes a folder on the node's disk for each claim, and removes it again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::claims::{PROVISIONER, SELECTED_NODE};
use super::driver::Controller;
use super::events::{Note, Recorder};
use crate::NODE;
use crate::failure::Failure;
use crate::object::{self, annotation, array, text};
use crate::registry::{Deletion, Options, Registry};
use crate::resource;
use crate::store::{Change, Key};
use eizoku_containers::Disk;

pub(crate) const LOCAL_PATH: &str = "rancher.io/local-path";
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Where the volumes lie on the node's disk, as kind has it.
const VOLUMES: &str = "/var/local-path-provisioner";

pub(super) struct Provisioner {
    recorder: Recorder,
    /// The folder that is the node's disk.
    node_root: PathBuf,
}

impl Provisioner {
    pub(super) fn new(registry: &Registry, node_root: PathBuf) -> Self {
        let name = format!(
            "{LOCAL_PATH}_local-path-provisioner_{}",
            object::random_uid()
        );
        Self {
            recorder: Recorder::new(registry, &name, ""),
            node_root,
        }
    }

    fn provision(&self, registry: &Registry, claim: &Value) -> Result<(), Failure> {
        let class = registry.find(
            resource::STORAGE_CLASSES,
            "",
            text(claim, "/spec/storageClassName"),
        );
        let Some(class) = class.filter(|class| text(class, "/provisioner") == LOCAL_PATH) else {
            return Ok(());
        };
        let name = format!("pvc-{}", object::uid(claim));
        if registry.find(resource::VOLUMES, "", &name).is_some() {
            return Ok(());
        }
        let full_name = format!("{}/{}", object::namespace(claim), object::name(claim));
        self.recorder.record(&Note::normal(
            claim,
            "Provisioning",
            format!("External provisioner is provisioning volume for claim {full_name:?}"),
        ));
        let path = format!(
            "{VOLUMES}/{name}_{}_{}",
            object::namespace(claim),
            object::name(claim)
        );
        let made = refusal(claim)
            .map_or(Ok(()), Err)
            .and_then(|()| make_folder(&self.node_root, &path));
        if let Err(why) = made {
            self.recorder.record(&Note::warning(
                claim,
                "ProvisioningFailed",
                format!(
                    "failed to provision volume with StorageClass {:?}: {why}",
                    object::name(&class)
                ),
            ));
            return Err(Failure::internal(why));
        }
        registry.insert(
            resource::VOLUMES,
            "",
            volume(claim, &class, &name, &path),
            &Options::by("local-path-provisioner"),
        )?;
        self.recorder.record(&Note::normal(
            claim,
            "ProvisioningSucceeded",
            format!("Successfully provisioned volume {name}"),
        ));
        Ok(())
    }

    fn delete(&self, registry: &Registry, volume: &Value) -> Result<(), Failure> {
        if let Err(why) = remove_folder(&self.node_root, text(volume, "/spec/hostPath/path")) {
            self.recorder
                .record(&Note::warning(volume, "VolumeFailedDelete", why.clone()));
            return Err(Failure::internal(why));
        }
        match registry.delete(
            resource::VOLUMES,
            "",
            object::name(volume),
            &Deletion {
                uid: Some(object::uid(volume).to_owned()),
                ..Deletion::default()
            },
        ) {
            Err(failure) if failure.code != 404 => Err(failure),
            _ => Ok(()),
        }
    }
}

impl Controller for Provisioner {
    fn name(&self) -> &'static str {
        "local-path-provisioner"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        [
            registry.keys(resource::CLAIMS),
            registry.keys(resource::VOLUMES),
        ]
        .concat()
    }

    fn wakes(&mut self, _: &Registry, change: &Change) -> Vec<Key> {
        if matches!(
            change.key.resource,
            "persistentvolumeclaims" | "persistentvolumes"
        ) {
            vec![change.key.clone()]
        } else {
            Vec::new()
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        _: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        match key.resource {
            "persistentvolumeclaims" => {
                if let Some(claim) = registry
                    .find(resource::CLAIMS, &key.namespace, &key.name)
                    .filter(|claim| wants_volume(claim))
                {
                    self.provision(registry, &claim)?;
                }
            }
            _ => {
                if let Some(volume) = registry
                    .find(resource::VOLUMES, "", &key.name)
                    .filter(|volume| is_over(volume))
                {
                    self.delete(registry, &volume)?;
                }
            }
        }
        Ok(None)
    }
}

/// Whether the binder has asked this provisioner for a volume.
fn wants_volume(claim: &Value) -> bool {
    annotation(claim, PROVISIONER) == Some(LOCAL_PATH)
        && text(claim, "/spec/volumeName").is_empty()
        && !object::is_deleting(claim)
}

/// Whether a volume of this provisioner is released and to be deleted.
fn is_over(volume: &Value) -> bool {
    annotation(volume, PROVISIONED_BY) == Some(LOCAL_PATH)
        && text(volume, "/status/phase") == "Released"
        && text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete"
        && !object::is_deleting(volume)
}

/// Why the claim cannot be served, in the provisioner's words.
fn refusal(claim: &Value) -> Option<String> {
    if claim.pointer("/spec/selector").is_some() {
        return Some("claim.Spec.Selector is not supported".to_owned());
    }
    let served = |mode: &Value| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod";
    let all_served = array(claim, "/spec/accessModes").iter().all(served);
    (!all_served).then(|| {
        "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes".to_owned()
    })
}

fn volume(claim: &Value, class: &Value, name: &str, path: &str) -> Value {
    let node = annotation(claim, SELECTED_NODE).unwrap_or(NODE);
    let mut volume = json!({
        "metadata": {"name": name, "annotations": {"local.path.provisioner/selected-node": node, PROVISIONED_BY: LOCAL_PATH}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]}, "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "accessModes": claim["spec"]["accessModes"], "persistentVolumeReclaimPolicy": class["reclaimPolicy"], "storageClassName": object::name(class),
            "volumeMode": claim["spec"]["volumeMode"],
            "claimRef": {
                "kind": "PersistentVolumeClaim", "namespace": object::namespace(claim), "name": object::name(claim), "uid": object::uid(claim), "apiVersion": "v1",
                "resourceVersion": text(claim, "/metadata/resourceVersion"),
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}},
        },
    });
    if let Some(options) = class.get("mountOptions") {
        volume["spec"]["mountOptions"] = options.clone();
    }
    volume
}

/// The node's disk, and `path` on it if it does not say `..`: nothing that is asked of it leads out.
pub(crate) fn on_disk(node_root: &Path, path: &str) -> Result<Disk, String> {
    if path.split('/').any(|part| part == "..") {
        return Err(format!("{path} leads out of the node"));
    }
    std::fs::create_dir_all(node_root)
        .and_then(|()| Disk::open(node_root))
        .map_err(|error| error.to_string())
}

fn make_folder(node_root: &Path, path: &str) -> Result<(), String> {
    on_disk(node_root, path)?
        .make_folders(path)
        .map(drop)
        .map_err(|error| format!("failed to create volume: {error}"))
}

/// Removes a volume's folder. A way to it over a link, which only a container can have made, leads to something else.
fn remove_folder(node_root: &Path, path: &str) -> Result<(), String> {
    let own = path.strip_prefix(VOLUMES).unwrap_or_default();
    if !own.starts_with('/') || own.split('/').all(|part| matches!(part, "" | ".")) {
        return Err(format!("{path} is not a folder of this provisioner"));
    }
    on_disk(node_root, path)?
        .remove_tree(path)
        .map_err(|error| format!("failed to delete volume: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_the_node() {
        let folder = tempfile::tempdir().unwrap();
        let (node, outside) = (folder.path().join("node"), folder.path().join("outside"));
        fs::create_dir_all(outside.join("in")).unwrap();
        make_folder(&node, "/var/local-path-provisioner/a").unwrap();
        make_folder(&node, "/var/local-path-provisioner/b").unwrap();
        let volumes = node.join("var/local-path-provisioner");
        symlink(&outside, volumes.join("a/link")).unwrap();
        symlink("../../../../outside", volumes.join("a/up")).unwrap();
        for path in [
            "/etc",
            VOLUMES,
            "/var/local-path-provisioner/.",
            "/var/local-path-provisioner//",
            "/var/local-path-provisioner-else/a",
            "/var/local-path-provisioner/../../outside",
            "/var/local-path-provisioner/a/link/in",
            "/var/local-path-provisioner/a/up/in",
        ] {
            assert!(remove_folder(&node, path).is_err(), "{path}");
        }
        make_folder(&node, "/var/local-path-provisioner/a/link/new").unwrap();
        assert!(make_folder(&node, "/a/../../b").is_err());
        remove_folder(&node, "/var/local-path-provisioner/a").unwrap();
        remove_folder(&node, "/var/local-path-provisioner/a").unwrap();
        assert!(volumes.join("b").is_dir() && !volumes.join("a").exists());
        let left: Vec<_> = fs::read_dir(&outside).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn only_single_node_modes_are_served() {
        let claim = |mode: &str| json!({"spec": {"accessModes": [mode]}});
        assert_eq!(refusal(&claim("ReadWriteOnce")), None);
        assert!(refusal(&claim("ReadWriteMany")).is_some());
    }
}
