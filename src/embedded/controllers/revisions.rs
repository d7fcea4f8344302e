//! ControllerRevisions: the history of a StatefulSet's template, by which `kubectl rollout undo` goes back.

use serde_json::{Value, json};

use super::action::Action;
use crate::object::{self, Object, text};
use crate::resource;

/// The hash of a template as it appears in names and labels: FNV-1a in letters that read well.
pub(super) fn hash(value: &Value) -> String {
    let sum = value
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |sum, byte| {
            (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    object::safe_letters(&sum.to_string())
}

/// What a revision keeps of a set: its template, as a patch that would bring it back.
fn data(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

/// The template that a revision keeps.
pub(super) fn template(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    object::remove(&mut template, "/$patch");
    template
}

/// The revisions that count for a set now.
#[derive(Debug)]
pub(super) struct Revisions {
    /// The one that Pods should come to.
    pub(super) update: Value,
    /// The one that Pods come from; the same when no rollout is going on.
    pub(super) current: Value,
    /// Steps that write the history down.
    pub(super) steps: Vec<Action>,
}

/// Finds or makes the revision of the set's template among its `history`.
pub(super) fn of(set: &Value, history: &[Object]) -> Revisions {
    let number = |revision: &Value| object::int(revision, "/revision").unwrap_or(0);
    let wanted = data(set);
    let last = history
        .iter()
        .map(|revision| number(revision))
        .max()
        .unwrap_or(0);
    let mut steps = Vec::new();
    let update = match history
        .iter()
        .filter(|revision| revision["data"] == wanted)
        .max_by_key(|revision| number(revision))
    {
        Some(same) if number(same) == last => (**same).clone(),
        // Going back to an earlier template makes that revision the newest.
        Some(same) => {
            let mut again = (**same).clone();
            again["revision"] = json!(last.saturating_add(1));
            steps.push(Action::Update {
                resource: resource::CONTROLLER_REVISIONS,
                object: again.clone(),
            });
            again
        }
        None => {
            let fresh = make(set, &wanted, last.saturating_add(1));
            steps.push(Action::Create {
                resource: resource::CONTROLLER_REVISIONS,
                object: fresh.clone(),
                refused: None,
            });
            fresh
        }
    };
    let current = history
        .iter()
        .find(|revision| object::name(revision) == text(set, "/status/currentRevision"))
        .map_or_else(|| update.clone(), |revision| (**revision).clone());
    Revisions {
        update,
        current,
        steps,
    }
}

fn make(set: &Value, data: &Value, number: i64) -> Value {
    let hash = hash(data);
    let mut metadata = json!({
        "name": format!("{}-{hash}", object::name(set)), "namespace": object::namespace(set), "ownerReferences": [object::controller_reference(set)],
        "labels": set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({})),
    });
    metadata["labels"]["controller.kubernetes.io/hash"] = json!(hash);
    if let Some(annotations) = set.pointer("/metadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    json!({"metadata": metadata, "data": data, "revision": number})
}

/// Old revisions beyond the limit that no Pod needs any more.
pub(super) fn superfluous(
    set: &Value,
    history: &[Object],
    pods: &[Object],
    revisions: &Revisions,
) -> Vec<Action> {
    let limit = object::int(set, "/spec/revisionHistoryLimit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(10);
    let is_live = |revision: &Value| {
        let name = object::name(revision);
        name == object::name(&revisions.update)
            || name == object::name(&revisions.current)
            || pods
                .iter()
                .any(|pod| object::label(pod, "controller-revision-hash") == Some(name))
    };
    let mut old: Vec<&Object> = history
        .iter()
        .filter(|revision| !is_live(revision))
        .collect();
    old.sort_by_key(|revision| object::int(revision, "/revision"));
    old.iter()
        .take(old.len().saturating_sub(limit))
        .map(|revision| Action::delete(resource::CONTROLLER_REVISIONS, revision))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn going_back_makes_the_old_revision_the_newest() {
        let set = |image: &str| json!({"metadata": {"name": "web", "uid": "u"}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}});
        let first = of(&set("a"), &[]);
        let mut history = vec![Arc::new(first.update.clone())];
        let second = of(&set("b"), &history);
        assert_eq!(second.update["revision"], 2);
        assert_ne!(object::name(&second.update), object::name(&first.update));
        history.push(Arc::new(second.update));
        let third = of(&set("a"), &history);
        assert_eq!(
            (object::name(&third.update), &third.update["revision"]),
            (object::name(&first.update), &json!(3))
        );
        assert_eq!(
            template(&third.update)["spec"]["containers"][0]["image"],
            "a"
        );
    }
}
