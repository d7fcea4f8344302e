//! The strict decoding of request bodies.
//!
//! Owns which values a field takes: types, the ranges of integers, dates, quantities, base64, in the words of the real
//! decoder. What comes out of it can be read back as the k8s-openapi type; a test holds it to that.

use serde_json::{Map, Value, json};

use super::Shape;
use super::time;
use crate::object;
use crate::quantity::{self, Quantity};

/// Unknown fields that are named, as many as the real decoder does (sigs.k8s.io/json `internal/golang`).
const NAMED_AT_MOST: usize = 100;

/// What strict decoding found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decoded {
    /// Fields that the type does not have, by path; they have been dropped. The first [`NAMED_AT_MOST`] are named.
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
/// form, times in UTC. An error is the decoder's message about a value of the wrong type.
pub(crate) fn decode(value: &mut Value, shape: Shape) -> Result<Decoded, String> {
    let mut decoded = Decoded::default();
    let place = Place {
        path: String::new(),
        fields: String::new(),
        owner: "",
    };
    visit(value, shape, &place, &mut decoded)?;
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

impl Place<'_> {
    fn mismatch(&self, value: &Value, wanted: &str) -> String {
        format!(
            "json: cannot unmarshal {} into Go struct field {}.{} of type {wanted}",
            shown(value, wanted),
            self.owner,
            self.fields
        )
    }
}

/// A value as the decoder names it; a number with its digits where an integer was wanted.
fn shown(value: &Value, wanted: &str) -> String {
    if value.is_number() && wanted.starts_with("int") {
        format!("number {value}")
    } else {
        type_name(value).to_owned()
    }
}

fn visit(
    value: &mut Value,
    shape: Shape,
    place: &Place<'_>,
    decoded: &mut Decoded,
) -> Result<(), String> {
    match shape.last_name() {
        "Quantity" => {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(quantity::WRONG_FORMAT.to_owned()),
            };
            *value = Value::String(Quantity::parse(&text)?.to_string());
            return Ok(());
        }
        "IntOrString" => {
            let is_right = value.is_string() || is_within(value, "int32");
            let wanted = "int32";
            return is_right.then_some(()).ok_or_else(|| {
                format!(
                    "json: cannot unmarshal {} into Go value of type {wanted}",
                    shown(value, wanted)
                )
            });
        }
        kind @ ("Time" | "MicroTime") => {
            let Some(text) = value.as_str() else {
                return Err(format!(
                    "json: cannot unmarshal {} into Go value of type string",
                    type_name(value)
                ));
            };
            let is_micro = kind == "MicroTime";
            let at = time::parse(text, is_micro)?;
            *value = Value::String(if is_micro {
                object::micro_time(at)
            } else {
                object::time(at)
            });
            return Ok(());
        }
        _ => {}
    }
    match shape.kind() {
        "object" if shape.is_free_form() => Ok(()),
        "object" => match value {
            Value::Object(map) => visit_map(map, shape, place, decoded),
            _ => Err(place.mismatch(value, &go_type(shape))),
        },
        "array" => {
            let Value::Array(list) = value else {
                return Err(place.mismatch(value, &go_type(shape)));
            };
            let Some(item) = shape.item() else {
                return Ok(());
            };
            for (index, entry) in list.iter_mut().enumerate() {
                if entry.is_null() {
                    *entry = zero(item);
                }
                let place = Place {
                    path: format!("{}[{index}]", place.path),
                    fields: place.fields.clone(),
                    owner: place.owner,
                };
                visit(entry, item, &place, decoded)?;
            }
            Ok(())
        }
        "string" => {
            let Value::String(text) = &*value else {
                return Err(place.mismatch(value, &go_type(shape)));
            };
            match base64_error(text).filter(|_| shape.format() == "byte") {
                Some(at) => Err(format!("illegal base64 data at input byte {at}")),
                None => Ok(()),
            }
        }
        "boolean" if !value.is_boolean() => Err(place.mismatch(value, "bool")),
        "integer" if !is_within(value, shape.format()) => {
            Err(place.mismatch(value, &go_type(shape)))
        }
        "number" if !value.is_number() => Err(place.mismatch(value, "float64")),
        _ => Ok(()),
    }
}

