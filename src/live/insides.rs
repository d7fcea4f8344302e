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

/// The last look into each volume. Serialised as the list of them, each that failed after the last
/// that did not.
#[derive(Clone, Debug, Default)]
pub struct Insides(BTreeMap<String, Known>);

/// What is known of one volume.
#[derive(Clone, Debug)]
struct Known {
    /// The rows last seen.
    seen: Option<Arc<Look>>,
    /// What stood in the way of a look since.
    failed: Option<Arc<Look>>,
    /// Both in one: the rows last seen with what stood in the way since.
    whole: Arc<Look>,
}

impl Insides {
    /// Each look with its key: the rows last seen, and the fault that a look since then had.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Look>)> {
        self.0.iter().map(|(key, known)| (key, &known.whole))
    }

    /// The look of this key, as [`Insides::iter`] has it.
    pub fn get(&self, key: &str) -> Option<&Arc<Look>> {
        self.0.get(key).map(|known| &known.whole)
    }

    /// Takes in a new look. One that failed leaves the rows that are known.
    pub fn look(&mut self, inside: &Inside, at: i64) {
        let look = Arc::new(Look {
            inside: inside.clone(),
            at,
        });
        let seen = self.0.remove(&inside.key).and_then(|known| known.seen);
        let known = match (&inside.fault, seen) {
            (Some(fault), Some(seen)) => Known {
                whole: Arc::new(Look {
                    inside: Inside {
                        fault: Some(fault.clone()),
                        ..seen.inside.clone()
                    },
                    at: seen.at,
                }),
                seen: Some(seen),
                failed: Some(look),
            },
            (Some(_), None) => Known {
                seen: None,
                failed: Some(Arc::clone(&look)),
                whole: look,
            },
            (None, _) => Known {
                seen: Some(Arc::clone(&look)),
                failed: None,
                whole: look,
            },
        };
        self.0.insert(inside.key.clone(), known);
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

/// What tells one volume's looks from another's.
pub fn key(inside: &Inside) -> &str {
    &inside.key
}

impl Serialize for Insides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let looks = self.0.values();
        serializer.collect_seq(looks.flat_map(|known| known.seen.iter().chain(&known.failed)))
    }
}
