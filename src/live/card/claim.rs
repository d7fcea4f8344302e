//! A PersistentVolumeClaim: what a user asks for.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde::Serialize;

/// The fields of a PersistentVolumeClaim that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimCard {
    /// `STATUS` as `kubectl get` prints it.
    pub status: String,
    /// `status.phase`: Pending, Bound or Lost.
    pub phase: String,
    /// `spec.volumeName`: the volume it is bound to, or about to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// `spec.storageClassName`; an empty string means "no class, and none by default either".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Access modes, shortened as `kubectl get` does.
    pub modes: Vec<String>,
    /// The size that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The size that was got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// The node that the scheduler chose for the first Pod that uses the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_node: Option<String>,
    /// The provisioner that was asked to make the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioner: Option<String>,
}

impl From<&PersistentVolumeClaim> for ClaimCard {
    fn from(claim: &PersistentVolumeClaim) -> Self {
        let spec = claim.spec.as_ref();
        let status = claim.status.as_ref();
        let annotation = |name: &str| claim.metadata.annotations.as_ref()?.get(name).cloned();
        let phase = status
            .and_then(|status| status.phase.clone())
            .unwrap_or_default();
        Self {
            status: super::terminating_or(&claim.metadata, &phase),
            phase,
            volume: spec.and_then(|spec| spec.volume_name.clone()),
            class: spec.and_then(|spec| spec.storage_class_name.clone()),
            modes: super::short_modes(
                status
                    .and_then(|status| status.access_modes.as_ref())
                    .or_else(|| spec?.access_modes.as_ref()),
            ),
            request: spec
                .and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"))
                .map(|size| size.0.clone()),
            capacity: status
                .and_then(|status| status.capacity.as_ref()?.get("storage"))
                .map(|size| size.0.clone()),
            selected_node: annotation("volume.kubernetes.io/selected-node"),
            provisioner: annotation("volume.kubernetes.io/storage-provisioner"),
        }
    }
}
