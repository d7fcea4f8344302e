//! Stories of Pods that ended, and of Pods that are gone.

use std::sync::Arc;

use super::past::Past;
use super::pod::holds;
use super::{Card, Cards, Face, Story};
use crate::cluster::Kind;
use crate::live::card::{ContainerCard, ContainerState, MountedClaim, PodCard};

/// The phase became Succeeded or Failed.
pub(super) fn tell_end(card: &Card, face: &PodCard) -> Story {
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

pub(super) fn tell_gone(card: &Card, face: &PodCard, cards: &Cards, past: &Past) -> Story {
    let pod = card.name.as_str();
    // Gone without having ended: nobody waited for its containers.
    let forced = runs(face);
    let set = card
        .owner
        .as_ref()
        .filter(|owner| owner.kind == "StatefulSet")
        .and_then(|owner| cards.get(&owner.uid));
    let seat = set.and_then(|set| match &set.face {
        Face::StatefulSet(it) => {
            let wanted =
                set.deleting.is_none() && face.ordinal? < it.start.saturating_add(it.replicas);
            Some((set, wanted))
        }
        _ => None,
    });
    if forced {
        return match seat {
            Some((set, true)) => {
                Story::new("pod.gone.forced.seat", [("pod", pod), ("owner", &set.name)])
            }
            _ => Story::new("pod.gone.forced", [("pod", pod)]),
        };
    }
    // A claim that was to go has lost what held it: it does not wait for a successor.
    if let Some(mounted) = face
        .claims
        .iter()
        .find(|mounted| is_let_go(card, mounted, cards, past))
    {
        return Story::new(
            "pod.gone.released",
            [("pod", pod), ("claim", &mounted.claim)],
        );
    }
    // One that belongs to the Pod, or to the set that is gone, is collected after it.
    if let Some(mounted) = face
        .claims
        .iter()
        .find(|mounted| goes_along(card, mounted, seat, cards))
    {
        return Story::new("pod.gone.owned", [("pod", pod), ("claim", &mounted.claim)]);
    }
    let Some((set, wanted)) = seat else {
        let namespace = card.namespace.as_deref().unwrap_or_default();
        let stays = face.claims.iter().find(|mounted| {
            cards
                .find(Kind::PersistentVolumeClaim, namespace, &mounted.claim)
                .is_some()
        });
        return match stays {
            Some(mounted) => {
                Story::new("pod.gone.claim", [("pod", pod), ("claim", &mounted.claim)])
            }
            None => Story::new("pod.gone", [("pod", pod)]),
        };
    };
    let who = [("pod", pod), ("owner", set.name.as_str())];
    match (face.claims.first(), wanted) {
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
    }
}

/// Whether a claim is deleted because this Pod is gone: it is owned by the Pod (that of an ephemeral volume, and that of
/// an ordinal that is no longer wanted) or by the Pod's set, which is gone as well; or the set says so
/// (`persistentVolumeClaimRetentionPolicy`).
fn goes_along(
    card: &Card,
    mounted: &MountedClaim,
    seat: Option<(&Arc<Card>, bool)>,
    cards: &Cards,
) -> bool {
    let namespace = card.namespace.as_deref().unwrap_or_default();
    let Some(claim) = cards.find(Kind::PersistentVolumeClaim, namespace, &mounted.claim) else {
        return false;
    };
    let owned_by = |uid: &str| claim.owner.as_ref().is_some_and(|owner| owner.uid == uid);
    if owned_by(&card.uid) {
        return true;
    }
    match seat {
        // A volume from a template has the template's name.
        Some((set, wanted)) => matches!(&set.face, Face::StatefulSet(it)
            if !wanted && it.when_scaled == "Delete" && it.claim_templates.contains(&mounted.volume)),
        None => card.owner.as_ref().is_some_and(|set| owned_by(&set.uid)),
    }
}

/// Whether a container of the Pod is running, as far as the kubelet has said.
pub(super) fn runs(face: &PodCard) -> bool {
    let running = |container: &ContainerCard| container.state == ContainerState::Running;
    !face.is_terminal() && face.containers.iter().any(running)
}

/// Whether a claim goes now that this Pod is gone: it is marked and no other Pod holds it, or it
/// went before this was seen.
fn is_let_go(card: &Card, mounted: &MountedClaim, cards: &Cards, past: &Past) -> bool {
    let namespace = card.namespace.as_deref().unwrap_or_default();
    let known = past
        .disks_of(card)
        .iter()
        .find(|disk| disk.claim == mounted.claim);
    match cards.find(Kind::PersistentVolumeClaim, namespace, &mounted.claim) {
        // A new claim of the old name is not the one that this Pod had.
        Some(claim) if known.is_some_and(|it| it.claim_uid != claim.uid) => true,
        Some(claim) => {
            claim.deleting.is_some()
                && !cards
                    .pods_with_claim(namespace, &mounted.claim)
                    .any(|other| other.uid != card.uid && holds(other))
        }
        None => known.is_some(),
    }
}
