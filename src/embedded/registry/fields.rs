//! Who owns which field: `metadata.managedFields`, and server-side apply on top of it.
//!
//! A field is a path of the parts that `FieldsV1` uses ("f:spec", "k:{\"name\":\"a\"}", "v:1"). Sets of paths do the work;
//! the nested form of the wire is only made at the end.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Part;
use crate::encode;
use crate::failure::Failure;
use crate::object::{self, LAST_APPLIED};
use crate::resource::Resource;
use crate::schema::Shape;

type Path = Vec<String>;
/// The owned places of a value; the inner ones (maps, list entries) have no value of their own.
type Owned<'a> = BTreeMap<Path, Option<&'a Value>>;

/// The longest name of a field manager (apimachinery `meta/v1/validation`, `FieldManagerMaxLength`).
pub(crate) const MANAGER_LENGTH: usize = 128;

/// Metadata that the server writes and nobody owns.
const SERVER_OWNED: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

/// Writes into `object` who owns what after `manager` has made it from `before`.
pub(super) fn track(
    resource: &Resource,
    before: Option<&Value>,
    object: &mut Value,
    manager: &str,
    part: Part,
    now: Timestamp,
) {
    if manager.is_empty() {
        return;
    }
    let empty = json!({});
    let old = owned(resource, before.unwrap_or(&empty), part);
    let new = owned(resource, object, part);
    let changed: BTreeSet<&Path> = new
        .iter()
        .filter(|(path, value)| old.get(*path) != Some(value))
        .map(|(path, _)| path)
        .collect();
    let is_gone = |path: &Path| old.contains_key(path) && !new.contains_key(path);
    let mut entries = Vec::new();
    let mut is_listed = false;
    for entry in object::array(object, "/metadata/managedFields") {
        let is_own = object::text(entry, "/manager") == manager
            && object::text(entry, "/operation") == "Update"
            && subresource(entry) == part;
        let paths = paths(entry);
        let mut left: BTreeSet<Path> = paths
            .iter()
            .filter(|path| !is_gone(path))
            .cloned()
            .collect();
        if is_own {
            is_listed = true;
            left.extend(changed.iter().map(|path| (*path).clone()));
        } else {
            left.retain(|path| {
                !changed.contains(path) || new.get(path).is_some_and(Option::is_none)
            });
        }
        if left == paths {
            entries.push(entry.clone());
        } else if !left.is_empty() {
            let time = if is_own {
                object::time(now)
            } else {
                object::text(entry, "/time").to_owned()
            };
            entries.push(written(
                resource,
                object::text(entry, "/manager"),
                object::text(entry, "/operation"),
                subresource(entry),
                &left,
                &time,
            ));
        }
    }
    if !is_listed && !changed.is_empty() {
        let paths = changed.into_iter().cloned().collect();
        entries.push(written(
            resource,
            manager,
            "Update",
            part,
            &paths,
            &object::time(now),
        ));
    }
    sort(&mut entries);
    object::set(object, "/metadata/managedFields", entries);
}

/// The order of the list: applies before updates, then by time and name (apimachinery
/// `util/managedfields/internal/managedfields.go`, `sortEncodedManagedFields`).
fn sort(entries: &mut [Value]) {
    entries.sort_by_cached_key(|entry| {
        [
            "/operation",
            "/time",
            "/manager",
            "/apiVersion",
            "/subresource",
        ]
        .map(|field| object::text(entry, field).to_owned())
    });
}

