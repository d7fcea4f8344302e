//! The few fields of an object that we show. A card is made by a pure function of the object and
//! nothing else; whatever is not on a card (environment, arguments, annotations with secrets) never
//! gets past this module.

mod claim;
mod class;
mod deployment;
mod event;
mod node;
mod pod;
mod replicaset;
mod statefulset;
mod volume;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

pub use claim::ClaimCard;
pub use class::ClassCard;
pub use deployment::DeploymentCard;
pub use event::EventCard;
pub use node::NodeCard;
pub use pod::{ContainerCard, ContainerState, MountedClaim, PodCard, Scratch};
pub use replicaset::ReplicaSetCard;
pub use statefulset::StatefulSetCard;
pub use volume::{ClaimRef, VolumeCard, VolumeSource};

use crate::cluster::{Kind, Object};

/// What we show of one object. Serialised for the page as one flat JSON object with its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The identity of the object: two objects of one name have two uids.
    pub uid: String,
    /// The name.
    pub name: String,
    /// The namespace; none for kinds that have no namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When the API server stored it, in milliseconds since the epoch.
    pub created: i64,
    /// Set once deletion was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleting: Option<Deleting>,
    /// What has to happen before the object may go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// The controller that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The fields of its kind.
    #[serde(flatten)]
    pub face: Face,
}

/// A deletion that was asked for. "Terminating" is not a phase, it is this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleting {
    /// `deletionTimestamp`, milliseconds since the epoch: for a Pod the end of its grace period.
    pub deadline: i64,
    /// `deletionGracePeriodSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<i64>,
}

/// The owner reference that has `controller: true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Its kind, for example `StatefulSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The fields that only one kind has.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind")]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Face {
    StorageClass(ClassCard),
    Node(NodeCard),
    PersistentVolume(VolumeCard),
    PersistentVolumeClaim(ClaimCard),
    StatefulSet(StatefulSetCard),
    Deployment(DeploymentCard),
    ReplicaSet(ReplicaSetCard),
    Pod(Box<PodCard>),
    Event(EventCard),
}

impl Card {
    /// The kind of the object.
    pub fn kind(&self) -> Kind {
        match self.face {
            Face::StorageClass(_) => Kind::StorageClass,
            Face::Node(_) => Kind::Node,
            Face::PersistentVolume(_) => Kind::PersistentVolume,
            Face::PersistentVolumeClaim(_) => Kind::PersistentVolumeClaim,
            Face::StatefulSet(_) => Kind::StatefulSet,
            Face::Deployment(_) => Kind::Deployment,
            Face::ReplicaSet(_) => Kind::ReplicaSet,
            Face::Pod(_) => Kind::Pod,
            Face::Event(_) => Kind::Event,
        }
    }

    /// The fields of a Pod, if it is one.
    pub fn pod(&self) -> Option<&PodCard> {
        match &self.face {
            Face::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// The fields of a PersistentVolumeClaim, if it is one.
    pub fn claim(&self) -> Option<&ClaimCard> {
        match &self.face {
            Face::PersistentVolumeClaim(claim) => Some(claim),
            _ => None,
        }
    }

    fn new(meta: &ObjectMeta, face: Face) -> Self {
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            namespace: meta.namespace.clone(),
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(0, |time| time.0.as_millisecond()),
            deleting: meta.deletion_timestamp.as_ref().map(|time| Deleting {
                deadline: time.0.as_millisecond(),
                grace: meta.deletion_grace_period_seconds,
            }),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            owner: meta
                .owner_references
                .iter()
                .flatten()
                .find(|owner| owner.controller == Some(true))
                .map(|owner| Owner {
                    kind: owner.kind.clone(),
                    name: owner.name.clone(),
                    uid: owner.uid.clone(),
                }),
            face,
        }
    }
}

impl From<&Object> for Card {
    fn from(object: &Object) -> Self {
        match object {
            Object::StorageClass(it) => {
                Self::new(&it.metadata, Face::StorageClass(it.as_ref().into()))
            }
            Object::Node(it) => Self::new(&it.metadata, Face::Node(it.as_ref().into())),
            Object::PersistentVolume(it) => {
                Self::new(&it.metadata, Face::PersistentVolume(it.as_ref().into()))
            }
            Object::PersistentVolumeClaim(it) => Self::new(
                &it.metadata,
                Face::PersistentVolumeClaim(it.as_ref().into()),
            ),
            Object::StatefulSet(it) => {
                Self::new(&it.metadata, Face::StatefulSet(it.as_ref().into()))
            }
            Object::Deployment(it) => Self::new(&it.metadata, Face::Deployment(it.as_ref().into())),
            Object::ReplicaSet(it) => Self::new(&it.metadata, Face::ReplicaSet(it.as_ref().into())),
            Object::Pod(it) => Self::new(&it.metadata, Face::Pod(Box::new(it.as_ref().into()))),
            Object::Event(it) => Self::new(&it.metadata, Face::Event(it.as_ref().into())),
        }
    }
}

/// `STATUS` of an object that is being deleted, as `kubectl get` prints it, else its phase
/// (kubernetes `pkg/printers/internalversion/printers.go`).
fn terminating_or(meta: &ObjectMeta, phase: &str) -> String {
    if meta.deletion_timestamp.is_some() {
        "Terminating".into()
    } else {
        phase.into()
    }
}

/// Access modes as `kubectl get` shortens them (`GetAccessModesAsString`).
fn short_modes(modes: Option<&Vec<String>>) -> Vec<String> {
    modes
        .into_iter()
        .flatten()
        .map(|mode| {
            match mode.as_str() {
                "ReadWriteOnce" => "RWO",
                "ReadOnlyMany" => "ROX",
                "ReadWriteMany" => "RWX",
                "ReadWriteOncePod" => "RWOP",
                other => other,
            }
            .to_owned()
        })
        .collect()
}

fn millis(time: Option<&Timestamp>) -> i64 {
    time.map_or(0, |time| time.as_millisecond())
}
