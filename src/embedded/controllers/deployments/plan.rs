//! The next steps of one Deployment, as a pure function of what is there.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::action::{Action, counts};
use super::super::events::Note;
use super::super::pods::has_ended;
use super::super::revisions;
use crate::object::{self, LAST_APPLIED, Object, annotation, int, text};
use crate::resource;

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";
/// No workload has more replicas.
const MOST: i64 = i32::MAX as i64;
/// The longest list of earlier revisions; the oldest are forgotten (kubernetes `deployment_util.go`,
/// `maxRevHistoryLengthInChars`).
const HISTORY_LENGTH: usize = 2000;

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Action>,
    /// When to look again without a change: the progress deadline.
    pub(super) again: Option<Duration>,
}

/// Plans one round of a Deployment with the ReplicaSets and Pods that it owns.
pub(super) fn plan(deployment: &Value, sets: &[Object], pods: &[Object], now: Timestamp) -> Plan {
    let round = Round::new(deployment, sets, pods, now);
    let mut steps = Vec::new();
    if round.new.is_none() {
        if object::flag(deployment, "/spec/paused") {
            round.scale_only(&mut steps);
        } else {
            round.create_new(&mut steps);
        }
    } else if object::flag(deployment, "/spec/paused") || round.is_scaling() {
        round.scale_only(&mut steps);
    } else if text(deployment, "/spec/strategy/type") == "Recreate" {
        round.annotate_new(&mut steps);
        round.recreate(&mut steps);
    } else {
        round.annotate_new(&mut steps);
        round.roll(&mut steps);
    }
    round.clean_up(&mut steps);
    let again = round.status(&mut steps);
    Plan { steps, again }
}

struct Round<'a> {
    deployment: &'a Value,
    /// The ReplicaSet of the present template.
    new: Option<&'a Object>,
    /// The others, oldest first.
    old: Vec<&'a Object>,
    pods: &'a [Object],
    now: Timestamp,
    wanted: i64,
    surge: i64,
    unavailable: i64,
}

fn wanted(set: &Value) -> i64 {
    int(set, "/spec/replicas").unwrap_or(0)
}

fn available(set: &Value) -> i64 {
    int(set, "/status/availableReplicas").unwrap_or(0)
}

fn revision(object: &Value) -> i64 {
    annotation(object, REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// A template without the label that tells ReplicaSets apart.
fn bare_template(object: &Value) -> Value {
    let mut template = object["spec"]["template"].clone();
    object::remove(&mut template, &format!("/metadata/labels/{HASH}"));
    template
}

/// A number or a percentage of `of`; no more than a number of replicas can be.
fn resolve(value: Option<&Value>, of: i64, rounds_up: bool) -> i64 {
    let number = match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let hundredths = percent.saturating_mul(of);
            if rounds_up {
                hundredths.saturating_add(99) / 100
            } else {
                hundredths / 100
            }
        }
        _ => 0,
    };
    number.clamp(0, MOST)
}

