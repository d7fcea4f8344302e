//! The next steps of one StatefulSet, as a pure function of what is there.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::action::{Action, counts};
use super::super::events::Note;
use super::super::pods::{has_ended, is_available, is_ready, ordinal, until_available};
use super::super::revisions::Revisions;
use super::identity;
use crate::object::{self, Object, int, text};
use crate::resource;

/// Pods that one round of a Parallel set makes, as many as the ReplicaSet controller does. The Pods that were made wake
/// up the next round; in between others have their turn.
const AT_ONCE: usize = 500;

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Action>,
    /// The new status, when it differs.
    pub(super) status: Option<Action>,
    /// When to look again without a change: a Pod becomes available by waiting.
    pub(super) again: Option<Duration>,
}

/// Plans one round: at most one step in order for OrderedReady, all at once for Parallel.
pub(super) fn plan(
    set: &Value,
    pods: &[Object],
    claims: &[Object],
    revisions: &Revisions,
    now: Timestamp,
) -> Plan {
    let round = Round::new(set, pods, claims, revisions, now);
    let mut plan = Plan {
        again: round.again(),
        ..Plan::default()
    };
    let status = round.status();
    if status != set["status"] {
        let mut changed = set.clone();
        changed["status"] = status;
        // Steps of this round do not touch the set, but others may: the status is theirs to overwrite only when fresh.
        plan.status = Some(Action::Status {
            resource: resource::STATEFULSETS,
            object: changed,
        });
    }
    if !object::is_deleting(set) {
        plan.steps = round.retention();
        round.steps(&mut plan.steps);
    }
    plan
}

