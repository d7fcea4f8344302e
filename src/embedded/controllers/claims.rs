//! The claims' half of the volume binder: finds a volume for each claim, or asks for one to be made.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::{Action, perform};
use super::driver::Controller;
use super::events::{Note, Recorder};
use crate::failure::Failure;
use crate::object::{self, Object, annotation, array, text};
use crate::registry::{Labels, Registry};
use crate::resource;
use crate::store::{Change, Key};

pub(super) const MANAGER: &str = "kube-controller-manager";
pub(super) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
pub(super) const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const OLD_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
pub(super) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
pub(super) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// A class that makes no volumes, only groups existing ones.
pub(super) const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// While a claim waits for a volume, the real controller looks (and tells) again this often.
const TELL_AGAIN: Duration = Duration::from_secs(15);

pub(super) struct Claims {
    recorder: Recorder,
}

impl Claims {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "persistentvolume-controller", ""),
        }
    }
}

impl Controller for Claims {
    fn name(&self) -> &'static str {
        "claim-binder"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::CLAIMS)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        let unbound = || {
            registry
                .list(resource::CLAIMS, None)
                .0
                .into_iter()
                .filter(|claim| text(claim, "/status/phase") != "Bound")
        };
        match change.key.resource {
            "persistentvolumeclaims" => vec![change.key.clone()],
            "persistentvolumes" => {
                let named = Key::new(
                    "persistentvolumeclaims",
                    text(&change.object, "/spec/claimRef/namespace"),
                    text(&change.object, "/spec/claimRef/name"),
                );
                let users = registry
                    .list(resource::CLAIMS, None)
                    .0
                    .into_iter()
                    .filter(|claim| text(claim, "/spec/volumeName") == change.key.name);
                std::iter::once(named)
                    .chain(users.map(|claim| Key::of(resource::CLAIMS, &claim)))
                    .chain(unbound().map(|claim| Key::of(resource::CLAIMS, &claim)))
                    .collect()
            }
            "storageclasses" => unbound()
                .map(|claim| Key::of(resource::CLAIMS, &claim))
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
        // The volumes first: of a claim that is there afterwards none of them can have been released, and one that is
        // released later is not overwritten, since it has changed.
        let (volumes, _) = registry.list(resource::VOLUMES, None);
        let Some(claim) = registry.find(resource::CLAIMS, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let class = registry.find(
            resource::STORAGE_CLASSES,
            "",
            text(&claim, "/spec/storageClassName"),
        );
        let (steps, waits) = plan(&claim, &volumes, class.as_deref());
        perform(registry, &self.recorder, MANAGER, steps)?;
        Ok(waits.then_some(TELL_AGAIN))
    }
}

/// Whether a volume's claimRef names this claim (and, if it names a uid, this very one).
pub(super) fn is_meant_for(volume: &Value, claim: &Value) -> bool {
    let reference = &volume["spec"]["claimRef"];
    text(reference, "/name") == object::name(claim)
        && text(reference, "/namespace") == object::namespace(claim)
        && matches!(text(reference, "/uid"), uid if uid.is_empty() || uid == object::uid(claim))
}

fn storage(value: &Value, pointer: &str) -> f64 {
    object::quantity(text(value, pointer)).unwrap_or(0.0)
}

/// Whether the volume offers what the claim asks for.
fn fits(volume: &Value, claim: &Value) -> bool {
    let modes = array(volume, "/spec/accessModes");
    let selector = claim
        .pointer("/spec/selector")
        .map(Labels::of_selector)
        .unwrap_or_default();
    !object::is_deleting(volume)
        && text(volume, "/spec/storageClassName") == text(claim, "/spec/storageClassName")
        && text(volume, "/spec/volumeMode") == text(claim, "/spec/volumeMode")
        && array(claim, "/spec/accessModes")
            .iter()
            .all(|mode| modes.contains(mode))
        && storage(volume, "/spec/capacity/storage")
            >= storage(claim, "/spec/resources/requests/storage")
        && selector.matches(volume)
}

