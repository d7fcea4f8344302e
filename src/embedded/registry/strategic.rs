//! Strategic merge patch: lists merge by the key that their type names.

use serde_json::{Map, Value};

use super::patch::as_go_prints;
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
        map.retain(|key, _| keys.iter().any(|kept| kept == key));
    }
    for (field, gone) in deletions {
        if let Some(list) = map.get_mut(&field).and_then(Value::as_array_mut) {
            let gone = gone.as_array().cloned().unwrap_or_default();
            list.retain(|entry| !gone.contains(entry));
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
        for entry in entries {
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
        return Ok(());
    };
    for entry in entries {
        let Value::Object(mut fields) = entry else {
            return Err(format!(
                "map: {} does not contain declared merge key: {key}",
                as_go_prints(&entry)
            ));
        };
        let Some(id) = fields.get(key).cloned() else {
            return Err(format!(
                "map: {} does not contain declared merge key: {key}",
                as_go_prints(&Value::Object(fields))
            ));
        };
        let found = list.iter().position(|one| one.get(key) == Some(&id));
        if fields.get(DIRECTIVE).is_some_and(|kind| kind == "delete") {
            if let Some(index) = found {
                list.remove(index);
            }
            continue;
        }
        let item = shape.and_then(Shape::item);
        if let Some(index) = found {
            merge_map(&mut list[index], fields, item)?;
        } else {
            fields.remove(DIRECTIVE);
            let mut fresh = Value::Object(Map::new());
            merge_map(&mut fresh, fields, item)?;
            list.push(fresh);
        }
    }
    Ok(())
}
/// Puts the entries that the order names into that order; each other entry stays behind the one it followed.
fn sort(list: &mut Vec<Value>, order: &[Value], key: Option<&str>) {
    let id = |entry: &Value| {
        key.map_or_else(
            || entry.clone(),
            |key| entry.get(key).cloned().unwrap_or_default(),
        )
    };
    let wanted: Vec<Value> = order.iter().map(id).collect();
    let mut groups: Vec<(Option<usize>, Vec<Value>)> = vec![(None, Vec::new())];
    for entry in std::mem::take(list) {
        let place = wanted.iter().position(|one| *one == id(&entry));
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
