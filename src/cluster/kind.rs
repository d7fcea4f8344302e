//! The kinds of object that are watched, and an object of any of them.

use std::fmt;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// The kinds of object that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Kind {
    StorageClass,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    StatefulSet,
    Deployment,
    ReplicaSet,
    Pod,
    Event,
}

impl Kind {
    /// Every kind, owners before what they own.
    pub const ALL: [Self; 9] = [
        Self::StorageClass,
        Self::Node,
        Self::PersistentVolume,
        Self::PersistentVolumeClaim,
        Self::StatefulSet,
        Self::Deployment,
        Self::ReplicaSet,
        Self::Pod,
        Self::Event,
    ];

    /// The name in the Kubernetes API, as in `kind: Pod`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StorageClass => "StorageClass",
            Self::Node => "Node",
            Self::PersistentVolume => "PersistentVolume",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
            Self::Event => "Event",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object as the Kubernetes API gave it. Opened only to make a card of it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Object {
    StorageClass(Box<StorageClass>),
    Node(Box<Node>),
    PersistentVolume(Box<PersistentVolume>),
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    StatefulSet(Box<StatefulSet>),
    Deployment(Box<Deployment>),
    ReplicaSet(Box<ReplicaSet>),
    Pod(Box<Pod>),
    Event(Box<Event>),
}

impl Object {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::StorageClass(_) => Kind::StorageClass,
            Self::Node(_) => Kind::Node,
            Self::PersistentVolume(_) => Kind::PersistentVolume,
            Self::PersistentVolumeClaim(_) => Kind::PersistentVolumeClaim,
            Self::StatefulSet(_) => Kind::StatefulSet,
            Self::Deployment(_) => Kind::Deployment,
            Self::ReplicaSet(_) => Kind::ReplicaSet,
            Self::Pod(_) => Kind::Pod,
            Self::Event(_) => Kind::Event,
        }
    }

    /// Its identity.
    pub fn uid(&self) -> Option<&str> {
        self.meta().uid.as_deref()
    }

    /// Where the API server's counter stood when this state of it was written.
    pub fn version(&self) -> Option<&str> {
        self.meta().resource_version.as_deref()
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::StorageClass(it) => &it.metadata,
            Self::Node(it) => &it.metadata,
            Self::PersistentVolume(it) => &it.metadata,
            Self::PersistentVolumeClaim(it) => &it.metadata,
            Self::StatefulSet(it) => &it.metadata,
            Self::Deployment(it) => &it.metadata,
            Self::ReplicaSet(it) => &it.metadata,
            Self::Pod(it) => &it.metadata,
            Self::Event(it) => &it.metadata,
        }
    }

    /// The whole object as JSON, secrets and all.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::to_value;
        match self {
            Self::StorageClass(it) => to_value(it),
            Self::Node(it) => to_value(it),
            Self::PersistentVolume(it) => to_value(it),
            Self::PersistentVolumeClaim(it) => to_value(it),
            Self::StatefulSet(it) => to_value(it),
            Self::Deployment(it) => to_value(it),
            Self::ReplicaSet(it) => to_value(it),
            Self::Pod(it) => to_value(it),
            Self::Event(it) => to_value(it),
        }
        .expect("objects of the API are plain data")
    }

    /// Reads an object of `kind` from JSON; the error names the field that does not fit.
    pub fn from_json(kind: Kind, value: serde_json::Value) -> Result<Self, serde_json::Error> {
        use serde_json::from_value;
        Ok(match kind {
            Kind::StorageClass => Self::StorageClass(from_value(value)?),
            Kind::Node => Self::Node(from_value(value)?),
            Kind::PersistentVolume => Self::PersistentVolume(from_value(value)?),
            Kind::PersistentVolumeClaim => Self::PersistentVolumeClaim(from_value(value)?),
            Kind::StatefulSet => Self::StatefulSet(from_value(value)?),
            Kind::Deployment => Self::Deployment(from_value(value)?),
            Kind::ReplicaSet => Self::ReplicaSet(from_value(value)?),
            Kind::Pod => Self::Pod(from_value(value)?),
            Kind::Event => Self::Event(from_value(value)?),
        })
    }
}

/// Says which [`Kind`] a Rust type is, and puts it in its [`Object`].
pub(crate) trait Watched: Into<Object> {
    /// The kind.
    const KIND: Kind;
}

macro_rules! watched {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Box::new(object))
            }
        }
        impl Watched for $kind {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

watched!(
    StorageClass,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    StatefulSet,
    Deployment,
    ReplicaSet,
    Pod,
    Event
);
