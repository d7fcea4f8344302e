//! Stories of Pods.

use super::past::{Past, disks};
use super::{Card, Cards, Face, Story};
use crate::cluster::Kind;
use crate::live::card::{ContainerState, MountedClaim, PodCard};

pub(super) fn tell(
    before: Option<&Card>,
    after: &Card,
    face: &PodCard,
    cards: &Cards,
    past: &Past,
) -> Option<Story> {
    let Some(before) = before else {
        return Some(tell_new(after, cards, past));
    };
    let old = before.pod()?;
    let pod = after.name.as_str();

    if before.deleting.is_none()
        && let Some(deleting) = &after.deleting
    {
        return Some(match deleting.grace {
            Some(0) => Story::new("pod.forced", [("pod", pod)]),
            grace => Story::new(
                "pod.killing",
                [
                    ("pod", pod),
                    (
                        "grace",
                        &grace.map_or_else(|| "?".into(), |it| it.to_string()),
                    ),
                ],
            ),
        });
    }
    if !old.is_terminal() && face.is_terminal() {
        return Some(tell_end(after, face));
    }
    if after.deleting.is_some() {
        return None;
    }
    if let Some(story) = tell_trouble(pod, old, face) {
        return Some(story);
    }
    // A container that starts at once is never seen being created: what it mounts is told now.
    if old.phase == "Pending" && face.phase == "Running" && old.status != "ContainerCreating" {
        let shared = face.claims.first().map(|it| tell_mount(after, it, cards));
        if let Some(story) = shared.filter(|it| it.key == "pod.mounting.shared") {
            return Some(story);
        }
    }
    if !old.is_ready && face.is_ready {
        return Some(tell_ready(after, cards, past));
    }
    if old.is_ready && !face.is_ready {
        return Some(Story::new("pod.notready", [("pod", pod)]));
    }
    if face.restarts > old.restarts {
        return Some(Story::new(
            "pod.restarted",
            [("pod", pod), ("restarts", &face.restarts.to_string())],
        ));
    }
    if old.phase == "Pending" && face.phase == "Running" {
        return Some(Story::new(
            "pod.running",
            [("pod", pod), ("ip", face.ip.as_deref().unwrap_or("-"))],
        ));
    }
    if old.status != "ContainerCreating" && face.status == "ContainerCreating" {
        return Some(match face.claims.first() {
            Some(mounted) => tell_mount(after, mounted, cards),
            None => Story::new("pod.starting", [("pod", pod), ("image", image(face))]),
        });
    }
    match (&old.node, &face.node) {
        (None, Some(node)) => Some(Story::new("pod.scheduled", [("pod", pod), ("node", node)])),
        (None, None) if old.message.is_none() => face
            .message
            .as_ref()
            .map(|message| Story::new("pod.unschedulable", [("pod", pod), ("message", message)])),
        _ => None,
    }
}

fn tell_new(card: &Card, cards: &Cards, past: &Past) -> Story {
    let pod = card.name.as_str();
    let Some(owner) = &card.owner else {
        return Story::new("pod.created.bare", [("pod", pod)]);
    };
    if owner.kind == "StatefulSet"
        && let Some(before) = past.before(card)
    {
        return Story::new(
            "pod.recreated",
            [
                ("pod", pod),
                ("owner", &owner.name),
                ("uid", short(&card.uid)),
                ("oldUid", short(&before.uid)),
            ],
        );
    }
    // A ReplicaSet does not wait for the old Pod to be gone; a StatefulSet does.
    if owner.kind == "ReplicaSet"
        && let Some(old) = cards
            .owned_by(&owner.uid)
            .find(|sibling| sibling.uid != card.uid && sibling.deleting.is_some())
    {
        return Story::new(
            "pod.replaced",
            [("pod", pod), ("owner", &owner.name), ("old", &old.name)],
        );
    }
    let who = [("pod", pod), ("owner", owner.name.as_str())];
    match owner.kind.as_str() {
        "StatefulSet" => Story::new("pod.created", who),
        "ReplicaSet" => Story::new("pod.created.replica", who),
        kind => {
            let [pod, owner] = who;
            Story::new("pod.created.other", [pod, owner, ("ownerKind", kind)])
        }
    }
}

/// The claim is plugged in; ReadWriteOnce counts nodes, so another Pod may hang on it as well.
fn tell_mount(card: &Card, mounted: &MountedClaim, cards: &Cards) -> Story {
    let namespace = card.namespace.as_deref().unwrap_or_default();
    let other = cards
        .pods_with_claim(namespace, &mounted.claim)
        .find(|other| {
            other.uid != card.uid && holds(other) && !other.pod().is_some_and(PodCard::is_terminal)
        });
    let mount = mounted.mount.as_deref().unwrap_or("-");
    let same = [
        ("pod", card.name.as_str()),
        ("claim", &mounted.claim),
        ("mount", mount),
    ];
    match other {
        Some(other) => {
            let [pod, claim, mount] = same;
            Story::new(
                "pod.mounting.shared",
                [pod, claim, mount, ("other", &other.name)],
            )
        }
        None => Story::new("pod.mounting", same),
    }
}

