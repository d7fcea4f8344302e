//! The volumes' half of the binder: Available, Bound, Released, Failed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::{Action, perform};
use super::claims::MANAGER;
use super::driver::Controller;
use super::events::{Note, Recorder};
use super::provisioner::PROVISIONED_BY;
use crate::failure::Failure;
use crate::object::{self, annotation, text};
use crate::registry::Registry;
use crate::resource;
use crate::store::{Change, Key};

pub(super) struct Volumes {
    recorder: Recorder,
}

impl Volumes {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            recorder: Recorder::new(registry, "persistentvolume-controller", ""),
        }
    }
}

impl Controller for Volumes {
    fn name(&self) -> &'static str {
        "volume-binder"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::VOLUMES)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "persistentvolumes" => vec![change.key.clone()],
            "persistentvolumeclaims" => {
                let meant = |volume: &Value| {
                    text(volume, "/spec/claimRef/name") == change.key.name
                        && text(volume, "/spec/claimRef/namespace") == change.key.namespace
                };
                registry
                    .list(resource::VOLUMES, None)
                    .0
                    .iter()
                    .filter(|volume| meant(volume))
                    .map(|volume| Key::new("persistentvolumes", "", object::name(volume)))
                    .collect()
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
        let Some(volume) = registry.find(resource::VOLUMES, "", &key.name) else {
            return Ok(None);
        };
        let claim = registry.find(
            resource::CLAIMS,
            text(&volume, "/spec/claimRef/namespace"),
            text(&volume, "/spec/claimRef/name"),
        );
        perform(
            registry,
            &self.recorder,
            MANAGER,
            plan(&volume, claim.as_deref()),
        )?;
        Ok(None)
    }
}

/// The next steps for one volume and the claim that its claimRef names.
fn plan(volume: &Value, claim: Option<&Value>) -> Vec<Action> {
    let phase = text(volume, "/status/phase");
    let to = |phase: &str, message: &str| {
        let mut changed = volume.clone();
        changed["status"] = json!({"phase": phase, "lastPhaseTransitionTime": volume["status"]["lastPhaseTransitionTime"]});
        if !message.is_empty() {
            changed["status"]["message"] = json!(message);
        }
        Action::Status {
            resource: resource::VOLUMES,
            object: changed,
        }
    };
    let uid = text(volume, "/spec/claimRef/uid");
    let mut steps = Vec::new();
    if volume.pointer("/spec/claimRef/name").is_none() || uid.is_empty() {
        if phase != "Available" && !object::is_deleting(volume) {
            steps.push(to("Available", ""));
        }
        return steps;
    }
    match claim.filter(|claim| object::uid(claim) == uid) {
        Some(claim) if text(claim, "/spec/volumeName") == object::name(volume) => {
            if phase != "Bound" {
                steps.push(to("Bound", ""));
            }
        }
        // The claims' half is about to complete the binding.
        Some(claim) if text(claim, "/spec/volumeName").is_empty() => {}
        _ => {
            if phase != "Released" && phase != "Failed" {
                steps.push(to("Released", ""));
            } else if phase == "Released" && !object::is_deleting(volume) {
                steps.extend(reclaim(volume, &to));
            }
        }
    }
    steps
}

/// A released volume that nobody here can delete fails with the real reason.
fn reclaim(volume: &Value, to: &dyn Fn(&str, &str) -> Action) -> Vec<Action> {
    let message = match text(volume, "/spec/persistentVolumeReclaimPolicy") {
        "Delete" if annotation(volume, PROVISIONED_BY).is_none() => {
            let path = text(volume, "/spec/hostPath/path");
            if path.is_empty() {
                "error getting deleter volume plugin for volume: no volume plugin matched"
                    .to_owned()
            } else {
                format!("host_path deleter only supports /tmp/.+ but received provided {path}")
            }
        }
        "Recycle" => "the embedded cluster has no recycler".to_owned(),
        _ => return Vec::new(),
    };
    let reason = if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Recycle" {
        "VolumeFailedRecycle"
    } else {
        "VolumeFailedDelete"
    };
    vec![
        to("Failed", &message),
        Action::Note(Note::warning(volume, reason, message)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_follows_its_claim() {
        let volume = |phase: &str, uid: Option<&str>, policy: &str| {
            let mut volume = json!({"metadata": {"name": "v"}, "spec": {"persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/data"}}, "status": {"phase": phase}});
            if let Some(uid) = uid {
                volume["spec"]["claimRef"] =
                    json!({"name": "c", "namespace": "default", "uid": uid});
            }
            volume
        };
        let claim = json!({"metadata": {"uid": "u"}, "spec": {"volumeName": "v"}});
        let unbound = json!({"metadata": {"uid": "u"}, "spec": {}});
        let phase = |steps: Vec<Action>| match steps.first() {
            Some(Action::Status { object, .. }) => text(object, "/status/phase").to_owned(),
            _ => String::new(),
        };
        for (what, volume, claim, expected) in [
            ("new", volume("Pending", None, "Retain"), None, "Available"),
            (
                "reserved without uid",
                volume("Pending", Some(""), "Retain"),
                None,
                "Available",
            ),
            (
                "bound",
                volume("Available", Some("u"), "Retain"),
                Some(&claim),
                "Bound",
            ),
            (
                "half bound",
                volume("Available", Some("u"), "Retain"),
                Some(&unbound),
                "",
            ),
            (
                "claim gone",
                volume("Bound", Some("u"), "Retain"),
                None,
                "Released",
            ),
            (
                "another claim under the name",
                volume("Bound", Some("before"), "Retain"),
                Some(&claim),
                "Released",
            ),
            (
                "retained",
                volume("Released", Some("u"), "Retain"),
                None,
                "",
            ),
            (
                "cleared by a person",
                volume("Released", None, "Retain"),
                None,
                "Available",
            ),
            (
                "nobody deletes it",
                volume("Released", Some("u"), "Delete"),
                None,
                "Failed",
            ),
        ] {
            assert_eq!(phase(plan(&volume, claim)), expected, "{what}");
        }
    }
}