/// What server-side apply makes of the current object, and the new list of owners. Fields of the manager's last apply that
/// the new one leaves out are removed unless somebody else owns them too.
pub(super) fn applied(
    resource: &Resource,
    current: Option<&Value>,
    config: &Value,
    manager: &str,
    part: Part,
    force: bool,
    now: Timestamp,
) -> Result<(Value, Value), Failure> {
    let wanted = owned(resource, config, part);
    let wanted_paths: BTreeSet<Path> = wanted.keys().cloned().collect();
    let empty = json!({});
    let live = owned(resource, current.unwrap_or(&empty), part);
    let mut last = BTreeSet::new();
    let mut entries = Vec::new();
    let mut others: BTreeSet<Path> = BTreeSet::new();
    let mut conflicts: Vec<(String, Vec<Path>)> = Vec::new();
    let mut own_time = String::new();
    for entry in object::array(current.unwrap_or(&empty), "/metadata/managedFields") {
        let mut theirs = paths(entry);
        if object::text(entry, "/manager") == manager
            && object::text(entry, "/operation") == "Apply"
            && subresource(entry) == part
        {
            object::text(entry, "/time").clone_into(&mut own_time);
            last = theirs;
            continue;
        }
        let taken: Vec<Path> = theirs
            .iter()
            .filter(|path| {
                wanted
                    .get(*path)
                    .is_some_and(|value| value.is_some() && live.get(*path) != Some(value))
            })
            .cloned()
            .collect();
        if taken.is_empty() {
            others.extend(theirs);
            entries.push(entry.clone());
            continue;
        }
        theirs.retain(|path| !taken.contains(path));
        if !theirs.is_empty() {
            entries.push(written(
                resource,
                object::text(entry, "/manager"),
                object::text(entry, "/operation"),
                subresource(entry),
                &theirs,
                object::text(entry, "/time"),
            ));
        }
        others.extend(theirs);
        conflicts.push((described(entry), taken));
    }
    if !force {
        // An object that `kubectl apply` kept until now may be taken over by `kubectl apply --server-side` (apimachinery
        // `util/managedfields/internal/lastappliedmanager.go`).
        if manager == "kubectl" {
            let kept = kept_by_client(resource, current.unwrap_or(&empty), &live, part);
            for (_, paths) in &mut conflicts {
                paths.retain(|path| !kept.contains(path));
            }
            conflicts.retain(|(_, paths)| !paths.is_empty());
        }
        if !conflicts.is_empty() {
            return Err(conflict(&conflicts));
        }
    }
    let mut merged = current.cloned().unwrap_or_else(|| json!({}));
    merge(&mut merged, config, Some(Shape::of(resource)));
    // The first path that is not less than a prefix is the one that begins with it, if any does.
    let holds = |paths: &BTreeSet<Path>, prefix: &Path| {
        let next = paths.range::<Path, _>(prefix..).next();
        next.is_some_and(|path| path.starts_with(prefix))
    };
    for path in last.difference(&wanted_paths) {
        if !holds(&others, path) && !holds(&wanted_paths, path) {
            cut(&mut merged, path);
        }
    }
    // Who wants what is there already has changed nothing, and has no time of a change.
    if current != Some(&merged) {
        own_time = object::time(now);
    }
    entries.push(written(
        resource,
        manager,
        "Apply",
        part,
        &wanted_paths,
        &own_time,
    ));
    sort(&mut entries);
    Ok((merged, Value::Array(entries)))
}

/// The fields that still are as the client-side apply of this object wanted them.
fn kept_by_client(
    resource: &Resource,
    current: &Value,
    live: &Owned,
    part: Part,
) -> BTreeSet<Path> {
    let last = object::entries(current, "/metadata/annotations")
        .find(|(key, _)| *key == LAST_APPLIED)
        .and_then(|(_, config)| serde_json::from_str(config).ok())
        .unwrap_or(Value::Null);
    owned(resource, &last, part)
        .into_iter()
        .filter(|(path, value)| live.get(path) == Some(value))
        .map(|(path, _)| path)
        .collect()
}

fn conflict(conflicts: &[(String, Vec<Path>)]) -> Failure {
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let plural = if count == 1 { "" } else { "s" };
    let parts: Vec<String> = conflicts
        .iter()
        .map(|(who, paths)| match paths.as_slice() {
            [only] => format!("conflict with {who}: {}", dotted(only)),
            several => format!(
                "conflicts with {who}:\n{}",
                several
                    .iter()
                    .map(|path| format!("- {}", dotted(path)))
                    .collect::<Vec<_>>()
                    .join("\n")
            ),
        })
        .collect();
    let causes: Vec<Value> = conflicts
        .iter()
        .flat_map(|(who, paths)| paths.iter().map(move |path| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": dotted(path)})))
        .collect();
    Failure {
        code: 409,
        reason: "Conflict",
        message: format!(
            "Apply failed with {count} conflict{plural}: {}",
            parts.join("\n")
        ),
        details: Some(json!({"causes": causes})),
    }
}

/// A manager as the conflict message names it.
fn described(entry: &Value) -> String {
    let mut who = format!("{:?}", object::text(entry, "/manager"));
    let subresource = object::text(entry, "/subresource");
    if !subresource.is_empty() {
        who.push_str(&format!(" with subresource {subresource:?}"));
    }
    if object::text(entry, "/operation") == "Update" {
        who.push_str(&format!(" using {}", object::text(entry, "/apiVersion")));
    }
    who
}

/// A path as the conflict message shows it: `.spec.containers[name="a"].image`.
fn dotted(path: &Path) -> String {
    path.iter()
        .map(|part| match part.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
            Some(("k", keys)) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                format!(
                    "[{}]",
                    keys.iter()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect::<Vec<_>>()
                        .join(",")
                )
            }
            Some(("v", value)) => format!("[={value}]"),
            _ => part.clone(),
        })
        .collect()
}

