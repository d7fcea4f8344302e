//! What fields the types have, and how their lists merge.
//!
//! Owns the schemas of all served types (made from the k8s-openapi types, with the list rules of Kubernetes added). Hands
//! them on as OpenAPI for `kubectl explain`, as [`Shape`]s for patches, and as the strict decoding of request bodies.
//! It knows types only; defaults and rules about values live in the registry.

use std::sync::LazyLock;

use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, discovery::v1 as discovery, storage::v1 as storage,
};
use serde_json::{Map, Value, json};

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
        let (name, schema) = DEFINITIONS
            .get_key_value(resource.schema)
            .expect("every resource's schema is generated");
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

    fn is_free_form(self) -> bool {
        let target = self.target;
        target.get("properties").is_none()
            && target.get("additionalProperties").is_none()
            && target.get("items").is_none()
    }
}

/// What strict decoding found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decoded {
    /// Fields that the type does not have, by path; they have been dropped.
    pub(crate) unknown: Vec<String>,
}

/// Timestamps that the API writes as null when they are not set.
const KEPT_NULLS: [&str; 4] = [
    "lastProbeTime",
    "eventTime",
    "firstTimestamp",
    "lastTimestamp",
];

/// Brings a body into the form in which objects are stored: unknown fields and nulls dropped, quantities in their short
/// form. An error is the decoder's message about a value of the wrong type.
pub(crate) fn decode(value: &mut Value, shape: Shape) -> Result<Decoded, String> {
    let mut decoded = Decoded::default();
    visit(
        value,
        shape,
        &Place {
            path: String::new(),
            fields: String::new(),
            owner: "",
        },
        &mut decoded,
    )?;
    Ok(decoded)
}

/// What Go's decoder calls a value that it did not want.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        _ => "object",
    }
}

/// Where the decoder is: the path with indices, the field names alone, and the type that holds the field.
struct Place<'a> {
    path: String,
    fields: String,
    owner: &'a str,
}

fn visit(
    value: &mut Value,
    shape: Shape,
    place: &Place<'_>,
    decoded: &mut Decoded,
) -> Result<(), String> {
    let mismatch = |value: &Value, wanted: &str| {
        let mut found = type_name(value).to_owned();
        if value.is_number() && wanted.starts_with("int") {
            found = format!("number {value}");
        }
        Err(format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            place.owner, place.fields
        ))
    };
    match shape.last_name() {
        "Quantity" => {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => return mismatch(other, "resource.Quantity"),
            };
            let Some(short) = short_quantity(&text) else {
                return Err("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned());
            };
            *value = Value::String(short);
            return Ok(());
        }
        "IntOrString" => {
            return if value.is_string() || value.is_i64() {
                Ok(())
            } else {
                mismatch(value, "intstr.IntOrString")
            };
        }
        _ => {}
    }
    match shape.target.get("type").and_then(Value::as_str) {
        Some("object") if shape.is_free_form() => Ok(()),
        Some("object") => {
            if !value.is_object() {
                return mismatch(value, &go_type(shape));
            }
            let map = value.as_object_mut().expect("it was just checked");
            let has_fields = shape.target.get("properties").is_some();
            let mut gone = Vec::new();
            for (key, entry) in map.iter_mut() {
                let dot = if place.path.is_empty() { "" } else { "." };
                let path = format!("{}{dot}{key}", place.path);
                let Some(field) = shape.field(key) else {
                    decoded.unknown.push(path);
                    gone.push(key.clone());
                    continue;
                };
                if entry.is_null() {
                    if has_fields && !KEPT_NULLS.contains(&key.as_str()) {
                        gone.push(key.clone());
                    }
                    continue;
                }
                let fields = if has_fields {
                    format!(
                        "{}{}{key}",
                        place.fields,
                        if place.fields.is_empty() { "" } else { "." }
                    )
                } else {
                    place.fields.clone()
                };
                let owner = if has_fields {
                    shape.last_name()
                } else {
                    place.owner
                };
                visit(
                    entry,
                    field,
                    &Place {
                        path,
                        fields,
                        owner,
                    },
                    decoded,
                )?;
            }
            for key in gone {
                map.remove(&key);
            }
            Ok(())
        }
        Some("array") => {
            let Some(list) = value.as_array_mut() else {
                return mismatch(value, &go_type(shape));
            };
            if let Some(item) = shape.item() {
                for (index, entry) in list.iter_mut().enumerate() {
                    let path = format!("{}[{index}]", place.path);
                    visit(
                        entry,
                        item,
                        &Place {
                            path,
                            fields: place.fields.clone(),
                            owner: place.owner,
                        },
                        decoded,
                    )?;
                }
            }
            Ok(())
        }
        Some("string") if !value.is_string() => mismatch(value, &go_type(shape)),
        Some("string")
            if shape
                .target
                .get("format")
                .is_some_and(|format| format == "byte") =>
        {
            match base64_error(value.as_str().unwrap_or("")) {
                Some(at) => Err(format!("illegal base64 data at input byte {at}")),
                None => Ok(()),
            }
        }
        Some("boolean") if !value.is_boolean() => mismatch(value, "bool"),
        Some("integer") if !value.is_i64() && !value.is_u64() => mismatch(value, &go_type(shape)),
        _ => Ok(()),
    }
}

