//! Strategic merge patch: lists merge by the key that their type names.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::patch::as_go_prints;
use crate::object;
use crate::schema::Shape;

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies a patch to an object in place. The error is the message for a patch that makes no sense.
pub(super) fn merge(target: &mut Value, patch: Value, shape: Option<Shape>) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *target = patch;
        return Ok(());
    };
    merge_map(target, patch, shape)
}

fn merge_map(
    target: &mut Value,
    mut patch: Map<String, Value>,
    shape: Option<Shape>,
) -> Result<(), String> {
    match patch.remove(DIRECTIVE).as_ref().and_then(Value::as_str) {
        Some("replace") => {
            *target = Value::Object(patch);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("unknown patch type found: {other}")),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let retained = patch.remove(RETAIN);
    let orders: Vec<(String, Value)> = take_prefixed(&mut patch, ORDER);
    let deletions: Vec<(String, Value)> = take_prefixed(&mut patch, DELETE_FROM);
    let map = target.as_object_mut().expect("it was just made a map");
    if let Some(keys) = retained.as_ref().and_then(Value::as_array) {
        let kept: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
        map.retain(|key, _| kept.contains(key.as_str()));
    }
    for (field, gone) in deletions {
        if let Some(list) = map.get_mut(&field).and_then(Value::as_array_mut) {
            let gone: HashSet<String> = object::array(&gone, "")
                .iter()
                .map(Value::to_string)
                .collect();
            list.retain(|entry| !gone.contains(&entry.to_string()));
        }
    }
    for (field, value) in patch {
        let field_shape = shape.and_then(|shape| shape.field(&field));
        match value {
            Value::Null => drop(map.remove(&field)),
            Value::Object(inner) => {
                merge_map(map.entry(field).or_insert(Value::Null), inner, field_shape)?;
            }
            Value::Array(entries) => {
                let place = map.entry(field).or_insert(Value::Null);
                merge_list(place, entries, field_shape)?;
            }
            plain => drop(map.insert(field, plain)),
        }
    }
    for (field, order) in &orders {
        let field_shape = shape.and_then(|shape| shape.field(field));
        if let (Some(list), Some(order)) = (
            map.get_mut(field).and_then(Value::as_array_mut),
            order.as_array(),
        ) {
            sort(list, order, field_shape.and_then(Shape::merge_key));
        }
    }
    Ok(())
}

fn take_prefixed(patch: &mut Map<String, Value>, prefix: &str) -> Vec<(String, Value)> {
    let keys: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(prefix))
        .cloned()
        .collect();
    keys.into_iter()
        .filter_map(|key| Some((key[prefix.len()..].to_owned(), patch.remove(&key)?)))
        .collect()
}

fn merge_list(place: &mut Value, entries: Vec<Value>, shape: Option<Shape>) -> Result<(), String> {
    let replaces = entries
        .iter()
        .any(|entry| entry.get(DIRECTIVE).is_some_and(|kind| kind == "replace"));
    let key = shape.and_then(Shape::merge_key);
    let merges = key.is_some() || shape.is_some_and(Shape::is_set);
    if replaces || !merges {
        *place = Value::Array(
            entries
                .into_iter()
                .filter(|entry| entry.get(DIRECTIVE).is_none())
                .collect(),
        );
        return Ok(());
    }
    if !place.is_array() {
        *place = Value::Array(Vec::new());
    }
    let list = place.as_array_mut().expect("it was just made a list");
    let Some(key) = key else {
        let mut known: HashSet<String> = list.iter().map(Value::to_string).collect();
        list.extend(
            entries
                .into_iter()
                .filter(|entry| known.insert(entry.to_string())),
        );
        return Ok(());
    };
    let item = shape.and_then(Shape::item);
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, entry) in list.iter().enumerate() {
        if let Some(id) = entry.get(key) {
            places.entry(id.to_string()).or_insert(place);
        }
    }
    let mut gone: HashSet<usize> = HashSet::new();
    for entry in entries {
        let id = entry.get(key).map(Value::to_string);
        let (Value::Object(mut fields), Some(id)) = (entry.clone(), id) else {
            return Err(format!(
                "map: {} does not contain declared merge key: {key}",
                as_go_prints(&entry)
            ));
        };
        if fields.get(DIRECTIVE).is_some_and(|kind| kind == "delete") {
            gone.extend(places.remove(&id));
            continue;
        }
        if let Some(place) = places.get(&id) {
            merge_map(&mut list[*place], fields, item)?;
        } else {
            fields.remove(DIRECTIVE);
            let mut fresh = Value::Object(Map::new());
            merge_map(&mut fresh, fields, item)?;
            places.insert(id, list.len());
            list.push(fresh);
        }
    }
    let mut place = 0..;
    list.retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
    Ok(())
}

/// Puts the entries that the order names into that order; each other entry stays behind the one it followed.
fn sort(list: &mut Vec<Value>, order: &[Value], key: Option<&str>) {
    let id = |entry: &Value| match key {
        Some(key) => entry.get(key).map(Value::to_string).unwrap_or_default(),
        None => entry.to_string(),
    };
    let mut wanted: HashMap<String, usize> = HashMap::new();
    for (place, entry) in order.iter().enumerate() {
        wanted.entry(id(entry)).or_insert(place);
    }
    let mut groups: Vec<(Option<usize>, Vec<Value>)> = vec![(None, Vec::new())];
    for entry in std::mem::take(list) {
        let place = wanted.get(&id(&entry)).copied();
        if place.is_some() {
            groups.push((place, vec![entry]));
        } else {
            groups
                .last_mut()
                .expect("there is always a first group")
                .1
                .push(entry);
        }
    }
    groups.sort_by_key(|(place, _)| *place);
    list.extend(groups.into_iter().flat_map(|(_, entries)| entries));
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "test builders read better with values"
    )]

    use serde_json::json;

    use super::*;
    use crate::resource;

    fn patched(mut object: Value, patch: Value) -> Value {
        merge(&mut object, patch, Some(Shape::of(resource::STATEFULSETS))).unwrap();
        object
    }

    fn containers(containers: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn one_container_changes_and_keeps_the_rest() {
        let before = containers(
            json!([{"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}]}, {"name": "b", "image": "y"}]),
        );
        let patch = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "a", "image": "z"}]}}}});
        let after = containers(
            json!([{"name": "a", "image": "z", "env": [{"name": "E", "value": "1"}]}, {"name": "b", "image": "y"}]),
        );
        assert_eq!(patched(before, patch), after);
    }

    #[test]
    fn entries_are_deleted_added_and_ordered() {
        let before = containers(json!([{"name": "a"}, {"name": "b"}]));
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
            "containers": [{"name": "c", "image": "i"}, {"name": "a", "$patch": "delete"}],
        }}}});
        assert_eq!(
            patched(before, patch),
            containers(json!([{"name": "c", "image": "i"}, {"name": "b"}]))
        );
    }

    #[test]
    fn directives_for_plain_lists_and_maps() {
        let before =
            json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"], "labels": {"x": null, "$retainKeys": ["x"]}}});
        assert_eq!(
            patched(before, patch),
            json!({"metadata": {"finalizers": ["b", "c"], "labels": {}}})
        );
    }

    #[test]
    fn an_atomic_list_is_replaced() {
        let before = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "a"}}]}});
        let patch = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "b"}}]}});
        assert_eq!(patched(before, patch.clone()), patch);
    }
}