/// Whether a list of owners that a client has written can be read.
pub(super) fn is_sound(managed: &Value) -> bool {
    fn is_set(value: &Value) -> bool {
        value.as_object().is_some_and(|map| {
            map.iter().all(|(part, below)| match part.split_once(':') {
                _ if part == "." => true,
                Some(("f" | "i", _)) => is_set(below),
                Some(("k" | "v", json)) => {
                    serde_json::from_str::<Value>(json).is_ok() && is_set(below)
                }
                _ => false,
            })
        })
    }
    managed.as_array().is_some_and(|list| {
        list.iter().all(|entry| {
            matches!(object::text(entry, "/operation"), "Apply" | "Update")
                && object::text(entry, "/fieldsType") == "FieldsV1"
                && object::text(entry, "/manager").len() <= MANAGER_LENGTH
                && entry
                    .get("fieldsV1")
                    .is_some_and(|fields| is_set(&encode::tree(fields)))
        })
    })
}

fn subresource(entry: &Value) -> Part {
    match object::text(entry, "/subresource") {
        "status" => Part::Status,
        "scale" => Part::Scale,
        _ => Part::Main,
    }
}

fn written(
    resource: &Resource,
    manager: &str,
    operation: &str,
    part: Part,
    paths: &BTreeSet<Path>,
    time: &str,
) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": resource.api_version(), "time": time, "fieldsType": "FieldsV1", "fieldsV1": nested(paths).to_string(),
    });
    if time.is_empty() {
        object::remove(&mut entry, "/time");
    }
    match part {
        Part::Status => entry["subresource"] = json!("status"),
        Part::Scale => entry["subresource"] = json!("scale"),
        Part::Main => {}
    }
    entry
}

fn nested(paths: &BTreeSet<Path>) -> Value {
    let mut root = Map::new();
    for path in paths {
        let mut map = &mut root;
        for part in path {
            map = map
                .entry(part.clone())
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .expect("every part is a map");
        }
        map.insert(".".to_owned(), json!({}));
    }
    tidy(&mut root);
    Value::Object(root)
}

/// A place with nothing below it is written without the dot.
fn tidy(map: &mut Map<String, Value>) {
    for value in map.values_mut().filter_map(Value::as_object_mut) {
        tidy(value);
        if value.len() == 1 && value.contains_key(".") {
            value.clear();
        }
    }
}

fn paths(entry: &Value) -> BTreeSet<Path> {
    fn walk(node: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
        let Some(map) = node.as_object() else { return };
        if map.is_empty() && !path.is_empty() {
            found.insert(path.clone());
        }
        for (part, below) in map {
            if part == "." {
                found.insert(path.clone());
                continue;
            }
            path.push(part.clone());
            walk(below, path, found);
            path.pop();
        }
    }
    let mut found = BTreeSet::new();
    walk(
        &encode::tree(&entry["fieldsV1"]),
        &mut Vec::new(),
        &mut found,
    );
    found
}

/// The places of an object that one part of the API can own.
fn owned<'a>(resource: &Resource, object: &'a Value, part: Part) -> Owned<'a> {
    let mut found = Owned::new();
    let shape = Shape::of(resource);
    for (field, value) in object.as_object().into_iter().flatten() {
        let belongs = match field.as_str() {
            "apiVersion" | "kind" => false,
            "status" => part == Part::Status || !resource.status,
            _ => part != Part::Status,
        };
        if belongs && let Some(inner) = shape.field(field) {
            collect(
                value,
                Some(inner),
                &mut vec![format!("f:{field}")],
                &mut found,
            );
        }
    }
    found.retain(|path, _| {
        !(path[0] == "f:metadata"
            && path
                .get(1)
                .is_none_or(|field| SERVER_OWNED.iter().any(|one| field[2..] == **one)))
    });
    found
}

