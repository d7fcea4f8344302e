//! Applying a manifest as `kubectl apply` does it: create what is not there, else send the
//! differences. Both keep the whole manifest in kubectl's own annotation and under kubectl's own
//! field manager, so that a `kubectl apply -f` in a terminal goes on from here without a warning,
//! and removes what the file no longer holds.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::objects::{Objects, is_cluster_wide, resource_of, shown};
use super::refusal::Refusal;
use super::scope::text;

/// Where `kubectl apply` keeps what it was last given.
const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Objects {
    /// Applies one object; answers with what kubectl would print.
    pub(super) async fn apply(&self, manifest: &Value) -> Result<String, Refusal> {
        let resource = resource_of(manifest);
        let name = text(manifest, "/metadata/name");
        let wanted = annotated(manifest, &self.namespace);
        let shown = shown(&resource, name);
        let Some(live) = self.find(&resource, name).await? else {
            self.create(&resource, wanted).await?;
            return Ok(format!("{shown} created"));
        };
        let version = live.metadata.resource_version.clone();
        let is_leaving = live.metadata.deletion_timestamp.is_some();
        let live = serde_json::to_value(&live).unwrap_or_default();
        let patch = difference(live, &wanted);
        let mut said = match patch {
            None => format!("{shown} unchanged"),
            Some(patch) => {
                let now = self.amend(&resource, name, &patch).await?;
                if now.metadata.resource_version == version {
                    format!("{shown} unchanged")
                } else {
                    format!("{shown} configured")
                }
            }
        };
        if is_leaving {
            said = format!(
                "Warning: Detected changes to resource {name} which is currently being deleted.\n{said}"
            );
        }
        Ok(said)
    }
}

/// The manifest as it is sent: in its namespace, with itself in kubectl's annotation.
fn annotated(manifest: &Value, namespace: &str) -> Value {
    let mut wanted = manifest.clone();
    let meta = &mut wanted["metadata"];
    if !is_cluster_wide(text(manifest, "/kind")) {
        meta["namespace"] = json!(namespace);
    }
    if !meta["annotations"].is_object() {
        meta["annotations"] = json!({});
    }
    // As kubectl's encoder writes it, letter by letter: it compares the whole text.
    wanted.sort_all_objects();
    let last = format!("{wanted}\n")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    wanted["metadata"]["annotations"][LAST] = json!(last);
    wanted
}