impl<'a> Round<'a> {
    fn new(deployment: &'a Value, sets: &'a [Object], pods: &'a [Object], now: Timestamp) -> Self {
        let template = bare_template(deployment);
        let mut by_age: Vec<&Object> = sets.iter().collect();
        by_age.sort_by_key(|set| {
            (
                text(set, "/metadata/creationTimestamp").to_owned(),
                revision(set),
            )
        });
        let new = by_age
            .iter()
            .find(|set| bare_template(set) == template)
            .copied();
        let replicas = int(deployment, "/spec/replicas").unwrap_or(1);
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        let is_rolling = text(deployment, "/spec/strategy/type") == "RollingUpdate";
        let surge = if is_rolling {
            resolve(rolling.get("maxSurge"), replicas, true)
        } else {
            0
        };
        let mut unavailable = if is_rolling {
            resolve(rolling.get("maxUnavailable"), replicas, false)
        } else {
            0
        };
        if is_rolling && surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        let old = by_age
            .into_iter()
            .filter(|set| new.is_none_or(|new| object::uid(new) != object::uid(set)))
            .collect();
        Self {
            deployment,
            new,
            old,
            pods,
            now,
            wanted: replicas,
            surge,
            unavailable: unavailable.min(replicas),
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a Object> {
        self.old.iter().copied().chain(self.new)
    }

    /// Annotations that a ReplicaSet takes over from its Deployment, with those about the number of Pods.
    fn annotations(&self, set: &mut Value, number: i64) {
        for (key, value) in object::entries(self.deployment, "/metadata/annotations") {
            if ![LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAXIMUM].contains(&key) {
                object::annotate(set, key, value);
            }
        }
        let before = annotation(set, REVISION).map(str::to_owned);
        if let Some(before) = before.filter(|before| *before != number.to_string()) {
            let history = annotation(set, REVISION_HISTORY)
                .map_or_else(|| before.clone(), |history| format!("{history},{before}"));
            let mut kept = history.as_str();
            while kept.len() > HISTORY_LENGTH {
                kept = kept.split_once(',').map_or("", |(_, later)| later);
            }
            object::annotate(set, REVISION_HISTORY, kept);
        }
        object::annotate(set, REVISION, &number.to_string());
        self.numbers(set);
    }

    fn numbers(&self, set: &mut Value) {
        object::annotate(set, DESIRED, &self.wanted.to_string());
        object::annotate(set, MAXIMUM, &(self.wanted + self.surge).to_string());
    }

    fn next_revision(&self) -> i64 {
        let last = self.old.iter().map(|set| revision(set)).max().unwrap_or(0);
        last.saturating_add(1)
    }

    /// How many Pods the new ReplicaSet may have now.
    fn new_replicas(&self, present: i64) -> i64 {
        if text(self.deployment, "/spec/strategy/type") != "RollingUpdate" {
            return self.wanted;
        }
        let total: i64 = self.old.iter().map(|set| wanted(set)).sum::<i64>() + present;
        let room = self.wanted + self.surge - total;
        if room <= 0 {
            present
        } else {
            (present + room).min(self.wanted)
        }
    }

    fn create_new(&self, steps: &mut Vec<Action>) {
        let is_recreate = text(self.deployment, "/spec/strategy/type") == "Recreate";
        if is_recreate && (self.scale_old_to_zero(steps) || self.has_old_pods()) {
            return;
        }
        let template = bare_template(self.deployment);
        let hash = revisions::hash(&template);
        let name = format!("{}-{hash}", object::name(self.deployment));
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": object::namespace(self.deployment), "ownerReferences": [object::controller_reference(self.deployment)],
                "labels": template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
            },
            "spec": {"replicas": 0, "selector": self.deployment["spec"]["selector"], "template": template},
        });
        if let Some(seconds) = int(self.deployment, "/spec/minReadySeconds") {
            set["spec"]["minReadySeconds"] = json!(seconds);
        }
        for place in [
            "/metadata/labels",
            "/spec/selector/matchLabels",
            "/spec/template/metadata/labels",
        ] {
            object::map_mut(&mut set, place).insert(HASH.to_owned(), json!(hash));
        }
        let replicas = self.new_replicas(0);
        set["spec"]["replicas"] = json!(replicas);
        self.annotations(&mut set, self.next_revision());
        let refused = Note::warning(
            self.deployment,
            "ReplicaSetCreateError",
            format!("Failed to create new replica set {name:?}: "),
        );
        steps.push(Action::Create {
            resource: resource::REPLICASETS,
            object: set,
            refused: Some(refused),
        });
        if replicas > 0 {
            steps.push(Action::Note(self.scaled("up", &name, 0, replicas)));
        }
        self.own_revision(self.next_revision(), steps);
    }

    /// The Deployment bears the revision of its newest ReplicaSet.
    fn own_revision(&self, number: i64, steps: &mut Vec<Action>) {
        if revision(self.deployment) != number {
            let mut changed = self.deployment.clone();
            object::annotate(&mut changed, REVISION, &number.to_string());
            steps.push(Action::Update {
                resource: resource::DEPLOYMENTS,
                object: changed,
            });
        }
    }

    fn scaled(&self, direction: &str, set: &str, from: i64, to: i64) -> Note {
        Note::normal(
            self.deployment,
            "ScalingReplicaSet",
            format!("Scaled {direction} replica set {set} from {from} to {to}"),
        )
    }

    fn scale(&self, set: &Object, to: i64, steps: &mut Vec<Action>) {
        let (from, to) = (wanted(set), to.clamp(0, MOST));
        let mut changed = (**set).clone();
        changed["spec"]["replicas"] = json!(to);
        self.numbers(&mut changed);
        if changed == **set {
            return;
        }
        steps.push(Action::Update {
            resource: resource::REPLICASETS,
            object: changed,
        });
        if from != to {
            steps.push(Action::Note(self.scaled(
                if to > from { "up" } else { "down" },
                object::name(set),
                from,
                to,
            )));
        }
    }

    /// An existing ReplicaSet that became the present one again gets the next revision number.
    fn annotate_new(&self, steps: &mut Vec<Action>) {
        let Some(new) = self.new else { return };
        let number = self.next_revision().max(revision(new));
        let mut changed = (**new).clone();
        self.annotations(&mut changed, number);
        let seconds = int(self.deployment, "/spec/minReadySeconds");
        if seconds != int(new, "/spec/minReadySeconds") {
            changed["spec"]["minReadySeconds"] = json!(seconds.unwrap_or(0));
        }
        if changed != **new {
            steps.push(Action::Update {
                resource: resource::REPLICASETS,
                object: changed,
            });
        }
        self.own_revision(number, steps);
    }

    /// Whether the number asked for has changed since the ReplicaSets were last told.
    fn is_scaling(&self) -> bool {
        self.all().filter(|set| wanted(set) > 0).any(|set| {
            annotation(set, DESIRED).is_some_and(|desired| desired != self.wanted.to_string())
        })
    }

    /// Brings the total to the number asked for without going on with a rollout.
    fn scale_only(&self, steps: &mut Vec<Action>) {
        let active: Vec<&Object> = self.all().filter(|set| wanted(set) > 0).collect();
        let target = match (active.as_slice(), self.new) {
            ([], Some(new)) => new,
            ([], None) => match self.old.last() {
                Some(last) => *last,
                None => return,
            },
            ([only], _) => *only,
            // In the middle of a rollout each gets its share, the largest first.
            (several, _) => {
                let total: i64 = several.iter().map(|set| wanted(set)).sum();
                let mut left = self.wanted + if self.wanted > 0 { self.surge } else { 0 } - total;
                let change = left;
                let mut by_size = several.to_vec();
                by_size.sort_by_key(|set| std::cmp::Reverse(wanted(set)));
                for (index, set) in by_size.iter().enumerate() {
                    let share = if index + 1 == by_size.len() {
                        left
                    } else {
                        change.saturating_mul(wanted(set)) / total.max(1)
                    };
                    left -= share;
                    self.scale(set, wanted(set) + share, steps);
                }
                return;
            }
        };
        self.scale(target, self.wanted, steps);
    }

    fn has_old_pods(&self) -> bool {
        self.pods.iter().any(|pod| {
            let owner = object::controller(pod).map_or("", |owner| text(owner, "/uid"));
            !has_ended(pod) && self.old.iter().any(|set| object::uid(set) == owner)
        })
    }

    /// True when there was something to scale down.
    fn scale_old_to_zero(&self, steps: &mut Vec<Action>) -> bool {
        let before = steps.len();
        for set in self.old.iter().filter(|set| wanted(set) > 0) {
            self.scale(set, 0, steps);
        }
        steps.len() > before
    }

    fn recreate(&self, steps: &mut Vec<Action>) {
        let Some(new) = self.new else { return };
        if !steps.is_empty() || self.scale_old_to_zero(steps) || self.has_old_pods() {
            return;
        }
        if wanted(new) != self.wanted {
            self.scale(new, self.wanted, steps);
        }
    }

    fn roll(&self, steps: &mut Vec<Action>) {
        let Some(new) = self.new else { return };
        if !steps.is_empty() {
            // The annotations are written first; the next round goes on from there.
            return;
        }
        let present = wanted(new);
        let target = if present > self.wanted {
            self.wanted
        } else {
            self.new_replicas(present)
        };
        if present != target {
            self.scale(new, target, steps);
            return;
        }
        let total: i64 = self.all().map(|set| wanted(set)).sum();
        let must_stay = self.wanted - self.unavailable;
        let new_unavailable = present - available(new);
        let mut may_go = total - must_stay - new_unavailable;
        if may_go <= 0 {
            return;
        }
        // Pods that serve nobody go first, then others as far as enough remain.
        let mut left: Vec<(&Object, i64)> =
            self.old.iter().map(|set| (*set, wanted(set))).collect();
        for (set, count) in &mut left {
            let idle = (*count - available(set)).clamp(0, may_go);
            *count -= idle;
            may_go -= idle;
        }
        let serving: i64 = self.all().map(|set| available(set)).sum();
        let mut spare = (serving - must_stay).max(0);
        for (set, count) in &mut left {
            let gone = spare.min(*count).min(available(set).max(0));
            *count -= gone;
            spare -= gone;
        }
        for (set, count) in left {
            if count != wanted(set) {
                self.scale(set, count, steps);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.new.is_some_and(|new| {
            wanted(new) == self.wanted
                && int(new, "/status/replicas").unwrap_or(0) == self.wanted
                && available(new) == self.wanted
                && self
                    .old
                    .iter()
                    .all(|set| int(set, "/status/replicas").unwrap_or(0) == 0 && wanted(set) == 0)
        })
    }

    /// Whether this set was made for what the Deployment wants now, not found among the old ones, and no condition says
    /// so yet.
    fn is_untold(&self, new: &Value) -> bool {
        let name = format!("{:?}", object::name(new));
        object::condition(self.deployment, "Progressing").is_none_or(|told| {
            object::annotation(new, REVISION_HISTORY).is_none()
                && !text(told, "/message").contains(&name)
        })
    }

    fn clean_up(&self, steps: &mut Vec<Action>) {
        if !self.is_complete() {
            return;
        }
        let limit = int(self.deployment, "/spec/revisionHistoryLimit")
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(10);
        let mut idle: Vec<&Object> = self
            .old
            .iter()
            .copied()
            .filter(|set| wanted(set) == 0 && !object::is_deleting(set))
            .collect();
        idle.sort_by_key(|set| revision(set));
        steps.extend(
            idle.iter()
                .take(idle.len().saturating_sub(limit))
                .map(|set| Action::delete(resource::REPLICASETS, set)),
        );
    }

    /// The new status; how long until a rollout that makes no progress is late.
    fn status(&self, steps: &mut Vec<Action>) -> Option<Duration> {
        if steps.iter().any(|step| matches!(step, Action::Update { resource, .. } if resource.plural == "deployments")) {
            // The Deployment itself changes in this round; its status follows in the next.
            return None;
        }
        if let Some(new) = self.new
            && int(self.deployment, "/spec/progressDeadlineSeconds").is_some()
            && self.is_untold(new)
        {
            // A set that was made is told of in a write of its own, before anything is counted: what is counted next
            // is progress.
            let mut changed = self.deployment.clone();
            let mut status = changed.get("status").cloned().unwrap_or_else(|| json!({}));
            self.condition(
                &mut status,
                "Progressing",
                &(
                    "True",
                    "NewReplicaSetCreated",
                    format!("Created new replica set {:?}", object::name(new)),
                ),
                true,
            );
            changed["status"] = status;
            steps.push(Action::Status {
                resource: resource::DEPLOYMENTS,
                object: changed,
            });
            return None;
        }
        let sum = |field: &str| {
            self.all()
                .map(|set| int(set, &format!("/status/{field}")).unwrap_or(0))
                .sum::<i64>()
        };
        let ready_now = sum("availableReplicas");
        let updated = self
            .new
            .map_or(0, |new| int(new, "/status/replicas").unwrap_or(0));
        let total: i64 = self.all().map(|set| wanted(set)).sum();
        let mut status = self
            .deployment
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        status["observedGeneration"] =
            json!(int(self.deployment, "/metadata/generation").unwrap_or(1));
        counts(
            &mut status,
            &[
                ("replicas", sum("replicas")),
                ("updatedReplicas", updated),
                ("readyReplicas", sum("readyReplicas")),
                ("availableReplicas", ready_now),
                ("unavailableReplicas", (total - ready_now).max(0)),
            ],
        );
        let is_available = ready_now >= self.wanted - self.unavailable;
        let available = if is_available {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.".to_owned(),
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.".to_owned(),
            )
        };
        let has_progressed = [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ]
        .iter()
        .any(|field| status.get(*field) != self.deployment["status"].get(*field));
        self.condition(&mut status, "Available", &available, false);
        let again = self.progress(&mut status, has_progressed);
        if status != self.deployment["status"] {
            let mut changed = self.deployment.clone();
            changed["status"] = status;
            steps.push(Action::Status {
                resource: resource::DEPLOYMENTS,
                object: changed,
            });
        }
        again
    }

    fn progress(&self, status: &mut Value, has_progressed: bool) -> Option<Duration> {
        let deadline = int(self.deployment, "/spec/progressDeadlineSeconds")?;
        let name = self
            .new
            .map_or_else(String::new, |new| object::name(new).to_owned());
        let current = object::condition(self.deployment, "Progressing")?;
        if text(current, "/reason") == "NewReplicaSetAvailable"
            && status.get("replicas") == status.get("updatedReplicas")
        {
            // Nothing is being rolled out: a Pod that died is no new rollout.
            return None;
        }
        if self.is_complete() {
            self.condition(
                status,
                "Progressing",
                &(
                    "True",
                    "NewReplicaSetAvailable",
                    format!("ReplicaSet {name:?} has successfully progressed."),
                ),
                false,
            );
            return None;
        }
        self.new?;
        if has_progressed || text(current, "/reason") == "NewReplicaSetAvailable" {
            self.condition(
                status,
                "Progressing",
                &(
                    "True",
                    "ReplicaSetUpdated",
                    format!("ReplicaSet {name:?} is progressing."),
                ),
                true,
            );
            return Some(Duration::from_secs(deadline.unsigned_abs()));
        }
        let since = object::time_at(current, "/lastUpdateTime").unwrap_or(self.now);
        let left = object::later(since, deadline).duration_since(self.now);
        if left.is_negative() || left.is_zero() {
            self.condition(
                status,
                "Progressing",
                &(
                    "False",
                    "ProgressDeadlineExceeded",
                    format!("ReplicaSet {name:?} has timed out progressing."),
                ),
                false,
            );
            return None;
        }
        Duration::try_from(left).ok()
    }

    /// Puts a condition; its times move only when it says something new, or when `touches` asks for it.
    fn condition(
        &self,
        status: &mut Value,
        kind: &str,
        (state, reason, message): &(&str, &str, String),
        touches: bool,
    ) {
        let now = object::time(self.now);
        let mut list = object::array(status, "/conditions").to_vec();
        let before = list
            .iter()
            .find(|condition| text(condition, "/type") == kind)
            .cloned();
        let same_state = before
            .as_ref()
            .is_some_and(|before| text(before, "/status") == *state);
        let same = same_state
            && before.as_ref().is_some_and(|before| {
                text(before, "/reason") == *reason && text(before, "/message") == message
            });
        if same && !touches {
            return;
        }
        let since = before.filter(|_| same_state).map_or_else(
            || now.clone(),
            |before| text(&before, "/lastTransitionTime").to_owned(),
        );
        let fresh = json!({"type": kind, "status": state, "reason": reason, "message": message, "lastTransitionTime": since, "lastUpdateTime": now});
        // What changed last stands last, as the real controller writes it.
        list.retain(|condition| text(condition, "/type") != kind);
        list.push(fresh);
        status["conditions"] = json!(list);
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "test builders read better with values"
    )]

    use std::sync::Arc;

    use super::*;

    fn deployment(replicas: i64, image: &str, strategy: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1, "annotations": {REVISION: "1"}},
            "spec": {"replicas": replicas, "strategy": strategy, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}}},
        })
    }

    fn rolling() -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    }

    fn set(
        name: &str,
        image: &str,
        number: i64,
        wanted: i64,
        available: i64,
        desired: i64,
    ) -> Object {
        let surge = resolve(Some(&json!("25%")), desired, true);
        Arc::new(json!({
            "metadata": {"name": name, "namespace": "default", "uid": name, "creationTimestamp": format!("2026-01-01T00:00:0{number}Z"),
                "annotations": {REVISION: number.to_string(), DESIRED: desired.to_string(), MAXIMUM: (desired + surge).to_string()}},
            "spec": {"replicas": wanted, "template": {"metadata": {"labels": {"app": "web", HASH: name}}, "spec": {"containers": [{"image": image}]}}},
            "status": {"replicas": wanted, "availableReplicas": available, "readyReplicas": available},
        }))
    }

    /// What is scaled in one round: "+web-x 1" for a new ReplicaSet, "web-a 3" for a changed one.
    fn scaled(deployment: &Value, sets: &[Object], pods: &[Object]) -> Vec<String> {
        // A Deployment in the middle of a rollout bears its newest revision.
        let mut deployment = deployment.clone();
        let newest = sets.iter().map(|set| revision(set)).max().unwrap_or(1);
        object::annotate(&mut deployment, REVISION, &newest.to_string());
        let plan = plan(&deployment, sets, pods, Timestamp::now());
        let mut list: Vec<String> = Vec::new();
        for step in &plan.steps {
            match step {
                Action::Create { object, .. } => {
                    list.push(format!("+{}", object["spec"]["replicas"]));
                }
                Action::Update { resource, object } if resource.plural == "replicasets" => list
                    .push(format!(
                        "{} {}",
                        object::name(object),
                        object["spec"]["replicas"]
                    )),
                _ => {}
            }
        }
        list
    }

    #[test]
    fn a_rollout_goes_in_steps_within_its_bounds() {
        let recreate = json!({"type": "Recreate"});
        let pod = |owner: &str| -> Object {
            Arc::new(
                json!({"metadata": {"ownerReferences": [{"uid": owner, "controller": true}]}, "status": {"phase": "Running"}}),
            )
        };
        for (what, deployment, sets, pods, expected) in [
            (
                "the first ReplicaSet is full at once",
                deployment(3, "a", rolling()),
                vec![],
                vec![],
                vec!["+3"],
            ),
            (
                "a second one begins with the surge",
                deployment(4, "b", rolling()),
                vec![set("a", "a", 1, 4, 4, 4)],
                vec![],
                vec!["+1"],
            ),
            (
                "old Pods go as far as availability allows",
                deployment(4, "b", rolling()),
                vec![set("a", "a", 1, 4, 4, 4), set("b", "b", 2, 1, 0, 4)],
                vec![],
                vec!["a 3"],
            ),
            (
                "then new ones come",
                deployment(4, "b", rolling()),
                vec![set("a", "a", 1, 3, 3, 4), set("b", "b", 2, 1, 0, 4)],
                vec![],
                vec!["b 2"],
            ),
            (
                "nobody goes while too few serve",
                deployment(4, "b", rolling()),
                vec![set("a", "a", 1, 3, 3, 4), set("b", "b", 2, 2, 0, 4)],
                vec![],
                vec![],
            ),
            (
                "the end",
                deployment(4, "b", rolling()),
                vec![set("a", "a", 1, 0, 0, 4), set("b", "b", 2, 4, 4, 4)],
                vec![],
                vec![],
            ),
            (
                "scaling goes to the one ReplicaSet",
                deployment(5, "a", rolling()),
                vec![set("a", "a", 1, 3, 3, 3)],
                vec![],
                vec!["a 5"],
            ),
            (
                "recreate empties the old one first",
                deployment(2, "b", recreate.clone()),
                vec![set("a", "a", 1, 2, 2, 2)],
                vec![],
                vec!["a 0"],
            ),
            (
                "and waits until its Pods are gone",
                deployment(2, "b", recreate),
                vec![set("a", "a", 1, 0, 0, 2)],
                vec![pod("a")],
                vec![],
            ),
        ] {
            assert_eq!(scaled(&deployment, &sets, &pods), expected, "{what}");
        }
    }

    #[test]
    fn going_back_gives_the_old_replica_set_the_next_number() {
        let plan = plan(
            &deployment(1, "a", rolling()),
            &[set("a", "a", 1, 0, 0, 1), set("b", "b", 2, 1, 1, 1)],
            &[],
            Timestamp::now(),
        );
        let Action::Update { object, .. } = &plan.steps[0] else {
            panic!("{:?}", plan.steps)
        };
        assert_eq!(
            (
                object::name(object),
                annotation(object, REVISION),
                annotation(object, REVISION_HISTORY)
            ),
            ("a", Some("3"), Some("1"))
        );
    }

    #[test]
    fn no_number_runs_over() {
        let most = i64::from(i32::MAX);
        let mut strategy = rolling();
        strategy["rollingUpdate"]["maxSurge"] = json!("99999999999%");
        let mut late = set("a", "a", i64::MAX, most, most, most);
        let forged = Arc::make_mut(&mut late);
        object::annotate(forged, REVISION_HISTORY, &"1,".repeat(5000));
        let sets = [late, set("b", "b", 2, most, 0, 3)];
        // In the middle of a rollout of more Pods than there can be, and with a forged number of the last one.
        for template in ["a", "b", "c"] {
            let plan = plan(
                &deployment(most, template, strategy.clone()),
                &sets,
                &[],
                Timestamp::now(),
            );
            for step in &plan.steps {
                if let Action::Update { object, .. } | Action::Create { object, .. } = step {
                    let replicas = int(object, "/spec/replicas").unwrap();
                    assert!((0..=most).contains(&replicas), "{replicas}");
                    let history = annotation(object, REVISION_HISTORY).unwrap_or("");
                    assert!(history.len() <= 10_000, "it does not grow any more");
                }
            }
        }
        let mut again = deployment(3, "a", rolling());
        again["status"] = json!({"conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "replica set \"a\"", "lastUpdateTime": "9999-12-30T00:00:00Z"}]});
        again["spec"]["progressDeadlineSeconds"] = json!(most);
        plan(&again, &[set("a", "a", 1, 3, 0, 3)], &[], Timestamp::now());
    }

    #[test]
    fn percentages_round_as_the_real_ones() {
        assert_eq!(
            (
                resolve(Some(&json!("25%")), 1, true),
                resolve(Some(&json!("25%")), 1, false),
                resolve(Some(&json!(2)), 9, true)
            ),
            (1, 0, 2)
        );
    }
}