fn collect<'a>(value: &'a Value, shape: Option<Shape>, path: &mut Path, found: &mut Owned<'a>) {
    let is_whole = shape.is_none_or(Shape::is_atomic);
    match value {
        Value::Object(map) if !is_whole && !map.is_empty() => {
            let is_map = shape.is_some_and(|shape| shape.field("\0").is_some());
            if is_map {
                found.insert(path.clone(), None);
            }
            for (field, inner) in map {
                path.push(format!("f:{field}"));
                collect(
                    inner,
                    shape.and_then(|shape| shape.field(field)),
                    path,
                    found,
                );
                path.pop();
            }
        }
        Value::Array(list) if shape.is_some_and(Shape::is_set) => {
            found.insert(path.clone(), None);
            for entry in list {
                path.push(format!("v:{entry}"));
                found.insert(path.clone(), Some(entry));
                path.pop();
            }
        }
        Value::Array(list) => match shape.and_then(Shape::list_keys) {
            Some(keys) => {
                for entry in list {
                    path.push(format!("k:{}", entry_key(entry, &keys)));
                    found.insert(path.clone(), None);
                    for (field, inner) in entry.as_object().into_iter().flatten() {
                        path.push(format!("f:{field}"));
                        collect(
                            inner,
                            shape
                                .and_then(Shape::item)
                                .and_then(|item| item.field(field)),
                            path,
                            found,
                        );
                        path.pop();
                    }
                    path.pop();
                }
            }
            None => drop(found.insert(path.clone(), Some(value))),
        },
        _ => drop(found.insert(path.clone(), Some(value))),
    }
}

/// The keys of a list's entry in the form of a path; a protocol that is left out means TCP.
fn entry_key(entry: &Value, keys: &[&str]) -> Value {
    keys.iter()
        .filter_map(|key| {
            let value = entry
                .get(*key)
                .cloned()
                .or_else(|| (*key == "protocol").then(|| json!("TCP")))?;
            Some(((*key).to_owned(), value))
        })
        .collect::<Map<String, Value>>()
        .into()
}

/// Puts the applied configuration into an object.
fn merge(target: &mut Value, config: &Value, shape: Option<Shape>) {
    match config {
        Value::Object(map) if target.is_object() && !shape.is_none_or(Shape::is_atomic) => {
            for (field, value) in map {
                let place = target
                    .as_object_mut()
                    .expect("it was just checked")
                    .entry(field.clone())
                    .or_insert(Value::Null);
                merge(place, value, shape.and_then(|shape| shape.field(field)));
            }
        }
        Value::Array(list) if target.is_array() && shape.is_some_and(Shape::is_set) => {
            let present = target.as_array_mut().expect("it was just checked");
            let mut known: HashSet<String> = present.iter().map(Value::to_string).collect();
            for entry in list {
                if known.insert(entry.to_string()) {
                    present.push(entry.clone());
                }
            }
        }
        Value::Array(list) if target.is_array() && shape.and_then(Shape::list_keys).is_some() => {
            let keys = shape.and_then(Shape::list_keys).unwrap_or_default();
            let present = target.as_array_mut().expect("it was just checked");
            let key = |entry: &Value| entry_key(entry, &keys).to_string();
            let mut places = HashMap::new();
            for (place, entry) in present.iter().enumerate() {
                places.entry(key(entry)).or_insert(place);
            }
            for entry in list {
                match places.entry(key(entry)) {
                    Entry::Occupied(place) => merge(
                        &mut present[*place.get()],
                        entry,
                        shape.and_then(Shape::item),
                    ),
                    Entry::Vacant(place) => {
                        place.insert(present.len());
                        present.push(entry.clone());
                    }
                }
            }
        }
        _ => *target = config.clone(),
    }
}

