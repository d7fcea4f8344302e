//! Requests to the API, each with a limit in time: an answer or a refusal, never a hang.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::refusal::{Reason, Refusal};
use super::scope::text;
use super::{Actor, names};
use crate::cluster::target::Reached;

/// How long one answer may take; a reader hears within 5 s that there is none.
const PATIENCE: Duration = Duration::from_secs(4);
/// The name that `kubectl apply` writes its fields under; ours are meant to be the same.
const MANAGER: &str = "kubectl-client-side-apply";
/// The name that other changes are written under.
const EDITOR: &str = "eizoku";
/// How often a change that came in between is read again before it is a conflict.
const ATTEMPTS: usize = 5;

/// One namespace of a cluster, and what has none.
pub(crate) struct Objects {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// The line that tells everybody what is done here, before the first request that changes something is sent: its
    /// effects are heard by the watches, and would come first otherwise.
    line: Option<Line>,
}

/// A line that is told once.
struct Line {
    actor: Actor,
    kubectl: String,
    is_told: AtomicBool,
}

impl Objects {
    pub(crate) fn new(reached: &Reached) -> Self {
        Self {
            client: reached.client.clone(),
            namespace: reached.namespace.clone(),
            line: None,
        }
    }

    /// What is changed is told as this line.
    pub(super) fn told_as(mut self, actor: &Actor, kubectl: &str) -> Self {
        self.line = Some(Line {
            actor: actor.clone(),
            kubectl: kubectl.to_owned(),
            is_told: AtomicBool::new(false),
        });
        self
    }

    /// To be called before anything is sent that changes something.
    pub(super) async fn tell(&self) {
        if let Some(line) = &self.line
            && !line.is_told.swap(true, Ordering::Relaxed)
        {
            line.actor.say(&line.kubectl).await;
        }
    }

