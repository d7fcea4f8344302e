//! Acting on the cluster for a reader: what a page asks for, limited to the namespace that is shown
//! and to the objects of the lesson. What it did comes back by the watches, as everything does;
//! only the words of it are sent ahead. Never acts where it was not allowed to.

mod action;
mod apply;
mod inside;
mod names;
mod objects;
mod pace;
mod refusal;
mod reset;
mod scope;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use kube::core::DynamicObject;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use action::{Action, Deleted, Place, Scaled};
pub use refusal::{Reason, Refusal};
pub use scope::Scope;

use super::bodies::Bodies;
use super::change::{Change, Changes, Inside, What};
use super::info::{Acting, Why};
use super::now;
use super::target::Reached;
use objects::told;
use pace::{Pace, told_line};

pub(crate) use names::name as check_name;
pub(super) use names::uid as check_uid;
pub(super) use objects::{Objects, is_cluster_wide, resource, within};

/// The cluster that the watches reached last; none before the first time.
pub(super) type Way = watch::Receiver<Option<Reached>>;

/// Terminals at the same time; a class has one each, and every one is a process in a Pod.
const TERMINALS: usize = 32;
/// Looks that are remembered; a lesson has a handful of volumes.
const LOOKS: usize = 256;

/// What kubectl says when a selector matches nothing.
const NOTHING: &str = "No resources found";

/// A cheap handle on what acts for readers.
#[derive(Clone)]
pub struct Actor(Arc<Inner>);

struct Inner {
    way: Way,
    bodies: Bodies,
    acting: Acting,
    scope: Scope,
    changes: Changes,
    terminals: Arc<Semaphore>,
    pace: Pace,
    /// The last look that was shown of each key, to tell one that shows nothing new.
    shown: Mutex<HashMap<String, Inside>>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The line that does the same in a terminal.
    pub kubectl: String,
    /// What it would have printed.
    pub said: Vec<String>,
}

impl Actor {
    pub(super) fn new(
        way: Way,
        bodies: Bodies,
        acting: Acting,
        scope: Scope,
        changes: Changes,
    ) -> Self {
        Self(Arc::new(Inner {
            way,
            bodies,
            acting,
            scope,
            changes,
            terminals: Arc::new(Semaphore::new(TERMINALS)),
            pace: Pace::new(),
            shown: Mutex::default(),
        }))
    }

    /// Does it, or says why not; within seconds, whatever the cluster does.
    ///
    /// # Errors
    /// The refusal, in the API's own words where it is the API's.
    pub async fn act(&self, action: Action) -> Result<Done, Refusal> {
        action.check()?;
        let reached = self.reached()?;
        let kubectl = action.kubectl(&self.0.acting.at(&reached));
        let objects = Objects::new(&reached).told_as(self, &kubectl);
        let done = match action {
            // Whoever looks sees it in the answer; everybody sees the rows.
            Action::Look { pod, claim } => {
                return self.look(&reached, &objects, pod, claim).await;
            }
            Action::Query { place, sql } => self.query(&reached, &objects, &place, &sql).await,
            action => self.perform(action, &objects).await,
        };
        match done {
            Ok(said) => Ok(Done { kubectl, said }),
            Err(refusal) => {
                // What was sent and refused is told below its line, as a shell reads no command.
                if objects.has_told() {
                    let words = refusal.message.lines().next().unwrap_or_default();
                    self.say(&format!("# {words}")).await;
                }
                Err(refusal)
            }
        }
    }

    /// Whether the cluster says itself that it is ready, within seconds; its words when it is not. A cluster that was not
    /// reached yet, and a recording, are not asked.
    ///
    /// # Errors
    /// What the cluster says that it lacks.
    pub async fn ready(&self) -> Result<(), String> {
        let reached = self.0.way.borrow().clone();
        match reached {
            Some(reached) => super::target::ready(&reached.client).await,
            None => Ok(()),
        }
    }

    pub(super) fn reached(&self) -> Result<Reached, Refusal> {
        let refuse = |words: &str| Err(Refusal::new(Reason::NotAllowed, words));
        match self.0.acting.why {
            Why::Embedded | Why::Allowed => {}
            Why::Flag => return refuse("start eizoku with --allow-actions to act on this cluster"),
            Why::Recording => return refuse("a recording cannot be acted on"),
        }
        let reached = self.0.way.borrow().clone();
        reached.ok_or_else(|| {
            Refusal::new(
                Reason::Unreachable,
                "the cluster has not been reached since the start",
            )
        })
    }

    pub(super) fn acting(&self) -> &Acting {
        &self.0.acting
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.0.scope
    }

    pub(super) fn bodies(&self) -> &Bodies {
        &self.0.bodies
    }

