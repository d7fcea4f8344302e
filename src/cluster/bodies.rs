//! What the watches say of Pods, for those who look into them: which one has just turned Ready, and
//! which one is gone. Never asks the cluster itself.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Pod;
use kube::core::ObjectMeta;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::change::What;
use super::kind::{Kind, Object};

/// Looks that may wait. A class's namespace has a handful of Pods; what is beyond is looked at on
/// request.
const LOOKS_AHEAD: usize = 64;
/// Ends that a terminal may be behind with before it asks the cluster itself.
const LOSSES_BEHIND: usize = 256;

/// A Pod, as far as looking into it goes. Its uid tells it from another of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) phase: String,
    pub(super) is_ready: bool,
    pub(super) is_leaving: bool,
    /// In seconds; to tell the newer of two.
    pub(super) created: i64,
    /// The container that is entered if nobody says which.
    pub(super) container: Option<String>,
    /// The claims that it has mounted, in the order of its volumes.
    pub(super) claims: Vec<String>,
    /// Kind and name of what it belongs to; itself, if nobody controls it.
    pub(super) workload: Option<(String, String)>,
}

impl From<&Pod> for Body {
    fn from(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let volumes = spec.and_then(|spec| spec.volumes.as_ref());
        let created = pod.metadata.creation_timestamp.as_ref();
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            phase: status
                .and_then(|status| status.phase.clone())
                .unwrap_or_default(),
            is_ready: conditions
                .into_iter()
                .flatten()
                .any(|it| it.type_ == "Ready" && it.status == "True"),
            is_leaving: pod.metadata.deletion_timestamp.is_some(),
            created: created.map_or(0, |time| time.0.as_second()),
            container: spec.and_then(|spec| Some(spec.containers.first()?.name.clone())),
            claims: volumes
                .into_iter()
                .flatten()
                .filter_map(|it| Some(it.persistent_volume_claim.as_ref()?.claim_name.clone()))
                .collect(),
            workload: workload(&pod.metadata),
        }
    }
}

impl Body {
    /// Under what the rows in it are known: its claim, or what it belongs to if it has none.
    pub(super) fn key(&self) -> String {
        let workload = || Some(self.workload.as_ref()?.1.clone());
        let claim = self.claims.first().cloned();
        claim.or_else(workload).unwrap_or_else(|| self.name.clone())
    }
}

/// The workload that a Pod belongs to, as far as its own fields say: a ReplicaSet's name without
/// the hash is its Deployment's. The Pod itself, if nobody controls it.
fn workload(meta: &ObjectMeta) -> Option<(String, String)> {
    let mut owners = meta.owner_references.iter().flatten();
    let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else {
        return Some(("Pod".into(), meta.name.clone()?));
    };
    if owner.kind != "ReplicaSet" {
        return Some((owner.kind.clone(), owner.name.clone()));
    }
    let hash = meta.labels.as_ref()?.get("pod-template-hash")?;
    let name = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
    Some(("Deployment".into(), name.into()))
}

/// What became of a Pod that somebody looks into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loss {
    /// The body of this uid is gone.
    Body(String),
    /// The cluster does not answer.
    Cluster,
}

/// A cheap handle on what is known of the Pods.
#[derive(Clone)]
pub(super) struct Bodies(Arc<Inner>);

struct Inner {
    known: Mutex<Known>,
    turns: mpsc::Sender<Body>,
    losses: broadcast::Sender<Loss>,
}

#[derive(Default)]
struct Known {
    /// By uid: whether it was Ready.
    ready: HashMap<String, bool>,
    /// The uids in a list that is not whole yet.
    listed: HashSet<String>,
}

impl Bodies {
    /// Nothing known yet; the receiver gets each Pod that is to be looked into.
    pub(super) fn new() -> (Self, mpsc::Receiver<Body>) {
        let (turns, receiver) = mpsc::channel(LOOKS_AHEAD);
        let bodies = Self(Arc::new(Inner {
            known: Mutex::default(),
            turns,
            losses: broadcast::Sender::new(LOSSES_BEHIND),
        }));
        (bodies, receiver)
    }

