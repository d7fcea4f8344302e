//! Objects as bytes, and the compact form in which they lie in memory.
//!
//! Owns the one difference between the two: who owns which field (`metadata.managedFields[].fieldsV1`) is a tree of tiny
//! maps, larger in memory than all the rest of a Pod, and nobody looks into it but the registry. In memory it is a text,
//! folded; on the wire and on disk it is the tree, as Kubernetes has it.

use serde_json::{Map, Value};

use super::object;

/// Where in an answer a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A whole object, or a list or table of them.
    Object,
    Items,
    Rows,
    Row,
    Metadata,
    Entries,
    Entry,
    Fields,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Object, "metadata") => Self::Metadata,
            (Self::Object, "items") => Self::Items,
            (Self::Object, "rows") => Self::Rows,
            (Self::Row, "object") => Self::Object,
            (Self::Metadata, "managedFields") => Self::Entries,
            (Self::Entry, "fieldsV1") => Self::Fields,
            _ => Self::Elsewhere,
        }
    }

    fn item(self) -> Self {
        match self {
            Self::Items => Self::Object,
            Self::Rows => Self::Row,
            Self::Entries => Self::Entry,
            _ => Self::Elsewhere,
        }
    }
}

/// The JSON of an object, a list or a table, with nothing folded.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, value);
    bytes
}

/// As [`to_vec`], behind what is there already.
pub(crate) fn write(bytes: &mut Vec<u8>, value: &Value) {
    put(bytes, value, Place::Object);
}

fn put(bytes: &mut Vec<u8>, value: &Value, place: Place) {
    match value {
        Value::Object(map) if !matches!(place, Place::Elsewhere | Place::Fields) => {
            bytes.push(b'{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                plain(bytes, key);
                bytes.push(b':');
                put(bytes, value, place.below(key));
            }
            bytes.push(b'}');
        }
        Value::Array(list) if matches!(place, Place::Items | Place::Rows | Place::Entries) => {
            bytes.push(b'[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                put(bytes, value, place.item());
            }
            bytes.push(b']');
        }
        Value::String(folded) if place == Place::Fields => bytes.extend(folded.as_bytes()),
        value => plain(bytes, value),
    }
}

fn plain<T: serde::Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(bytes, value).expect("JSON values and memory take every write");
}

fn entries(object: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    object
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// Folds what is not folded yet. What is no tree of fields is taken away: it would break every answer it stands in.
pub(crate) fn fold(object: &mut Value) {
    for entry in entries(object) {
        let text = match entry.get("fieldsV1") {
            Some(tree @ Value::Object(_)) => tree.to_string(),
            Some(Value::String(text)) if is_tree(text) => continue,
            None => continue,
            Some(_) => {
                entry.remove("fieldsV1");
                continue;
            }
        };
        entry.insert("fieldsV1".to_owned(), Value::String(text));
    }
}

/// Makes the object what a client sees of it.
pub(crate) fn unfold(object: &mut Value) {
    for entry in entries(object) {
        let tree = tree(&entry.get("fieldsV1").cloned().unwrap_or_default());
        if tree.is_object() {
            entry.insert("fieldsV1".to_owned(), tree);
        }
    }
}

/// The tree of fields that is folded here.
pub(crate) fn tree(fields: &Value) -> Value {
    match fields {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        tree => tree.clone(),
    }
}

fn is_tree(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// About how many bytes of memory a value takes beyond its own place.
pub(crate) fn heap(value: &Value) -> usize {
    /// A node of a map, which has room for eleven entries, and what the allocator adds to each piece.
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + PIECE;
    const PIECE: usize = 16;
    match value {
        Value::String(text) => text.capacity() + PIECE,
        Value::Array(list) => {
            list.capacity() * size_of::<Value>() + PIECE + list.iter().map(heap).sum::<usize>()
        }
        Value::Object(map) => {
            // Nodes are half full at least once there is more than one.
            let nodes = if map.is_empty() { 0 } else { 1 + map.len() / 8 };
            let entries = map.iter();
            nodes * NODE
                + entries
                    .map(|(key, value)| key.capacity() + PIECE + heap(value))
                    .sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The last state of an object under another revision.
pub(crate) fn at_revision(object: &Value, revision: u64) -> Value {
    let mut object = object.clone();
    object::set(
        &mut object,
        "/metadata/resourceVersion",
        revision.to_string(),
    );
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owned(fields: &Value) -> Value {
        json!({"metadata": {"name": "a", "managedFields": [{"manager": "m", "fieldsV1": fields}]}, "data": {"fieldsV1": "{}"}})
    }

    #[test]
    fn what_is_folded_is_whole_on_the_wire() {
        let whole = owned(&json!({"f:data": {".": {}, "f:a\"b": {}}}));
        let mut object = whole.clone();
        fold(&mut object);
        assert!(object["metadata"]["managedFields"][0]["fieldsV1"].is_string());
        assert!(heap(&object) < heap(&whole));
        for (folded, unfolded) in [
            (object.clone(), whole.clone()),
            (json!({"items": [object]}), json!({"items": [whole]})),
            (
                json!({"rows": [{"object": object}]}),
                json!({"rows": [{"object": whole}]}),
            ),
        ] {
            let read: Value = serde_json::from_slice(&to_vec(&folded)).unwrap();
            assert_eq!(read, unfolded);
        }
        unfold(&mut object);
        assert_eq!(object, whole);
    }

    #[test]
    fn no_client_can_put_bytes_into_an_answer() {
        for fields in [json!("{},\"x\":1"), json!("1"), json!(["a"]), json!(null)] {
            let mut object = owned(&fields);
            fold(&mut object);
            let read: Value = serde_json::from_slice(&to_vec(&object)).unwrap();
            assert_eq!(read["metadata"]["managedFields"], json!([{"manager": "m"}]));
            assert_eq!(read["data"], json!({"fieldsV1": "{}"}));
        }
    }
}
