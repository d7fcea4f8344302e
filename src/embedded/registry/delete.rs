//! Deletion in steps: grace period, finalizers, propagation, and only then removal.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Registry, undecodable_kind};
use crate::failure::Failure;
use crate::object::{self, Object};
use crate::resource::Resource;
use crate::schema::{self, Shape};
use crate::store::{Key, Write};

/// What happens to the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without owner.
    Orphan,
}

/// A deletion with its options.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    /// Seconds a Pod has to end; its own `terminationGracePeriodSeconds` when not given.
    pub(crate) grace: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    /// Only this very object.
    pub(crate) uid: Option<String>,
    /// Only in this state.
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl Deletion {
    /// Reads `DeleteOptions`, from a body or from query parameters put into its shape.
    pub(crate) fn parse(mut options: Value) -> Result<Self, Failure> {
        schema::decode(&mut options, Shape::delete_options())
            .map_err(|message| undecodable_kind("DeleteOptions", "v1", &message))?;
        let options = &options;
        let propagation = match (
            object::text(options, "/propagationPolicy"),
            options.get("orphanDependents").and_then(Value::as_bool),
        ) {
            ("", Some(true)) | ("Orphan", _) => Some(Propagation::Orphan),
            ("", Some(false)) | ("Background", _) => Some(Propagation::Background),
            ("Foreground", _) => Some(Propagation::Foreground),
            ("", None) => None,
            (other, _) => {
                return Err(Failure::bad_request(format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\", \"nil\""
                )));
            }
        };
        let optional = |pointer: &str| {
            Some(object::text(options, pointer))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        Ok(Self {
            grace: object::int(options, "/gracePeriodSeconds"),
            propagation,
            uid: optional("/preconditions/uid"),
            resource_version: optional("/preconditions/resourceVersion"),
            dry_run: object::array(options, "/dryRun")
                .iter()
                .any(|value| value == "All"),
        })
    }
}

/// What a deletion came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The object is marked and goes later.
    Marked(Object),
    /// The object is gone; this was its last state.
    Gone(Object),
}

/// The finalizer of a foreground deletion.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an orphaning deletion.
pub(crate) const ORPHAN: &str = "orphan";

/// Whether nothing holds a deleted object any more.
pub(super) fn is_free(object: &Value) -> bool {
    object::array(object, "/metadata/finalizers").is_empty()
        && object::array(object, "/spec/finalizers").is_empty()
}

impl Registry {
    /// Deletes an object, or marks it when it has a grace period or finalizers.
    pub(crate) fn delete(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Outcome, Failure> {
        if resource.plural == "namespaces" && matches!(name, "default" | "kube-system") {
            return Err(Failure::forbidden(
                resource,
                name,
                "this namespace may not be deleted",
            ));
        }
        let key = Key::new(resource.plural, namespace, name);
        let now = Timestamp::now();
        let mut step = Step::Kept;
        let object = self.write(&key, |current| {
            let current = current.ok_or_else(|| Failure::not_found(resource, name))?;
            check_preconditions(resource, current, deletion)?;
            let (object, next) = mark(resource, current, deletion, now);
            step = next;
            Ok::<_, Failure>(match (&step, deletion.dry_run) {
                (_, true) | (Step::Kept, _) => Write::Keep(current.clone()),
                (Step::Remove, _) => Write::Remove(object),
                (Step::Mark | Step::MarkThenRemove, _) => Write::Put(object),
            })
        })?;
        match step {
            Step::Remove => Ok(Outcome::Gone(object)),
            Step::MarkThenRemove if !deletion.dry_run => {
                let uid = object::uid(&object).to_owned();
                let gone = self.write(&key, |current| match current {
                    Some(current) if object::uid(current) == uid => {
                        Ok(Write::Remove((**current).clone()))
                    }
                    _ => Err(Failure::not_found(resource, name)),
                });
                Ok(Outcome::Gone(gone.unwrap_or(object)))
            }
            Step::Kept | Step::Mark | Step::MarkThenRemove => Ok(Outcome::Marked(object)),
        }
    }
}

fn check_preconditions(
    resource: &Resource,
    current: &Value,
    deletion: &Deletion,
) -> Result<(), Failure> {
    let name = object::name(current);
    let found = object::uid(current);
    if let Some(uid) = deletion.uid.as_deref().filter(|uid| *uid != found) {
        return Err(Failure::conflict(
            resource,
            name,
            &format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
            ),
        ));
    }
    let found = object::text(current, "/metadata/resourceVersion");
    if let Some(version) = deletion
        .resource_version
        .as_deref()
        .filter(|version| *version != found)
    {
        return Err(Failure::conflict(
            resource,
            name,
            &format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {found}"
            ),
        ));
    }
    Ok(())
}

/// What a deletion does to the object at once.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Kept,
    Mark,
    /// Pods are marked with grace 0 and go in the next write, as watches of a real cluster see it.
    MarkThenRemove,
    Remove,
}

