//! The volumes of a Pod as folders on this machine's disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::env::{contents, own_field};
use super::{Folders, Kubelet};
use crate::controllers::on_disk;
use crate::object::{self, array, flag, text};
use crate::registry::Registry;
use crate::resource;
use eizoku_containers::{Disk, Lies, Mount, remove_tree};

/// The folders of a Pod's volumes, by volume name.
pub(super) type Volumes = BTreeMap<String, Volume>;

/// Where a volume lies.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    /// A folder whose own path no container can change.
    host: PathBuf,
    /// The way from there, free of links. Other containers may write to what is on it.
    below: String,
}

/// Makes every volume of the Pod ready. The error is the message of a `FailedMount` event; then it is tried again.
pub(super) fn prepare(kubelet: &Kubelet, pod: &Value, address: &str) -> Result<Volumes, String> {
    let own = kubelet
        .0
        .folders
        .pods
        .join(object::uid(pod))
        .join("volumes");
    let mut volumes = Volumes::new();
    for volume in array(pod, "/spec/volumes") {
        let name = text(volume, "/name");
        let place = folder(
            &kubelet.0.registry,
            &kubelet.0.folders,
            pod,
            address,
            volume,
            &own.join(name),
        );
        volumes.insert(
            name.to_owned(),
            place.map_err(|why| format!("MountVolume.SetUp failed for volume {name:?} : {why}"))?,
        );
    }
    Ok(volumes)
}

