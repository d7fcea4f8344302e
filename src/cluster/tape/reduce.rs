//! Cuts an object down to the fields that are shown of it. A list of what stays, not of what goes: environment,
//! arguments, other annotations and whatever a later Kubernetes adds never get into a recording.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::Reduced;
use crate::cluster::kind::{Kind, Object};

/// Letters of a text that stay: more than any path or message of Kubernetes' own has. Each frame carries its whole card, and
/// frames wait for slow readers, so that a megabyte in one field would be a thousand of them.
const MOST_LETTERS: usize = 4096;
/// Items of a list that stay.
const MOST_ITEMS: usize = 500;

const META: &str =
    "name namespace uid creationTimestamp deletionTimestamp deletionGracePeriodSeconds finalizers
    ownerReferences(apiVersion kind name uid controller)
    labels(apps.kubernetes.io/pod-index controller-revision-hash pod-template-hash)
    annotations(
        volume.kubernetes.io/selected-node volume.kubernetes.io/storage-provisioner
        pv.kubernetes.io/provisioned-by
        storageclass.kubernetes.io/is-default-class
        deployment.kubernetes.io/revision
    )";
const CONTAINERS: &str = "name image ready started restartCount
    state(running() waiting(reason) terminated(reason exitCode signal))";

/// The fields of a kind, each with those inside it. Empty parentheses: that it is there is enough.
fn fields(kind: Kind) -> String {
    let rest = match kind {
        Kind::StorageClass => {
            "provisioner reclaimPolicy volumeBindingMode allowVolumeExpansion".to_owned()
        }
        Kind::Node => {
            "spec(unschedulable) status(conditions(type status) nodeInfo(kubeletVersion))".to_owned()
        }
        Kind::PersistentVolume => "spec(
                capacity(storage) accessModes persistentVolumeReclaimPolicy storageClassName
                claimRef(namespace name uid)
                hostPath(path) local(path) nfs(path) csi() iscsi() fc()
                nodeAffinity(required(nodeSelectorTerms(matchExpressions(key operator values))))
            )
            status(phase reason message)"
            .to_owned(),
        Kind::PersistentVolumeClaim => "spec(volumeName storageClassName accessModes resources(requests(storage)))
            status(phase accessModes capacity(storage))"
            .to_owned(),
        Kind::StatefulSet => "spec(
                replicas serviceName volumeClaimTemplates(metadata(name)) ordinals(start) podManagementPolicy
                updateStrategy(type rollingUpdate(partition))
                persistentVolumeClaimRetentionPolicy(whenDeleted whenScaled)
            )
            status(replicas readyReplicas updatedReplicas updateRevision currentRevision)"
            .to_owned(),
        Kind::Deployment => "spec(replicas strategy(type))
            status(replicas readyReplicas updatedReplicas)"
            .to_owned(),
        Kind::ReplicaSet => "spec(replicas) status(replicas readyReplicas)".to_owned(),
        Kind::Pod => format!(
            "spec(
                nodeName
                volumes(name persistentVolumeClaim(claimName) ephemeral() emptyDir() hostPath() configMap() secret() nfs())
                containers(name image volumeMounts(name mountPath))
                initContainers(name restartPolicy)
            )
            status(
                phase reason podIP conditions(type status reason message)
                containerStatuses({CONTAINERS}) initContainerStatuses({CONTAINERS})
            )"
        ),
        Kind::Event => "type reason message involvedObject(kind name uid) source(component) reportingComponent
            count firstTimestamp lastTimestamp eventTime series(count lastObservedTime)"
            .to_owned(),
    };
    format!("metadata({META}) {rest}")
}

/// A field that stays: with these inside it, or with its plain value.
#[derive(Debug)]
struct Field {
    name: String,
    inside: Option<Vec<Field>>,
}

static FIELDS: LazyLock<Vec<(Kind, Vec<Field>)>> = LazyLock::new(|| {
    let kinds = Kind::ALL.into_iter();
    kinds
        .map(|kind| (kind, parse(&mut fields(kind).as_str())))
        .collect()
});

/// The uid of an object, and what is kept of it as JSON.
pub(super) fn reduce(object: &Object) -> (String, Reduced) {
    let kind = object.kind();
    let whole = object.to_json();
    let uid = whole["metadata"]["uid"].as_str().unwrap_or_default();
    let kept = shown(kind, &whole).to_string();
    (uid.to_owned(), Arc::from(kept))
}

/// What of an object of this kind is shown.
pub(in crate::cluster) fn shown(kind: Kind, whole: &Value) -> Value {
    let known = FIELDS.iter().find(|(of, _)| *of == kind);
    let fields = known.map_or(&[][..], |(_, fields)| fields);
    keep(whole, fields)
}

fn keep(value: &Value, fields: &[Field]) -> Value {
    match value {
        Value::Array(items) => {
            let items = items.iter().take(MOST_ITEMS);
            items.map(|item| keep(item, fields)).collect()
        }
        Value::Object(all) => {
            let kept = fields.iter().filter_map(|field| {
                let value = all.get(&field.name)?;
                let value = match &field.inside {
                    Some(inside) => keep(value, inside),
                    None => plain(value)?,
                };
                Some((field.name.clone(), value))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// A value that has nothing inside it, or a list of such.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) => None,
        Value::Array(items) => Some(items.iter().take(MOST_ITEMS).filter_map(plain).collect()),
        Value::String(text) => Some(Value::String(cut(text))),
        other => Some(other.clone()),
    }
}

/// A text as far as anybody reads it, with a sign that there is more.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads fields up to the parenthesis that closes them.
fn parse(rest: &mut &str) -> Vec<Field> {
    let mut fields = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() {
            return fields;
        }
        if let Some(after) = rest.strip_prefix(')') {
            *rest = after;
            return fields;
        }
        let end = rest
            .find(|it: char| it.is_whitespace() || it == '(' || it == ')')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        *rest = after;
        let inside = rest.strip_prefix('(').map(|after| {
            *rest = after;
            parse(rest)
        });
        fields.push(Field {
            name: name.to_owned(),
            inside,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_reads_to_its_end_is_cut() {
        let long = "あ".repeat(MOST_LETTERS + 1);
        let containers = vec![json!({"name": "c", "image": long}); MOST_ITEMS + 1];
        let pod = json!({"metadata": {"name": "p", "finalizers": vec!["a/b"; 30_000]}, "spec": {"containers": containers}});
        let kept = shown(Kind::Pod, &pod);
        let count = |pointer: &str| {
            kept.pointer(pointer)
                .and_then(Value::as_array)
                .map(Vec::len)
        };
        assert_eq!(count("/metadata/finalizers"), Some(MOST_ITEMS));
        assert_eq!(count("/spec/containers"), Some(MOST_ITEMS));
        let image = kept["spec"]["containers"][0]["image"].as_str().unwrap();
        assert_eq!(image, format!("{}…", "あ".repeat(MOST_LETTERS)));
        // Cutting twice changes nothing but the sign: a recording is read as it was written.
        assert_eq!(shown(Kind::Pod, &kept), kept);
    }
}