fn visit_map(
    map: &mut Map<String, Value>,
    shape: Shape,
    place: &Place<'_>,
    decoded: &mut Decoded,
) -> Result<(), String> {
    let has_fields = shape.has_fields();
    let mut gone = Vec::new();
    for (key, entry) in map.iter_mut() {
        let dot = if place.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", place.path);
        let Some(field) = shape.field(key) else {
            if decoded.unknown.len() < NAMED_AT_MOST {
                decoded.unknown.push(path);
            }
            gone.push(key.clone());
            continue;
        };
        if entry.is_null() {
            if !has_fields {
                // Go's decoder leaves the type's empty value under the key.
                *entry = zero(field);
            } else if !KEPT_NULLS.contains(&key.as_str()) {
                gone.push(key.clone());
            }
            continue;
        }
        let (fields, owner) = if has_fields {
            let dot = if place.fields.is_empty() { "" } else { "." };
            (format!("{}{dot}{key}", place.fields), shape.last_name())
        } else {
            (place.fields.clone(), place.owner)
        };
        let place = Place {
            path,
            fields,
            owner,
        };
        visit(entry, field, &place, decoded)?;
    }
    for key in gone {
        map.remove(&key);
    }
    if !place.path.is_empty() {
        embedded_type(map, shape, place)?;
    }
    // Go shows a time that is not set as null; clients with a type that has to have one cannot read that.
    let unset = shape.required().find(|field| {
        let is_time = shape
            .field(field)
            .is_some_and(|field| field.last_name() == "Time");
        is_time && map.get(*field).is_none_or(Value::is_null)
    });
    match unset {
        Some(field) => Err(format!(
            "{}.{field}: Required value: must be set",
            place.path
        )),
        None => Ok(()),
    }
}

