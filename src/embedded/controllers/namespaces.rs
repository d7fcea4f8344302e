//! Namespaces: what each one is given when it is made, and how it is emptied when it goes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::driver::Controller;
use crate::failure::Failure;
use crate::object;
use crate::registry::{Deletion, Options, Part, Registry};
use crate::resource;
use crate::store::{Change, Happened, Key};

const MANAGER: &str = "kube-controller-manager";
const BUNDLE_NOTE: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

pub(super) struct Namespaces;

impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::NAMESPACES)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        let is_ending = || {
            registry
                .find(resource::NAMESPACES, "", &change.key.namespace)
                .is_some_and(|namespace| object::is_deleting(&namespace))
        };
        match (change.key.resource, change.happened) {
            ("namespaces", _) => vec![change.key.clone()],
            // The account and the bundle come back, and an ending namespace waits for the last object to go.
            ("serviceaccounts" | "configmaps", Happened::Deleted) => {
                vec![Key::new("namespaces", "", &change.key.namespace)]
            }
            (_, Happened::Deleted) if !change.key.namespace.is_empty() && is_ending() => {
                vec![Key::new("namespaces", "", &change.key.namespace)]
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        _: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let Some(namespace) = registry.find(resource::NAMESPACES, "", &key.name) else {
            return Ok(None);
        };
        if object::is_deleting(&namespace) {
            empty(registry, &key.name)?;
        } else {
            furnish(registry, &key.name)?;
        }
        Ok(None)
    }
}

/// Makes sure that Pods can be made: their default account, and the bundle that their volume names.
pub(crate) fn furnish(registry: &Registry, namespace: &str) -> Result<(), Failure> {
    let missing = [
        (
            resource::SERVICE_ACCOUNTS,
            "default",
            json!({"metadata": {"name": "default"}}),
        ),
        (
            resource::CONFIGMAPS,
            "kube-root-ca.crt",
            // There is no certificate authority: the API is plain HTTP on loopback.
            json!({"metadata": {"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description": BUNDLE_NOTE}}, "data": {"ca.crt": ""}}),
        ),
    ];
    for (resource, name, object) in missing {
        if registry.find(resource, namespace, name).is_none() {
            registry.insert(resource, namespace, object, &Options::by(MANAGER))?;
        }
    }
    Ok(())
}

/// Deletes what is left in an ending namespace, and lets it go when nothing is.
fn empty(registry: &Registry, namespace: &str) -> Result<(), Failure> {
    let mut left = 0;
    for resource in resource::ALL
        .iter()
        .copied()
        .filter(|resource| resource.namespaced)
    {
        for object in registry.list(resource, Some(namespace)).0 {
            left += usize::from(!is_gone(&registry.delete(
                resource,
                namespace,
                object::name(&object),
                &Deletion::default(),
            )?));
        }
    }
    if left == 0 {
        registry.modify(
            resource::NAMESPACES,
            "",
            namespace,
            Part::Main,
            &Options::by(MANAGER),
            |object| {
                object::set(object, "/spec/finalizers", Value::Array(Vec::new()));
            },
        )?;
    }
    Ok(())
}

fn is_gone(outcome: &crate::registry::Outcome) -> bool {
    matches!(outcome, crate::registry::Outcome::Gone(_))
}