/// What must be sent to make `live` hold all that is wanted, and no longer what was applied last
/// and is not wanted now. None if nothing must be.
fn difference(mut live: Value, wanted: &Value) -> Option<Value> {
    let last = live.pointer("/metadata/annotations").map(|it| &it[LAST]);
    let last: Value = last
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    reveal(&mut live, wanted);
    let patch = map_difference(live.as_object()?, last.as_object(), wanted.as_object()?);
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A Secret gives its `stringData` back in `data`; puts it there again where it can be compared.
fn reveal(live: &mut Value, wanted: &Value) {
    let Some(strings) = wanted["stringData"].as_object() else {
        return;
    };
    let known: Map<String, Value> = strings
        .keys()
        .filter_map(|key| {
            let data = BASE64_STANDARD.decode(live["data"][key].as_str()?).ok()?;
            Some((key.clone(), json!(String::from_utf8(data).ok()?)))
        })
        .collect();
    live["stringData"] = Value::Object(known);
}

fn map_difference(
    live: &Map<String, Value>,
    last: Option<&Map<String, Value>>,
    wanted: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, want) in wanted {
        let before = last.and_then(|last| last.get(key));
        let change = match (live.get(key), want) {
            (Some(Value::Object(live)), Value::Object(want)) => {
                let inner = map_difference(live, before.and_then(Value::as_object), want);
                (!inner.is_empty()).then_some(Value::Object(inner))
            }
            (Some(Value::Array(live)), Value::Array(want)) => {
                list_difference(key, live, before.and_then(Value::as_array), want)
            }
            (Some(live), want) if live == want => None,
            (_, want) => Some(want.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    for key in last.into_iter().flat_map(Map::keys) {
        if !wanted.contains_key(key) && live.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    patch
}

fn list_difference(
    name: &str,
    live: &[Value],
    last: Option<&Vec<Value>>,
    wanted: &[Value],
) -> Option<Value> {
    let Some(key) = merge_key(name, wanted) else {
        // The API replaces such a list as a whole; what it added to the items is left alone.
        let same = live.len() == wanted.len()
            && live
                .iter()
                .zip(wanted)
                .all(|(live, want)| covers(live, want));
        return (!same).then(|| Value::Array(wanted.to_vec()));
    };
    let find = |list: &[Value], id: &Value| list.iter().find(|item| item[key] == *id).cloned();
    let mut patch = Vec::new();
    for want in wanted {
        let before = last.and_then(|last| find(last, &want[key]));
        match (find(live, &want[key]), want) {
            (Some(Value::Object(live)), Value::Object(fields)) => {
                let before = before.as_ref().and_then(Value::as_object);
                let mut inner = map_difference(&live, before, fields);
                if !inner.is_empty() {
                    inner.insert(key.into(), want[key].clone());
                    patch.push(Value::Object(inner));
                }
            }
            _ => patch.push(want.clone()),
        }
    }
    for gone in last.into_iter().flatten() {
        let id = &gone[key];
        if find(wanted, id).is_none() && find(live, id).is_some() {
            patch.push(json!({key: id, "$patch": "delete"}));
        }
    }
    (!patch.is_empty()).then_some(Value::Array(patch))
}

/// The field by which the API tells the items of a list apart, for those that our kinds have.
fn merge_key(list: &str, items: &[Value]) -> Option<&'static str> {
    let key = match list {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => "name",
        "volumeMounts" => "mountPath",
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        _ => return None,
    };
    items
        .iter()
        .all(|item| item.get(key).is_some())
        .then_some(key)
}

/// Whether `live` holds all of `want`; the API may have added to it.
fn covers(live: &Value, want: &Value) -> bool {
    match (live, want) {
        (Value::Object(live), Value::Object(want)) => want
            .iter()
            .all(|(key, want)| live.get(key).is_some_and(|live| covers(live, want))),
        (Value::Array(live), Value::Array(want)) => {
            live.len() == want.len() && live.iter().zip(want).all(|(live, want)| covers(live, want))
        }
        (live, want) => live == want,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(of: &Value, extra: &Value) -> Value {
        let mut live = annotated(of, "n");
        json_patch::merge(&mut live, extra);
        live
    }

    #[test]
    fn what_the_api_added_is_left_alone() {
        let manifest = json!({"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "replicas": 1,
            "template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1, "name": "p"}]}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
        }});
        let mut live = live(
            &manifest,
            &json!({"metadata": {"uid": "u"}, "status": {"replicas": 1}}),
        );
        live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
        live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
        live["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] = json!("Filesystem");
        let wanted = annotated(&manifest, "n");
        assert_eq!(difference(live.clone(), &wanted), None);
        // Scaled by hand: the file wins, and only that is sent.
        live["spec"]["replicas"] = json!(3);
        assert_eq!(
            difference(live, &wanted),
            Some(json!({"spec": {"replicas": 1}}))
        );
    }

    #[test]
    fn what_the_file_no_longer_holds_is_removed() {
        let before = json!({"kind": "Deployment", "metadata": {"name": "d", "labels": {"old": "1"}}, "spec": {
            "containers": [{"name": "a", "image": "x", "tty": true}, {"name": "b"}],
            "args": ["1", "2"],
        }});
        let after = json!({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "containers": [{"name": "a", "image": "y"}],
            "args": ["1"],
        }});
        let live = live(&before, &json!({"metadata": {"labels": {"theirs": "2"}}}));
        let mut patch = difference(live, &annotated(&after, "n")).expect("a difference");
        let last = patch["metadata"]["annotations"]
            .as_object_mut()
            .expect("it");
        assert!(last.remove(LAST).is_some());
        assert_eq!(
            patch,
            json!({"metadata": {"annotations": {}, "labels": null}, "spec": {
                "containers": [{"name": "a", "image": "y", "tty": null}, {"name": "b", "$patch": "delete"}],
                "args": ["1"],
            }})
        );
    }

    #[test]
    fn a_secret_is_compared_by_what_it_holds() {
        let secret = |password: &str| json!({"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"P": password}});
        let mut live = annotated(&secret("old"), "n");
        live.as_object_mut().expect("it").remove("stringData");
        live["data"] = json!({"P": "b2xk"});
        assert_eq!(
            difference(live.clone(), &annotated(&secret("old"), "n")),
            None
        );
        let patch = difference(live, &annotated(&secret("new"), "n")).expect("a difference");
        assert_eq!(patch["stringData"], json!({"P": "new"}));
    }

    #[test]
    fn the_annotation_is_kubectls_own() {
        let manifest =
            json!({"metadata": {"name": "s"}, "kind": "Secret", "apiVersion": "v1", "type": "a<b"});
        assert_eq!(
            annotated(&manifest, "n")["metadata"]["annotations"][LAST],
            "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"annotations\":{},\"name\":\"s\",\"namespace\":\"n\"},\"type\":\"a\\u003cb\"}\n"
        );
        let volume = json!({"kind": "PersistentVolume", "metadata": {"name": "v"}});
        assert!(
            annotated(&volume, "n")["metadata"]
                .get("namespace")
                .is_none()
        );
    }
}
