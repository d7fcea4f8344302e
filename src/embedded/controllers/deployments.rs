//! Deployments: ReplicaSets, one for each template, replaced step by step.

mod plan;

use std::time::Duration;

use jiff::Timestamp;

use super::action::perform;
use super::driver::Controller;
use super::events::Recorder;
use super::statefulsets::owner_keys;
use crate::embedded::failure::Failure;
use crate::embedded::object::{self, Object, text};
use crate::embedded::registry::Registry;
use crate::embedded::resource;
use crate::embedded::store::{Change, Key};

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
        registry
            .list(resource::DEPLOYMENTS, None)
            .0
            .iter()
            .map(|one| Key::new("deployments", object::namespace(one), object::name(one)))
            .collect()
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "deployments" => vec![change.key.clone()],
            "replicasets" => owner_keys(change, "deployments", "Deployment"),
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
        let (sets, _) = registry.list(resource::REPLICASETS, Some(&key.namespace));
        let sets: Vec<Object> = sets
            .into_iter()
            .filter(|set| object::is_controlled_by(set, object::uid(&deployment)))
            .collect();
        let (pods, _) = registry.list(resource::PODS, Some(&key.namespace));
        let owned = |pod: &Object| {
            object::controller(pod).is_some_and(|owner| {
                sets.iter()
                    .any(|set| object::uid(set) == text(owner, "/uid"))
            })
        };
        let pods: Vec<Object> = pods.into_iter().filter(owned).collect();
        let plan = plan::plan(&deployment, &sets, &pods, now);
        perform(
            registry,
            &self.recorder,
            "kube-controller-manager",
            plan.steps,
        )?;
        Ok(plan.again)
    }
}
