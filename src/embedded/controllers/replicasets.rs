//! ReplicaSets: as many interchangeable Pods as asked for.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::{Action, counts, perform};
use super::driver::Controller;
use super::events::{Note, Recorder};
use super::pods;
use super::statefulsets::owner_keys;
use crate::failure::Failure;
use crate::object::{self, Object, int, text};
use crate::registry::{Labels, Registry};
use crate::resource;
use crate::store::{Change, Key};

/// Pods that one round makes or removes (kubernetes `pkg/controller/replicaset`, `BurstReplicas`). The Pods wake up the
/// next round; in between others have their turn.
const AT_ONCE: usize = 500;

pub(super) struct ReplicaSets {
    recorder: Recorder,
}

impl ReplicaSets {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "replicaset-controller", ""),
        }
    }
}

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::REPLICASETS)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "replicasets" => vec![change.key.clone()],
            "pods" => {
                let owners = owner_keys(change, "replicasets", "ReplicaSet");
                if owners.is_empty() && object::controller(&change.object).is_none() {
                    let (sets, _) =
                        registry.list(resource::REPLICASETS, Some(&change.key.namespace));
                    let wanting = sets.iter().filter(|set| {
                        Labels::of_selector(&set["spec"]["selector"]).matches(&change.object)
                    });
                    return wanting
                        .map(|set| {
                            Key::new("replicasets", object::namespace(set), object::name(set))
                        })
                        .collect();
                }
                owners
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
        let Some(set) = registry.find(resource::REPLICASETS, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let (pods, taken) = pods::claim(registry, &set);
        perform(registry, &self.recorder, "kube-controller-manager", taken)?;
        let (steps, again) = plan(&set, &pods, now);
        perform(registry, &self.recorder, "kube-controller-manager", steps)?;
        Ok(again)
    }
}

/// The next steps of one ReplicaSet.
fn plan(set: &Value, pods: &[Object], now: Timestamp) -> (Vec<Action>, Option<Duration>) {
    let min_ready = int(set, "/spec/minReadySeconds").unwrap_or(0);
    let active: Vec<&Object> = pods.iter().filter(|pod| pods::is_active(pod)).collect();
    let wanted = usize::try_from(int(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let mut steps = Vec::new();
    if !object::is_deleting(set) {
        for _ in 0..wanted.saturating_sub(active.len()).min(AT_ONCE) {
            let mut pod = pods::from_template(set, &set["spec"]["template"]);
            let name = object::generated_name(&format!("{}-", object::name(set)));
            object::set(&mut pod, "/metadata/name", name.clone());
            let refused = Note::warning(set, "FailedCreate", "Error creating: ");
            steps.push(Action::Create {
                resource: resource::PODS,
                object: pod,
                refused: Some(refused),
            });
            steps.push(Action::Note(Note::normal(
                set,
                "SuccessfulCreate",
                format!("Created pod: {name}"),
            )));
        }
        let mut by_worth = active.clone();
        by_worth.sort_by_key(|pod| worth(pod));
        for pod in by_worth
            .into_iter()
            .take(active.len().saturating_sub(wanted).min(AT_ONCE))
        {
            steps.push(Action::delete(resource::PODS, pod));
            steps.push(Action::Note(Note::normal(
                set,
                "SuccessfulDelete",
                format!("Deleted pod: {}", object::name(pod)),
            )));
        }
    }
    let count = |wanted: &dyn Fn(&Value) -> bool| {
        i64::try_from(active.iter().filter(|pod| wanted(pod)).count()).unwrap_or(i64::MAX)
    };
    let labels = set
        .pointer("/spec/template/metadata/labels")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let full = Labels::of_map(&labels);
    let mut status = set.get("status").cloned().unwrap_or_else(|| json!({}));
    status["observedGeneration"] = json!(int(set, "/metadata/generation").unwrap_or(1));
    status["replicas"] = json!(active.len());
    counts(
        &mut status,
        &[
            ("fullyLabeledReplicas", count(&|pod| full.matches(pod))),
            ("readyReplicas", count(&pods::is_ready)),
            (
                "availableReplicas",
                count(&|pod| pods::is_available(pod, min_ready, now)),
            ),
        ],
    );
    if status != set["status"] {
        let mut changed = set.clone();
        changed["status"] = status;
        steps.push(Action::Status {
            resource: resource::REPLICASETS,
            object: changed,
        });
    }
    let waits = active
        .iter()
        .filter_map(|pod| pods::until_available(pod, min_ready, now))
        .filter(|left| !left.is_zero());
    (
        steps,
        waits.min().and_then(|left| Duration::try_from(left).ok()),
    )
}

/// How much a Pod is worth keeping; the least worth go first: not scheduled, not running, not ready, youngest.
fn worth(pod: &Value) -> (bool, u8, bool, std::cmp::Reverse<String>) {
    let phase = match text(pod, "/status/phase") {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    (
        !text(pod, "/spec/nodeName").is_empty(),
        phase,
        pods::is_ready(pod),
        std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pod(name: &str, phase: &str, is_leaving: bool) -> Object {
        let mut pod = json!({"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"nodeName": "n"}, "status": {"phase": phase}});
        if is_leaving {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Arc::new(pod)
    }

    #[test]
    fn the_number_is_kept_and_leaving_pods_do_not_count() {
        let set = |replicas: i64| json!({"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": {"replicas": replicas, "template": {"spec": {}}}});
        let changes = |replicas: i64, pods: &[Object]| {
            let (steps, _) = plan(&set(replicas), pods, Timestamp::now());
            let made = steps
                .iter()
                .filter(|step| matches!(step, Action::Create { .. }))
                .count();
            let gone: Vec<String> = steps
                .iter()
                .filter_map(|step| {
                    if let Action::Delete { name, .. } = step {
                        Some(name.clone())
                    } else {
                        None
                    }
                })
                .collect();
            (made, gone)
        };
        assert_eq!(changes(2, &[]), (2, vec![]));
        assert_eq!(
            changes(1, &[pod("a", "Running", true)]),
            (1, vec![]),
            "the replacement comes before the old Pod is gone"
        );
        assert_eq!(changes(1, &[pod("a", "Failed", false)]), (1, vec![]));
        assert_eq!(
            changes(1, &[pod("a", "Running", false), pod("b", "Pending", false)]),
            (0, vec!["b".to_owned()])
        );
        assert_eq!(changes(1, &[pod("a", "Running", false)]), (0, vec![]));
        let most = i64::from(i32::MAX);
        assert_eq!(changes(most, &[]), (AT_ONCE, vec![]), "in rounds");
    }
}
