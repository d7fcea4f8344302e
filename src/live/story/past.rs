//! Who was here before: what makes "the same name, another body, the same disk" provable, and its
//! counterpart, "the same name, another disk".

use std::collections::{HashMap, VecDeque};

use super::super::card::Card;
use super::super::cards::Cards;
use crate::cluster::Kind;

/// Claims and volumes that are gone and still remembered. Such a name may be a random one that never
/// comes again, so the oldest are forgotten.
const GONE_MAX: usize = 1024;

/// What a namespace is used by. When nothing of it is left, what comes next is somebody's new beginning.
const USES: [Kind; 6] = [
    Kind::Pod,
    Kind::PersistentVolumeClaim,
    Kind::PersistentVolume,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
];

/// The last Pods of each StatefulSet seat, and the claims and volumes that are gone. Names of such
/// Pods come again and again, so the seats stay as few as the sets' replicas; Pods with random names
/// are not remembered.
#[derive(Debug, Default)]
pub struct Past {
    seats: HashMap<Name, Sitters>,
    /// A volume has no namespace, so that no claim is taken for it.
    gone: HashMap<Name, Gone>,
    order: VecDeque<Name>,
}

/// Namespace and name.
type Name = (String, String);

/// The Pod that sits in a seat, or sat there last, and the one before it.
#[derive(Debug)]
struct Sitters {
    now: Before,
    before: Option<Before>,
}

/// What is remembered of a Pod.
#[derive(Debug)]
pub struct Before {
    /// Its uid.
    pub uid: String,
    /// The uid of the StatefulSet that made it.
    pub owner: String,
    /// The disks it had, or if it never had one, those that the seat had before it.
    pub disks: Vec<Disk>,
    /// Whether it was seen Ready.
    was_ready: bool,
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

/// What is remembered of a claim or a volume that is gone.
#[derive(Debug)]
pub struct Gone {
    /// Its uid.
    pub uid: String,
}

impl Past {
    /// Remembers `card` as it is now: a Pod of a StatefulSet while it lives, with the disks it has,
    /// since its claims may be seen to go before it does.
    pub fn see(&mut self, card: &Card, cards: &Cards) {
        let Some(pod) = card.pod() else {
            return;
        };
        let Some(owner) = card.owner.as_ref().filter(|it| it.kind == "StatefulSet") else {
            return;
        };
        let disks = disks(card, cards);
        match self.seats.get_mut(&name(card)) {
            Some(sitters) if sitters.now.uid == card.uid => {
                // A set made anew may have taken in the Pod that an older one left behind.
                sitters.now.owner.clone_from(&owner.uid);
                sitters.now.was_ready |= pod.is_ready;
                if !disks.is_empty() {
                    sitters.now.disks = disks;
                }
            }
            // The card of one who is gone may be seen once more while its successor sits.
            Some(Sitters {
                before: Some(before),
                ..
            }) if before.uid == card.uid => {}
            known => {
                let now = Before {
                    uid: card.uid.clone(),
                    owner: owner.uid.clone(),
                    disks,
                    was_ready: pod.is_ready,
                };
                match known {
                    Some(sitters) => {
                        let mut left = std::mem::replace(&mut sitters.now, now);
                        if left.disks.is_empty()
                            && let Some(before) = sitters.before.take()
                        {
                            left.disks = before.disks;
                        }
                        sitters.before = Some(left);
                    }
                    None => {
                        self.seats.insert(name(card), Sitters { now, before: None });
                    }
                }
            }
        }
    }

    /// Remembers that `card` is gone; once all is cleared away, nothing.
    pub fn remember(&mut self, card: &Card, cards: &Cards) {
        if cards.count(&USES) == 0 {
            *self = Self::default();
            return;
        }
        self.see(card, cards);
        if matches!(
            card.kind(),
            Kind::PersistentVolumeClaim | Kind::PersistentVolume
        ) {
            let gone = Gone {
                uid: card.uid.clone(),
            };
            if self.gone.insert(name(card), gone).is_none() {
                self.order.push_back(name(card));
            }
            if self.order.len() > GONE_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.gone.remove(&oldest);
            }
        }
    }

    /// Who sat in this Pod's seat before it.
    pub fn before(&self, card: &Card) -> Option<&Before> {
        let sitters = self.seats.get(&name(card))?;
        if sitters.now.uid == card.uid {
            sitters.before.as_ref()
        } else {
            Some(&sitters.now)
        }
    }

    /// Whether this very Pod was seen Ready.
    pub fn was_ready(&self, card: &Card) -> bool {
        let sitters = self.seats.get(&name(card));
        sitters.is_some_and(|it| it.now.uid == card.uid && it.now.was_ready)
    }

    /// The disks this Pod was seen to have.
    pub fn disks_of(&self, card: &Card) -> &[Disk] {
        self.seats
            .get(&name(card))
            .filter(|sitters| sitters.now.uid == card.uid)
            .map_or(&[], |sitters| &sitters.now.disks)
    }

    /// The claim or volume that had this one's name and is gone.
    pub fn gone_before(&self, card: &Card) -> Option<&Gone> {
        self.gone
            .get(&name(card))
            .filter(|gone| gone.uid != card.uid)
    }
}

fn name(card: &Card) -> Name {
    (
        card.namespace.clone().unwrap_or_default(),
        card.name.clone(),
    )
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
