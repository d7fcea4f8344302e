//! Stories of Pods that come, start and become ready.

use super::past::{Past, disks};
use super::{Card, Cards, Story, end, trouble};
use crate::live::card::{MountedClaim, PodCard};

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
            // Where nothing runs there is nothing to wait for, and the API server gives no grace.
            Some(0) if end::runs(face) => Story::new("pod.forced", [("pod", pod)]),
            Some(0) => Story::new("pod.deleting", [("pod", pod)]),
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
        return Some(end::tell_end(after, face));
    }
    if after.deleting.is_some() {
        return None;
    }
    if let Some(story) = tell_owner(before, after) {
        return Some(story);
    }
    if let Some(story) = trouble::tell(pod, old, face) {
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
        // Another reason is news; the same one again, every time the scheduler tries, is not.
        (None, None) if old.message != face.message => face.message.as_ref().map(|message| {
            Story::new(unschedulable(message), [("pod", pod), ("message", message)])
        }),
        _ => None,
    }
}

/// What is missing: a node, a claim or what that waits for, or a claim's only place for a Pod (kubernetes
/// `pkg/scheduler/framework/plugins/volumerestrictions`; its words until 1.33 and since).
fn unschedulable(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    if message.contains("readwriteoncepod") {
        "pod.unschedulable.taken"
    } else if message.contains("persistentvolumeclaim") {
        "pod.unschedulable.claim"
    } else {
        "pod.unschedulable"
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
        // A set that was deleted and made anew is another one: the seat is its own, by the same name.
        let key = if before.owner == owner.uid {
            "pod.recreated"
        } else {
            "pod.recreated.set"
        };
        return Story::new(
            key,
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

/// A controller let go of the Pod, or another one took it.
fn tell_owner(before: &Card, after: &Card) -> Option<Story> {
    let pod = after.name.as_str();
    match (&before.owner, &after.owner) {
        (Some(old), None) => Some(Story::new(
            "pod.orphaned",
            [("pod", pod), ("owner", &old.name), ("ownerKind", &old.kind)],
        )),
        (None, Some(new)) => Some(Story::new(
            "pod.adopted",
            [("pod", pod), ("owner", &new.name), ("ownerKind", &new.kind)],
        )),
        _ => None,
    }
}

fn tell_ready(card: &Card, cards: &Cards, past: &Past) -> Story {
    let disks = disks(card, cards);
    // One that was Ready before, and for a while not, has not come back: it never went.
    let Some(before) = past.before(card).filter(|_| !past.was_ready(card)) else {
        return Story::new("pod.ready", [("pod", &card.name)]);
    };
    let on = |key, claim: &str, volume: &str| {
        Story::new(
            key,
            [("pod", &card.name), ("claim", claim), ("volume", volume)],
        )
    };
    if let Some(disk) = disks.iter().find(|disk| before.disks.contains(disk)) {
        return on("pod.ready.same", &disk.claim, &disk.volume);
    }
    // The old volume by way of another claim: what was kept has been given out again.
    if let Some(disk) = disks
        .iter()
        .find(|disk| before.disks.iter().any(|it| it.volume == disk.volume))
    {
        return on("pod.ready.rebound", &disk.claim, &disk.volume);
    }
    // A claim of the old name is not the old claim: behind it is another volume.
    if let Some(disk) = disks
        .iter()
        .find(|disk| before.disks.iter().any(|it| it.claim == disk.claim))
    {
        return on("pod.ready.other", &disk.claim, &disk.volume);
    }
    Story::new("pod.ready", [("pod", &card.name)])
}

/// As much of a uid as tells two apart on a projector.
pub(super) fn short(uid: &str) -> &str {
    uid.split('-').next().unwrap_or(uid)
}

pub(super) fn image(face: &PodCard) -> &str {
    face.containers
        .first()
        .map_or("-", |container| container.image.as_str())
}

/// Whether a Pod keeps its claim from going, in the eyes of the in-use protection: it is on a node,
/// whether it has ended or not (kubernetes `pkg/controller/volume/pvcprotection`).
pub(super) fn holds(card: &Card) -> bool {
    card.pod().is_some_and(|pod| pod.node.is_some())
}
