//! Stories of StatefulSets, Deployments, ReplicaSets and nodes.

use super::{Card, Face, Story, is_orphaning};
use crate::live::card::{DeploymentCard, NodeCard, ReplicaSetCard, StatefulSetCard};

/// The words of one kind of workload.
struct Keys {
    created: &'static str,
    up: &'static str,
    down: &'static str,
    short: &'static str,
    ready: &'static str,
    rollout: &'static str,
}

/// The numbers that both workloads have.
struct Count<'a> {
    wanted: i32,
    ready: i32,
    revision: Option<&'a str>,
}

const STATEFULSET: Keys = Keys {
    created: "sts.created",
    up: "sts.scaled.up",
    down: "sts.scaled.down",
    short: "sts.short",
    ready: "sts.ready",
    rollout: "sts.rollout",
};

const DEPLOYMENT: Keys = Keys {
    created: "deploy.created",
    up: "deploy.scaled.up",
    down: "deploy.scaled.down",
    short: "deploy.short",
    ready: "deploy.ready",
    rollout: "deploy.rollout",
};

impl<'a> From<&'a StatefulSetCard> for Count<'a> {
    fn from(card: &'a StatefulSetCard) -> Self {
        Self {
            wanted: card.replicas,
            ready: card.ready,
            revision: card.update_revision.as_deref(),
        }
    }
}

impl<'a> From<&'a DeploymentCard> for Count<'a> {
    fn from(card: &'a DeploymentCard) -> Self {
        Self {
            wanted: card.replicas,
            ready: card.ready,
            revision: card.revision.as_deref(),
        }
    }
}

pub(super) fn tell_statefulset(
    before: Option<&Card>,
    after: &Card,
    face: &StatefulSetCard,
) -> Option<Story> {
    let old = before.and_then(|before| match &before.face {
        Face::StatefulSet(old) => Some(old),
        _ => None,
    });
    let owner = after.name.as_str();
    if let Some(old) = old {
        // Whether a smaller set keeps its claims is up to a field of its own.
        if face.replicas < old.replicas && face.when_scaled == "Delete" {
            return Some(Story::new(
                "sts.scaled.down.claims",
                [
                    ("owner", owner),
                    ("from", &old.replicas.to_string()),
                    ("to", &face.replicas.to_string()),
                ],
            ));
        }
        if old.partition != face.partition {
            return Some(Story::new(
                "sts.partition",
                [
                    ("owner", owner),
                    ("from", &old.partition.unwrap_or(0).to_string()),
                    ("to", &face.partition.unwrap_or(0).to_string()),
                ],
            ));
        }
        let rollout = old.update_revision.is_some() && old.update_revision != face.update_revision;
        if rollout && old.replicas == face.replicas {
            return Some(tell_rollout(owner, face));
        }
    }
    tell_counts(
        &STATEFULSET,
        owner,
        old.map(Count::from),
        &Count::from(face),
    )
}

/// A new template: who is replaced is up to the update strategy.
fn tell_rollout(owner: &str, face: &StatefulSetCard) -> Story {
    match face.partition {
        _ if face.strategy == "OnDelete" => Story::new("sts.rollout.ondelete", [("owner", owner)]),
        Some(partition) => Story::new(
            "sts.rollout.partition",
            [("owner", owner), ("partition", &partition.to_string())],
        ),
        None => Story::new("sts.rollout", [("owner", owner)]),
    }
}

pub(super) fn tell_statefulset_gone(card: &Card, face: &StatefulSetCard) -> Story {
    let key = if is_orphaning(card) {
        "sts.gone.orphan"
    } else if face.when_deleted == "Delete" {
        "sts.gone.claims"
    } else {
        "sts.gone"
    };
    Story::new(key, [("owner", &card.name)])
}

pub(super) fn tell_deployment(
    before: Option<&Card>,
    after: &Card,
    face: &DeploymentCard,
) -> Option<Story> {
    let old = before.and_then(|before| match &before.face {
        Face::Deployment(old) => Some(Count::from(old)),
        _ => None,
    });
    tell_counts(&DEPLOYMENT, &after.name, old, &Count::from(face))
}

fn tell_counts(keys: &Keys, owner: &str, old: Option<Count>, new: &Count) -> Option<Story> {
    let wanted = new.wanted.to_string();
    let ready = new.ready.to_string();
    let Some(old) = old else {
        return Some(Story::new(
            keys.created,
            [("owner", owner), ("replicas", &wanted)],
        ));
    };
    if old.wanted != new.wanted {
        let key = if new.wanted > old.wanted {
            keys.up
        } else {
            keys.down
        };
        return Some(Story::new(
            key,
            [
                ("owner", owner),
                ("from", &old.wanted.to_string()),
                ("to", &wanted),
            ],
        ));
    }
    if old.revision.is_some() && old.revision != new.revision {
        return Some(Story::new(keys.rollout, [("owner", owner)]));
    }
    let numbers = |key| {
        Some(Story::new(
            key,
            [("owner", owner), ("ready", &ready), ("replicas", &wanted)],
        ))
    };
    if new.ready < old.ready && new.ready < new.wanted {
        return numbers(keys.short);
    }
    if new.ready > old.ready && new.ready == new.wanted {
        return numbers(keys.ready);
    }
    None
}

pub(super) fn tell_replicaset(
    before: Option<&Card>,
    after: &Card,
    face: &ReplicaSetCard,
) -> Option<Story> {
    let owner = after.name.as_str();
    let old = before.and_then(|before| match &before.face {
        Face::ReplicaSet(old) => Some(old),
        _ => None,
    });
    match old {
        None => Some(Story::new(
            "rs.created",
            [
                ("owner", owner),
                (
                    "parent",
                    after
                        .owner
                        .as_ref()
                        .map_or("kubectl", |it| it.name.as_str()),
                ),
            ],
        )),
        Some(old) if old.replicas != face.replicas => Some(Story::new(
            "rs.scaled",
            [
                ("owner", owner),
                ("from", &old.replicas.to_string()),
                ("to", &face.replicas.to_string()),
            ],
        )),
        Some(_) => None,
    }
}

pub(super) fn tell_node(before: Option<&Card>, after: &Card, face: &NodeCard) -> Option<Story> {
    let node = [("node", after.name.as_str())];
    let old = before.and_then(|before| match &before.face {
        Face::Node(old) => Some(old),
        _ => None,
    });
    let ready = |face: &NodeCard| face.status.starts_with("Ready");
    match old {
        None => Some(Story::new("node.created", node)),
        Some(old) if ready(old) && !ready(face) => Some(Story::new("node.notready", node)),
        Some(old) if !ready(old) && ready(face) => Some(Story::new("node.ready", node)),
        Some(_) => None,
    }
}
