//! A Deployment: interchangeable Pods.

use k8s_openapi::api::apps::v1::Deployment;
use serde::Serialize;

/// The fields of a Deployment that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCard {
    /// How many Pods are wanted.
    pub replicas: i32,
    /// How many there are, those that are being deleted left out.
    pub existing: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many are of the newest template.
    pub updated: i32,
    /// `RollingUpdate` or `Recreate`.
    pub strategy: String,
    /// The revision of the newest template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

impl From<&Deployment> for DeploymentCard {
    fn from(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let status = deployment.status.clone().unwrap_or_default();
        Self {
            replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            existing: status.replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            strategy: spec
                .and_then(|spec| spec.strategy.as_ref()?.type_.clone())
                .unwrap_or_else(|| "RollingUpdate".into()),
            revision: deployment
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get("deployment.kubernetes.io/revision").cloned()),
        }
    }
}