struct Round<'a> {
    set: &'a Value,
    claims: &'a [Object],
    revisions: &'a Revisions,
    now: Timestamp,
    /// The ordinals that there should be. There may be more of them than fit in memory.
    wanted: Range<i64>,
    /// The Pods that there are of these, lowest ordinal first.
    present: Vec<(i64, &'a Object)>,
    /// Pods that should not be, highest ordinal first.
    condemned: Vec<(i64, &'a Object)>,
    min_ready: i64,
    is_ordered: bool,
}

impl<'a> Round<'a> {
    fn new(
        set: &'a Value,
        pods: &'a [Object],
        claims: &'a [Object],
        revisions: &'a Revisions,
        now: Timestamp,
    ) -> Self {
        let start = int(set, "/spec/ordinals/start").unwrap_or(0);
        let replicas = int(set, "/spec/replicas").unwrap_or(1);
        let numbered: Vec<(i64, &Object)> = pods
            .iter()
            .filter_map(|pod| Some((ordinal(object::name(set), object::name(pod))?, pod)))
            .collect();
        let wanted = start..start + replicas;
        let (mut present, mut condemned): (Vec<_>, Vec<_>) = numbered
            .into_iter()
            .partition(|(number, _)| wanted.contains(number));
        present.sort_by_key(|(number, _)| *number);
        condemned.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        Self {
            set,
            claims,
            revisions,
            now,
            wanted,
            present,
            condemned,
            min_ready: int(set, "/spec/minReadySeconds").unwrap_or(0),
            is_ordered: text(set, "/spec/podManagementPolicy") != "Parallel",
        }
    }

    fn all_pods(&self) -> impl Iterator<Item = &'a Object> {
        self.present
            .iter()
            .chain(&self.condemned)
            .map(|(_, pod)| *pod)
    }

    fn is_available(&self, pod: &Value) -> bool {
        is_available(pod, self.min_ready, self.now)
    }

    fn has_revision(pod: &Value, revision: &Value) -> bool {
        object::label(pod, "controller-revision-hash") == Some(object::name(revision))
    }

    fn again(&self) -> Option<Duration> {
        let waits = self
            .all_pods()
            .filter_map(|pod| until_available(pod, self.min_ready, self.now))
            .filter(|left| !left.is_zero());
        waits.min().and_then(|left| Duration::try_from(left).ok())
    }

    fn status(&self) -> Value {
        let count = |wanted: &dyn Fn(&Value) -> bool| {
            i64::try_from(self.all_pods().filter(|pod| wanted(pod)).count()).unwrap_or(i64::MAX)
        };
        let replicas = count(&|_| true);
        let ready = count(&is_ready);
        let updated = count(&|pod| {
            !object::is_deleting(pod) && Self::has_revision(pod, &self.revisions.update)
        });
        let mut current = count(&|pod| {
            !object::is_deleting(pod) && Self::has_revision(pod, &self.revisions.current)
        });
        let mut current_name = object::name(&self.revisions.current);
        let is_rolling = text(self.set, "/spec/updateStrategy/type") == "RollingUpdate";
        let all = self.wanted.end - self.wanted.start;
        if is_rolling && updated == all && ready == all && replicas == all {
            current = updated;
            current_name = object::name(&self.revisions.update);
        }
        let mut status = self.set.get("status").cloned().unwrap_or_else(|| json!({}));
        status["observedGeneration"] = json!(int(self.set, "/metadata/generation").unwrap_or(1));
        status["replicas"] = json!(replicas);
        status["availableReplicas"] = json!(count(&|pod| self.is_available(pod)));
        status["currentRevision"] = json!(current_name);
        status["updateRevision"] = json!(object::name(&self.revisions.update));
        status["collisionCount"] = json!(0);
        counts(
            &mut status,
            &[
                ("readyReplicas", ready),
                ("currentReplicas", current),
                ("updatedReplicas", updated),
            ],
        );
        status
    }

    fn steps(&self, steps: &mut Vec<Action>) {
        let by_ordinal: HashMap<i64, &Object> = self.present.iter().copied().collect();
        let mut made = 0;
        for ordinal in self.wanted.clone() {
            match by_ordinal.get(&ordinal) {
                Some(pod) if has_ended(pod) && !object::is_deleting(pod) => {
                    let what = if text(pod, "/status/phase") == "Failed" {
                        ("RecreatingFailedPod", "failed")
                    } else {
                        ("RecreatingTerminatedPod", "terminated")
                    };
                    let message = format!(
                        "StatefulSet {}/{} is recreating {} Pod {}",
                        object::namespace(self.set),
                        object::name(self.set),
                        what.1,
                        object::name(pod)
                    );
                    steps.push(Action::Note(Note::warning(self.set, what.0, message)));
                    steps.push(Action::delete(resource::PODS, pod));
                    if self.is_ordered {
                        return;
                    }
                }
                None => {
                    self.create(ordinal, steps);
                    made += 1;
                    if self.is_ordered || made == AT_ONCE {
                        return;
                    }
                }
                Some(pod) => {
                    if text(pod, "/status/phase") == "Pending" && !object::is_deleting(pod) {
                        self.missing_claims(ordinal, steps);
                    }
                    if self.is_ordered
                        && (object::is_deleting(pod) || !is_ready(pod) || !self.is_available(pod))
                    {
                        return;
                    }
                }
            }
        }
        if self.scale_down(steps) {
            return;
        }
        if text(self.set, "/spec/updateStrategy/type") != "OnDelete" {
            self.roll(steps);
        }
    }

    /// Steps for a missing Pod, its claims first. While a claim of it is on its way out, the Pod waits.
    fn create(&self, ordinal: i64, steps: &mut Vec<Action>) {
        let name = identity::pod_name(self.set, ordinal);
        let set = object::name(self.set);
        let failed = |what: &str| {
            Note::warning(
                self.set,
                "FailedCreate",
                format!("create {what} in StatefulSet {set} failed error: "),
            )
        };
        let leaving = identity::claims(self.set, ordinal)
            .into_iter()
            .find(|claim| {
                self.claim(object::name(claim))
                    .is_some_and(|found| object::is_deleting(found))
            });
        if let Some(claim) = leaving {
            let mut note = failed(&format!("Pod {name}"));
            note.message
                .push_str(&format!("pvc {} is being deleted", object::name(&claim)));
            steps.push(Action::Note(note));
            return;
        }
        self.missing_claims(ordinal, steps);
        let pod = identity::new_pod(self.set, self.revision_for(ordinal), ordinal);
        steps.push(Action::Create {
            resource: resource::PODS,
            object: pod,
            refused: Some(failed(&format!("Pod {name}"))),
        });
        steps.push(Action::Note(Note::normal(
            self.set,
            "SuccessfulCreate",
            format!("create Pod {name} in StatefulSet {set} successful"),
        )));
    }

    fn missing_claims(&self, ordinal: i64, steps: &mut Vec<Action>) {
        let (pod, set) = (
            identity::pod_name(self.set, ordinal),
            object::name(self.set),
        );
        for mut claim in identity::claims(self.set, ordinal) {
            let name = object::name(&claim).to_owned();
            if self.claim(&name).is_some() {
                continue;
            }
            if text(
                self.set,
                "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
            ) == "Delete"
            {
                object::set(
                    &mut claim,
                    "/metadata/ownerReferences",
                    json!([object::controller_reference(self.set)]),
                );
            }
            let refused = Note::warning(
                self.set,
                "FailedCreate",
                format!("create Claim {name} Pod {pod} in StatefulSet {set} failed error: "),
            );
            steps.push(Action::Create {
                resource: resource::CLAIMS,
                object: claim,
                refused: Some(refused),
            });
            steps.push(Action::Note(Note::normal(
                self.set,
                "SuccessfulCreate",
                format!("create Claim {name} Pod {pod} in StatefulSet {set} success"),
            )));
        }
    }

    fn claim(&self, name: &str) -> Option<&'a Object> {
        self.claims.iter().find(|claim| object::name(claim) == name)
    }

    /// Pods below the partition are made after the current revision, the others after the new one.
    fn revision_for(&self, ordinal: i64) -> &'a Value {
        let partition = int(self.set, "/spec/updateStrategy/rollingUpdate/partition");
        match (text(self.set, "/spec/updateStrategy/type"), partition) {
            ("RollingUpdate", Some(partition)) if ordinal < self.wanted.start + partition => {
                &self.revisions.current
            }
            _ => &self.revisions.update,
        }
    }

    fn remove(&self, pod: &Value, steps: &mut Vec<Action>) {
        let message = format!(
            "delete Pod {} in StatefulSet {} successful",
            object::name(pod),
            object::name(self.set)
        );
        steps.push(Action::delete(resource::PODS, pod));
        steps.push(Action::Note(Note::normal(
            self.set,
            "SuccessfulDelete",
            message,
        )));
    }

    /// Removes Pods that should not be; true when one of them has to be waited for.
    fn scale_down(&self, steps: &mut Vec<Action>) -> bool {
        let is_healthy = |pod: &Value| is_ready(pod) && !object::is_deleting(pod);
        let mut every: Vec<(i64, &Object)> = self
            .present
            .iter()
            .chain(&self.condemned)
            .copied()
            .collect();
        every.sort_by_key(|(number, _)| *number);
        let first_unhealthy = every
            .iter()
            .find(|(_, pod)| !is_healthy(pod))
            .map(|(number, _)| *number);
        for (number, pod) in &self.condemned {
            if object::is_deleting(pod) {
                if self.is_ordered {
                    return true;
                }
                continue;
            }
            if self.is_ordered && !is_ready(pod) && first_unhealthy != Some(*number) {
                return true;
            }
            self.remove(pod, steps);
            if self.is_ordered {
                return true;
            }
        }
        !self.condemned.is_empty()
    }

    /// Replaces the highest Pod of an old revision, when all above it are healthy.
    fn roll(&self, steps: &mut Vec<Action>) {
        let partition = self.wanted.start
            + int(self.set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
        for (ordinal, (number, pod)) in self.wanted.clone().rev().zip(self.present.iter().rev()) {
            // A missing one has to come first.
            if *number != ordinal || ordinal < partition {
                return;
            }
            if !Self::has_revision(pod, &self.revisions.update) && !object::is_deleting(pod) {
                self.remove(pod, steps);
                return;
            }
            if object::is_deleting(pod) || !self.is_available(pod) {
                return;
            }
        }
    }

    /// Owner references on claims, by which the garbage collector carries out the retention policy.
    fn retention(&self) -> Vec<Action> {
        let is_delete = |when: &str| {
            text(
                self.set,
                &format!("/spec/persistentVolumeClaimRetentionPolicy/{when}"),
            ) == "Delete"
        };
        let mut steps = Vec::new();
        for claim in self.claims {
            let Some(ordinal) = identity::claim_ordinal(self.set, object::name(claim)) else {
                continue;
            };
            let condemned = self
                .condemned
                .iter()
                .find(|(number, _)| *number == ordinal)
                .map(|(_, pod)| *pod);
            let pod_name = identity::pod_name(self.set, ordinal);
            let mut owners: Vec<Value> = object::array(claim, "/metadata/ownerReferences")
                .iter()
                .filter(|owner| {
                    text(owner, "/uid") != object::uid(self.set)
                        && !(text(owner, "/kind") == "Pod" && text(owner, "/name") == pod_name)
                })
                .cloned()
                .collect();
            match condemned {
                Some(pod) if is_delete("whenScaled") => owners.push(json!({"apiVersion": "v1", "kind": "Pod", "name": pod_name, "uid": object::uid(pod), "controller": true, "blockOwnerDeletion": true})),
                _ if is_delete("whenDeleted") => owners.push(object::controller_reference(self.set)),
                _ => {}
            }
            // A claim of a scaled-away Pod that is already gone keeps the owner it has: the collector is about to take it.
            let is_orphaned = condemned.is_none() && !self.wanted.contains(&ordinal);
            if is_orphaned || owners == object::array(claim, "/metadata/ownerReferences") {
                continue;
            }
            let mut changed = (**claim).clone();
            if owners.is_empty() {
                object::remove(&mut changed, "/metadata/ownerReferences");
            } else {
                object::set(&mut changed, "/metadata/ownerReferences", owners);
            }
            steps.push(Action::Update {
                resource: resource::CLAIMS,
                object: changed,
            });
        }
        steps
    }
}

#[cfg(test)]
mod tests;
