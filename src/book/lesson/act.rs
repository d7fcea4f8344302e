//! What the page offers to do in a step. Written as the page sends it, but without the uid, which only the page
//! knows, and with the claim instead of the name of a volume that the cluster makes.

use serde::{Deserialize, Serialize};

use crate::book::manifest::Manifests;

/// Something the page can do with the cluster.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Act {
    /// Applies a folder of manifests, or one file of it.
    Apply {
        /// The folder.
        folder: String,
        /// The file; none: all of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// Deletes an object, or the Pods that a selector finds.
    Delete {
        /// The kind.
        kind: String,
        /// The name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The selector, for Pods.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<String>,
        /// Whether nobody waits for the containers to end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Asks for another number of Pods.
    Scale {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// How many Pods.
        replicas: u32,
    },
    /// Makes a volume outlive its claim.
    Retain {
        /// The volume's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The claim that it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        claim: Option<String>,
    },
    /// Frees a volume whose claim is gone.
    Release {
        /// The volume's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The claim that it belonged to.
        #[serde(skip_serializing_if = "Option::is_none")]
        claim: Option<String>,
    },
    /// Removes everything of the lesson.
    Reset {},
    /// Looks at the rows.
    Look {
        /// Of this Pod.
        #[serde(skip_serializing_if = "Option::is_none")]
        pod: Option<String>,
        /// In this claim.
        #[serde(skip_serializing_if = "Option::is_none")]
        claim: Option<String>,
    },
    /// Asks the database.
    Query {
        /// Where: `pod/NAME`, `deployment/NAME` or `statefulset/NAME`.
        #[serde(rename = "in")]
        place: String,
        /// What.
        sql: String,
    },
}

const DELETED: [&str; 5] = [
    "Pod",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StatefulSet",
    "Deployment",
];
const SCALED: [&str; 2] = ["StatefulSet", "Deployment"];
const PLACES: [&str; 3] = ["pod/", "deployment/", "statefulset/"];

impl Act {
    /// Reads one, or says what is wrong with it.
    pub(super) fn read(value: toml::Value, manifests: &Manifests) -> Result<Self, String> {
        let act = value
            .try_into::<Self>()
            .map_err(|error| format!("`acts`: {}", error.message().replace('\n', " ")))?;
        act.check(manifests)?;
        Ok(act)
    }

    fn check(&self, manifests: &Manifests) -> Result<(), String> {
        match self {
            Self::Apply { folder, file } => {
                let folders = manifests.folders();
                if !folders.contains(&folder.as_str()) {
                    return Err(format!(
                        "`acts`: there is no folder `manifests/{folder}`; there are: {}",
                        folders.join(", ")
                    ));
                }
                match file {
                    Some(file) if manifests.get(&format!("{folder}/{file}")).is_none() => Err(
                        format!("`acts`: there is no file `manifests/{folder}/{file}`"),
                    ),
                    _ => Ok(()),
                }
            }
            Self::Delete {
                kind,
                name,
                selector,
                ..
            } => {
                one_of("delete", "kind", kind, &DELETED)?;
                exactly_one("delete", ("name", name), ("selector", selector))?;
                if selector.is_some() && kind != "Pod" {
                    return Err("`acts`: `delete` takes a `selector` for Pods only".into());
                }
                Ok(())
            }
            Self::Scale { kind, .. } => one_of("scale", "kind", kind, &SCALED),
            Self::Retain { name, claim } => exactly_one("retain", ("name", name), ("claim", claim)),
            Self::Release { name, claim } => {
                exactly_one("release", ("name", name), ("claim", claim))
            }
            Self::Look { pod, claim } => exactly_one("look", ("pod", pod), ("claim", claim)),
            Self::Query { place, .. } => {
                let known = PLACES.iter().any(|prefix| {
                    place
                        .strip_prefix(prefix)
                        .is_some_and(|name| !name.is_empty())
                });
                if known {
                    Ok(())
                } else {
                    Err(format!(
                        "`acts`: `query` is asked `in` pod/NAME, deployment/NAME or statefulset/NAME, not `{place}`"
                    ))
                }
            }
            Self::Reset {} => Ok(()),
        }
    }
}

fn one_of(act: &str, field: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "`acts`: `{act}` does not know the {field} `{value}`; it knows: {}",
        known.join(", ")
    ))
}

fn exactly_one(
    act: &str,
    (first, a): (&str, &Option<String>),
    (second, b): (&str, &Option<String>),
) -> Result<(), String> {
    if a.is_some() != b.is_some() {
        return Ok(());
    }
    Err(format!(
        "`acts`: `{act}` needs `{first}` or `{second}`, and not both"
    ))
}
