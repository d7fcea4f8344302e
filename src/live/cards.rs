//! All cards now, found by uid, by name, by owner and by claim. Every look-up and every change
//! costs the same on a board of ten cards and of ten thousand.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::card::Card;
use crate::cluster::Kind;

/// Kind, namespace (empty for none) and name.
pub type Seat = (Kind, String, String);

/// The cards with their indices.
#[derive(Debug, Default)]
pub struct Cards {
    by_uid: HashMap<String, Arc<Card>>,
    by_seat: HashMap<Seat, String>,
    by_owner: HashMap<String, BTreeSet<String>>,
    by_claim: HashMap<(String, String), BTreeSet<String>>,
    by_kind: HashMap<Kind, usize>,
}

/// The seat that a card sits in: another object of the same name takes the same one.
pub fn seat(card: &Card) -> Seat {
    (
        card.kind(),
        card.namespace.clone().unwrap_or_default(),
        card.name.clone(),
    )
}

impl Cards {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }

    /// How many there are of these kinds.
    pub fn count(&self, kinds: &[Kind]) -> usize {
        let counts = kinds.iter().filter_map(|kind| self.by_kind.get(kind));
        counts.sum()
    }

    /// The card of this uid.
    pub fn get(&self, uid: &str) -> Option<&Arc<Card>> {
        self.by_uid.get(uid)
    }

    /// The card in this seat. Cluster-scoped kinds have the namespace "".
    pub fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<Card>> {
        let uid = self
            .by_seat
            .get(&(kind, namespace.to_owned(), name.to_owned()))?;
        self.by_uid.get(uid)
    }

    /// What the object of this uid owns.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Arc<Card>> {
        self.by_owner
            .get(uid)
            .into_iter()
            .flatten()
            .filter_map(|uid| self.by_uid.get(uid))
    }

    /// The Pods that mount this claim.
    pub fn pods_with_claim(
        &self,
        namespace: &str,
        claim: &str,
    ) -> impl Iterator<Item = &Arc<Card>> {
        self.by_claim
            .get(&(namespace.to_owned(), claim.to_owned()))
            .into_iter()
            .flatten()
            .filter_map(|uid| self.by_uid.get(uid))
    }

    /// All cards, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.by_uid.values()
    }

    /// Puts a card on the board and hands back the one of the same uid that was there.
    pub fn insert(&mut self, card: Arc<Card>) -> Option<Arc<Card>> {
        let before = self.remove(&card.uid);
        self.by_seat.insert(seat(&card), card.uid.clone());
        if let Some(owner) = &card.owner {
            self.by_owner
                .entry(owner.uid.clone())
                .or_default()
                .insert(card.uid.clone());
        }
        for key in claims(&card) {
            self.by_claim
                .entry(key)
                .or_default()
                .insert(card.uid.clone());
        }
        *self.by_kind.entry(card.kind()).or_default() += 1;
        self.by_uid.insert(card.uid.clone(), card);
        before
    }

    /// Takes the card of this uid away.
    pub fn remove(&mut self, uid: &str) -> Option<Arc<Card>> {
        let card = self.by_uid.remove(uid)?;
        if let Some(count) = self.by_kind.get_mut(&card.kind()) {
            *count -= 1;
        }
        let seat = seat(&card);
        // The seat may have been taken by a successor before this one was seen to go.
        if self.by_seat.get(&seat).is_some_and(|sitter| sitter == uid) {
            self.by_seat.remove(&seat);
        }
        if let Some(owner) = &card.owner {
            forget(&mut self.by_owner, &owner.uid, uid);
        }
        for key in claims(&card) {
            forget(&mut self.by_claim, &key, uid);
        }
        Some(card)
    }
}

fn claims(card: &Card) -> impl Iterator<Item = (String, String)> {
    let namespace = card.namespace.clone().unwrap_or_default();
    card.pod()
        .into_iter()
        .flat_map(|pod| &pod.claims)
        .map(move |mounted| (namespace.clone(), mounted.claim.clone()))
}

fn forget<K, Q>(index: &mut HashMap<K, BTreeSet<String>>, key: &Q, uid: &str)
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(set) = index.get_mut(key) {
        set.remove(uid);
        if set.is_empty() {
            index.remove(key);
        }
    }
}
