//! What makes the Pods of a StatefulSet different from each other: names, labels, claims.

use serde_json::{Value, json};

use super::super::{pods, revisions};
use crate::object::{self, array, text};

/// The name of the Pod with this ordinal.
pub(super) fn pod_name(set: &Value, ordinal: i64) -> String {
    format!("{}-{ordinal}", object::name(set))
}

/// The name of a Pod's claim: template, set, ordinal.
pub(super) fn claim_name(template: &str, set: &Value, ordinal: i64) -> String {
    format!("{template}-{}-{ordinal}", object::name(set))
}

/// Whether a claim's name is one that the set gives.
pub(super) fn owns_claim(set: &Value, claim: &str) -> bool {
    claim_ordinal(set, claim).is_some()
}

/// The ordinal in a claim's name, when the name is one that the set gives.
pub(super) fn claim_ordinal(set: &Value, claim: &str) -> Option<i64> {
    array(set, "/spec/volumeClaimTemplates")
        .iter()
        .find_map(|template| {
            let rest = claim
                .strip_prefix(object::name(template))?
                .strip_prefix('-')?;
            pods::ordinal(object::name(set), rest)
        })
}

/// A new Pod of the set, after the template of `revision`.
pub(super) fn new_pod(set: &Value, revision: &Value, ordinal: i64) -> Value {
    let mut pod = pods::from_template(set, &revisions::template(revision));
    let name = pod_name(set, ordinal);
    object::set(
        &mut pod,
        "/metadata/labels/statefulset.kubernetes.io~1pod-name",
        name.clone(),
    );
    object::set(
        &mut pod,
        "/metadata/labels/apps.kubernetes.io~1pod-index",
        ordinal.to_string(),
    );
    object::set(
        &mut pod,
        "/metadata/labels/controller-revision-hash",
        object::name(revision),
    );
    let service = text(set, "/spec/serviceName");
    if !service.is_empty() {
        object::set(&mut pod, "/spec/subdomain", service);
    }
    object::set(&mut pod, "/spec/hostname", name.clone());
    object::set(&mut pod, "/metadata/name", name);
    let templates: Vec<&str> = array(set, "/spec/volumeClaimTemplates")
        .iter()
        .map(object::name)
        .collect();
    let mut volumes: Vec<Value> = templates.iter().map(|template| json!({"name": template, "persistentVolumeClaim": {"claimName": claim_name(template, set, ordinal)}})).collect();
    volumes.extend(
        array(&pod, "/spec/volumes")
            .iter()
            .filter(|volume| !templates.contains(&text(volume, "/name")))
            .cloned(),
    );
    if !volumes.is_empty() {
        object::set(&mut pod, "/spec/volumes", volumes);
    }
    pod
}

/// The claims that a Pod of the set needs, as they would be made.
pub(super) fn claims(set: &Value, ordinal: i64) -> Vec<Value> {
    array(set, "/spec/volumeClaimTemplates")
        .iter()
        .map(|template| {
            let mut claim = json!({
                "metadata": template["metadata"].clone(), "spec": template["spec"].clone(), "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            });
            object::set(&mut claim, "/metadata/name", claim_name(object::name(template), set, ordinal));
            object::set(&mut claim, "/metadata/namespace", object::namespace(set));
            for (key, value) in object::entries(set, "/spec/selector/matchLabels") {
                object::map_mut(&mut claim, "/metadata/labels").insert(key.to_owned(), json!(value));
            }
            claim
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_bears_its_ordinal_and_finds_its_claim() {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default", "uid": "u"},
            "spec": {"serviceName": "svc", "selector": {"matchLabels": {"app": "web"}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]},
        });
        let revision = json!({"metadata": {"name": "web-x"}, "data": {"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"volumes": [{"name": "tmp", "emptyDir": {}}]}}}}});
        let pod = new_pod(&set, &revision, 3);
        assert_eq!(
            pod["metadata"]["labels"],
            json!({"app": "web", "statefulset.kubernetes.io/pod-name": "web-3", "apps.kubernetes.io/pod-index": "3", "controller-revision-hash": "web-x"})
        );
        assert_eq!(
            pod["spec"],
            json!({"hostname": "web-3", "subdomain": "svc", "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-3"}}, {"name": "tmp", "emptyDir": {}}]})
        );
        assert_eq!(
            claims(&set, 3)[0]["metadata"],
            json!({"name": "data-web-3", "namespace": "default", "labels": {"app": "web"}})
        );
        assert_eq!(claim_ordinal(&set, "data-web-12"), Some(12));
        assert!(!owns_claim(&set, "data-web-a") && !owns_claim(&set, "other-web-0"));
    }
}
