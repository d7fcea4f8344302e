//! What fields the types have, and how their lists merge.
//!
//! Owns the schemas of all served types (made from the k8s-openapi types, with the list rules of Kubernetes added). Hands
//! them on as OpenAPI for `kubectl explain`, as [`Shape`]s for patches, and as the strict decoding of request bodies.
//! It knows types only; defaults and rules about values live in the registry.

mod decode;
mod time;

use std::sync::LazyLock;

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, core::v1 as core, discovery::v1 as discovery,
    storage::v1 as storage,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::{Map, Value, json};

pub(crate) use self::decode::{Decoded, decode, type_name};
use super::object;
use super::resource::{self, Resource};

/// How lists of a type merge: type, field, keys of the entries (none: a set of plain values), and the patch strategy.
/// A list that is not here is replaced as a whole.
const LIST_RULES: &[(&str, &str, &[&str], &str)] = &[
    ("Container", "env", &["name"], "merge"),
    (
        "Container",
        "ports",
        &["containerPort", "protocol"],
        "merge",
    ),
    ("Container", "volumeDevices", &["devicePath"], "merge"),
    ("Container", "volumeMounts", &["mountPath"], "merge"),
    ("ContainerStatus", "volumeMounts", &["mountPath"], "merge"),
    ("DeploymentStatus", "conditions", &["type"], "merge"),
    ("NamespaceStatus", "conditions", &["type"], "merge"),
    ("NodeSpec", "podCIDRs", &[], "merge"),
    ("NodeStatus", "addresses", &["type"], "merge"),
    ("NodeStatus", "conditions", &["type"], "merge"),
    ("ObjectMeta", "finalizers", &[], "merge"),
    ("ObjectMeta", "ownerReferences", &["uid"], "merge"),
    (
        "PersistentVolumeClaimStatus",
        "conditions",
        &["type"],
        "merge",
    ),
    ("PodSpec", "containers", &["name"], "merge"),
    ("PodSpec", "ephemeralContainers", &["name"], "merge"),
    ("PodSpec", "hostAliases", &["ip"], "merge"),
    ("PodSpec", "imagePullSecrets", &["name"], "merge"),
    ("PodSpec", "initContainers", &["name"], "merge"),
    ("PodSpec", "resourceClaims", &["name"], "merge,retainKeys"),
    ("PodSpec", "schedulingGates", &["name"], "merge"),
    (
        "PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
        "merge",
    ),
    ("PodSpec", "volumes", &["name"], "merge,retainKeys"),
    ("PodStatus", "conditions", &["type"], "merge"),
    ("PodStatus", "podIPs", &["ip"], "merge"),
    ("ReplicaSetStatus", "conditions", &["type"], "merge"),
    ("ServiceAccount", "secrets", &["name"], "merge"),
    ("ServiceSpec", "ports", &["port", "protocol"], "merge"),
    ("ServiceStatus", "conditions", &["type"], "merge"),
    ("StatefulSetStatus", "conditions", &["type"], "merge"),
];

/// Maps that one owner holds as a whole.
const ATOMIC_MAPS: &[(&str, &str)] = &[("PodSpec", "nodeSelector"), ("ServiceSpec", "selector")];

/// The schemas by name, as `components.schemas` of the OpenAPI documents.
static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(build);

