//! In-use protection: a deleted claim is let go when no scheduled Pod uses it, a deleted volume when it is not bound.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::driver::Controller;
use crate::failure::Failure;
use crate::object::{self, Object, array, text};
use crate::registry::{CLAIM_PROTECTION, Options, Part, Registry, VOLUME_PROTECTION};
use crate::resource;
use crate::store::{Change, Key};

pub(super) struct Protection;

/// The names of the claims that a Pod uses.
pub(super) fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    array(pod, "/spec/volumes")
        .iter()
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|name| !name.is_empty())
}

impl Controller for Protection {
    fn name(&self) -> &'static str {
        "protection"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        [
            registry.keys(resource::CLAIMS),
            registry.keys(resource::VOLUMES),
        ]
        .concat()
    }

    fn wakes(&mut self, _: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "persistentvolumeclaims" | "persistentvolumes"
                if object::is_deleting(&change.object) =>
            {
                vec![change.key.clone()]
            }
            "pods" => claims_of(&change.object)
                .map(|claim| Key::new("persistentvolumeclaims", &change.key.namespace, claim))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        _: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let (resource, finalizer) = if key.resource == "persistentvolumes" {
            (resource::VOLUMES, VOLUME_PROTECTION)
        } else {
            (resource::CLAIMS, CLAIM_PROTECTION)
        };
        let Some(found) = registry.find(resource, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let (pods, _) = registry.list(resource::PODS, Some(&key.namespace));
        let is_held = if key.resource == "persistentvolumes" {
            text(&found, "/status/phase") == "Bound"
        } else {
            is_used(&key.name, &pods)
        };
        if object::is_deleting(&found)
            && !is_held
            && object::finalizers(&found).any(|one| one == finalizer)
        {
            let options = Options::by("kube-controller-manager");
            registry.modify(
                resource,
                &key.namespace,
                &key.name,
                Part::Main,
                &options,
                |object| _ = object::drop_finalizer(object, finalizer),
            )?;
        }
        Ok(None)
    }
}

/// Whether a Pod that has been given a node uses the claim. One without node is not started any more with such a claim.
fn is_used(claim: &str, pods: &[Object]) -> bool {
    pods.iter().any(|pod| {
        !text(pod, "/spec/nodeName").is_empty() && claims_of(pod).any(|name| name == claim)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_scheduled_pod_holds_a_claim() {
        let pod = |node: &str| {
            Arc::new(
                json!({"spec": {"nodeName": node, "volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}}),
            )
        };
        assert!(is_used("c", &[pod("n")]));
        assert!(!is_used("c", &[pod("")]));
        assert!(!is_used("d", &[pod("n")]));
    }
}
