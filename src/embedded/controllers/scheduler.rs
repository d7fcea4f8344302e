//! The scheduler: one node, and the reasons why a Pod cannot go there yet.
//!
//! It also does the scheduler's half of volume binding: a claim that waits for its consumer is placed on the node, and
//! the Pod goes there when every claim of it is bound.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::claims::{BOUND_BY_CONTROLLER, NO_PROVISIONER, SELECTED_NODE, best};
use super::driver::Controller;
use super::events::{Note, Recorder};
use super::protection::claims_of;
use crate::NODE;
use crate::failure::Failure;
use crate::object::{self, Object, annotation, array, text};
use crate::registry::{Labels, Options, Part, Registry};
use crate::resource;
use crate::store::{Change, Happened, Key};

const MANAGER: &str = "kube-scheduler";
/// An unschedulable Pod is looked at again this often even if nothing has changed, as the real queue does it.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// What the real scheduler adds when evicting others would not help.
const NO_PREEMPTION: &str = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

/// And what it adds when evicting others could help, but there is nobody to evict.
const NO_VICTIMS: &str = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

pub(super) struct Scheduler {
    recorder: Recorder,
    /// What the node's Pods use, and at which revision: hundreds of Pods may wait for the same room.
    used: Option<(u64, Used)>,
}

/// What the Pods that were given to the node and have not ended ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Used {
    pods: usize,
    cpu: f64,
    memory: f64,
}

impl Used {
    fn by(pods: &[Object]) -> Self {
        pods.iter()
            .filter(|pod| !super::pods::has_ended(pod) && !text(pod, "/spec/nodeName").is_empty())
            .fold(Self::default(), |used, pod| Self {
                pods: used.pods + 1,
                cpu: used.cpu + requested(pod, "cpu"),
                memory: used.memory + requested(pod, "memory"),
            })
    }
}

impl Scheduler {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "default-scheduler", ""),
            used: None,
        }
    }

    fn used(&mut self, registry: &Registry) -> Used {
        let revision = registry.revision();
        match self.used {
            Some((known, used)) if known == revision => used,
            _ => {
                let (pods, revision) = registry.list(resource::PODS, None);
                let used = Used::by(&pods);
                self.used = Some((revision, used));
                used
            }
        }
    }

    fn refuse(
        &self,
        registry: &Registry,
        pod: &Value,
        message: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let known = object::condition(pod, "PodScheduled")
            .is_some_and(|condition| text(condition, "/message") == message);
        if known {
            return Ok(());
        }
        self.recorder.record_action(
            &Note::warning(pod, "FailedScheduling", message),
            "Scheduling",
        );
        registry.modify(
            resource::PODS,
            object::namespace(pod),
            object::name(pod),
            Part::Status,
            &Options::by(MANAGER),
            |pod| {
                let mut condition = scheduled(pod, "False", now);
                condition["reason"] = json!("Unschedulable");
                condition["message"] = json!(message);
                put_condition(pod, condition);
            },
        )?;
        Ok(())
    }

    fn bind(&self, registry: &Registry, pod: &Value, now: Timestamp) -> Result<(), Failure> {
        let uid = object::uid(pod).to_owned();
        registry.assign(
            object::namespace(pod),
            object::name(pod),
            &uid,
            NODE,
            &Options::by(MANAGER),
            |pod| put_condition(pod, scheduled(pod, "True", now)),
        )?;
        self.recorder.record_action(
            &Note::normal(
                pod,
                "Scheduled",
                format!(
                    "Successfully assigned {}/{} to {NODE}",
                    object::namespace(pod),
                    object::name(pod)
                ),
            ),
            "Binding",
        );
        Ok(())
    }
}

fn scheduled(pod: &Value, status: &str, now: Timestamp) -> Value {
    json!({"type": "PodScheduled", "status": status, "lastProbeTime": null, "lastTransitionTime": object::time(now), "observedGeneration": object::int(pod, "/metadata/generation").unwrap_or(1)})
}

fn put_condition(pod: &mut Value, condition: Value) {
    let mut list: Vec<Value> = array(pod, "/status/conditions")
        .iter()
        .filter(|one| text(one, "/type") != text(&condition, "/type"))
        .cloned()
        .collect();
    list.push(condition);
    object::set(pod, "/status/conditions", list);
}

/// What to do with a Pod that has no node.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It cannot go there; the message says why.
    Unschedulable(String),
    /// It can go when these claims are bound: each is placed on the node, or given the volume set aside for it.
    Place(Vec<Placement>),
    /// Its claims are placed and not bound yet.
    Wait,
    /// Everything it needs is there.
    Bind,
}