fn build() -> Map<String, Value> {
    let mut generator = schemars::generate::SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<core::ConfigMap>();
    generator.subschema_for::<core::Endpoints>();
    generator.subschema_for::<core::Event>();
    generator.subschema_for::<core::Namespace>();
    generator.subschema_for::<core::Node>();
    generator.subschema_for::<core::PersistentVolumeClaim>();
    generator.subschema_for::<core::PersistentVolume>();
    generator.subschema_for::<core::Pod>();
    generator.subschema_for::<core::Secret>();
    generator.subschema_for::<core::ServiceAccount>();
    generator.subschema_for::<core::Service>();
    generator.subschema_for::<apps::ControllerRevision>();
    generator.subschema_for::<apps::Deployment>();
    generator.subschema_for::<apps::ReplicaSet>();
    generator.subschema_for::<apps::StatefulSet>();
    generator.subschema_for::<discovery::EndpointSlice>();
    generator.subschema_for::<storage::StorageClass>();
    generator.subschema_for::<autoscaling::Scale>();
    generator.subschema_for::<meta::DeleteOptions>();
    let mut definitions = generator.take_definitions(true);
    let field = |definitions: &mut Map<String, Value>,
                 kind: &str,
                 field: &str,
                 extensions: &[(&str, Value)]| {
        let found = definitions
            .iter_mut()
            .find(|(name, _)| name.rsplit('.').next() == Some(kind));
        let Some(place) =
            found.and_then(|(_, schema)| schema.pointer_mut(&format!("/properties/{field}")))
        else {
            return;
        };
        for (key, value) in extensions {
            place[*key] = value.clone();
        }
    };
    for (kind, name, keys, strategy) in LIST_RULES {
        let mut extensions = vec![("x-kubernetes-patch-strategy", json!(strategy))];
        if let Some(first) = keys.first() {
            extensions.push(("x-kubernetes-patch-merge-key", json!(first)));
            extensions.push(("x-kubernetes-list-map-keys", json!(keys)));
            extensions.push(("x-kubernetes-list-type", json!("map")));
        } else {
            extensions.push(("x-kubernetes-list-type", json!("set")));
        }
        field(&mut definitions, kind, name, &extensions);
    }
    for (kind, name) in ATOMIC_MAPS {
        field(
            &mut definitions,
            kind,
            name,
            &[("x-kubernetes-map-type", json!("atomic"))],
        );
    }
    field(
        &mut definitions,
        "DeploymentSpec",
        "strategy",
        &[("x-kubernetes-patch-strategy", json!("retainKeys"))],
    );
    for resource in resource::ALL {
        if let Some(schema) = definitions.get_mut(resource.schema) {
            schema["x-kubernetes-group-version-kind"] = json!([gvk(resource)]);
            // The Rust types cannot be without metadata; the API's can.
            let required: Vec<Value> = object::array(schema, "/required")
                .iter()
                .filter(|field| *field != "metadata")
                .cloned()
                .collect();
            if required.is_empty() {
                object::remove(schema, "/required");
            } else {
                schema["required"] = json!(required);
            }
        }
    }
    definitions
}

/// Group, version and kind of a resource, as OpenAPI extensions spell them.
pub(crate) fn gvk(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

/// All schemas that a resource's own schema leads to, itself included.
pub(crate) fn reachable(roots: &[&Resource]) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open: Vec<String> = roots
        .iter()
        .map(|resource| resource.schema.to_owned())
        .collect();
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let Some(schema) = DEFINITIONS.get(&name) else {
            continue;
        };
        references(schema, &mut open);
        found.insert(name, schema.clone());
    }
    found
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => found.push(
                        target
                            .trim_start_matches("#/components/schemas/")
                            .to_owned(),
                    ),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The type of one place in an object. A place of no known type (free-form JSON) has no shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The field as its parent declares it: the list rules are here.
    declared: &'static Value,
    /// The type it refers to.
    target: &'static Value,
    /// The type's name, "" when it is written in place.
    name: &'static str,
}

impl Shape {
    /// The shape of a whole object.
    pub(crate) fn of(resource: &Resource) -> Self {
        Self::named(resource.schema)
    }

    /// The body of the scale subresource.
    pub(crate) fn scale() -> Self {
        Self::named("io.k8s.api.autoscaling.v1.Scale")
    }

    /// The body of a deletion.
    pub(crate) fn delete_options() -> Self {
        Self::named("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
    }

    fn named(name: &str) -> Self {
        let (name, schema) = DEFINITIONS
            .get_key_value(name)
            .expect("the schemas of all bodies are generated");
        Self {
            declared: schema,
            target: schema,
            name,
        }
    }

    fn at(declared: &'static Value) -> Self {
        let reference = declared
            .get("$ref")
            .or_else(|| declared.pointer("/allOf/0/$ref"))
            .and_then(Value::as_str);
        let resolved = reference.and_then(|target| {
            DEFINITIONS.get_key_value(target.trim_start_matches("#/components/schemas/"))
        });
        match resolved {
            Some((name, target)) => Self {
                declared,
                target,
                name,
            },
            None => Self {
                declared,
                target: declared,
                name: "",
            },
        }
    }

    /// The shape of a field, of a map's values when the type is a map.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        if let Some(property) = self
            .target
            .get("properties")
            .and_then(|properties| properties.get(name))
        {
            return Some(Self::at(property));
        }
        self.target
            .get("additionalProperties")
            .filter(|values| values.is_object())
            .map(Self::at)
    }

