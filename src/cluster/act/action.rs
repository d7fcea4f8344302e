//! What a page asks for, and the `kubectl` line that does the same.

use serde::Deserialize;

use super::refusal::{Reason, Refusal};
use crate::cluster::info::Acting;
use crate::cluster::look::Look;

/// One thing that a reader does in the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// `kubectl apply -f`
    Apply {
        /// A folder of manifests.
        folder: String,
        /// One file in it; none: all of them.
        file: Option<String>,
    },
    /// `kubectl delete`, by name and uid, or Pods by their labels.
    Delete {
        /// The kind.
        kind: Deleted,
        /// The name.
        name: Option<String>,
        /// Whose body: an object that took the name since must not be hit.
        uid: Option<String>,
        /// The labels of the Pods, instead of a name.
        selector: Option<String>,
        /// Without waiting for the containers to end.
        #[serde(default)]
        force: bool,
    },
    /// `kubectl scale`
    Scale {
        /// The kind.
        kind: Scaled,
        /// The name.
        name: String,
        /// Whose body.
        uid: String,
        /// How many Pods.
        replicas: u32,
    },
    /// A volume that is to be kept when its claim goes.
    Retain {
        /// The volume.
        name: String,
        /// Whose body.
        uid: String,
    },
    /// A volume that forgets its claim.
    Release {
        /// The volume.
        name: String,
        /// Whose body.
        uid: String,
    },
    /// Everything of the lesson goes, claims and volumes included.
    Reset,
    /// The rows are looked at anew.
    Look {
        /// In this Pod,
        pod: Option<String>,
        /// or in the one that has this claim.
        claim: Option<String>,
    },
    /// `psql -c` in the lesson's database.
    Query {
        /// Where: `pod/NAME`, `deployment/NAME` or `statefulset/NAME`.
        #[serde(rename = "in")]
        place: Place,
        /// The statements.
        sql: String,
    },
}

/// What can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Deleted {
    Pod,
    PersistentVolumeClaim,
    PersistentVolume,
    StatefulSet,
    Deployment,
}

impl Deleted {
    /// The name in the Kubernetes API, as in `kind: Pod`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::PersistentVolume => "PersistentVolume",
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
        }
    }

    /// What a person types after `kubectl delete`.
    fn short(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::PersistentVolumeClaim => "pvc",
            Self::PersistentVolume => "pv",
            Self::StatefulSet => "statefulset",
            Self::Deployment => "deployment",
        }
    }
}

/// What can be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Scaled {
    StatefulSet,
    Deployment,
}

impl Scaled {
    /// The name in the Kubernetes API, as in `kind: Deployment`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
        }
    }
}

/// Where a query is asked, as `kubectl exec` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// This Pod.
    Pod(String),
    /// One of this workload's Pods.
    Workload(Scaled, String),
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("pod", name)) => Ok(Self::Pod(name.into())),
            Some(("deployment", name)) => Ok(Self::Workload(Scaled::Deployment, name.into())),
            Some(("statefulset", name)) => Ok(Self::Workload(Scaled::StatefulSet, name.into())),
            _ => Err(format!(
                "{text:?} is none of pod/NAME, deployment/NAME, statefulset/NAME"
            )),
        }
    }
}