    /// Takes note of what a watch says.
    pub(super) fn notice(&self, what: &What) {
        match what {
            What::ListBegins(Kind::Pod) => self.0.known.lock().unwrap().listed.clear(),
            What::Item(Object::Pod(pod)) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                self.0.known.lock().unwrap().listed.insert(uid);
                self.seen(pod);
            }
            What::Applied(Object::Pod(pod)) => self.seen(pod),
            What::Deleted(Object::Pod(pod)) => {
                if let Some(uid) = &pod.metadata.uid {
                    self.0.known.lock().unwrap().ready.remove(uid);
                    self.lose(Loss::Body(uid.clone()));
                }
            }
            What::ListEnds(Kind::Pod) => {
                let mut known = self.0.known.lock().unwrap();
                let listed = std::mem::take(&mut known.listed);
                let gone: Vec<String> = known
                    .ready
                    .keys()
                    .filter(|uid| !listed.contains(*uid))
                    .cloned()
                    .collect();
                for uid in gone {
                    known.ready.remove(&uid);
                    self.lose(Loss::Body(uid));
                }
            }
            _ => {}
        }
    }

    fn seen(&self, pod: &Pod) {
        let body = Body::from(pod);
        let before = {
            let mut known = self.0.known.lock().unwrap();
            known.ready.insert(body.uid.clone(), body.is_ready)
        };
        if body.is_ready && before != Some(true) {
            self.turn(body);
        }
    }

    /// Has a Pod looked into.
    pub(super) fn turn(&self, body: Body) {
        if let Err(error) = self.0.turns.try_send(body) {
            tracing::debug!(%error, "a look is left out");
        }
    }

    /// Tells everybody who is in a Pod.
    pub(super) fn lose(&self, loss: Loss) {
        // Nobody in there is fine.
        let _ = self.0.losses.send(loss);
    }

    /// Hears of every loss from now on.
    pub(super) fn losses(&self) -> broadcast::Receiver<Loss> {
        self.0.losses.subscribe()
    }
}

/// Waits for the loss of this body, or of the cluster.
pub(super) async fn loss_of(uid: &str, losses: &mut broadcast::Receiver<Loss>) -> Loss {
    loop {
        match losses.recv().await {
            Ok(Loss::Body(gone)) if gone != uid => {}
            Ok(loss) => return loss,
            // Missed among very many: the end of the program says it, too.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn object(uid: &str, ready: &str) -> Object {
        let value = json!({
            "metadata": {"name": "db-0", "uid": uid},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        });
        Object::from_json(Kind::Pod, value).expect("a Pod")
    }

    #[test]
    fn a_turn_to_ready_is_looked_at_once() {
        let (bodies, mut turns) = Bodies::new();
        let mut losses = bodies.losses();
        let turned = |turns: &mut mpsc::Receiver<Body>| turns.try_recv().ok().map(|it| it.uid);
        for (what, turn) in [
            (What::ListBegins(Kind::Pod), None),
            (What::Item(object("1", "True")), Some("1")),
            (What::ListEnds(Kind::Pod), None),
            (What::Applied(object("1", "True")), None),
            (What::Applied(object("1", "False")), None),
            (What::Applied(object("1", "True")), Some("1")),
            (What::Deleted(object("1", "True")), None),
            (What::Applied(object("2", "False")), None),
            (What::Applied(object("2", "True")), Some("2")),
            (What::ListBegins(Kind::Pod), None),
            (What::ListEnds(Kind::Pod), None),
        ] {
            bodies.notice(&what);
            assert_eq!(turned(&mut turns).as_deref(), turn, "{what:?}");
        }
        // The second one was in no list after a gap.
        assert_eq!(losses.try_recv(), Ok(Loss::Body("1".into())));
        assert_eq!(losses.try_recv(), Ok(Loss::Body("2".into())));
        assert!(losses.try_recv().is_err());
    }

    #[test]
    fn rows_are_known_by_the_claim_or_by_the_workload() {
        let pod = |kind: &str, owner: &str, volume: Value| -> Body {
            let value = json!({
                "metadata": {"name": "p", "labels": {"pod-template-hash": "7c"}, "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "u", "controller": true},
                ]},
                "spec": {"containers": [{"name": "postgres"}], "volumes": [volume]},
            });
            Body::from(&from_value::<Pod>(value).expect("a Pod"))
        };
        let claim = || json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}});
        let scratch = || json!({"name": "data", "emptyDir": {}});
        for (body, workload, key) in [
            (
                pod("StatefulSet", "db", claim()),
                Some(("StatefulSet", "db")),
                "data-db-0",
            ),
            (
                pod("ReplicaSet", "lane-7c", scratch()),
                Some(("Deployment", "lane")),
                "lane",
            ),
            (pod("ReplicaSet", "lane", scratch()), None, "p"),
        ] {
            let known = body.workload.as_ref();
            let known = known.map(|(kind, name)| (kind.as_str(), name.as_str()));
            assert_eq!((known, body.key().as_str()), (workload, key));
            assert_eq!(body.container.as_deref(), Some("postgres"));
        }
    }
}