/// An object inside another, such as a claim template, is of its own kind, whether or not it says so.
fn embedded_type(
    map: &mut Map<String, Value>,
    shape: Shape,
    place: &Place<'_>,
) -> Result<(), String> {
    for (field, right) in shape.type_meta() {
        match map.get(field).and_then(Value::as_str) {
            Some("") => drop(map.remove(field)),
            Some(other) if other != right => {
                return Err(format!(
                    "{}.{field}: Unsupported value: {other:?}: supported values: {right:?}",
                    place.path
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a value is an integer that its format holds.
fn is_within(value: &Value, format: &str) -> bool {
    value
        .as_i64()
        .is_some_and(|number| format != "int32" || i32::try_from(number).is_ok())
}

/// What Go's decoder makes of a null where a value has to be.
fn zero(shape: Shape) -> Value {
    match (shape.last_name(), shape.kind()) {
        ("Quantity", _) => json!("0"),
        ("IntOrString", _) | (_, "integer" | "number") => json!(0),
        (_, "string") => json!(""),
        (_, "boolean") => json!(false),
        (_, "array") => json!([]),
        _ => json!({}),
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
    match shape.kind() {
        "string" if shape.format() == "byte" => "[]uint8".to_owned(),
        "string" => "string".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" => shape.format().to_owned(),
        "array" => format!(
            "[]{}",
            shape
                .item()
                .map_or_else(|| "interface {}".to_owned(), go_type)
        ),
        "object" if shape.is_unnamed() => format!(
            "map[string]{}",
            shape
                .values()
                .map_or_else(|| "interface {}".to_owned(), go_type)
        ),
        _ => format!("v1.{}", shape.last_name()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1 as apps, core::v1 as core, discovery::v1 as discovery, storage::v1 as storage,
    };
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::resource::{self, Resource};

    #[test]
    fn unknown_fields_are_named_by_path_and_dropped() {
        let mut pod =
            json!({"spec": {"containers": [{"name": "a", "imagee": "b", "env": null}], "foo": 1}});
        let decoded = decode(&mut pod, Shape::of(resource::PODS)).unwrap();
        assert_eq!(decoded.unknown, ["spec.containers[0].imagee", "spec.foo"]);
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "a"}]}}));
    }

    #[test]
    fn unknown_fields_without_end_are_dropped_and_named_up_to_a_number() {
        let fields = (0..1000).map(|index| (format!("x{index}"), json!(0)));
        let mut map = Value::Object(fields.collect());
        let decoded = decode(&mut map, Shape::of(resource::CONFIGMAPS)).unwrap();
        assert_eq!((decoded.unknown.len(), map), (NAMED_AT_MOST, json!({})));
    }

    #[test]
    fn a_wrong_type_is_told_in_the_decoders_words() {
        let set = resource::STATEFULSETS;
        let scale = Shape::scale();
        for (mut body, shape, words) in [
            (
                json!({"spec": {"replicas": "two"}}),
                Shape::of(set),
                "json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32",
            ),
            (
                json!({"count": 1u64 << 40}),
                Shape::of(resource::EVENTS),
                "json: cannot unmarshal number 1099511627776 into Go struct field Event.count of type int32",
            ),
            (
                json!({"spec": {"terminationGracePeriodSeconds": 1u64 << 63}}),
                Shape::of(resource::PODS),
                "json: cannot unmarshal number 9223372036854775808 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
            ),
            (
                json!({"spec": {"ports": [{"targetPort": 1u64 << 40}]}}),
                Shape::of(resource::SERVICES),
                "json: cannot unmarshal number 1099511627776 into Go value of type int32",
            ),
            (
                json!({"spec": {"replicas": -2_147_483_649i64}}),
                scale,
                "json: cannot unmarshal number -2147483649 into Go struct field ScaleSpec.spec.replicas of type int32",
            ),
            (
                json!({"metadata": {"creationTimestamp": "now"}}),
                Shape::of(resource::PODS),
                r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#,
            ),
            (
                json!({"gracePeriodSeconds": "0"}),
                Shape::delete_options(),
                "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
            ),
        ] {
            assert_eq!(decode(&mut body, shape).unwrap_err(), words);
        }
    }

    /// One step from a value to one inside it.
    #[derive(Clone)]
    enum Step {
        Field(String),
        Entry,
    }

    /// Every place of a type, but for types inside themselves.
    fn places(shape: Shape, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        found.push(path.clone());
        assert!(path.len() < 30, "a type inside itself");
        let mut into = |step: Step, inner: Shape| {
            path.push(step);
            places(inner, path, found);
            path.pop();
        };
        if let Some(fields) = shape.target.get("properties").and_then(Value::as_object) {
            for name in fields.keys() {
                into(Step::Field(name.clone()), shape.field(name).unwrap());
            }
        } else if let Some(values) = shape.values() {
            into(Step::Field("key".to_owned()), values);
        } else if let Some(item) = shape.item() {
            into(Step::Entry, item);
        }
    }

    fn with(path: &[Step], value: Value) -> Value {
        path.iter().rev().fold(value, |value, step| match step {
            Step::Field(name) => json!({name: value}),
            Step::Entry => json!([value]),
        })
    }

    /// Puts every odd value in every place of a kind: refused, or readable as the type. The numbers of both.
    fn tried<T: DeserializeOwned>(resource: &'static Resource) -> (usize, usize) {
        let odd = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(i32::MAX),
            json!(1i64 << 31),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1.5),
            json!(1e300),
            json!(""),
            json!("x\0\u{fffd}"),
            json!("1Gi"),
            json!("1e999999999"),
            json!("YQ=="),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-02-30T00:00:00.000000Z"),
            json!("9999-12-31T23:59:59.999999Z"),
            json!("0000-01-01T00:00:00Z"),
            json!([]),
            json!([null]),
            json!([1]),
            json!({}),
            json!({"a": null}),
            json!({"a": {"b": [1]}}),
        ];
        let mut found = Vec::new();
        places(Shape::of(resource), &mut Vec::new(), &mut found);
        let (mut taken, mut refused) = (0, 0);
        for path in found.iter().filter(|path| !path.is_empty()) {
            if matches!(&path[0], Step::Field(name) if name == "apiVersion" || name == "kind") {
                continue;
            }
            for value in &odd {
                let mut object = with(path, value.clone());
                let sent = object.clone();
                if decode(&mut object, Shape::of(resource)).is_err() {
                    refused += 1;
                    continue;
                }
                taken += 1;
                object["apiVersion"] = json!(resource.api_version());
                object["kind"] = json!(resource.kind);
                if let Err(error) = serde_json::from_value::<T>(object.clone()) {
                    panic!("{} {sent} is stored as {object}: {error}", resource.kind);
                }
            }
        }
        (taken, refused)
    }

    #[test]
    fn what_is_taken_can_be_read_back_as_its_type() {
        let all = [
            tried::<core::ConfigMap>(resource::CONFIGMAPS),
            tried::<core::Endpoints>(resource::ENDPOINTS),
            tried::<core::Event>(resource::EVENTS),
            tried::<core::Namespace>(resource::NAMESPACES),
            tried::<core::Node>(resource::NODES),
            tried::<core::PersistentVolumeClaim>(resource::CLAIMS),
            tried::<core::PersistentVolume>(resource::VOLUMES),
            tried::<core::Pod>(resource::PODS),
            tried::<core::Secret>(resource::SECRETS),
            tried::<core::ServiceAccount>(resource::SERVICE_ACCOUNTS),
            tried::<core::Service>(resource::SERVICES),
            tried::<apps::ControllerRevision>(resource::CONTROLLER_REVISIONS),
            tried::<apps::Deployment>(resource::DEPLOYMENTS),
            tried::<apps::ReplicaSet>(resource::REPLICASETS),
            tried::<apps::StatefulSet>(resource::STATEFULSETS),
            tried::<discovery::EndpointSlice>(resource::ENDPOINT_SLICES),
            tried::<storage::StorageClass>(resource::STORAGE_CLASSES),
        ];
        assert_eq!(all.len(), resource::ALL.len());
        assert!(
            all.iter()
                .all(|(taken, refused)| *taken > 50 && *refused > 50),
            "{all:?}"
        );
    }
}