fn mark(
    resource: &Resource,
    current: &Value,
    deletion: &Deletion,
    now: Timestamp,
) -> (Value, Step) {
    let mut object = current.clone();
    let is_pod = resource.plural == "pods";
    let grace = if is_pod {
        pod_grace(current, deletion)
    } else {
        0
    };
    add_propagation(&mut object, deletion.propagation);
    if object::is_deleting(current) {
        let before = object::int(current, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        let may_end = is_pod && (deletion.grace.is_some() || before == 0) && grace < before.max(1);
        if is_pod && deletion.grace.is_some() && grace < before {
            let end = object::time_at(current, "/metadata/deletionTimestamp").unwrap_or(now);
            object::set(
                &mut object,
                "/metadata/deletionTimestamp",
                object::time(object::later(end, grace - before)),
            );
            object::set(&mut object, "/metadata/deletionGracePeriodSeconds", grace);
        }
        return match (may_end && grace == 0, is_free(&object)) {
            (true, true) => (object, Step::MarkThenRemove),
            _ if object == *current => (object, Step::Kept),
            _ => (object, Step::Mark),
        };
    }
    if !is_pod && is_free(&object) {
        return (object, Step::Remove);
    }
    object::set(
        &mut object,
        "/metadata/deletionTimestamp",
        object::time(object::later(now, grace)),
    );
    object::set(&mut object, "/metadata/deletionGracePeriodSeconds", grace);
    if resource.generation {
        let generation = object::int(current, "/metadata/generation").unwrap_or(0) + 1;
        object::set(&mut object, "/metadata/generation", generation);
    }
    if resource.plural == "namespaces" {
        object::set(&mut object, "/status/phase", "Terminating");
    }
    let step = if is_pod && grace == 0 && is_free(&object) {
        Step::MarkThenRemove
    } else {
        Step::Mark
    };
    (object, step)
}

/// The seconds a Pod gets: none when it runs nowhere or has already ended, one when less than none were given
/// (kubernetes `pkg/registry/core/pod/strategy.go`).
fn pod_grace(pod: &Value, deletion: &Deletion) -> i64 {
    let asked = deletion
        .grace
        .or_else(|| object::int(pod, "/spec/terminationGracePeriodSeconds"))
        .unwrap_or(30);
    let asked = if asked < 0 { 1 } else { asked };
    let is_nowhere = object::text(pod, "/spec/nodeName").is_empty();
    let has_ended = matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed");
    if is_nowhere || has_ended { 0 } else { asked }
}

fn add_propagation(object: &mut Value, propagation: Option<Propagation>) {
    let wanted = match propagation {
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Background) => None,
        None => return,
    };
    let mut list: Vec<Value> = object::array(object, "/metadata/finalizers")
        .iter()
        .filter(|entry| *entry != FOREGROUND && *entry != ORPHAN)
        .cloned()
        .collect();
    list.extend(wanted.map(|finalizer| json!(finalizer)));
    if list.is_empty() {
        object::remove(object, "/metadata/finalizers");
    } else {
        object::set(object, "/metadata/finalizers", list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;

    #[test]
    fn a_deletion_takes_the_step_that_the_object_needs() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pod = |node: &str, phase: &str| json!({"metadata": {"generation": 1}, "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": phase}});
        let force = Deletion {
            grace: Some(0),
            ..Deletion::default()
        };
        for (what, resource, object, deletion, step) in [
            (
                "a running pod",
                resource::PODS,
                pod("n", "Running"),
                Deletion::default(),
                Step::Mark,
            ),
            (
                "a forced pod",
                resource::PODS,
                pod("n", "Running"),
                force,
                Step::MarkThenRemove,
            ),
            (
                "an ended pod",
                resource::PODS,
                pod("n", "Failed"),
                Deletion::default(),
                Step::MarkThenRemove,
            ),
            (
                "an unscheduled pod",
                resource::PODS,
                pod("", "Pending"),
                Deletion::default(),
                Step::MarkThenRemove,
            ),
            (
                "a plain object",
                resource::SECRETS,
                json!({"metadata": {}}),
                Deletion::default(),
                Step::Remove,
            ),
            (
                "a held object",
                resource::CLAIMS,
                json!({"metadata": {"finalizers": ["x"]}}),
                Deletion::default(),
                Step::Mark,
            ),
            (
                "a foreground deletion",
                resource::STATEFULSETS,
                json!({"metadata": {}}),
                Deletion {
                    propagation: Some(Propagation::Foreground),
                    ..Deletion::default()
                },
                Step::Mark,
            ),
        ] {
            assert_eq!(mark(resource, &object, &deletion, now).1, step, "{what}");
        }
        let (marked, _) = mark(
            resource::PODS,
            &pod("n", "Running"),
            &Deletion::default(),
            now,
        );
        assert_eq!(
            marked["metadata"],
            json!({"generation": 2, "deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30})
        );
    }

    #[test]
    fn the_grace_period_only_gets_shorter() {
        let now: Timestamp = "2026-01-01T00:00:05Z".parse().unwrap();
        let pod = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "n"}});
        let (shorter, step) = mark(
            resource::PODS,
            &pod,
            &Deletion {
                grace: Some(10),
                ..Deletion::default()
            },
            now,
        );
        assert_eq!(
            (object::text(&shorter, "/metadata/deletionTimestamp"), step),
            ("2026-01-01T00:00:10Z", Step::Mark)
        );
        let (_, step) = mark(
            resource::PODS,
            &pod,
            &Deletion {
                grace: Some(60),
                ..Deletion::default()
            },
            now,
        );
        assert_eq!(step, Step::Kept);
    }
}
