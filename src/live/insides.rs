//! The last look into each volume, by the claim it is of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::card::{Card, Face};
use crate::cluster::Inside;

/// The last look into a volume.
#[derive(Debug, Serialize)]
pub struct Look {
    /// What was seen.
    #[serde(flatten)]
    pub inside: Inside,
    /// When, in milliseconds since the epoch on the cluster's clock.
    pub at: i64,
    /// The volume that the claim had then: another claim of its name has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// The last look into each volume, and what stood in the way of one since. Serialised as the list of them: of one
/// key the rows come before the failure.
#[derive(Clone, Debug, Default)]
pub struct Insides(BTreeMap<(String, bool), Arc<Look>>);

impl Insides {
    /// The last look of each key: a failed one, where it came after the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Look>)> {
        self.0
            .iter()
            .filter(|((key, failed), _)| *failed || !self.0.contains_key(&(key.clone(), true)))
            .map(|((key, _), look)| (key, look))
    }

    /// The last look of this key.
    pub fn get(&self, key: &str) -> Option<&Arc<Look>> {
        self.0
            .get(&(key.to_owned(), true))
            .or_else(|| self.0.get(&(key.to_owned(), false)))
    }

    /// Takes in a new look into the volume of that name. One that failed leaves the rows that are known, and one
    /// that did not ends it.
    pub fn look(&mut self, inside: &Inside, at: i64, volume: Option<String>) {
        let look = Look {
            inside: inside.clone(),
            at,
            volume,
        };
        let failed = inside.fault.is_some();
        if !failed {
            self.0.remove(&(inside.key.clone(), true));
        }
        self.0.insert((inside.key.clone(), failed), Arc::new(look));
    }

    /// Forgets what was seen in what went with this card: a new volume of the same claim's name is
    /// empty, and what was seen in that stays.
    pub fn lose(&mut self, gone: &Card) {
        if let Face::PersistentVolume(volume) = &gone.face
            && let Some(claim) = &volume.claim
        {
            self.0.retain(|(key, _), look| {
                *key != claim.name || look.volume.as_ref().is_some_and(|seen| *seen != gone.name)
            });
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Serialize for Insides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values().map(AsRef::as_ref))
    }
}
