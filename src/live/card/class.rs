//! A StorageClass: a kind of storage that can be had on demand.

use k8s_openapi::api::storage::v1::StorageClass;
use serde::Serialize;

const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// The fields of a StorageClass that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassCard {
    /// Who makes the volumes.
    pub provisioner: String,
    /// The reclaim policy its volumes get.
    pub reclaim: String,
    /// `Immediate` or `WaitForFirstConsumer`.
    pub binding: String,
    /// Whether a claim that names no class gets this one.
    pub is_default: bool,
    /// Whether a claim may grow.
    pub expansion: bool,
}

impl From<&StorageClass> for ClassCard {
    fn from(class: &StorageClass) -> Self {
        Self {
            provisioner: class.provisioner.clone(),
            reclaim: class
                .reclaim_policy
                .clone()
                .unwrap_or_else(|| "Delete".into()),
            binding: class
                .volume_binding_mode
                .clone()
                .unwrap_or_else(|| "Immediate".into()),
            is_default: class
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(IS_DEFAULT))
                .is_some_and(|value| value == "true"),
            expansion: class.allow_volume_expansion.unwrap_or(false),
        }
    }
}