impl Action {
    /// Refuses what the types let through and no cluster needs to be asked about.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let invalid = |words: &str| Err(Refusal::new(Reason::Invalid, words));
        match self {
            Self::Delete {
                kind,
                name,
                uid,
                selector,
                ..
            } => match (name, uid, selector) {
                (Some(_), Some(_), None) => Ok(()),
                (None, None, Some(_)) if *kind == Deleted::Pod => Ok(()),
                _ => invalid("delete takes a name and a uid, or, for Pods, a selector"),
            },
            Self::Look { pod, claim } if pod.is_some() == claim.is_some() => {
                invalid("look takes a pod or a claim")
            }
            _ => Ok(()),
        }
    }

    /// The line that does the same in a terminal. The page makes it, too, before it asks
    /// (`lineOf` in `static/js/act.js`); `tests/frames/actions.json` holds both to one wording.
    pub fn kubectl(&self, acting: &Acting) -> String {
        let kubectl = match &acting.namespace {
            Some(namespace) => format!("kubectl -n {namespace}"),
            None => "kubectl".to_owned(),
        };
        match self {
            Self::Apply { folder, file } => {
                let file = file.as_deref().unwrap_or_default();
                format!("{kubectl} apply -f {folder}/{file}")
            }
            Self::Delete {
                kind,
                name,
                selector,
                force,
                ..
            } => {
                let kind = *kind;
                let kubectl = if kind == Deleted::PersistentVolume {
                    "kubectl"
                } else {
                    &kubectl
                };
                let mut line = format!("{kubectl} delete {}", kind.short());
                if let Some(name) = name {
                    line.push(' ');
                    line.push_str(name);
                }
                if let Some(selector) = selector {
                    line.push_str(" -l ");
                    line.push_str(&quoted(selector));
                }
                // Claims and volumes may be held back for ever, and the page waits for nothing.
                let is_held = matches!(
                    kind,
                    Deleted::PersistentVolumeClaim | Deleted::PersistentVolume
                );
                if *force {
                    line.push_str(" --force --grace-period=0");
                } else if is_held || selector.is_some() {
                    line.push_str(" --wait=false");
                }
                line
            }
            Self::Scale {
                kind,
                name,
                replicas,
                ..
            } => {
                let kind = kind.as_str().to_lowercase();
                format!("{kubectl} scale {kind} {name} --replicas={replicas}")
            }
            Self::Retain { name, .. } => format!(
                "kubectl patch pv {name} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'"
            ),
            Self::Release { name, .. } => format!(
                "kubectl patch pv {name} -p '{{\"spec\":{{\"claimRef\":{{\"uid\":null,\"resourceVersion\":null}}}}}}'"
            ),
            Self::Reset => {
                let mut line = format!("{kubectl} delete");
                for folder in &acting.folders {
                    line.push_str(&format!(" -f {folder}/"));
                }
                line.push_str(" --ignore-not-found --wait=false");
                if !acting.claims.is_empty() {
                    let claims = quoted(&acting.claims);
                    line.push_str(&format!(
                        " && {kubectl} delete pvc -l {claims} --wait=false"
                    ));
                }
                line
            }
            Self::Look { pod, claim } => {
                // A claim alone does not say which Pod has it: who asks by claim knows the Pod.
                let pod = pod.as_deref().or(claim.as_deref()).unwrap_or_default();
                let look = acting.look(pod);
                let query = look.map_or("", |look| &look.query);
                psql(&kubectl, pod, look, query)
            }
            Self::Query { place, sql } => match place {
                Place::Pod(name) => psql(&kubectl, name, acting.look(name), sql),
                Place::Workload(kind, name) => {
                    let to = format!("{}/{name}", kind.as_str().to_lowercase());
                    psql(&kubectl, &to, acting.look(&format!("{name}-")), sql)
                }
            },
        }
    }
}

fn psql(kubectl: &str, to: &str, look: Option<&Look>, sql: &str) -> String {
    let login = look.map_or_else(String::new, |look| {
        format!(" -U {} -d {}", look.user, look.database)
    });
    format!("{kubectl} exec {to} -- psql{login} -c {}", quoted(sql))
}

/// In single quotes, as a POSIX shell reads them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::cluster::info::Why;

    const FIXTURE: &str = include_str!("../../../tests/frames/actions.json");

    fn acting(value: &Value) -> Acting {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Acting {
            namespace: text("namespace"),
            claims: text("claims").unwrap_or_default(),
            folders: from_value(value["folders"].clone()).unwrap_or_default(),
            looks: from_value(value["looks"].clone()).unwrap_or_default(),
            ..Acting::new(Why::Allowed)
        }
    }

    #[test]
    fn the_line_is_the_one_that_the_page_shows() {
        let rows: Vec<Value> = serde_json::from_str(FIXTURE).expect("JSON");
        assert!(rows.len() >= 15);
        for row in rows {
            let action: Action = from_value(row["action"].clone()).expect("an action");
            assert!(action.check().is_ok(), "{row}");
            assert_eq!(action.kubectl(&acting(&row["acting"])), row["kubectl"]);
        }
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for (value, understood) in [
            (json!({"do": "drain"}), false),
            (
                json!({"do": "delete", "kind": "Node", "name": "n", "uid": "u"}),
                false,
            ),
            (
                json!({"do": "scale", "kind": "Deployment", "name": "d", "uid": "u", "replicas": -1}),
                false,
            ),
            (
                json!({"do": "query", "in": "node/n", "sql": "SELECT 1"}),
                false,
            ),
            (
                json!({"do": "retain", "name": "v", "uid": "u", "policy": "Delete"}),
                false,
            ),
            (json!({"do": "delete", "kind": "Pod", "name": "p"}), true),
            (
                json!({"do": "delete", "kind": "Pod", "name": "p", "uid": "u", "selector": "a=b"}),
                true,
            ),
            (
                json!({"do": "delete", "kind": "StatefulSet", "selector": "a=b"}),
                true,
            ),
            (json!({"do": "look"}), true),
        ] {
            let action = from_value::<Action>(value.clone());
            assert_eq!(action.is_ok(), understood, "{value}");
            if let Ok(action) = action {
                assert_eq!(
                    action.check().unwrap_err().reason,
                    Reason::Invalid,
                    "{value}"
                );
            }
        }
    }
}