    /// A place for one more terminal, until it is dropped.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.terminals).try_acquire_owned().ok()
    }

    /// Shows readers what was seen. What was seen before is shown again now and then, so that they know how old it is.
    pub(super) async fn show(&self, inside: Inside) {
        let is_new = {
            let mut shown = self.0.shown.lock().unwrap();
            if shown.len() > LOOKS {
                shown.clear();
            }
            let before = shown.insert(inside.key.clone(), inside.clone());
            before.as_ref() != Some(&inside)
        };
        if !is_new && !self.0.pace.allows(Instant::now()) {
            return;
        }
        let what = What::Inside(inside);
        // The receiver ends only when the whole program does.
        let _ = self.0.changes.send(Change { at: now(), what }).await;
    }

    /// Tells readers what was done, as far as they can follow.
    async fn say(&self, kubectl: &str) {
        if !self.0.pace.allows(Instant::now()) {
            return;
        }
        let what = What::Said(told_line(kubectl));
        // The receiver ends only when the whole program does.
        let _ = self.0.changes.send(Change { at: now(), what }).await;
    }

    async fn perform(&self, action: Action, objects: &Objects) -> Result<Vec<String>, Refusal> {
        match action {
            Action::Apply { folder, file } => self.apply(objects, &folder, file.as_deref()).await,
            Action::Delete {
                kind,
                name,
                uid,
                selector,
                force,
            } => match (name, uid, selector) {
                (Some(name), Some(uid), _) => {
                    let kind = kind.as_str();
                    let object = objects.same(kind, &name, &uid).await?;
                    self.belongs(objects, kind, &object).await?;
                    let resource = resource(kind);
                    objects.delete(&resource, &name, Some(&uid), force).await?;
                    let how = if force { "force deleted" } else { "deleted" };
                    Ok(vec![format!("{} {how}", told(&resource, &name))])
                }
                (_, _, selector) => {
                    let selector = selector.unwrap_or_default();
                    self.delete_pods(objects, &selector, force).await
                }
            },
            Action::Scale {
                kind,
                name,
                uid,
                replicas,
            } => {
                let kind = kind.as_str();
                self.known(objects, kind, &name, &uid).await?;
                objects.scale(kind, &name, &uid, replicas).await?;
                let shown = objects::shown(&resource(kind), &name);
                Ok(vec![format!("{shown} scaled")])
            }
            Action::Retain { name, uid } => {
                let spec = json!({"persistentVolumeReclaimPolicy": "Retain"});
                self.patch_volume(objects, &name, &uid, &spec).await
            }
            Action::Release { name, uid } => {
                // The name stays: the volume is kept for a claim of that name, and for no other.
                let spec = json!({"claimRef": {"uid": null, "resourceVersion": null}});
                self.patch_volume(objects, &name, &uid, &spec).await
            }
            Action::Reset => objects.reset(&self.0.scope).await,
            Action::Look { .. } | Action::Query { .. } => {
                unreachable!("these change nothing through the API")
            }
        }
    }

    async fn apply(
        &self,
        objects: &Objects,
        folder: &str,
        file: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let files = self.0.scope.files(folder, file);
        if files.is_empty() {
            let file = file.unwrap_or_default();
            return Err(Refusal::new(
                Reason::NotOfTheLesson,
                format!("the lesson has no manifests {folder}/{file}"),
            ));
        }
        let mut said = Vec::new();
        let mut refused = None;
        for manifest in files.iter().flat_map(|file| &file.objects) {
            match objects.apply(manifest).await {
                Ok(line) => said.push(line),
                // As kubectl does: one object that is refused does not keep the others back.
                Err(refusal) if refusal.reason != Reason::Unreachable => {
                    refused.get_or_insert(refusal);
                }
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
        }
        refused.map_or(Ok(said), Err)
    }

    /// Deletes the Pods that have these labels, each by its uid. One that is none of the lesson's
    /// refuses them all: the line in a terminal would have hit it, too.
    async fn delete_pods(
        &self,
        objects: &Objects,
        selector: &str,
        force: bool,
    ) -> Result<Vec<String>, Refusal> {
        let pods = objects.list("Pod", Some(selector)).await?;
        for pod in &pods {
            self.belongs(objects, "Pod", pod).await?;
        }
        let pod_resource = resource("Pod");
        let how = if force { "force deleted" } else { "deleted" };
        let mut said = Vec::new();
        for pod in pods {
            let name = pod.metadata.name.unwrap_or_default();
            let uid = pod.metadata.uid.as_deref();
            match objects.delete(&pod_resource, &name, uid, force).await {
                Ok(()) => said.push(format!("{} {how}", told(&pod_resource, &name))),
                // Gone between the list and now, by itself or with another body in its place.
                Err(Refusal {
                    reason: Reason::NotFound | Reason::Conflict,
                    ..
                }) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        if said.is_empty() {
            said.push(NOTHING.into());
        }
        Ok(said)
    }

    async fn patch_volume(
        &self,
        objects: &Objects,
        name: &str,
        uid: &str,
        spec: &Value,
    ) -> Result<Vec<String>, Refusal> {
        let kind = "PersistentVolume";
        self.known(objects, kind, name, uid).await?;
        objects.change(kind, name, uid, spec).await?;
        Ok(vec![format!("persistentvolume/{name} patched")])
    }

    /// Refuses unless the object is the one that was meant, and one of the lesson's.
    async fn known(
        &self,
        objects: &Objects,
        kind: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), Refusal> {
        let object = objects.same(kind, name, uid).await?;
        self.belongs(objects, kind, &object).await
    }

    /// Refuses an object that is none of the lesson's.
    pub(super) async fn belongs(
        &self,
        objects: &Objects,
        kind: &str,
        object: &DynamicObject,
    ) -> Result<(), Refusal> {
        let scope = &self.0.scope;
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let belongs = match kind {
            "Pod" => match controller(object) {
                None => scope.names("Pod", name),
                Some(("ReplicaSet", set)) => {
                    let set = objects.get("ReplicaSet", set).await?;
                    controller(&set).is_some_and(|(kind, name)| scope.names(kind, name))
                }
                Some((kind, name)) => scope.names(kind, name),
            },
            "PersistentVolumeClaim" => scope.claims(name),
            "PersistentVolume" => scope.holds(object, &objects.namespace),
            kind => scope.names(kind, name),
        };
        if belongs {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::NotOfTheLesson,
            format!(
                "{} is none of the lesson's objects",
                told(&resource(kind), name)
            ),
        ))
    }
}

/// Kind and name of what controls an object.
fn controller(object: &DynamicObject) -> Option<(&str, &str)> {
    let mut owners = object.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    Some((&owner.kind, &owner.name))
}
