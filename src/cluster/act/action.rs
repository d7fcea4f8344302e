//! What a page asks for, and the `kubectl` line that does the same.

use serde::Deserialize;

use super::names;
use super::refusal::{Reason, Refusal};
use crate::cluster::info::{Acting, REPLICAS_AT_MOST};
use crate::cluster::look::Look;
use crate::shell::word;

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
        if let Some(name) = self.name() {
            names::name(name)?;
        }
        match self {
            Self::Delete {
                kind,
                name,
                uid,
                selector,
                ..
            } => match (name, uid, selector) {
                (Some(_), Some(uid), None) => names::uid(uid),
                (None, None, Some(selector)) if *kind == Deleted::Pod => names::selector(selector),
                _ => invalid("delete takes a name and a uid, or, for Pods, a selector"),
            },
            Self::Look { pod, claim } if pod.is_some() == claim.is_some() => {
                invalid("look takes a pod or a claim")
            }
            Self::Scale { uid, replicas, .. } => {
                names::uid(uid)?;
                if *replicas > REPLICAS_AT_MOST {
                    let words = format!("replicas: {replicas} is more than {REPLICAS_AT_MOST}");
                    return Err(Refusal::new(Reason::TooMany, words));
                }
                Ok(())
            }
            Self::Retain { uid, .. } | Self::Release { uid, .. } => names::uid(uid),
            Self::Query { sql, .. } => names::sql(sql),
            // A folder that the lesson does not have is refused when it is looked for.
            Self::Look { .. } | Self::Apply { .. } | Self::Reset => Ok(()),
        }
    }

    /// The object that is named.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Delete { name, .. } => name.as_deref(),
            Self::Scale { name, .. } | Self::Retain { name, .. } | Self::Release { name, .. } => {
                Some(name)
            }
            Self::Look { pod, claim } => pod.as_deref().or(claim.as_deref()),
            Self::Query { place, .. } => match place {
                Place::Pod(name) | Place::Workload(_, name) => Some(name),
            },
            Self::Apply { .. } | Self::Reset => None,
        }
    }

    /// The line that does the same in a terminal. The page makes it, too, before it asks
    /// (`lineOf` in `static/js/act.js`); `tests/frames/actions.json` holds both to one wording.
    pub fn kubectl(&self, acting: &Acting) -> String {
        let kubectl = match &acting.namespace {
            Some(namespace) => format!("kubectl -n {}", word(namespace)),
            None => "kubectl".to_owned(),
        };
        match self {
            Self::Apply { folder, file } => {
                let file = file.as_deref().unwrap_or_default();
                format!("{kubectl} apply -f {}", word(&format!("{folder}/{file}")))
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
                    line.push_str(&word(name));
                }
                if let Some(selector) = selector {
                    line.push_str(" -l ");
                    line.push_str(&word(selector));
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
                let (kind, name) = (kind.as_str().to_lowercase(), word(name));
                format!("{kubectl} scale {kind} {name} --replicas={replicas}")
            }
            Self::Retain { name, .. } => format!(
                "kubectl patch pv {} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'",
                word(name)
            ),
            Self::Release { name, .. } => format!(
                "kubectl patch pv {} -p '{{\"spec\":{{\"claimRef\":{{\"uid\":null,\"resourceVersion\":null}}}}}}'",
                word(name)
            ),
            Self::Reset => {
                let mut line = format!("{kubectl} delete");
                for folder in &acting.folders {
                    line.push_str(&format!(" -f {}", word(&format!("{folder}/"))));
                }
                line.push_str(" --ignore-not-found --wait=false");
                if !acting.claims.is_empty() {
                    let claims = word(&acting.claims);
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
        format!(" -U {} -d {}", word(&look.user), word(&look.database))
    });
    format!(
        "{kubectl} exec {} -- psql{login} -c {}",
        word(to),
        word(sql)
    )
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

    #[test]
    fn a_page_may_ask_for_as_many_pods_as_it_shows() {
        let scale = |replicas: u32| {
            let value = json!({"do": "scale", "kind": "Deployment", "name": "d", "uid": "u", "replicas": replicas});
            from_value::<Action>(value).expect("an action").check()
        };
        assert_eq!(scale(REPLICAS_AT_MOST), Ok(()));
        for more in [REPLICAS_AT_MOST + 1, i32::MAX.unsigned_abs(), u32::MAX] {
            assert_eq!(scale(more).unwrap_err().reason, Reason::TooMany, "{more}");
        }
    }
}
