//! Stories of claims and volumes.

use super::{Card, Cards, Face, Story, pod};
use crate::cluster::Kind;
use crate::live::card::{ClaimCard, VolumeCard};

pub(super) fn tell_claim(
    before: Option<&Card>,
    after: &Card,
    face: &ClaimCard,
    cards: &Cards,
) -> Option<Story> {
    let claim = after.name.as_str();
    let Some(before) = before else {
        return Some(tell_new_claim(claim, face, cards));
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

fn tell_new_claim(claim: &str, face: &ClaimCard, cards: &Cards) -> Story {
    let class = face.class.as_deref().unwrap_or_default();
    let waits = cards.find(Kind::StorageClass, "", class).is_some_and(
        |card| matches!(&card.face, Face::StorageClass(it) if it.binding == "WaitForFirstConsumer"),
    );
    let key = if waits {
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

pub(super) fn tell_volume(before: Option<&Card>, after: &Card, face: &VolumeCard) -> Option<Story> {
    let volume = after.name.as_str();
    let claim = face.claim.as_ref().map_or("-", |claim| claim.name.as_str());
    let old = match before.map(|before| (before, &before.face)) {
        Some((before, Face::PersistentVolume(old))) => {
            if before.deleting.is_none() && after.deleting.is_some() {
                return Some(Story::new("pv.deleting", [("volume", volume)]));
            }
            old
        }
        _ => return Some(tell_new_volume(volume, claim, face)),
    };
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
        "Available" if old.phase == "Released" => Story::new("pv.freed", [("volume", volume)]),
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

fn tell_new_volume(volume: &str, claim: &str, face: &VolumeCard) -> Story {
    if face.provisioner.is_some() {
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