/// What the scheduler does for a claim that waited for its consumer.
#[derive(Debug, PartialEq)]
enum Placement {
    /// A new volume is to be made on the node.
    Provision(String),
    /// This existing volume is for this claim.
    Reserve { claim: String, volume: String },
}

/// Decides about one Pod.
fn judge(
    pod: &Value,
    node: Option<&Value>,
    claims: &[Object],
    volumes: &[Object],
    class: &dyn Fn(&str) -> Option<Object>,
    others: &[Object],
    used: Used,
) -> Verdict {
    let no = |reason: String| Verdict::Unschedulable(format!("0/1 nodes are available: {reason}"));
    let Some(node) = node else {
        return Verdict::Unschedulable("no nodes available to schedule pods".to_owned());
    };
    let mut placements = Vec::new();
    let mut waits = false;
    for name in claims_of(pod) {
        let Some(claim) = claims.iter().find(|claim| object::name(claim) == name) else {
            return no(format!(
                "persistentvolumeclaim {name:?} not found. not found"
            ));
        };
        if object::is_deleting(claim) {
            return no(format!(
                "persistentvolumeclaim {name:?} is being deleted. not found"
            ));
        }
        if text(claim, "/status/phase") == "Lost" {
            return no(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {:?}. not found",
                text(claim, "/spec/volumeName")
            ));
        }
        let is_exclusive = array(claim, "/spec/accessModes")
            .iter()
            .any(|mode| mode == "ReadWriteOncePod");
        if is_exclusive
            && others.iter().any(|other| {
                !super::pods::has_ended(other)
                    && !text(other, "/spec/nodeName").is_empty()
                    && object::uid(other) != object::uid(pod)
                    && claims_of(other).any(|used| used == name)
            })
        {
            return no(format!(
                "1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode. {NO_PREEMPTION}"
            ));
        }
        if text(claim, "/status/phase") == "Bound" {
            if !volumes.iter().any(|volume| {
                object::name(volume) == text(claim, "/spec/volumeName") && allows(volume, node)
            }) {
                return no(format!(
                    "1 node(s) didn't match PersistentVolume's node affinity. {NO_PREEMPTION}"
                ));
            }
            continue;
        }
        let class = class(text(claim, "/spec/storageClassName"));
        let is_immediate = class
            .as_ref()
            .is_none_or(|class| text(class, "/volumeBindingMode") != "WaitForFirstConsumer");
        if is_immediate {
            return no("pod has unbound immediate PersistentVolumeClaims. not found".to_owned());
        }
        waits = true;
        if annotation(claim, SELECTED_NODE).is_some() || !text(claim, "/spec/volumeName").is_empty()
        {
            continue;
        }
        let nearby: Vec<Object> = volumes
            .iter()
            .filter(|volume| allows(volume, node))
            .cloned()
            .collect();
        match best(claim, &nearby, false) {
            Some(volume) if volume.pointer("/spec/claimRef/uid").is_some() => {}
            Some(volume) => placements.push(Placement::Reserve {
                claim: name.to_owned(),
                volume: object::name(volume).to_owned(),
            }),
            None if class.is_some_and(|class| text(&class, "/provisioner") != NO_PROVISIONER) => {
                placements.push(Placement::Provision(name.to_owned()));
            }
            None => {
                return no(format!(
                    "1 node(s) didn't find available persistent volumes to bind. {NO_PREEMPTION}"
                ));
            }
        }
    }
    if let Some(reason) = misfit(pod, node) {
        return no(format!("{reason}. {NO_PREEMPTION}"));
    }
    if let Some(reason) = shortage(pod, node, used) {
        return no(reason);
    }
    match (placements.is_empty(), waits) {
        (false, _) => Verdict::Place(placements),
        (true, true) => Verdict::Wait,
        (true, false) => Verdict::Bind,
    }
}

