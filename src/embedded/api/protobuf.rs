//! Request bodies in protobuf: what `kubectl create secret`, `create deployment` and other typed clients send.
//!
//! Owns the fields' numbers (`protobuf/fields.txt`) and the way from the wire to the JSON that the registry takes. It
//! only reads: answers are JSON, which every client accepts beside protobuf.
//!
//! # Why a table
//! Generated types (crate `k8s-pb`) would bring all of Kubernetes' kinds, and no way from them to JSON. The table has the
//! kinds served here, 30 kB as text, and says what the wire itself can't: Go writes a plain field even when it is zero, so
//! a zero means something only where the Go type is a pointer (`*int`: `replicas: 0` was written on purpose).
//!
//! The table is made from the struct tags of k8s.io/api and k8s.io/apimachinery v0.34.4. A line is a type and its fields,
//! each `number:name:type`; the name `.` puts the type's fields into its parent, as Go's embedded structs do in JSON.
//! Two types have the name `EndpointPort`; the one of slices is `SlicePort` here.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The media type of such bodies.
pub(super) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Deeper than any type here; a message can't recurse beyond it.
const DEEPEST: usize = 32;

static TYPES: LazyLock<HashMap<&str, Vec<Field>>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next()?;
        Some((name, words.filter_map(Field::parse).collect()))
    };
    include_str!("protobuf/fields.txt")
        .lines()
        .filter_map(line)
        .collect()
});

