//! A StatefulSet: names, storage and order for its Pods.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde::Serialize;

/// The fields of a StatefulSet that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatefulSetCard {
    /// How many Pods are wanted.
    pub replicas: i32,
    /// How many there are, also those that are being deleted.
    pub existing: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many are of the newest revision.
    pub updated: i32,
    /// The headless Service that gives the Pods their DNS names.
    pub service: String,
    /// Names of the claim templates.
    pub claim_templates: Vec<String>,
    /// The ordinal of the first Pod.
    pub start: i32,
    /// `OrderedReady` or `Parallel`.
    pub policy: String,
    /// `RollingUpdate` or `OnDelete`.
    pub strategy: String,
    /// Pods below this ordinal keep the old revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// What becomes of the claims when the set is deleted: Retain or Delete.
    pub when_deleted: String,
    /// What becomes of the claims when the set shrinks: Retain or Delete.
    pub when_scaled: String,
    /// The newest revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_revision: Option<String>,
    /// The revision that the Pods had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
}

impl From<&StatefulSet> for StatefulSetCard {
    fn from(set: &StatefulSet) -> Self {
        let spec = set.spec.clone().unwrap_or_default();
        let status = set.status.clone().unwrap_or_default();
        let strategy = spec.update_strategy.unwrap_or_default();
        let retention = spec
            .persistent_volume_claim_retention_policy
            .unwrap_or_default();
        let retain = || "Retain".to_owned();
        Self {
            replicas: spec.replicas.unwrap_or(1),
            existing: status.replicas,
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            service: spec.service_name.unwrap_or_default(),
            claim_templates: spec
                .volume_claim_templates
                .into_iter()
                .flatten()
                .filter_map(|template| template.metadata.name)
                .collect(),
            start: spec.ordinals.and_then(|it| it.start).unwrap_or(0),
            policy: spec
                .pod_management_policy
                .unwrap_or_else(|| "OrderedReady".into()),
            strategy: strategy.type_.unwrap_or_else(|| "RollingUpdate".into()),
            partition: strategy
                .rolling_update
                .and_then(|it| it.partition)
                .filter(|partition| *partition > 0),
            when_deleted: retention.when_deleted.unwrap_or_else(retain),
            when_scaled: retention.when_scaled.unwrap_or_else(retain),
            update_revision: status.update_revision,
            current_revision: status.current_revision,
        }
    }
}