fn tell_ready(card: &Card, cards: &Cards, past: &Past) -> Story {
    let disks = disks(card, cards);
    if let Some(before) = past.before(card)
        && let Some(disk) = disks.iter().find(|disk| before.disks.contains(disk))
    {
        return Story::new(
            "pod.ready.same",
            [
                ("pod", &card.name),
                ("claim", &disk.claim),
                ("volume", &disk.volume),
            ],
        );
    }
    Story::new("pod.ready", [("pod", &card.name)])
}

/// The phase became Succeeded or Failed.
fn tell_end(card: &Card, face: &PodCard) -> Story {
    let pod = card.name.as_str();
    let ended = face
        .containers
        .iter()
        .find(|container| container.state == ContainerState::Terminated);
    let exit = ended
        .and_then(|container| container.exit_code)
        .map_or_else(|| "?".into(), |code| code.to_string());
    let reason = ended
        .and_then(|container| container.reason.as_deref())
        .unwrap_or(&face.status);
    if card.deleting.is_some() {
        Story::new(
            "pod.stopped",
            [("pod", pod), ("exit", &exit), ("reason", reason)],
        )
    } else if face.phase == "Succeeded" {
        Story::new("pod.completed", [("pod", pod)])
    } else {
        Story::new("pod.failed", [("pod", pod), ("reason", reason)])
    }
}

fn tell_trouble(pod: &str, old: &PodCard, face: &PodCard) -> Option<Story> {
    if old.status == face.status {
        return None;
    }
    match face.status.as_str() {
        "CrashLoopBackOff" => return Some(Story::new("pod.backoff", [("pod", pod)])),
        reason @ ("ErrImagePull" | "ImagePullBackOff" | "InvalidImageName") => {
            return Some(Story::new(
                "pod.image",
                [("pod", pod), ("image", image(face)), ("reason", reason)],
            ));
        }
        reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
            return Some(Story::new("pod.config", [("pod", pod), ("reason", reason)]));
        }
        _ => {}
    }
    // A container that ended by itself while its Pod goes on.
    face.containers.iter().find_map(|container| {
        let was = old.containers.iter().find(|it| it.name == container.name);
        let ended = container.state == ContainerState::Terminated
            && was.is_none_or(|was| was.state != ContainerState::Terminated);
        // One that ended well while others go on did not crash.
        let exit = container.exit_code.filter(|code| ended && *code != 0)?;
        let exit = exit.to_string();
        Some(Story::new(
            "pod.crashed",
            [
                ("pod", pod),
                ("exit", &exit),
                ("reason", container.reason.as_deref().unwrap_or("-")),
            ],
        ))
    })
}

pub(super) fn tell_gone(card: &Card, face: &PodCard, cards: &Cards) -> Story {
    let pod = card.name.as_str();
    let set = card
        .owner
        .as_ref()
        .filter(|owner| owner.kind == "StatefulSet")
        .and_then(|owner| cards.get(&owner.uid));
    if let Some(set) = set
        && let Face::StatefulSet(it) = &set.face
        && let Some(ordinal) = face.ordinal
    {
        let wanted = set.deleting.is_none() && ordinal < it.start.saturating_add(it.replicas);
        // A claim that was to go has lost what held it: it does not wait for a successor.
        let leaving = face.claims.iter().find(|mounted| {
            let namespace = card.namespace.as_deref().unwrap_or_default();
            let claim = cards.find(Kind::PersistentVolumeClaim, namespace, &mounted.claim);
            claim.is_some_and(|claim| claim.deleting.is_some())
        });
        if let Some(mounted) = leaving {
            return Story::new(
                "pod.gone.released",
                [("pod", pod), ("claim", &mounted.claim)],
            );
        }
        let who = [("pod", pod), ("owner", set.name.as_str())];
        return match (face.claims.first(), wanted) {
            (None, true) => Story::new("pod.gone.seat.diskless", who),
            (None, false) => Story::new("pod.gone.scaled.diskless", who),
            (Some(mounted), wanted) => {
                let key = if wanted {
                    "pod.gone.seat"
                } else {
                    "pod.gone.scaled"
                };
                let [pod, owner] = who;
                Story::new(key, [pod, owner, ("claim", &mounted.claim)])
            }
        };
    }
    // Gone without having ended: nobody waited for its containers.
    if !face.is_terminal() && face.node.is_some() {
        return Story::new("pod.gone.forced", [("pod", pod)]);
    }
    Story::new("pod.gone", [("pod", pod)])
}

/// As much of a uid as tells two apart on a projector.
fn short(uid: &str) -> &str {
    uid.split('-').next().unwrap_or(uid)
}

fn image(face: &PodCard) -> &str {
    face.containers
        .first()
        .map_or("-", |container| container.image.as_str())
}

/// Whether a Pod keeps its claim from going, in the eyes of the in-use protection: it is on a node,
/// whether it has ended or not (kubernetes `pkg/controller/volume/pvcprotection`).
pub(super) fn holds(card: &Card) -> bool {
    card.pod().is_some_and(|pod| pod.node.is_some())
}