/// Why the node itself does not suit the Pod.
fn misfit(pod: &Value, node: &Value) -> Option<String> {
    if object::flag(node, "/spec/unschedulable") {
        return Some("1 node(s) were unschedulable".to_owned());
    }
    let labels = node.pointer("/metadata/labels").unwrap_or(&Value::Null);
    let selector = Labels::of_map(pod.pointer("/spec/nodeSelector").unwrap_or(&Value::Null));
    let terms = array(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    if !selector.matches_labels(labels)
        || !(terms.is_empty()
            || terms
                .iter()
                .any(|term| Labels::of_selector(term).matches_labels(labels)))
    {
        return Some("1 node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    None
}

/// What there is too little of on the node (kube-scheduler `plugins/noderesources/fit.go`).
fn shortage(pod: &Value, node: &Value, used: Used) -> Option<String> {
    let allocatable = |resource: &str| {
        object::quantity(text(node, &format!("/status/allocatable/{resource}")))
            .unwrap_or(f64::INFINITY)
    };
    let mut short = Vec::new();
    let mut is_hopeless = false;
    for (resource, asks, used) in [
        ("cpu", requested(pod, "cpu"), used.cpu),
        ("memory", requested(pod, "memory"), used.memory),
    ] {
        if asks > 0.0 && asks + used > allocatable(resource) {
            short.push(format!("1 Insufficient {resource}"));
            is_hopeless |= asks > allocatable(resource);
        }
    }
    if (used.pods + 1) as f64 > allocatable("pods") {
        short.push("1 Too many pods".to_owned());
    }
    // What the node does not have at all, nobody can make room for.
    let preemption = if is_hopeless {
        NO_PREEMPTION
    } else {
        NO_VICTIMS
    };
    (!short.is_empty()).then(|| format!("{}. {preemption}", short.join(", ")))
}

fn requested(pod: &Value, resource: &str) -> f64 {
    array(pod, "/spec/containers")
        .iter()
        .filter_map(|container| {
            object::quantity(text(container, &format!("/resources/requests/{resource}")))
        })
        .sum()
}

/// Whether a volume can be used on the node.
fn allows(volume: &Value, node: &Value) -> bool {
    let terms = array(volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
    let labels = node.pointer("/metadata/labels").unwrap_or(&Value::Null);
    terms.is_empty()
        || terms
            .iter()
            .any(|term| Labels::of_selector(term).matches_labels(labels))
}

fn is_waiting(pod: &Value) -> bool {
    text(pod, "/spec/nodeName").is_empty()
        && !object::is_deleting(pod)
        && !super::pods::has_ended(pod)
        && text(pod, "/spec/schedulerName") == "default-scheduler"
}

/// Whether the Pod of a change takes up no room any more.
fn frees_room(change: &Change) -> bool {
    change.happened == Happened::Deleted
        || super::pods::has_ended(&change.object)
            && change
                .before
                .as_ref()
                .is_none_or(|before| !super::pods::has_ended(before))
}

impl Controller for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        let (pods, _) = registry.list(resource::PODS, None);
        pods.iter()
            .filter(|pod| is_waiting(pod))
            .map(|pod| Key::new("pods", object::namespace(pod), object::name(pod)))
            .collect()
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "pods" if is_waiting(&change.object) => vec![change.key.clone()],
            // Anything that a Pod can wait for.
            "pods" if frees_room(change) => self.begin(registry),
            "persistentvolumeclaims" | "persistentvolumes" | "storageclasses" | "nodes" => {
                self.begin(registry)
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
        let Some(pod) = registry
            .find(resource::PODS, &key.namespace, &key.name)
            .filter(|pod| is_waiting(pod))
        else {
            return Ok(None);
        };
        if !array(&pod, "/spec/schedulingGates").is_empty() {
            return Ok(None);
        }
        let node = registry.find(resource::NODES, "", NODE);
        let used = self.used(registry);
        // Only a Pod with claims has anything to do with volumes, and with who else uses them.
        let (mut claims, mut volumes, mut others) = Default::default();
        if claims_of(&pod).next().is_some() {
            claims = registry.list(resource::CLAIMS, Some(&key.namespace)).0;
            volumes = registry.list(resource::VOLUMES, None).0;
            others = registry.list(resource::PODS, Some(&key.namespace)).0;
        }
        let class = |name: &str| registry.find(resource::STORAGE_CLASSES, "", name);
        let verdict = judge(
            &pod,
            node.as_deref(),
            &claims,
            &volumes,
            &class,
            &others,
            used,
        );
        match verdict {
            Verdict::Unschedulable(message) => self.refuse(registry, &pod, &message, now)?,
            Verdict::Wait => return Ok(None),
            Verdict::Bind => {
                self.bind(registry, &pod, now)?;
                return Ok(None);
            }
            Verdict::Place(placements) => {
                for placement in placements {
                    place(registry, &key.namespace, &claims, placement)?;
                }
                return Ok(None);
            }
        }
        Ok(Some(LOOK_AGAIN))
    }
}

fn place(
    registry: &Registry,
    namespace: &str,
    claims: &[Object],
    placement: Placement,
) -> Result<(), Failure> {
    let options = Options::by(MANAGER);
    match placement {
        Placement::Provision(claim) => {
            registry.modify(
                resource::CLAIMS,
                namespace,
                &claim,
                Part::Main,
                &options,
                |claim| object::annotate(claim, SELECTED_NODE, NODE),
            )?;
        }
        Placement::Reserve { claim, volume } => {
            let Some(claim) = claims.iter().find(|one| object::name(one) == claim) else {
                return Ok(());
            };
            registry.modify(resource::VOLUMES, "", &volume, Part::Main, &options, |volume| {
                // Somebody may have been faster; then the claim is looked at again.
                if volume.pointer("/spec/claimRef/uid").is_none() {
                    object::annotate(volume, BOUND_BY_CONTROLLER, "yes");
                    object::set(volume, "/spec/claimRef", json!({
                        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": namespace, "name": object::name(claim), "uid": object::uid(claim),
                        "resourceVersion": text(claim, "/metadata/resourceVersion"),
                    }));
                }
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_obstacle_has_its_real_message() {
        let node = json!({"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}, "status": {"allocatable": {"cpu": "2"}}});
        let pod = json!({"metadata": {"uid": "p"}, "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}});
        let plain = |spec: Value| json!({"metadata": {"uid": "p"}, "spec": spec});
        let claim = |change: Value| {
            let mut claim = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "waits"}, "status": {"phase": "Pending"}});
            json_patch::merge(&mut claim, &change);
            vec![Arc::new(claim)]
        };
        let class = |name: &str| match name {
            "waits" => Some(Arc::new(
                json!({"provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer"}),
            )),
            "static" => Some(Arc::new(
                json!({"provisioner": NO_PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}),
            )),
            _ => None,
        };
        let no =
            |reason: &str| Verdict::Unschedulable(format!("0/1 nodes are available: {reason}"));
        for (what, pod, claims, expected) in [
            (
                "missing",
                &pod,
                vec![],
                no("persistentvolumeclaim \"c\" not found. not found"),
            ),
            (
                "immediate",
                &pod,
                claim(json!({"spec": {"storageClassName": ""}})),
                no("pod has unbound immediate PersistentVolumeClaims. not found"),
            ),
            (
                "nothing to bind",
                &pod,
                claim(json!({"spec": {"storageClassName": "static"}})),
                no(&format!(
                    "1 node(s) didn't find available persistent volumes to bind. {NO_PREEMPTION}"
                )),
            ),
            (
                "first consumer",
                &pod,
                claim(json!({})),
                Verdict::Place(vec![Placement::Provision("c".to_owned())]),
            ),
            (
                "placed",
                &pod,
                claim(json!({"metadata": {"annotations": {SELECTED_NODE: NODE}}})),
                Verdict::Wait,
            ),
            (
                "selector",
                &plain(json!({"nodeSelector": {"a": "b"}})),
                vec![],
                no(&format!(
                    "1 node(s) didn't match Pod's node affinity/selector. {NO_PREEMPTION}"
                )),
            ),
            (
                "large",
                &plain(json!({"containers": [{"resources": {"requests": {"cpu": "100"}}}]})),
                vec![],
                no(&format!("1 Insufficient cpu. {NO_PREEMPTION}")),
            ),
            ("free", &plain(json!({})), vec![], Verdict::Bind),
        ] {
            assert_eq!(
                judge(pod, Some(&node), &claims, &[], &class, &[], Used::default()),
                expected,
                "{what}"
            );
        }
    }
    #[test]
    fn a_full_node_takes_no_more() {
        let node = json!({"status": {"allocatable": {"cpu": "2", "pods": "3"}}});
        let other = |phase: &str, node: &str| {
            Arc::new(
                json!({"spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "500m"}}}]}, "status": {"phase": phase}}),
            )
        };
        let pods = [
            other("Running", NODE),
            other("Pending", NODE),
            other("Pending", ""),
            other("Succeeded", NODE),
            other("Failed", NODE),
        ];
        let used = Used::by(&pods);
        assert_eq!(
            (used.pods, used.cpu),
            (2, 1.0),
            "who waits or has ended takes no room"
        );
        let asks = |cpu: &str| json!({"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}});
        let full = Used { pods: 3, ..used };
        for (cpu, used, words) in [
            ("1", used, None),
            ("0", full, Some(format!("1 Too many pods. {NO_VICTIMS}"))),
            (
                "1500m",
                used,
                Some(format!("1 Insufficient cpu. {NO_VICTIMS}")),
            ),
            (
                "3",
                full,
                Some(format!(
                    "1 Insufficient cpu, 1 Too many pods. {NO_PREEMPTION}"
                )),
            ),
        ] {
            assert_eq!(shortage(&asks(cpu), &node, used), words, "{cpu}");
        }
    }
}