/// The volume that a claim gets: one set aside for it, else the smallest that is free and fits. A claim that waits for
/// its Pod (`only_reserved`) takes none that is not set aside for it.
pub(super) fn best<'a>(
    claim: &Value,
    volumes: &'a [Object],
    only_reserved: bool,
) -> Option<&'a Object> {
    let reserved = volumes.iter().find(|volume| {
        volume.pointer("/spec/claimRef/name").is_some()
            && is_meant_for(volume, claim)
            && fits(volume, claim)
    });
    if reserved.is_some() || only_reserved {
        return reserved;
    }
    let free = volumes.iter().filter(|volume| {
        volume.pointer("/spec/claimRef/name").is_none()
            && text(volume, "/status/phase") == "Available"
            && fits(volume, claim)
    });
    free.min_by(|a, b| {
        storage(a, "/spec/capacity/storage")
            .total_cmp(&storage(b, "/spec/capacity/storage"))
            .then_with(|| object::name(a).cmp(object::name(b)))
    })
}

/// The next steps for one claim; true asks to look again later.
fn plan(claim: &Value, volumes: &[Object], class: Option<&Value>) -> (Vec<Action>, bool) {
    let named = text(claim, "/spec/volumeName");
    let is_settled = annotation(claim, BIND_COMPLETED).is_some();
    let mut steps = Vec::new();
    if is_settled {
        match volumes.iter().find(|volume| object::name(volume) == named) {
            Some(volume)
                if volume.pointer("/spec/claimRef/name").is_none()
                    || is_meant_for(volume, claim) =>
            {
                bind(claim, volume, &mut steps);
            }
            found => lose(claim, found.is_some(), &mut steps),
        }
        return (steps, false);
    }
    if object::is_deleting(claim) {
        return (steps, false);
    }
    if !named.is_empty() {
        match volumes.iter().find(|volume| object::name(volume) == named) {
            Some(volume) if volume.pointer("/spec/claimRef/name").is_none() => {
                if fits(volume, claim) {
                    bind(claim, volume, &mut steps);
                } else {
                    let message = format!(
                        "Cannot bind to requested volume {named:?}: {}",
                        misfit(volume, claim)
                    );
                    steps.push(Action::Note(Note::warning(
                        claim,
                        "VolumeMismatch",
                        message,
                    )));
                }
            }
            Some(volume) if is_meant_for(volume, claim) => bind(claim, volume, &mut steps),
            Some(_) => {
                steps.push(Action::Note(Note::warning(
                    claim,
                    "FailedBinding",
                    format!("volume {named:?} already bound to a different claim."),
                )));
                return (steps, true);
            }
            None => pending(claim, &mut steps),
        }
        return (steps, false);
    }
    let waits_for_pod =
        class.is_some_and(|class| text(class, "/volumeBindingMode") == "WaitForFirstConsumer");
    let is_placed = annotation(claim, SELECTED_NODE).is_some();
    if let Some(volume) = best(claim, volumes, waits_for_pod && !is_placed) {
        bind(claim, volume, &mut steps);
        return (steps, false);
    }
    pending(claim, &mut steps);
    let waits = provision(claim, class, waits_for_pod && !is_placed, &mut steps);
    (steps, waits)
}

/// Asks for a volume to be made, or says why none comes.
fn provision(
    claim: &Value,
    class: Option<&Value>,
    waits_for_pod: bool,
    steps: &mut Vec<Action>,
) -> bool {
    let name = text(claim, "/spec/storageClassName");
    let Some(class) = class else {
        let note = if name.is_empty() {
            Note::normal(
                claim,
                "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set",
            )
        } else {
            Note::warning(
                claim,
                "ProvisioningFailed",
                format!("storageclass.storage.k8s.io {name:?} not found"),
            )
        };
        steps.push(Action::Note(note));
        return true;
    };
    if waits_for_pod {
        steps.push(Action::Note(Note::normal(
            claim,
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        )));
        return false;
    }
    let provisioner = text(class, "/provisioner");
    if provisioner == NO_PROVISIONER {
        steps.push(Action::Note(Note::normal(
            claim,
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
        )));
        return true;
    }
    if annotation(claim, PROVISIONER) != Some(provisioner) {
        let mut asking = claim.clone();
        object::annotate(&mut asking, PROVISIONER, provisioner);
        object::annotate(&mut asking, OLD_PROVISIONER, provisioner);
        steps.push(Action::Update {
            resource: resource::CLAIMS,
            object: asking,
        });
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    steps.push(Action::Note(Note::normal(
        claim,
        "ExternalProvisioning",
        message,
    )));
    true
}

fn misfit(volume: &Value, claim: &Value) -> &'static str {
    if text(volume, "/spec/storageClassName") != text(claim, "/spec/storageClassName") {
        "storageClassName does not match"
    } else if storage(volume, "/spec/capacity/storage")
        < storage(claim, "/spec/resources/requests/storage")
    {
        "requested PV is too small"
    } else if text(volume, "/spec/volumeMode") != text(claim, "/spec/volumeMode") {
        "incompatible volumeMode"
    } else {
        "incompatible accessMode"
    }
}