/// Where a text stops being base64, as Go counts it.
fn base64_error(text: &str) -> Option<usize> {
    use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
    // Go's decoder passes over line breaks.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    match STANDARD.decode(&text).err()? {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => Some(at),
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => Some(text.len() / 4 * 4),
    }
}

/// The Go type that the real decoder names in its message.
fn go_type(shape: Shape) -> String {
    match shape.target.get("type").and_then(Value::as_str) {
        Some("string")
            if shape
                .target
                .get("format")
                .is_some_and(|format| format == "byte") =>
        {
            "[]uint8".to_owned()
        }
        Some("string") => "string".to_owned(),
        Some("boolean") => "bool".to_owned(),
        Some("integer") => object::text(shape.target, "/format").to_owned(),
        Some("array") => format!(
            "[]{}",
            shape
                .item()
                .map_or_else(|| "interface {}".to_owned(), go_type)
        ),
        Some("object") if shape.name.is_empty() => {
            format!(
                "map[string]{}",
                shape.target.get("additionalProperties").map_or_else(
                    || "interface {}".to_owned(),
                    |values| go_type(Shape::at(values))
                )
            )
        }
        _ => format!("v1.{}", shape.last_name()),
    }
}

/// A quantity in the short form that the API stores: whole numbers under the largest unit that divides them.
fn short_quantity(text: &str) -> Option<String> {
    let number = object::quantity(text)?;
    if let Some(size) = text.strip_prefix('-') {
        return Some(match short_quantity(size)?.as_str() {
            "0" => "0".to_owned(),
            size => format!("-{size}"),
        });
    }
    let binary = text.ends_with('i');
    if binary && number >= 1.0 && number.fract() == 0.0 {
        let mut number = number;
        let mut unit = 0;
        while unit < 6 && number % 1024.0 == 0.0 && number != 0.0 {
            number /= 1024.0;
            unit += 1;
        }
        return Some(format!(
            "{number}{}",
            ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][unit]
        ));
    }
    if number == 0.0 {
        return Some("0".to_owned());
    }
    let (mut scaled, mut unit) = if number.fract() == 0.0 {
        (number, 1)
    } else {
        ((number * 1000.0).ceil(), 0)
    };
    while unit < 7 && scaled % 1000.0 == 0.0 {
        scaled /= 1000.0;
        unit += 1;
    }
    Some(format!(
        "{scaled}{}",
        ["m", "", "k", "M", "G", "T", "P", "E"][unit]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_named_by_path_and_dropped() {
        let mut pod =
            json!({"spec": {"containers": [{"name": "a", "imagee": "b", "env": null}], "foo": 1}});
        let decoded = decode(&mut pod, Shape::of(resource::PODS)).unwrap();
        assert_eq!(decoded.unknown, ["spec.containers[0].imagee", "spec.foo"]);
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "a"}]}}));
    }

    #[test]
    fn a_wrong_type_is_told_in_the_decoders_words() {
        let mut set = json!({"spec": {"replicas": "two"}});
        let message = decode(&mut set, Shape::of(resource::STATEFULSETS)).unwrap_err();
        assert_eq!(
            message,
            "json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32"
        );
    }

    #[test]
    fn quantities_are_stored_in_their_short_form() {
        for (long, short) in [
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1", "1"),
            ("1Gi", "1Gi"),
            ("-1024Mi", "-1Gi"),
        ] {
            assert_eq!(short_quantity(long).as_deref(), Some(short), "{long}");
        }
    }

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