/// Removes the place that a path names.
fn cut(target: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    let Some((kind, key)) = first.split_once(':') else {
        return;
    };
    match kind {
        "f" => {
            let Some(map) = target.as_object_mut() else {
                return;
            };
            if rest.is_empty() {
                map.remove(key);
            } else if let Some(inner) = map.get_mut(key) {
                cut(inner, rest);
            }
        }
        "k" | "v" => {
            let wanted: Value = serde_json::from_str(key).unwrap_or_default();
            let Some(list) = target.as_array_mut() else {
                return;
            };
            let is_it = |entry: &Value| match wanted.as_object() {
                Some(keys) if kind == "k" => keys.iter().all(|(key, value)| {
                    entry.get(key) == Some(value) || (key == "protocol" && entry.get(key).is_none())
                }),
                _ => *entry == wanted,
            };
            if rest.is_empty() {
                list.retain(|entry| !is_it(entry));
            } else if let Some(entry) = list.iter_mut().find(|entry| is_it(entry)) {
                cut(entry, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;

    fn at() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn config(replicas: Option<i64>, image: &str) -> Value {
        let mut set = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}});
        if let Some(replicas) = replicas {
            set["spec"]["replicas"] = json!(replicas);
        }
        set
    }

    fn apply(
        current: Option<&Value>,
        config: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, Failure> {
        let (mut object, managed) = applied(
            resource::STATEFULSETS,
            current,
            config,
            manager,
            Part::Main,
            force,
            at(),
        )?;
        object::set(&mut object, "/metadata/managedFields", managed);
        Ok(object)
    }

    #[test]
    fn what_another_manager_set_is_a_conflict_unless_forced() {
        let first = apply(None, &config(Some(1), "x"), "one", false).unwrap();
        let refused = apply(Some(&first), &config(Some(2), "x"), "two", false).unwrap_err();
        assert_eq!(
            refused.message,
            "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas"
        );
        let forced = apply(Some(&first), &config(Some(2), "x"), "two", true).unwrap();
        assert_eq!(forced["spec"]["replicas"], 2);
        // The first manager has lost the field, so leaving it out does not remove it.
        let again = apply(Some(&forced), &config(None, "x"), "one", false).unwrap();
        assert_eq!(again["spec"]["replicas"], 2);
    }

    #[test]
    fn a_field_left_out_by_its_only_owner_goes() {
        let first = apply(None, &config(Some(1), "x"), "one", false).unwrap();
        let second = apply(Some(&first), &config(None, "x"), "one", false).unwrap();
        assert_eq!(second["spec"].get("replicas"), None);
    }

    #[test]
    fn an_update_takes_over_the_fields_it_changes() {
        let first = apply(None, &config(Some(1), "x"), "one", false).unwrap();
        let mut second = first.clone();
        second["spec"]["replicas"] = json!(5);
        track(
            resource::STATEFULSETS,
            Some(&first),
            &mut second,
            "kubectl-edit",
            Part::Main,
            at(),
        );
        let refused = apply(Some(&second), &config(Some(1), "x"), "one", false).unwrap_err();
        assert_eq!(
            refused.message,
            "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas"
        );
    }

    #[test]
    fn kubectl_takes_over_what_its_client_side_apply_kept() {
        let mut first = config(Some(1), "x");
        first["metadata"] =
            json!({"annotations": {LAST_APPLIED: config(Some(1), "x").to_string()}});
        let set = resource::STATEFULSETS;
        track(
            set,
            None,
            &mut first,
            "kubectl-client-side-apply",
            Part::Main,
            at(),
        );
        let taken = apply(Some(&first), &config(Some(2), "x"), "kubectl", false).unwrap();
        assert_eq!(taken["spec"]["replicas"], 2);
        assert!(apply(Some(&first), &config(Some(2), "x"), "one", false).is_err());
        // What somebody changed since is not the client's any more.
        let mut edited = first.clone();
        edited["spec"]["replicas"] = json!(5);
        track(
            set,
            Some(&first),
            &mut edited,
            "kubectl-edit",
            Part::Main,
            at(),
        );
        let refused = apply(Some(&edited), &config(Some(2), "y"), "kubectl", false).unwrap_err();
        assert_eq!(
            refused.message,
            "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas"
        );
    }

    #[test]
    fn the_wire_form_is_the_real_one() {
        let mut object = apply(None, &config(None, "x"), "one", false).unwrap();
        encode::unfold(&mut object);
        assert_eq!(
            object["metadata"]["managedFields"][0]["fieldsV1"],
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}})
        );
    }
}