fn pending(claim: &Value, steps: &mut Vec<Action>) {
    if text(claim, "/status/phase") != "Pending" {
        let mut changed = claim.clone();
        changed["status"] = json!({"phase": "Pending"});
        steps.push(Action::Status {
            resource: resource::CLAIMS,
            object: changed,
        });
    }
}

fn lose(claim: &Value, has_other_owner: bool, steps: &mut Vec<Action>) {
    if text(claim, "/status/phase") == "Lost" {
        return;
    }
    let mut changed = claim.clone();
    changed["status"] = json!({"phase": "Lost"});
    steps.push(Action::Status {
        resource: resource::CLAIMS,
        object: changed,
    });
    let (reason, message) = if has_other_owner {
        (
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        )
    } else {
        (
            "ClaimLost",
            "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        )
    };
    steps.push(Action::Note(Note::warning(claim, reason, message)));
}

/// The four writes of a binding in their order: the volume names the claim, is Bound, the claim names the volume, is
/// Bound. What is already so is not written again, so a binding that was interrupted goes on where it stopped.
fn bind(claim: &Value, volume: &Object, steps: &mut Vec<Action>) {
    let mut taken = (**volume).clone();
    if taken.pointer("/spec/claimRef/name").is_none() {
        object::annotate(&mut taken, BOUND_BY_CONTROLLER, "yes");
    }
    if text(&taken, "/spec/claimRef/uid").is_empty() {
        object::set(
            &mut taken,
            "/spec/claimRef",
            json!({
                "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": object::namespace(claim), "name": object::name(claim), "uid": object::uid(claim),
                "resourceVersion": text(claim, "/metadata/resourceVersion"),
            }),
        );
    }
    if taken != **volume {
        steps.push(Action::Update {
            resource: resource::VOLUMES,
            object: taken.clone(),
        });
    }
    if text(volume, "/status/phase") != "Bound" {
        object::remove(&mut taken, "/metadata/resourceVersion");
        object::set(&mut taken, "/status/phase", "Bound");
        steps.push(Action::Status {
            resource: resource::VOLUMES,
            object: taken,
        });
    }
    let mut bound = claim.clone();
    if text(claim, "/spec/volumeName").is_empty() {
        object::set(&mut bound, "/spec/volumeName", object::name(volume));
        object::annotate(&mut bound, BOUND_BY_CONTROLLER, "yes");
    }
    object::annotate(&mut bound, BIND_COMPLETED, "yes");
    if bound != *claim {
        steps.push(Action::Update {
            resource: resource::CLAIMS,
            object: bound.clone(),
        });
    }
    let status = json!({"phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": volume["spec"]["capacity"]});
    if text(claim, "/status/phase") != "Bound" {
        object::remove(&mut bound, "/metadata/resourceVersion");
        bound["status"] = status;
        steps.push(Action::Status {
            resource: resource::CLAIMS,
            object: bound,
        });
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

    fn volume(name: &str, size: &str, change: Value) -> Object {
        let mut volume = json!({
            "metadata": {"name": name, "uid": name}, "status": {"phase": "Available"},
            "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeMode": "Filesystem"},
        });
        json_patch::merge(&mut volume, &change);
        Arc::new(volume)
    }

    fn claim(change: Value) -> Value {
        let mut claim = json!({
            "metadata": {"name": "c", "namespace": "default", "uid": "claim"}, "status": {"phase": "Pending"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "", "volumeMode": "Filesystem"},
        });
        json_patch::merge(&mut claim, &change);
        claim
    }

    #[test]
    fn the_smallest_that_fits_wins() {
        let sizes = [
            volume("five", "5Gi", json!({})),
            volume("hundred", "100Gi", json!({})),
            volume("ten", "10Gi", json!({})),
        ];
        let name = |claim: &Value, volumes: &[Object], only: bool| {
            best(claim, volumes, only).map(|volume| object::name(volume).to_owned())
        };
        assert_eq!(
            name(&claim(json!({})), &sizes, false).as_deref(),
            Some("ten")
        );
        assert_eq!(
            name(&claim(json!({})), &sizes[..2], false).as_deref(),
            Some("hundred")
        );
        assert_eq!(name(&claim(json!({})), &sizes[..1], false), None);
        assert_eq!(name(&claim(json!({})), &sizes, true), None);
        assert_eq!(
            name(
                &claim(json!({"spec": {"accessModes": ["ReadWriteMany"]}})),
                &sizes,
                false
            ),
            None
        );
        assert_eq!(
            name(
                &claim(json!({"spec": {"storageClassName": "fast"}})),
                &sizes,
                false
            ),
            None
        );
        let reserved = [
            volume("ten", "10Gi", json!({})),
            volume(
                "mine",
                "50Gi",
                json!({"spec": {"claimRef": {"namespace": "default", "name": "c"}}}),
            ),
        ];
        assert_eq!(
            name(&claim(json!({})), &reserved, true).as_deref(),
            Some("mine")
        );
        let released = [volume(
            "old",
            "10Gi",
            json!({"spec": {"claimRef": {"namespace": "default", "name": "c", "uid": "before"}}, "status": {"phase": "Released"}}),
        )];
        assert_eq!(
            name(&claim(json!({})), &released, false),
            None,
            "a released volume waits for a person"
        );
    }

    fn told(claim: &Value, volumes: &[Object], class: Option<&Value>) -> Vec<String> {
        let short = |step: &Action| match step {
            Action::Update { resource, .. } => format!("write {}", resource.short[0]),
            Action::Status { resource, object } => {
                format!("{} {}", resource.short[0], text(object, "/status/phase"))
            }
            Action::Note(note) => note.reason.to_owned(),
            other => format!("{other:?}"),
        };
        plan(claim, volumes, class).0.iter().map(short).collect()
    }

    #[test]
    fn a_claim_goes_the_real_way() {
        let waits = json!({"provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer"});
        let fast = json!({"spec": {"storageClassName": "standard"}});
        let placed = json!({"spec": {"storageClassName": "standard"}, "metadata": {"annotations": {SELECTED_NODE: "n"}}});
        let settled = json!({"spec": {"volumeName": "v"}, "status": {"phase": "Bound"}, "metadata": {"annotations": {BIND_COMPLETED: "yes"}}});
        let none: [&str; 0] = [];
        for (what, claim, volumes, class, expected) in [
            (
                "waits for its Pod",
                claim(fast.clone()),
                vec![],
                Some(&waits),
                vec!["WaitForFirstConsumer"],
            ),
            (
                "asks once it is placed",
                claim(placed),
                vec![],
                Some(&waits),
                vec!["write pvc", "ExternalProvisioning"],
            ),
            (
                "an unknown class",
                claim(fast),
                vec![],
                None,
                vec!["ProvisioningFailed"],
            ),
            (
                "no class and no volume",
                claim(json!({})),
                vec![],
                None,
                vec!["FailedBinding"],
            ),
            (
                "four writes bind",
                claim(json!({})),
                vec![volume("v", "10Gi", json!({}))],
                None,
                vec!["write pv", "pv Bound", "write pvc", "pvc Bound"],
            ),
            (
                "a lost volume",
                claim(settled),
                vec![],
                None,
                vec!["pvc Lost"],
            ),
            (
                "a named volume of another",
                claim(json!({"spec": {"volumeName": "v"}})),
                vec![volume(
                    "v",
                    "10Gi",
                    json!({"spec": {"claimRef": {"name": "x"}}}),
                )],
                None,
                vec!["FailedBinding"],
            ),
            (
                "a named volume that is not there yet",
                claim(json!({"spec": {"volumeName": "v"}})),
                vec![],
                None,
                none.to_vec(),
            ),
        ] {
            let told = told(&claim, &volumes, class);
            assert_eq!(
                told.iter()
                    .filter(|step| *step != "ClaimLost")
                    .collect::<Vec<_>>(),
                expected,
                "{what}"
            );
        }
    }
}