    /// The shape of a list's entries.
    pub(crate) fn item(self) -> Option<Self> {
        self.target.get("items").map(Self::at)
    }

    /// The field by which a strategic merge patch finds an entry of this list.
    pub(crate) fn merge_key(self) -> Option<&'static str> {
        self.declared
            .get("x-kubernetes-patch-merge-key")
            .and_then(Value::as_str)
    }

    /// The fields that name an entry of this list for server-side apply, the default of a missing one included.
    pub(crate) fn list_keys(self) -> Option<Vec<&'static str>> {
        let keys = self
            .declared
            .get("x-kubernetes-list-map-keys")?
            .as_array()?;
        Some(keys.iter().filter_map(Value::as_str).collect())
    }

    /// Whether this is a list of plain values that merges as a set.
    pub(crate) fn is_set(self) -> bool {
        self.declared
            .get("x-kubernetes-list-type")
            .is_some_and(|kind| kind == "set")
    }

    /// Whether this map or type is owned as a whole.
    pub(crate) fn is_atomic(self) -> bool {
        self.declared
            .get("x-kubernetes-map-type")
            .is_some_and(|kind| kind == "atomic")
            || (self.target.get("properties").is_none()
                && self.target.get("additionalProperties").is_none())
            || matches!(
                self.last_name(),
                "LabelSelector"
                    | "ObjectReference"
                    | "LocalObjectReference"
                    | "SecretKeySelector"
                    | "ConfigMapKeySelector"
                    | "ObjectFieldSelector"
                    | "TypedLocalObjectReference"
                    | "NodeSelector"
                    | "NodeSelectorTerm"
            )
    }

    fn last_name(self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or("")
    }

    /// The JSON type, "" when the schema names none.
    fn kind(self) -> &'static str {
        object::text(self.target, "/type")
    }

    /// `int32`, `byte`, `date-time`, ...
    fn format(self) -> &'static str {
        object::text(self.target, "/format")
    }

    /// `apiVersion` and `kind` of a type that is a kind of its own; nothing for any other.
    fn type_meta(self) -> Vec<(&'static str, String)> {
        let resource = resource::ALL
            .iter()
            .find(|resource| resource.schema == self.name);
        resource.map_or_else(Vec::new, |resource| {
            vec![
                ("apiVersion", resource.api_version()),
                ("kind", resource.kind.to_owned()),
            ]
        })
    }

    /// The fields that a client has to find.
    fn required(self) -> impl Iterator<Item = &'static str> {
        object::array(self.target, "/required")
            .iter()
            .filter_map(Value::as_str)
    }

    /// Whether this is a type with fields, not a map.
    fn has_fields(self) -> bool {
        self.target.get("properties").is_some()
    }

    /// The shape of a map's values.
    fn values(self) -> Option<Self> {
        self.target.get("additionalProperties").map(Self::at)
    }

    fn is_unnamed(self) -> bool {
        self.name.is_empty()
    }

    fn is_free_form(self) -> bool {
        let target = self.target;
        target.get("properties").is_none()
            && target.get("additionalProperties").is_none()
            && target.get("items").is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_rules_reach_the_types() {
        for (kind, field, ..) in LIST_RULES {
            let found = DEFINITIONS
                .iter()
                .find(|(name, _)| name.rsplit('.').next() == Some(kind));
            let schema = found.unwrap_or_else(|| panic!("no type {kind}")).1;
            assert!(
                schema
                    .pointer(&format!("/properties/{field}/x-kubernetes-patch-strategy"))
                    .is_some(),
                "{kind}.{field}"
            );
        }
        let containers = Shape::of(resource::PODS)
            .field("spec")
            .unwrap()
            .field("containers")
            .unwrap();
        assert_eq!(containers.merge_key(), Some("name"));
        assert_eq!(
            containers
                .item()
                .unwrap()
                .field("ports")
                .unwrap()
                .list_keys(),
            Some(vec!["containerPort", "protocol"])
        );
    }
}
