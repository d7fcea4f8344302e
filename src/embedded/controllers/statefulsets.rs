//! StatefulSets: Pods with names and claims of their own, made and removed in order.

mod identity;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::{Action, perform};
use super::driver::Controller;
use super::events::Recorder;
use super::{pods, revisions};
use crate::failure::Failure;
use crate::object::{self, Object, text};
use crate::registry::{Labels, Registry};
use crate::resource;
use crate::store::{Change, Key};

const MANAGER: &str = "kube-controller-manager";

pub(super) struct StatefulSets {
    recorder: Recorder,
}

impl StatefulSets {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "statefulset-controller", ""),
        }
    }
}

fn key(set: &Value) -> Key {
    Key::new(
        resource::STATEFULSETS.plural,
        object::namespace(set),
        object::name(set),
    )
}

/// The key of the controller of a kind that owns the object now or owned it before.
pub(super) fn owner_keys(change: &Change, plural: &'static str, kind: &str) -> Vec<Key> {
    let of = |object: &Value| {
        object::controller(object)
            .filter(|owner| text(owner, "/kind") == kind)
            .map(|owner| Key::new(plural, object::namespace(object), text(owner, "/name")))
    };
    let mut keys: Vec<Key> = [Some(&change.object), change.before.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|object| of(object))
        .collect();
    keys.dedup();
    keys
}

/// The revisions of a set. Those that an orphaning deletion of its predecessor left behind are taken in first, or the
/// set could never write down a template that it shares with it.
fn history_of(set: &Value, all: Vec<Object>) -> (Vec<Object>, Vec<Action>) {
    let selector = Labels::of_selector(&set["spec"]["selector"]);
    let (mut own, mut steps) = (Vec::new(), Vec::new());
    for revision in all {
        if object::is_controlled_by(&revision, object::uid(set)) {
            own.push(revision);
        } else if object::controller(&revision).is_none()
            && selector.matches(&revision)
            && !object::is_deleting(set)
        {
            let mut taken = (*revision).clone();
            object::set(
                &mut taken,
                "/metadata/ownerReferences",
                json!([object::controller_reference(set)]),
            );
            steps.push(Action::Update {
                resource: resource::CONTROLLER_REVISIONS,
                object: taken.clone(),
            });
            // The write gives it a new version; the round that the write wakes up goes on with that one.
            object::remove(&mut taken, "/metadata/resourceVersion");
            own.push(Arc::new(taken));
        }
    }
    (own, steps)
}

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::STATEFULSETS)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "statefulsets" => vec![change.key.clone()],
            "pods" => {
                let owners = owner_keys(change, "statefulsets", "StatefulSet");
                if owners.is_empty() && object::controller(&change.object).is_none() {
                    // A Pod without owner may be one that a set wants to take in.
                    let sets = registry
                        .list(resource::STATEFULSETS, Some(&change.key.namespace))
                        .0;
                    return sets
                        .iter()
                        .filter(|set| pods::ordinal(object::name(set), &change.key.name).is_some())
                        .map(|set| key(set))
                        .collect();
                }
                owners
            }
            // A claim that is gone may be what a set waits for.
            "persistentvolumeclaims" => {
                let sets = registry
                    .list(resource::STATEFULSETS, Some(&change.key.namespace))
                    .0;
                sets.iter()
                    .filter(|set| identity::owns_claim(set, &change.key.name))
                    .map(|set| key(set))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let Some(set) = registry.find(resource::STATEFULSETS, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let (pods, taken) = pods::claim(registry, &set);
        let (claims, _) = registry.list(resource::CLAIMS, Some(&key.namespace));
        let claims: Vec<Object> = claims
            .into_iter()
            .filter(|claim| identity::owns_claim(&set, object::name(claim)))
            .collect();
        let (history, _) = registry.list(resource::CONTROLLER_REVISIONS, Some(&key.namespace));
        let (history, adopted) = history_of(&set, history);
        perform(registry, &self.recorder, MANAGER, adopted)?;
        let mut revisions = revisions::of(&set, &history);
        let mut steps = taken;
        if !object::is_deleting(&set) {
            steps.append(&mut revisions.steps);
        }
        let plan = plan::plan(&set, &pods, &claims, &revisions, now);
        let cleaning = revisions::superfluous(&set, &history, &pods, &revisions);
        perform(registry, &self.recorder, MANAGER, steps)?;
        let done = perform(registry, &self.recorder, MANAGER, plan.steps);
        // The status tells what was found, whether or not the steps could be done.
        perform(
            registry,
            &self.recorder,
            MANAGER,
            plan.status.into_iter().collect(),
        )?;
        done?;
        perform(registry, &self.recorder, MANAGER, cleaning)?;
        Ok(plan.again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_left_behind_are_taken_in() {
        let set = json!({"metadata": {"name": "web", "uid": "new"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}});
        let revision = |labels: Value, owner: Option<&str>| {
            let owners: Vec<Value> = owner
                .map(|uid| json!({"uid": uid, "controller": true}))
                .into_iter()
                .collect();
            Arc::new(json!({"metadata": {"labels": labels, "ownerReferences": owners}}))
        };
        let ours = json!({"app": "web"});
        let (own, steps) = history_of(
            &set,
            vec![
                revision(ours.clone(), Some("new")),
                revision(ours.clone(), None),
                revision(ours, Some("other")),
                revision(json!({"app": "api"}), None),
            ],
        );
        assert_eq!((own.len(), steps.len()), (2, 1));
    }
}
