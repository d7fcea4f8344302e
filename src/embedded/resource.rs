//! The resources that the embedded cluster serves: names, scope, short names, subresources.
//!
//! Owns one table, from which discovery, paths, keys and messages are made. It never reads an object.

/// One resource of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) short: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
    /// Whether `status` is a subresource, written apart from the rest.
    pub(crate) status: bool,
    /// Whether `scale` is a subresource.
    pub(crate) scale: bool,
    /// Whether the server counts changes of the spec in `metadata.generation`.
    pub(crate) generation: bool,
    /// The name of the type's schema.
    pub(crate) schema: &'static str,
}

impl Resource {
    /// `pods`, `statefulsets.apps`: the name in messages.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// What most resources are: the base that each entry of the table differs from.
const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    namespaced: true,
    short: &[],
    categories: &[],
    status: false,
    scale: false,
    generation: false,
    schema: "",
};

/// What the workloads of `apps/v1` have in common.
const WORKLOAD: Resource = Resource {
    group: "apps",
    categories: &["all"],
    status: true,
    scale: true,
    generation: true,
    ..PLAIN
};

macro_rules! resources {
    ($($constant:ident = $base:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        $(pub(crate) static $constant: &Resource = &Resource { $($field: $value,)* ..$base };)*
        /// Every resource, in the order of discovery.
        pub(crate) static ALL: &[&Resource] = &[$(&Resource { $($field: $value,)* ..$base }),*];
    };
}

resources! {
    CONFIGMAPS = PLAIN { plural: "configmaps", singular: "configmap", kind: "ConfigMap", short: &["cm"], schema: "io.k8s.api.core.v1.ConfigMap" }
    ENDPOINTS = PLAIN { plural: "endpoints", singular: "endpoints", kind: "Endpoints", short: &["ep"], schema: "io.k8s.api.core.v1.Endpoints" }
    EVENTS = PLAIN { plural: "events", singular: "event", kind: "Event", short: &["ev"], schema: "io.k8s.api.core.v1.Event" }
    NAMESPACES = PLAIN { plural: "namespaces", singular: "namespace", kind: "Namespace", namespaced: false, short: &["ns"], status: true, schema: "io.k8s.api.core.v1.Namespace" }
    NODES = PLAIN { plural: "nodes", singular: "node", kind: "Node", namespaced: false, short: &["no"], status: true, schema: "io.k8s.api.core.v1.Node" }
    CLAIMS = PLAIN { plural: "persistentvolumeclaims", singular: "persistentvolumeclaim", kind: "PersistentVolumeClaim", short: &["pvc"], status: true, schema: "io.k8s.api.core.v1.PersistentVolumeClaim" }
    VOLUMES = PLAIN { plural: "persistentvolumes", singular: "persistentvolume", kind: "PersistentVolume", namespaced: false, short: &["pv"], status: true, schema: "io.k8s.api.core.v1.PersistentVolume" }
    PODS = PLAIN { plural: "pods", singular: "pod", kind: "Pod", short: &["po"], categories: &["all"], status: true, generation: true, schema: "io.k8s.api.core.v1.Pod" }
    SECRETS = PLAIN { plural: "secrets", singular: "secret", kind: "Secret", schema: "io.k8s.api.core.v1.Secret" }
    SERVICE_ACCOUNTS = PLAIN { plural: "serviceaccounts", singular: "serviceaccount", kind: "ServiceAccount", short: &["sa"], schema: "io.k8s.api.core.v1.ServiceAccount" }
    SERVICES = PLAIN { plural: "services", singular: "service", kind: "Service", short: &["svc"], categories: &["all"], status: true, schema: "io.k8s.api.core.v1.Service" }
    CONTROLLER_REVISIONS = PLAIN { group: "apps", plural: "controllerrevisions", singular: "controllerrevision", kind: "ControllerRevision", schema: "io.k8s.api.apps.v1.ControllerRevision" }
    DEPLOYMENTS = WORKLOAD { plural: "deployments", singular: "deployment", kind: "Deployment", short: &["deploy"], schema: "io.k8s.api.apps.v1.Deployment" }
    REPLICASETS = WORKLOAD { plural: "replicasets", singular: "replicaset", kind: "ReplicaSet", short: &["rs"], schema: "io.k8s.api.apps.v1.ReplicaSet" }
    STATEFULSETS = WORKLOAD { plural: "statefulsets", singular: "statefulset", kind: "StatefulSet", short: &["sts"], schema: "io.k8s.api.apps.v1.StatefulSet" }
    ENDPOINT_SLICES = PLAIN { group: "discovery.k8s.io", plural: "endpointslices", singular: "endpointslice", kind: "EndpointSlice", generation: true, schema: "io.k8s.api.discovery.v1.EndpointSlice" }
    STORAGE_CLASSES = PLAIN { group: "storage.k8s.io", plural: "storageclasses", singular: "storageclass", kind: "StorageClass", namespaced: false, short: &["sc"], schema: "io.k8s.api.storage.v1.StorageClass" }
}

/// The groups with their versions, the core group ("") first.
pub(crate) static GROUPS: &[(&str, &str)] = &[
    ("", "v1"),
    ("apps", "v1"),
    ("discovery.k8s.io", "v1"),
    ("storage.k8s.io", "v1"),
];

/// The resource with this plural name in this group and version.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .find(|resource| {
            resource.group == group && resource.version == version && resource.plural == plural
        })
        .copied()
}

/// The resource of a kind in an API version, as owner references and bodies name it.
pub(crate) fn by_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    ALL.iter()
        .find(|resource| resource.kind == kind && resource.api_version() == api_version)
        .copied()
}

/// Kinds that a small real cluster has and this one leaves out, with what to call them in the refusal.
pub(crate) static LEFT_OUT: &[(&str, &str)] = &[
    ("clusterrolebindings", "RBAC"),
    ("clusterroles", "RBAC"),
    ("cronjobs", "CronJobs"),
    ("csidrivers", "CSI drivers"),
    ("daemonsets", "DaemonSets"),
    ("horizontalpodautoscalers", "HorizontalPodAutoscalers"),
    ("ingresses", "Ingresses"),
    ("jobs", "Jobs"),
    ("limitranges", "LimitRanges"),
    ("networkpolicies", "NetworkPolicies"),
    ("poddisruptionbudgets", "PodDisruptionBudgets"),
    ("priorityclasses", "PriorityClasses"),
    ("replicationcontrollers", "ReplicationControllers"),
    ("resourcequotas", "ResourceQuotas"),
    ("rolebindings", "RBAC"),
    ("roles", "RBAC"),
    ("volumeattachments", "VolumeAttachments"),
];
