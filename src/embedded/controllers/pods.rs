//! What several controllers ask about Pods, and how Pods are made from templates.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::action::Action;
use crate::object::{self, Object, text};
use crate::registry::{Labels, Registry};
use crate::resource::{self, Resource};

/// Whether the Pod runs and is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Running" && object::is_condition_true(pod, "Ready")
}

/// Whether the Pod has ended for good.
pub(super) fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether the Pod counts for a ReplicaSet: neither ended nor on its way out.
pub(super) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !object::is_deleting(pod)
}

/// How long a ready Pod still has to stay ready until it is available; nothing when it is not ready.
pub(super) fn until_available(
    pod: &Value,
    min_ready_seconds: i64,
    now: Timestamp,
) -> Option<SignedDuration> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds == 0 {
        return Some(SignedDuration::ZERO);
    }
    let since = object::condition(pod, "Ready")
        .and_then(|condition| object::time_at(condition, "/lastTransitionTime"))?;
    let left = since.duration_since(now) + SignedDuration::from_secs(min_ready_seconds);
    Some(left.max(SignedDuration::ZERO))
}

/// Whether the Pod has been ready for long enough.
pub(super) fn is_available(pod: &Value, min_ready_seconds: i64, now: Timestamp) -> bool {
    until_available(pod, min_ready_seconds, now) == Some(SignedDuration::ZERO)
}

/// A Pod made from an owner's template, without name.
pub(super) fn from_template(owner: &Value, template: &Value) -> Value {
    let mut metadata = json!({"namespace": object::namespace(owner), "generateName": format!("{}-", object::name(owner)), "ownerReferences": [object::controller_reference(owner)]});
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// The Pods of a namespace that belong to an owner, and the steps that make ownership true.
pub(super) fn claim(registry: &Registry, owner: &Value) -> (Vec<Object>, Vec<Action>) {
    let takes = |pod: &Value| is_active(pod) && is_named_for(owner, pod);
    claim_of(registry, resource::PODS, owner, takes)
}

/// The same for objects of any kind: those without controller that the selector matches and that the owner `takes` are
/// taken in, own ones that the selector no longer matches are let go.
pub(super) fn claim_of(
    registry: &Registry,
    resource: &'static Resource,
    owner: &Value,
    takes: impl Fn(&Value) -> bool,
) -> (Vec<Object>, Vec<Action>) {
    let selector = Labels::of_selector(&owner["spec"]["selector"]);
    let (pods, _) = registry.list(resource, Some(object::namespace(owner)));
    let (mut owned, mut steps) = (Vec::new(), Vec::new());
    for pod in pods {
        let matches = selector.matches(&pod);
        match object::controller(&pod) {
            Some(controller) if text(controller, "/uid") == object::uid(owner) => {
                if matches || object::is_deleting(owner) {
                    owned.push(pod);
                } else {
                    let mut free = (*pod).clone();
                    if let Some(list) = free
                        .pointer_mut("/metadata/ownerReferences")
                        .and_then(Value::as_array_mut)
                    {
                        list.retain(|reference| text(reference, "/uid") != object::uid(owner));
                    }
                    steps.push(Action::Update {
                        resource,
                        object: free,
                    });
                }
            }
            None if matches && !object::is_deleting(owner) && takes(&pod) => {
                let mut taken = (*pod).clone();
                let mut list = object::array(&taken, "/metadata/ownerReferences").to_vec();
                list.push(object::controller_reference(owner));
                object::set(&mut taken, "/metadata/ownerReferences", list);
                steps.push(Action::Update {
                    resource,
                    object: taken,
                });
                owned.push(pod);
            }
            _ => {}
        }
    }
    (owned, steps)
}

/// A StatefulSet only takes in Pods that bear one of its names.
fn is_named_for(owner: &Value, pod: &Value) -> bool {
    text(owner, "/kind") != "StatefulSet"
        || ordinal(object::name(owner), object::name(pod)).is_some()
}

/// The ordinal in a Pod's name, when the name is one of the set's.
pub(super) fn ordinal(set: &str, pod: &str) -> Option<i64> {
    pod.strip_prefix(set)?
        .strip_prefix('-')
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_needs_time() {
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let pod = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}]}});
        assert!(
            is_available(&pod, 0, now) && is_available(&pod, 5, now) && !is_available(&pod, 6, now)
        );
        assert_eq!(
            until_available(&pod, 8, now),
            Some(SignedDuration::from_secs(3))
        );
    }

    #[test]
    fn ordinals_are_read_from_names() {
        assert_eq!(ordinal("web", "web-10"), Some(10));
        assert_eq!(ordinal("web", "web-1-2"), None);
        assert_eq!(ordinal("web", "web-"), None);
        assert_eq!(ordinal("web", "api-1"), None);
    }
}
