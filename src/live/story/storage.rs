//! Stories of claims and volumes.

use super::past::Past;
use super::{Card, Cards, Face, Story, pod};
use crate::cluster::Kind;
use crate::live::card::{ClaimCard, ClassCard, VolumeCard};

/// The name of a provisioner that makes nothing: volumes of its classes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

pub(super) fn tell_claim(
    before: Option<&Card>,
    after: &Card,
    face: &ClaimCard,
    cards: &Cards,
    past: &Past,
) -> Option<Story> {
    let claim = after.name.as_str();
    let Some(before) = before else {
        return Some(tell_new_claim(after, face, cards, past));
    };
    let old = before.claim()?;
    if before.deleting.is_none() && after.deleting.is_some() {
        let namespace = after.namespace.as_deref().unwrap_or_default();
        let holders: Vec<&str> = cards
            .pods_with_claim(namespace, claim)
            .filter(|card| pod::holds(card))
            .map(|card| card.name.as_str())
            .collect();
        return Some(if holders.is_empty() {
            Story::new("pvc.deleting", [("claim", claim)])
        } else {
            Story::new(
                "pvc.deleting.held",
                [("claim", claim), ("pods", &holders.join(", "))],
            )
        });
    }
    let volume = face.volume.as_deref().unwrap_or("-");
    match (old.phase.as_str(), face.phase.as_str()) {
        ("Bound", "Bound") => {}
        (_, "Bound") => {
            return Some(Story::new(
                "pvc.bound",
                [
                    ("claim", claim),
                    ("volume", volume),
                    ("capacity", face.capacity.as_deref().unwrap_or("?")),
                ],
            ));
        }
        (old, "Lost") if old != "Lost" => {
            return Some(Story::new("pvc.lost", [("claim", claim)]));
        }
        _ => {}
    }
    if old.volume.is_none() && face.volume.is_some() {
        return Some(Story::new(
            "pvc.named",
            [("claim", claim), ("volume", volume)],
        ));
    }
    if let (None, Some(provisioner)) = (&old.provisioner, &face.provisioner) {
        return Some(Story::new(
            "pvc.asked",
            [("claim", claim), ("provisioner", provisioner)],
        ));
    }
    if let (None, Some(node)) = (&old.selected_node, &face.selected_node) {
        return Some(Story::new("pvc.node", [("claim", claim), ("node", node)]));
    }
    None
}

fn tell_new_claim(card: &Card, face: &ClaimCard, cards: &Cards, past: &Past) -> Story {
    let claim = card.name.as_str();
    // The name came back, the claim did not: it will be given another volume.
    if let Some(gone) = past.gone_before(card) {
        return Story::new(
            "pvc.created.again",
            [
                ("claim", claim),
                ("uid", pod::short(&card.uid)),
                ("oldUid", pod::short(&gone.uid)),
            ],
        );
    }
    let class = face.class.as_deref().unwrap_or_default();
    let key = if waits(face, cards) {
        "pvc.created.waiting"
    } else {
        "pvc.created"
    };
    Story::new(
        key,
        [
            ("claim", claim),
            ("request", face.request.as_deref().unwrap_or("?")),
            ("class", if class.is_empty() { "-" } else { class }),
        ],
    )
}

/// Whether the claim's class leaves it without a volume until a Pod uses it.
fn waits(face: &ClaimCard, cards: &Cards) -> bool {
    let class = face.class.as_deref().unwrap_or_default();
    cards.find(Kind::StorageClass, "", class).is_some_and(
        |card| matches!(&card.face, Face::StorageClass(it) if it.binding == "WaitForFirstConsumer"),
    )
}

/// What becomes of the data is up to the volume's reclaim policy.
pub(super) fn tell_claim_gone(card: &Card, face: &ClaimCard, cards: &Cards) -> Story {
    let claim = card.name.as_str();
    let Some(volume) = face.volume.as_deref() else {
        return Story::new("pvc.gone.unbound", [("claim", claim)]);
    };
    let key = match cards
        .find(Kind::PersistentVolume, "", volume)
        .map(|card| &card.face)
    {
        Some(Face::PersistentVolume(it)) if it.reclaim == "Delete" => "pvc.gone.delete",
        Some(Face::PersistentVolume(it)) if it.reclaim == "Retain" => "pvc.gone.retain",
        _ => "pvc.gone",
    };
    Story::new(key, [("claim", claim), ("volume", volume)])
}

pub(super) fn tell_class(class: &str, face: &ClassCard) -> Story {
    if face.provisioner == NO_PROVISIONER {
        return Story::new(
            "sc.created.manual",
            [("class", class), ("binding", &face.binding)],
        );
    }
    Story::new(
        "sc.created",
        [
            ("class", class),
            ("provisioner", &face.provisioner),
            ("binding", &face.binding),
        ],
    )
}