    /// Whether something was sent that was to change something.
    pub(super) fn has_told(&self) -> bool {
        let line = self.line.as_ref();
        line.is_some_and(|line| line.is_told.load(Ordering::Relaxed))
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        let client = self.client.clone();
        if is_cluster_wide(&resource.kind) {
            Api::all_with(client, resource)
        } else {
            Api::namespaced_with(client, &self.namespace, resource)
        }
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Result<DynamicObject, Refusal> {
        names::name(name)?;
        within(self.api(&resource(kind)).get(name)).await
    }

    pub(super) async fn find(
        &self,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, Refusal> {
        names::name(name)?;
        within(self.api(resource).get_opt(name)).await
    }

    pub(crate) async fn list(
        &self,
        kind: &str,
        selector: Option<&str>,
    ) -> Result<Vec<DynamicObject>, Refusal> {
        let wanted = ListParams {
            label_selector: selector.map(str::to_owned),
            ..ListParams::default()
        };
        let list = within(self.api(&resource(kind)).list(&wanted)).await?;
        Ok(list.items)
    }

    /// The object that has this name, if it is still the one that was meant.
    pub(crate) async fn same(
        &self,
        kind: &str,
        name: &str,
        uid: &str,
    ) -> Result<DynamicObject, Refusal> {
        let object = self.get(kind, name).await?;
        match object.metadata.uid.as_deref() {
            Some(known) if known != uid => Err(Refusal::new(
                Reason::Conflict,
                // As the API server says it when a precondition does not hold.
                format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {known}"
                ),
            )),
            _ => Ok(object),
        }
    }

    /// Deletes what is left to the API to sort out in the background, as kubectl does.
    pub(super) async fn delete(
        &self,
        resource: &ApiResource,
        name: &str,
        uid: Option<&str>,
        force: bool,
    ) -> Result<(), Refusal> {
        let how = DeleteParams {
            grace_period_seconds: force.then_some(0),
            preconditions: Some(Preconditions {
                uid: uid.map(str::to_owned),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        names::name(name)?;
        self.tell().await;
        within(self.api(resource).delete(name, &how)).await?;
        Ok(())
    }

    pub(super) async fn create(
        &self,
        resource: &ApiResource,
        object: Value,
    ) -> Result<(), Refusal> {
        let object: DynamicObject = serde_json::from_value(object)
            .map_err(|error| Refusal::new(Reason::Invalid, error.to_string()))?;
        let how = PostParams {
            field_manager: Some(MANAGER.into()),
            ..PostParams::default()
        };
        self.tell().await;
        within(self.api(resource).create(&how, &object)).await?;
        Ok(())
    }

    /// A strategic merge patch, as `kubectl apply` sends it.
    pub(super) async fn amend(
        &self,
        resource: &ApiResource,
        name: &str,
        patch: &Value,
    ) -> Result<DynamicObject, Refusal> {
        let how = PatchParams {
            field_manager: Some(MANAGER.into()),
            ..PatchParams::default()
        };
        names::name(name)?;
        self.tell().await;
        within(
            self.api(resource)
                .patch(name, &how, &Patch::Strategic(patch)),
        )
        .await
    }

    /// Changes `spec` of the object that was meant.
    pub(super) async fn change(
        &self,
        kind: &str,
        name: &str,
        uid: &str,
        spec: &Value,
    ) -> Result<(), Refusal> {
        self.versioned(kind, name, uid, spec, Part::Whole).await
    }

    /// Sets the number of replicas through `scale`, as `kubectl scale` does.
    pub(super) async fn scale(
        &self,
        kind: &str,
        name: &str,
        uid: &str,
        replicas: u32,
    ) -> Result<(), Refusal> {
        let spec = json!({"replicas": replicas});
        self.versioned(kind, name, uid, &spec, Part::Scale).await
    }

    /// A patch has no precondition on the uid, but one on the version, and that version is one
    /// that only the object with this uid has had.
    async fn versioned(
        &self,
        kind: &str,
        name: &str,
        uid: &str,
        spec: &Value,
        part: Part,
    ) -> Result<(), Refusal> {
        let api = self.api(&resource(kind));
        let how = PatchParams {
            field_manager: Some(EDITOR.into()),
            ..PatchParams::default()
        };
        let mut attempt = 1;
        loop {
            let object = self.same(kind, name, uid).await?;
            self.tell().await;
            let version = object.metadata.resource_version;
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
            let patch = Patch::Merge(&patch);
            let changed = match part {
                Part::Whole => within(api.patch(name, &how, &patch)).await.map(drop),
                Part::Scale => within(api.patch_scale(name, &how, &patch)).await.map(drop),
            };
            match changed {
                // A controller wrote its status in between: what was meant has not changed.
                Err(refusal) if refusal.reason == Reason::Conflict && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                changed => return changed,
            }
        }
    }
}

/// What of an object is patched.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Scale,
}

/// How the API calls a kind that is watched or acted on.
pub(crate) fn resource(kind: &str) -> ApiResource {
    let group = match kind {
        "StatefulSet" | "Deployment" | "ReplicaSet" => "apps",
        "StorageClass" => "storage.k8s.io",
        _ => "",
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

/// How the API calls the kind of a manifest's object.
pub(super) fn resource_of(object: &Value) -> ApiResource {
    let (group, version) = match text(object, "/apiVersion").split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", text(object, "/apiVersion")),
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        group,
        version,
        text(object, "/kind"),
    ))
}

/// Whether objects of a kind have no namespace.
pub(crate) fn is_cluster_wide(kind: &str) -> bool {
    matches!(
        kind,
        "PersistentVolume" | "StorageClass" | "Namespace" | "Node"
    )
}

/// `secret/NAME`, `statefulset.apps/NAME`: how kubectl calls an object that it applied.
pub(super) fn shown(resource: &ApiResource, name: &str) -> String {
    let kind = resource.kind.to_lowercase();
    if resource.group.is_empty() {
        format!("{kind}/{name}")
    } else {
        format!("{kind}.{}/{name}", resource.group)
    }
}

/// `secret "NAME"`, `statefulset.apps "NAME"`: how kubectl calls an object that it deleted.
pub(super) fn told(resource: &ApiResource, name: &str) -> String {
    let shown = shown(resource, name);
    let kind = shown.split('/').next().unwrap_or_default();
    format!("{kind} \"{name}\"")
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T>(
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Refusal> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Refusal::new(
            Reason::Unreachable,
            format!("no answer within {} s", PATIENCE.as_secs()),
        )),
    }
}