fn folder(
    registry: &Registry,
    folders: &Folders,
    pod: &Value,
    address: &str,
    volume: &Value,
    own: &Path,
) -> Result<Volume, String> {
    let namespace = object::namespace(pod);
    let all_of_it = || Volume {
        host: own.to_owned(),
        below: String::new(),
    };
    let io = |error: std::io::Error| error.to_string();
    if let Some(claim) = volume
        .pointer("/persistentVolumeClaim/claimName")
        .and_then(Value::as_str)
    {
        return claimed(registry, folders, namespace, claim);
    }
    if volume.get("emptyDir").is_some() {
        std::fs::create_dir_all(own).map_err(io)?;
        return Ok(all_of_it());
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let sources: Vec<&Value> = match volume
        .pointer("/projected/sources")
        .and_then(Value::as_array)
    {
        Some(sources) => sources.iter().collect(),
        None if ["secret", "configMap", "downwardAPI"]
            .iter()
            .any(|kind| volume.get(kind).is_some()) =>
        {
            vec![volume]
        }
        None => {
            let kind = volume
                .as_object()
                .and_then(|fields| fields.keys().find(|field| *field != "name"))
                .map_or("", String::as_str);
            return Err(format!(
                "the embedded cluster has no {kind} volumes: a Pod may use persistentVolumeClaim, emptyDir, secret, configMap, downwardAPI and projected"
            ));
        }
    };
    for source in sources {
        collect(registry, pod, address, namespace, source, &mut files)?;
    }
    // Written anew at each start, so that a removed key is gone too.
    remove_tree(own).map_err(io)?;
    std::fs::create_dir_all(own).map_err(io)?;
    let disk = Disk::open(own).map_err(io)?;
    for (path, bytes) in files {
        if path.split('/').any(|part| part == "..") {
            return Err(format!("{path} leads out of the volume"));
        }
        disk.write(&path, &bytes).map_err(io)?;
    }
    Ok(all_of_it())
}

/// The files that a secret, configMap or downwardAPI source gives.
fn collect(
    registry: &Registry,
    pod: &Value,
    address: &str,
    namespace: &str,
    source: &Value,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), String> {
    for (kind, field, name) in [
        ("Secret", "secret", "secretName"),
        ("ConfigMap", "configMap", "name"),
    ] {
        let Some(reference) = source.get(field) else {
            continue;
        };
        // A volume of its own says `secretName`, a projected source says `name`.
        let name = [name, "name"]
            .into_iter()
            .map(|field| text(reference, &format!("/{field}")))
            .find(|name| !name.is_empty())
            .unwrap_or("");
        let resource = if kind == "Secret" {
            resource::SECRETS
        } else {
            resource::CONFIGMAPS
        };
        let Some(found) = registry.find(resource, namespace, name) else {
            if flag(reference, "/optional") {
                continue;
            }
            return Err(format!("{} {name:?} not found", kind.to_lowercase()));
        };
        let data = contents(kind, &found);
        let items = array(reference, "/items");
        if items.is_empty() {
            files.extend(data);
            continue;
        }
        for item in items {
            let key = text(item, "/key");
            match data.get(key) {
                Some(bytes) => drop(files.insert(text(item, "/path").to_owned(), bytes.clone())),
                None if flag(reference, "/optional") => {}
                None => {
                    return Err(format!(
                        "references non-existent {} key: {key}",
                        kind.to_lowercase()
                    ));
                }
            }
        }
    }
    for item in array(source, "/downwardAPI/items") {
        files.insert(
            text(item, "/path").to_owned(),
            own_field(pod, address, text(item, "/fieldRef/fieldPath")).into_bytes(),
        );
    }
    Ok(())
}

/// The folder behind a claim: the path of its volume on the node's disk.
fn claimed(
    registry: &Registry,
    folders: &Folders,
    namespace: &str,
    claim: &str,
) -> Result<Volume, String> {
    let found = registry
        .find(resource::CLAIMS, namespace, claim)
        .ok_or_else(|| format!("persistentvolumeclaim {claim:?} not found"))?;
    if text(&found, "/status/phase") != "Bound" {
        return Err(format!("PVC {namespace}/{claim} is not bound"));
    }
    let name = text(&found, "/spec/volumeName");
    let volume = registry
        .find(resource::VOLUMES, "", name)
        .ok_or_else(|| format!("persistentvolume {name:?} not found"))?;
    let path = [
        text(&volume, "/spec/hostPath/path"),
        text(&volume, "/spec/local/path"),
    ]
    .into_iter()
    .find(|path| !path.is_empty());
    let path = path.ok_or_else(|| {
        format!(
            "the embedded cluster mounts hostPath and local volumes only; {name} is of another kind"
        )
    })?;
    let disk = on_disk(&folders.node_root, path)?;
    let is_folder = disk.find(path).is_ok_and(|(_, lies)| lies == Lies::Folder);
    if text(&volume, "/spec/hostPath/type") == "Directory" && !is_folder {
        return Err(format!(
            "hostPath type check failed: {path} is not a directory"
        ));
    }
    let below = disk.make_folders(path).map_err(|error| error.to_string())?;
    Ok(Volume {
        host: folders.node_root.clone(),
        below,
    })
}

/// Volumes that the kubelet writes and nobody else: they are mounted read-only, whatever the mount says.
const WRITTEN_BY_KUBELET: [&str; 4] = ["secret", "configMap", "downwardAPI", "projected"];

/// The mounts of one container of a Pod. The error is the message of a `CreateContainerConfigError`.
pub(super) fn of_container(
    pod: &Value,
    container: &Value,
    volumes: &Volumes,
) -> Result<Vec<Mount>, String> {
    let is_kubelets = |name: &str| {
        let volumes = array(pod, "/spec/volumes").iter();
        let mut named = volumes.filter(|volume| text(volume, "/name") == name);
        named.any(|volume| {
            WRITTEN_BY_KUBELET
                .iter()
                .any(|kind| volume.get(kind).is_some())
        })
    };
    let mut mounts = Vec::new();
    for mount in array(container, "/volumeMounts") {
        let name = text(mount, "/name");
        let volume = volumes
            .get(name)
            .ok_or_else(|| format!("volume {name:?} is not there"))?;
        let below = match text(mount, "/subPath") {
            "" => volume.below.clone(),
            sub_path => volume.sub_path(sub_path).map_err(|what| {
                let container = text(container, "/name");
                format!("failed to {what} for volumeMount {name:?} of container {container:?}")
            })?,
        };
        mounts.push(Mount {
            host: volume.host.clone(),
            below,
            path: text(mount, "/mountPath").to_owned(),
            read_only: flag(mount, "/readOnly") || is_kubelets(name),
        });
    }
    Ok(mounts)
}

impl Volume {
    /// The way to a path in the volume, which is made if it is missing. A link that leads out of the volume is refused. The error is what failed, and no
    /// more: as in the real kubelet, nobody is told what else there is on the host.
    fn sub_path(&self, path: &str) -> Result<String, &'static str> {
        const PREPARE: &str = "prepare subPath";
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(PREPARE);
        }
        let disk = Disk::open(&self.host).and_then(|disk| disk.below(&self.below));
        let disk = disk.map_err(|_| PREPARE)?;
        let way = match disk.find(path) {
            Ok((way, Lies::Folder | Lies::File)) => way,
            Ok((_, Lies::Special)) => return Err(PREPARE),
            Ok((_, Lies::Nothing)) => disk
                .make_folders(path)
                .map_err(|_| "create subPath directory")?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                disk.make_folders(path)
                    .map_err(|_| "create subPath directory")?
            }
            Err(_) => return Err(PREPARE),
        };
        Ok(format!("{}{way}", self.below))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sub_path_is_made_and_stays_inside() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume {
            host: folder.path().to_owned(),
            below: "/v".to_owned(),
        };
        let root = folder.path().join("v");
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("a", root.join("near")).unwrap();
        let volumes = Volumes::from([("data".to_owned(), volume)]);
        let container = |below: &str| json!({"volumeMounts": [{"name": "data", "mountPath": "/d", "subPath": below, "readOnly": true}]});
        let pod = json!({"spec": {"volumes": [{"name": "data", "emptyDir": {}}]}});
        let mounts = of_container(&pod, &container("a/b"), &volumes).unwrap();
        assert_eq!(mounts[0].below, "/v/a/b");
        assert!(root.join("a/b").is_dir() && mounts[0].read_only);
        let mounts = of_container(&pod, &container("near/b"), &volumes).unwrap();
        assert_eq!(mounts[0].below, "/v/a/b");
        for out in ["../x", "/a", "a/../../x", "out", "out/new", "up", "up/new"] {
            assert!(
                of_container(&pod, &container(out), &volumes).is_err(),
                "{out}"
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let words = json!({"spec": {"volumes": [{"name": "data", "configMap": {"name": "w"}}]}});
        let plain = json!({"volumeMounts": [{"name": "data", "mountPath": "/d"}]});
        assert!(!of_container(&pod, &plain, &volumes).unwrap()[0].read_only);
        assert!(of_container(&words, &plain, &volumes).unwrap()[0].read_only);
    }
}
