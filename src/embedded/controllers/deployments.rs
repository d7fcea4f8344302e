//! Deployments: ReplicaSets, one for each template, replaced step by step.

mod plan;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::action::perform;
use super::driver::Controller;
use super::events::Recorder;
use super::pods;
use super::statefulsets::owner_keys;
use crate::failure::Failure;
use crate::object::{self, Object, text};
use crate::registry::{Labels, Registry};
use crate::resource;
use crate::store::{Change, Key};

/// Who writes, in `managedFields`.
const MANAGER: &str = "kube-controller-manager";

pub(super) struct Deployments {
    recorder: Recorder,
}

impl Deployments {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "deployment-controller", ""),
        }
    }
}

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::DEPLOYMENTS)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "deployments" => vec![change.key.clone()],
            "replicasets" => {
                let owners = owner_keys(change, "deployments", "Deployment");
                if !owners.is_empty() || object::controller(&change.object).is_some() {
                    return owners;
                }
                // One without owner may be one that a Deployment wants to take in.
                let (all, _) = registry.list(resource::DEPLOYMENTS, Some(&change.key.namespace));
                all.iter()
                    .filter(|one| {
                        Labels::of_selector(&one["spec"]["selector"]).matches(&change.object)
                    })
                    .map(|one| Key::of(resource::DEPLOYMENTS, one))
                    .collect()
            }
            // Recreate waits for the last old Pod to be gone.
            "pods" => owner_keys(change, "replicasets", "ReplicaSet")
                .into_iter()
                .filter_map(|set| registry.find(resource::REPLICASETS, &set.namespace, &set.name))
                .filter_map(|set| {
                    object::controller(&set).map(|owner| {
                        Key::new("deployments", object::namespace(&set), text(owner, "/name"))
                    })
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let Some(deployment) = registry.find(resource::DEPLOYMENTS, &key.namespace, &key.name)
        else {
            return Ok(None);
        };
        if object::is_deleting(&deployment) {
            return Ok(None);
        }
        let takes = |set: &Value| !object::is_deleting(set);
        let (sets, taken) = pods::claim_of(registry, resource::REPLICASETS, &deployment, takes);
        if !taken.is_empty() {
            // The writes wake this up again, and then they are its own.
            perform(registry, &self.recorder, MANAGER, taken)?;
            return Ok(None);
        }
        let (pods, _) = registry.list(resource::PODS, Some(&key.namespace));
        let owned = |pod: &Object| {
            object::controller(pod).is_some_and(|owner| {
                sets.iter()
                    .any(|set| object::uid(set) == text(owner, "/uid"))
            })
        };
        let pods: Vec<Object> = pods.into_iter().filter(owned).collect();
        let plan = plan::plan(&deployment, &sets, &pods, now);
        perform(registry, &self.recorder, MANAGER, plan.steps)?;
        Ok(plan.again)
    }
}
