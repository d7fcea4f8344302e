//! Who sat in a seat before: what makes "the same name, another body, the same disk" provable.

use std::collections::HashMap;

use super::super::card::Card;
use super::super::cards::Cards;
use crate::cluster::Kind;

/// The last Pod of each StatefulSet seat. Names of such Pods come again and again, so this stays
/// as small as the sets are; Pods with random names are not remembered.
#[derive(Debug, Default)]
pub struct Past(HashMap<(String, String), Before>);

/// What is remembered of a Pod that is gone.
#[derive(Debug)]
pub struct Before {
    /// Its uid.
    pub uid: String,
    /// The disks it had.
    pub disks: Vec<Disk>,
}

/// A claim and the volume behind it. Only if all three are equal is it the same disk: a claim of
/// the same name can be a new one (its uid tells), and from Kubernetes 1.37 on a claim changes its
/// status while no Pod uses it, so that silence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The claim's name.
    pub claim: String,
    /// The claim's uid.
    pub claim_uid: String,
    /// The volume's name.
    pub volume: String,
}

impl Past {
    /// Remembers `card` if it is a Pod of a StatefulSet.
    pub fn remember(&mut self, card: &Card, cards: &Cards) {
        if card.pod().is_none()
            || card.owner.as_ref().map(|it| it.kind.as_str()) != Some("StatefulSet")
        {
            return;
        }
        let seat = (
            card.namespace.clone().unwrap_or_default(),
            card.name.clone(),
        );
        self.0.insert(
            seat,
            Before {
                uid: card.uid.clone(),
                disks: disks(card, cards),
            },
        );
    }

    /// Who sat in this Pod's seat before it.
    pub fn before(&self, card: &Card) -> Option<&Before> {
        let seat = (
            card.namespace.clone().unwrap_or_default(),
            card.name.clone(),
        );
        self.0.get(&seat).filter(|before| before.uid != card.uid)
    }
}

/// The bound disks of a Pod, in the order of its volumes.
pub(super) fn disks(card: &Card, cards: &Cards) -> Vec<Disk> {
    let namespace = card.namespace.as_deref().unwrap_or_default();
    card.pod()
        .into_iter()
        .flat_map(|pod| &pod.claims)
        .filter_map(|mounted| {
            let claim = cards.find(Kind::PersistentVolumeClaim, namespace, &mounted.claim)?;
            Some(Disk {
                claim: mounted.claim.clone(),
                claim_uid: claim.uid.clone(),
                volume: claim.claim()?.volume.clone()?,
            })
        })
        .collect()
}
