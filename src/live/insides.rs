//! The last rows that were seen in each volume, and what stood in the way of a look since.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::card::{Card, Face};
use crate::cluster::Inside;

/// Looks kept at most; a lesson has a handful of volumes.
const MOST: usize = 256;

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

/// By key and whether it failed: the last rows, and the look that failed since. Serialised as the list of them.
#[derive(Clone, Debug, Default)]
pub struct Insides(BTreeMap<(String, bool), Arc<Look>>);

impl Insides {
    /// One look for each key: the last that found rows, or else the one that failed.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Look>)> {
        self.0
            .iter()
            .filter(|((key, failed), _)| !failed || !self.0.contains_key(&(key.clone(), false)))
            .map(|((key, _), look)| (key, look))
    }

    /// The look of this key, as [`Insides::iter`] gives it.
    pub fn get(&self, key: &str) -> Option<&Arc<Look>> {
        [false, true]
            .into_iter()
            .find_map(|failed| self.0.get(&(key.to_owned(), failed)))
    }

    /// Takes in a new look, into this volume. One that failed leaves the rows that are known, and one that did not ends it.
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
        // Claims that are gone are not heard of here; the looks that are longest ago go first.
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, look)| look.at);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.0.remove(&key);
        }
    }

    /// Forgets what was seen in what went with this card. A new volume of the same claim's name is empty, and what was
    /// seen in that stays.
    pub fn lose(&mut self, gone: &Card) {
        if let Face::PersistentVolume(volume) = &gone.face {
            let claim = volume.claim.as_ref().map(|claim| claim.name.as_str());
            self.0.retain(|_, look| match &look.volume {
                Some(seen) => *seen != gone.name,
                None => look.inside.claim.is_none() || look.inside.claim.as_deref() != claim,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_bounded_and_the_newest_stay() {
        let mut insides = Insides::default();
        for at in 0..1000 {
            let inside = Inside {
                key: format!("claim-{at}"),
                ..Inside::default()
            };
            insides.look(&inside, at, None);
        }
        assert_eq!(insides.iter().count(), MOST);
        assert!(insides.get("claim-999").is_some());
        assert!(insides.get("claim-0").is_none());
    }
}
