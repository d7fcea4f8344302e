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
}

/// The last look into each volume. Serialised as the list of them.
#[derive(Clone, Debug, Default)]
pub struct Insides(BTreeMap<String, Arc<Look>>);

impl Insides {
    /// Each look with its key.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Look>)> {
        self.0.iter()
    }

    /// The look of this key.
    pub fn get(&self, key: &str) -> Option<&Arc<Look>> {
        self.0.get(key)
    }

    /// Takes in a new look.
    pub fn look(&mut self, inside: &Inside, at: i64) {
        let look = Look {
            inside: inside.clone(),
            at,
        };
        self.0.insert(inside.key().to_owned(), Arc::new(look));
    }

    /// Forgets what was seen in what went with this card: a new volume of the same claim's name is
    /// empty.
    pub fn lose(&mut self, gone: &Card) {
        if let Face::PersistentVolume(volume) = &gone.face
            && let Some(claim) = &volume.claim
        {
            self.0.remove(&claim.name);
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
