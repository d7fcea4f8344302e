//! A ReplicaSet: what a Deployment keeps its Pods with.

use k8s_openapi::api::apps::v1::ReplicaSet;
use serde::Serialize;

/// The fields of a ReplicaSet that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaSetCard {
    /// How many Pods are wanted.
    pub replicas: i32,
    /// How many there are, those that are being deleted left out.
    pub existing: i32,
    /// How many are ready.
    pub ready: i32,
}

impl From<&ReplicaSet> for ReplicaSetCard {
    fn from(set: &ReplicaSet) -> Self {
        let status = set.status.clone().unwrap_or_default();
        Self {
            replicas: set
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1),
            existing: status.replicas,
            ready: status.ready_replicas.unwrap_or(0),
        }
    }
}