pub(super) fn tell_volume(
    before: Option<&Card>,
    after: &Card,
    face: &VolumeCard,
    cards: &Cards,
    past: &Past,
) -> Option<Story> {
    let volume = after.name.as_str();
    let claim = face.claim.as_ref().map_or("-", |claim| claim.name.as_str());
    let old = match before.map(|before| (before, &before.face)) {
        Some((before, Face::PersistentVolume(old))) => {
            if before.deleting.is_none() && after.deleting.is_some() {
                // The protection holds it as long as a claim has it (kubernetes `pvprotection`).
                let key = if face.phase == "Bound" {
                    "pv.deleting.held"
                } else {
                    "pv.deleting"
                };
                return Some(Story::new(key, [("volume", volume)]));
            }
            old
        }
        _ => return Some(tell_new_volume(after, claim, face, past)),
    };
    if old.reclaim != face.reclaim {
        let key = if face.reclaim == "Retain" {
            "pv.retain"
        } else {
            "pv.reclaim"
        };
        return Some(Story::new(
            key,
            [
                ("volume", volume),
                ("from", &old.reclaim),
                ("to", &face.reclaim),
            ],
        ));
    }
    if let (Some(known), None) = (&old.claim, &face.claim) {
        return Some(Story::new(
            "pv.freed",
            [("volume", volume), ("claim", &known.name)],
        ));
    }
    // Only the uid was taken off: whoever has the name may have the volume.
    if let (Some(known), Some(now)) = (&old.claim, &face.claim)
        && known.uid.is_some()
        && now.uid.is_none()
    {
        return Some(Story::new(
            "pv.reserved",
            [("volume", volume), ("claim", claim)],
        ));
    }
    // The binder writes the claim's name down first, and the phase follows. Where both come as one
    // the choice is told, as it is what a reader cannot guess.
    if let (None, Some(chosen)) = (&old.claim, &face.claim) {
        return Some(tell_choice(volume, face, &chosen.namespace, claim, cards));
    }
    if old.phase == face.phase {
        return None;
    }
    Some(match face.phase.as_str() {
        "Bound" => Story::new("pv.bound", [("volume", volume), ("claim", claim)]),
        "Released" => {
            let key = if face.reclaim == "Delete" {
                "pv.released.delete"
            } else {
                "pv.released.retain"
            };
            Story::new(key, [("volume", volume), ("claim", claim)])
        }
        "Available" if face.claim.is_some() => Story::new(
            "pv.available.reserved",
            [("volume", volume), ("claim", claim)],
        ),
        "Available" => Story::new("pv.available", [("volume", volume)]),
        "Failed" => Story::new(
            "pv.failed",
            [
                ("volume", volume),
                ("reason", face.message.as_deref().unwrap_or("-")),
            ],
        ),
        _ => return None,
    })
}

/// A volume that nobody had was chosen for a claim: by the binder as soon as both are there, or by
/// the scheduler together with the Pod's node.
fn tell_choice(
    volume: &str,
    face: &VolumeCard,
    namespace: &str,
    claim: &str,
    cards: &Cards,
) -> Story {
    let card = cards.find(Kind::PersistentVolumeClaim, namespace, claim);
    let claimed = card.and_then(|card| card.claim());
    let key = if claimed.is_some_and(|it| waits(it, cards)) && face.provisioner.is_none() {
        "pv.chosen.scheduled"
    } else {
        "pv.chosen"
    };
    let request = claimed.and_then(|it| it.request.as_deref()).unwrap_or("?");
    Story::new(
        key,
        [
            ("volume", volume),
            ("claim", claim),
            ("capacity", &face.capacity),
            ("request", request),
        ],
    )
}

fn tell_new_volume(card: &Card, claim: &str, face: &VolumeCard, past: &Past) -> Story {
    let volume = card.name.as_str();
    // A provisioner never gives a name twice: who makes a volume again from its manifest, with all its annotations,
    // is a person.
    if face.provisioner.is_some() && past.gone_before(card).is_none() {
        Story::new(
            "pv.provisioned",
            [
                ("volume", volume),
                ("claim", claim),
                ("class", face.class.as_deref().unwrap_or("-")),
            ],
        )
    } else {
        Story::new(
            "pv.offered",
            [("volume", volume), ("capacity", &face.capacity)],
        )
    }
}

/// A volume of a provisioner that was released to be deleted took its data along; of any other
/// only the record is gone.
pub(super) fn tell_volume_gone(volume: &str, face: &VolumeCard) -> Story {
    let wiped = face.reclaim == "Delete" && face.provisioner.is_some() && face.phase == "Released";
    let key = if wiped { "pv.gone.wiped" } else { "pv.gone" };
    Story::new(key, [("volume", volume)])
}