/// One field of a message.
#[derive(Debug)]
struct Field {
    number: u64,
    /// In JSON; "." when the fields of its type stand in the parent.
    name: &'static str,
    shape: Shape,
    /// Whether zero differs from absent.
    keeps_zero: bool,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    One(&'static str),
    List(&'static str),
    Map(&'static str),
}

impl Field {
    fn parse(text: &'static str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (number, name, kind) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let plain = kind.strip_prefix('*');
        let kind = plain.unwrap_or(kind);
        let shape = match (kind.strip_prefix("[]"), kind.strip_prefix("{}")) {
            (Some(item), _) => Shape::List(item),
            (_, Some(value)) => Shape::Map(value),
            _ => Shape::One(kind),
        };
        Some(Self {
            number,
            name,
            shape,
            keeps_zero: plain.is_some(),
        })
    }
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbled {
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoMagic,
    #[error("unexpected EOF")]
    Short,
    #[error("proto: illegal wireType {0}")]
    WireType(u64),
    #[error("proto: wrong wireType for field {0}")]
    Field(&'static str),
    #[error("proto: field {0} is nested too deep")]
    Deep(&'static str),
    #[error("the content type {0:?} inside the protobuf envelope is not read here")]
    Content(String),
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Kind {
        /// The kind that the envelope names.
        kind: String,
        /// Its API version.
        version: String,
    },
}

/// The object of a body: the envelope (`runtime.Unknown`) names its type, the rest is its message.
pub(super) fn decode(body: &[u8]) -> Result<Value, Garbled> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Garbled::NoMagic)?;
    let (mut version, mut kind) = (String::new(), String::new());
    let (mut raw, mut content): (&[u8], _) = (&[], String::new());
    for field in Fields(envelope) {
        match field? {
            (1, Wire::Bytes(names)) => {
                for name in Fields(names) {
                    match name? {
                        (1, Wire::Bytes(text)) => version = string(text),
                        (2, Wire::Bytes(text)) => kind = string(text),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (4, Wire::Bytes(text)) => content = string(text),
            _ => {}
        }
    }
    if !matches!(content.as_str(), "" | MEDIA) {
        return Err(Garbled::Content(content));
    }
    let Some((name, _)) = TYPES.get_key_value(kind.as_str()) else {
        return Err(Garbled::Kind { kind, version });
    };
    let mut object = Map::new();
    object.insert("kind".to_owned(), json!(kind));
    object.insert("apiVersion".to_owned(), json!(version));
    message(raw, name, &mut object, 0)?;
    Ok(Value::Object(object))
}

/// A field's content as it stands on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits, which no field of the served kinds has.
    Fixed,
}

/// The fields of a message, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Garbled> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Garbled::Short)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Garbled::Short)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Garbled> {
        let count = usize::try_from(count).map_err(|_| Garbled::Short)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Garbled::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), Garbled> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            other => return Err(Garbled::WireType(other)),
        };
        Ok((tag >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Garbled>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Reads a message of a type into the fields of an object. Numbers that the type does not have are passed over, as
/// protobuf wants it: a newer client may send them.
fn message(
    bytes: &[u8],
    kind: &'static str,
    into: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), Garbled> {
    if depth > DEEPEST {
        return Err(Garbled::Deep(kind));
    }
    let fields = TYPES.get(kind).map_or(&[][..], Vec::as_slice);
    for read in Fields(bytes) {
        let (number, wire) = read?;
        let Some(field) = fields.iter().find(|field| field.number == number) else {
            continue;
        };
        match field.shape {
            Shape::One(kind) if field.name == "." => {
                let Wire::Bytes(bytes) = wire else {
                    return Err(Garbled::Field(kind));
                };
                message(bytes, kind, into, depth + 1)?;
            }
            Shape::One(kind) => {
                let value = one(wire, kind, field.name, depth)?;
                if field.keeps_zero || !is_zero(&value) {
                    into.insert(field.name.to_owned(), value);
                }
            }
            Shape::List(kind) => {
                let list = into
                    .entry(field.name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                let value = one(wire, kind, field.name, depth)?;
                if let Some(list) = list.as_array_mut() {
                    list.push(value);
                }
            }
            Shape::Map(kind) => {
                let Wire::Bytes(bytes) = wire else {
                    return Err(Garbled::Field(field.name));
                };
                let (key, value) = entry(bytes, kind, field.name, depth)?;
                let map = into
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, value);
                }
            }
        }
    }
    Ok(())
}

/// What Go's JSON leaves out, except for an empty object: that is written.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn entry(
    bytes: &[u8],
    kind: &'static str,
    name: &'static str,
    depth: usize,
) -> Result<(String, Value), Garbled> {
    let mut key = String::new();
    // An empty value may be left out on the wire.
    let mut value = one(Wire::Bytes(&[]), kind, name, depth)?;
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => key = string(text),
            (2, wire) => value = one(wire, kind, name, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// One value of a type: a plain one, one of the types with a JSON form of their own, or a message.
fn one(
    wire: Wire<'_>,
    kind: &'static str,
    name: &'static str,
    depth: usize,
) -> Result<Value, Garbled> {
    Ok(match (kind, wire) {
        // Negative numbers of any width are written as 64 bits.
        ("int", Wire::Number(number)) => json!(number.cast_signed()),
        ("bool", Wire::Number(number)) => json!(number != 0),
        ("string", Wire::Bytes(text)) => json!(string(text)),
        ("bytes", Wire::Bytes(bytes)) => {
            json!(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        ("Quantity", Wire::Bytes(bytes)) => match first(bytes, 1)? {
            Some(Wire::Bytes(text)) if !text.is_empty() => json!(string(text)),
            _ => json!("0"),
        },
        ("Time" | "MicroTime", Wire::Bytes(bytes)) => time(bytes, kind == "MicroTime")?,
        ("IntOrString", Wire::Bytes(bytes)) => {
            let is_text = matches!(first(bytes, 1)?, Some(Wire::Number(1)));
            match first(bytes, if is_text { 3 } else { 2 })? {
                Some(Wire::Bytes(text)) => json!(string(text)),
                // Go's type has 32 bits.
                Some(Wire::Number(number)) => json!(number as i32),
                _ if is_text => json!(""),
                _ => json!(0),
            }
        }
        // JSON inside, as it is.
        ("Raw", Wire::Bytes(bytes)) => match first(bytes, 1)? {
            Some(Wire::Bytes(raw)) => serde_json::from_slice(raw).unwrap_or(Value::Null),
            _ => Value::Null,
        },
        ("int" | "bool" | "string" | "bytes", _) => return Err(Garbled::Field(name)),
        (kind, Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            message(bytes, kind, &mut object, depth + 1)?;
            Value::Object(object)
        }
        _ => return Err(Garbled::Field(name)),
    })
}

/// The last field of a number, which is the one that counts.
fn first(bytes: &[u8], wanted: u64) -> Result<Option<Wire<'_>>, Garbled> {
    let mut found = None;
    for field in Fields(bytes) {
        let (number, wire) = field?;
        if number == wanted {
            found = Some(wire);
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds as the API writes times; nothing when the time is not set.
fn time(bytes: &[u8], is_micro: bool) -> Result<Value, Garbled> {
    let (mut seconds, mut nanos, mut is_set) = (0, 0, false);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Number(number)) => (seconds, is_set) = (number.cast_signed(), true),
            (2, Wire::Number(number)) => nanos = number as i32,
            _ => {}
        }
    }
    // Go's own zero time, year 1, is "not set", too.
    let Ok(at) = Timestamp::new(seconds, nanos) else {
        return Ok(Value::Null);
    };
    if !is_set || seconds < 0 {
        return Ok(Value::Null);
    }
    let format = if is_micro {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    Ok(json!(at.strftime(format).to_string()))
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{resource, schema};

    /// A field that holds bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend(content);
        field
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let names = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &names), bytes(2, raw)].concat()
    }

    #[test]
    fn a_secret_is_read_with_empty_values_and_without_empty_fields() {
        let entry = |key: &str, value: &[u8]| {
            bytes(2, &[bytes(1, key.as_bytes()), bytes(2, value)].concat())
        };
        let metadata = [bytes(1, b"web"), bytes(2, b""), bytes(8, b"")].concat();
        let raw = [
            bytes(1, &metadata),
            entry("password", b"secret"),
            entry("empty", b""),
            bytes(3, b"Opaque"),
        ]
        .concat();
        assert_eq!(
            decode(&body("v1", "Secret", &raw)),
            Ok(json!({
                "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "web"}, "type": "Opaque",
                "data": {"password": "c2VjcmV0", "empty": ""},
            }))
        );
    }

    #[test]
    fn zero_is_kept_where_it_was_written_on_purpose() {
        // replicas: 0 and paused: false; only the first is a pointer.
        let spec = [1 << 3, 0, 7 << 3, 0].to_vec();
        let object = decode(&body("apps/v1", "Deployment", &bytes(2, &spec))).unwrap();
        assert_eq!(object["spec"], json!({"replicas": 0}));
    }

    #[test]
    fn embedded_structs_times_quantities_and_either_types_have_their_json_form() {
        // volumes: [{name: "a", emptyDir: {}}]
        let volume = [bytes(1, b"a"), bytes(2, &bytes(2, b""))].concat();
        // containers: resources.requests.storage "1Gi", readinessProbe.tcpSocket.port "pg"
        let request = [bytes(1, b"storage"), bytes(2, &bytes(1, b"1Gi"))].concat();
        let resources = bytes(2, &request);
        let port = [vec![1 << 3, 1], bytes(3, b"pg")].concat();
        let probe = bytes(1, &bytes(3, &bytes(1, &port)));
        let container = [bytes(1, b"c"), bytes(8, &resources), bytes(11, &probe)].concat();
        let spec = [bytes(1, &volume), bytes(2, &container)].concat();
        // 1,700,000,000 seconds
        let created = bytes(8, &[1 << 3, 0x80, 0xe2, 0xcf, 0xaa, 0x06]);
        let object = decode(&body(
            "v1",
            "Pod",
            &[bytes(1, &created), bytes(2, &spec)].concat(),
        ));
        assert_eq!(
            object,
            Ok(json!({
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {"creationTimestamp": "2023-11-14T22:13:20Z"},
                "spec": {
                    "volumes": [{"name": "a", "emptyDir": {}}],
                    "containers": [{
                        "name": "c", "resources": {"requests": {"storage": "1Gi"}},
                        "readinessProbe": {"tcpSocket": {"port": "pg"}},
                    }],
                },
            }))
        );
    }

    #[test]
    fn what_is_no_such_body_is_refused() {
        assert_eq!(decode(b"{}"), Err(Garbled::NoMagic));
        assert_eq!(decode(b"k8s\0\x0a\x7f"), Err(Garbled::Short));
        assert!(matches!(
            decode(&body("batch/v1", "Job", b"")),
            Err(Garbled::Kind { .. })
        ));
        // A length beyond everything.
        let huge = [
            MAGIC,
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ]
        .concat();
        assert_eq!(decode(&huge), Err(Garbled::Short));
    }

    /// The table and the schemas come from different places; where they differ, one of them is wrong.
    #[test]
    fn the_table_has_every_field_of_every_served_kind() {
        fn names(kind: &str) -> Vec<&'static str> {
            TYPES[kind]
                .iter()
                .flat_map(|field| match field.shape {
                    Shape::One(inner) if field.name == "." => names(inner),
                    _ => vec![field.name],
                })
                .collect()
        }
        let all: Vec<_> = resource::ALL.to_vec();
        let mut seen = 0;
        for (name, schema) in schema::reachable(&all) {
            let kind = name.rsplit('.').next().unwrap();
            let Some(properties) = schema["properties"].as_object() else {
                continue;
            };
            let mut wanted: Vec<_> = properties
                .keys()
                .map(String::as_str)
                .filter(|field| {
                    !matches!(*field, "apiVersion" | "kind")
                        || !TYPES[kind].iter().all(|f| f.name != *field)
                })
                .collect();
            let mut found = names(kind);
            wanted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, wanted, "{name}");
            seen += 1;
        }
        assert!(seen > 150, "{seen} types were compared");
        let known = [
            "string",
            "int",
            "bool",
            "bytes",
            "Time",
            "MicroTime",
            "Quantity",
            "IntOrString",
            "Raw",
        ];
        for field in TYPES.values().flatten() {
            let (Shape::One(kind) | Shape::List(kind) | Shape::Map(kind)) = field.shape;
            assert!(known.contains(&kind) || TYPES.contains_key(kind), "{kind}");
        }
    }
}
