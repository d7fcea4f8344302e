//! What a frame tells: a key and its parameters, made by pure functions of the card before, the
//! card after and the board. The words are in `content/`, in each language.

mod end;
mod event;
mod keys;
mod past;
mod pod;
mod storage;
mod trouble;
mod workload;

use std::collections::BTreeMap;

use serde::Serialize;

pub use keys::KEYS;
pub use past::Past;

use super::card::{Card, Face};
use super::cards::Cards;
use crate::cluster::{Kind, Link, LinkState};

/// A key of `content/<language>/stories.toml` with what goes into its placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The key, one of [`KEYS`].
    pub key: &'static str,
    /// Name of a placeholder to its text.
    pub params: BTreeMap<&'static str, String>,
}

impl Story {
    fn new<const N: usize>(key: &'static str, params: [(&'static str, &str); N]) -> Self {
        debug_assert!(
            keys::fits(key, params.iter().map(|(name, _)| *name)),
            "{key} is not in KEYS with these parameters"
        );
        Self {
            key,
            params: params
                .into_iter()
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
        }
    }

    /// A card that was found missing after the connection had been cut. Events expire after an
    /// hour, which is no news.
    pub fn of_gap(card: &Card) -> Option<Self> {
        (card.kind() != Kind::Event).then(|| {
            Self::new(
                "gap.gone",
                [("kind", card.kind().as_str()), ("name", &card.name)],
            )
        })
    }

    /// A connection that was lost, or came back.
    pub fn of_link(before: &Link, after: &Link) -> Option<Self> {
        match (before.state, after.state) {
            (LinkState::Live, LinkState::Interrupted) => Some(Self::new("link.lost", [])),
            (LinkState::Interrupted, LinkState::Live) => Some(Self::new("link.back", [])),
            _ => None,
        }
    }
}

/// What it means that `after` took the place of `before` (none: it is new). `cards` is the board
/// with `after` on it.
pub fn tell(before: Option<&Card>, after: &Card, cards: &Cards, past: &Past) -> Option<Story> {
    match &after.face {
        Face::Pod(face) => pod::tell(before, after, face, cards, past),
        Face::PersistentVolumeClaim(face) => storage::tell_claim(before, after, face, cards, past),
        Face::PersistentVolume(face) => storage::tell_volume(before, after, face, cards, past),
        Face::StorageClass(face) => before
            .is_none()
            .then(|| storage::tell_class(&after.name, face)),
        Face::StatefulSet(face) => workload::tell_statefulset(before, after, face),
        Face::Deployment(face) => workload::tell_deployment(before, after, face),
        Face::ReplicaSet(face) => workload::tell_replicaset(before, after, face),
        Face::Node(face) => workload::tell_node(before, after, face),
        Face::Event(face) => event::tell(before, face, cards),
    }
}

/// What it means that `card` is gone. `cards` is the board without it.
pub fn tell_gone(card: &Card, cards: &Cards, past: &Past) -> Option<Story> {
    let name = card.name.as_str();
    Some(match &card.face {
        Face::Pod(face) => end::tell_gone(card, face, cards, past),
        Face::PersistentVolumeClaim(face) => storage::tell_claim_gone(card, face, cards),
        Face::PersistentVolume(face) => storage::tell_volume_gone(name, face),
        Face::StorageClass(_) => Story::new("sc.gone", [("class", name)]),
        Face::StatefulSet(face) => workload::tell_statefulset_gone(card, face),
        Face::Deployment(_) if is_orphaning(card) => {
            Story::new("deploy.gone.orphan", [("owner", name)])
        }
        Face::Deployment(_) => Story::new("deploy.gone", [("owner", name)]),
        Face::ReplicaSet(_) => Story::new("rs.gone", [("owner", name)]),
        Face::Node(_) => Story::new("node.gone", [("node", name)]),
        // Events expire after an hour: nobody did anything.
        Face::Event(_) => return None,
    })
}

/// Whether an owner that is deleted leaves behind what it owns.
fn is_orphaning(card: &Card) -> bool {
    card.finalizers.iter().any(|it| it == "orphan")
}
