//! A PersistentVolume: a piece of real storage.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};
use serde::Serialize;

/// The fields of a PersistentVolume that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeCard {
    /// `STATUS` as `kubectl get` prints it.
    pub status: String,
    /// `status.phase`: Available, Bound, Released or Failed.
    pub phase: String,
    /// Its size.
    pub capacity: String,
    /// Access modes, shortened as `kubectl get` does.
    pub modes: Vec<String>,
    /// What happens to it when its claim is gone: Delete, Retain or Recycle.
    pub reclaim: String,
    /// The claim it belongs to; kept when that claim is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimRef>,
    /// The StorageClass it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What it is made of.
    pub source: VolumeSource,
    /// The only node that can reach it, if it names one by its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The provisioner that made it; none if a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioner: Option<String>,
    /// Why it is in this phase, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is in this phase, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `spec.claimRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct ClaimRef {
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// What a volume is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSource {
    /// The field of the spec: `hostPath`, `local`, `nfs`, `csi` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where on the node, for those that are a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl From<&PersistentVolume> for VolumeCard {
    fn from(volume: &PersistentVolume) -> Self {
        let spec = volume.spec.clone().unwrap_or_default();
        let status = volume.status.clone().unwrap_or_default();
        let phase = status.phase.unwrap_or_default();
        Self {
            status: super::terminating_or(&volume.metadata, &phase),
            phase,
            capacity: spec
                .capacity
                .as_ref()
                .and_then(|capacity| capacity.get("storage"))
                .map(|size| size.0.clone())
                .unwrap_or_default(),
            modes: super::short_modes(spec.access_modes.as_ref()),
            reclaim: spec
                .persistent_volume_reclaim_policy
                .clone()
                .unwrap_or_else(|| "Retain".into()),
            claim: spec.claim_ref.as_ref().map(|claim| ClaimRef {
                namespace: claim.namespace.clone().unwrap_or_default(),
                name: claim.name.clone().unwrap_or_default(),
                uid: claim.uid.clone(),
            }),
            class: spec
                .storage_class_name
                .clone()
                .filter(|class| !class.is_empty()),
            node: host_of(&spec),
            source: source_of(&spec),
            provisioner: volume
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get("pv.kubernetes.io/provisioned-by").cloned()),
            reason: status.reason,
            message: status.message,
        }
    }
}

fn source_of(spec: &PersistentVolumeSpec) -> VolumeSource {
    let folder = |kind: &str, path: &str| VolumeSource {
        kind: kind.into(),
        path: Some(path.into()),
    };
    if let Some(host_path) = &spec.host_path {
        return folder("hostPath", &host_path.path);
    }
    if let Some(local) = &spec.local {
        return folder("local", &local.path);
    }
    if let Some(nfs) = &spec.nfs {
        return folder("nfs", &nfs.path);
    }
    // A source of any other kind is known by the name of its field alone.
    let kind = if spec.csi.is_some() {
        "csi"
    } else if spec.iscsi.is_some() {
        "iscsi"
    } else if spec.fc.is_some() {
        "fc"
    } else {
        "other"
    };
    VolumeSource {
        kind: kind.into(),
        path: None,
    }
}

fn host_of(spec: &PersistentVolumeSpec) -> Option<String> {
    spec.node_affinity
        .as_ref()?
        .required
        .as_ref()?
        .node_selector_terms
        .iter()
        .flat_map(|term| term.match_expressions.iter().flatten())
        .find(|rule| rule.key == "kubernetes.io/hostname" && rule.operator == "In")?
        .values
        .as_ref()?
        .first()
        .cloned()
}
