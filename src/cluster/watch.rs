//! Watches a cluster behind a kubeconfig and says what changes, for as long as the program runs.
//! What goes wrong is a [`Link`] in the stream, never the end of it.

use std::any::Any;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::bodies::{Bodies, Loss};
use super::change::{Change, Changes, What};
use super::fault::{Cause, Fault};
use super::info::SourceInfo;
use super::kind::{Kind, Watched};
use super::link::{KindState, Link, LinkState};
use super::now;
use super::target::{Reached, Target, probe};

/// How often a live cluster is asked whether it is still there. An idle watch gives no sign of life.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long the answer may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);
/// How often a cluster that is not there is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often a kind that RBAC forbids is tried again: a Role may be granted during the class.
const FORBIDDEN_RETRY: Duration = Duration::from_secs(15);
/// Failures in a row after which a kind is shown as failing; one is nothing to worry a class with.
const FAILURES: u32 = 3;
/// Length of one watch request in seconds; kube notices a silently dead connection 5 s after it.
const WATCH_SECONDS: u32 = 30;

/// The state of the link, shared by the tasks of one source; says so itself when it changes.
#[derive(Clone)]
struct Wire {
    link: Arc<Mutex<Link>>,
    changes: Changes,
    bodies: Bodies,
}

impl Wire {
    async fn say(&self, what: What) {
        self.bodies.notice(&what);
        // The receiver ends only when the whole program does.
        let _ = self.changes.send(Change { at: now(), what }).await;
    }

    async fn update(&self, change: impl FnOnce(&mut Link)) {
        // The place in the queue comes first and is taken under the lock: two tasks' links must
        // arrive in the order in which they were made.
        let Ok(place) = self.changes.reserve().await else {
            return;
        };
        let mut link = self.link.lock().unwrap();
        let before = link.clone();
        change(&mut link);
        if before != *link {
            place.send(Change {
                at: now(),
                what: What::Link(link.clone()),
            });
        }
    }

    async fn kind(&self, kind: Kind, state: KindState) {
        self.update(|link| {
            link.kinds.insert(kind, state);
            if link.settled() {
                link.turn(LinkState::Live, None, now());
            }
        })
        .await;
    }

    async fn turn(&self, state: LinkState, fault: Option<Fault>) {
        self.update(|link| link.turn(state, fault, now())).await;
    }

    fn state(&self) -> LinkState {
        self.link.lock().unwrap().state
    }
}

/// Watches the cluster that `target` leads to until the task is dropped: reads the kubeconfig
/// again and again while it leads nowhere, and begins anew with whole lists after every gap.
pub(super) async fn watch(
    mut target: Target,
    info: SourceInfo,
    way: Sender<Option<Reached>>,
    bodies: Bodies,
    changes: Changes,
) {
    let wire = Wire {
        link: Arc::new(Mutex::new(Link::connecting(now()))),
        changes,
        bodies,
    };
    let mut info = info;
    loop {
        let reached = reach(&target, &wire).await;
        // From now on this context and no other, whatever becomes the current one.
        target.context = Some(reached.context.clone());
        target.namespace = Some(reached.namespace.clone());
        way.send_replace(Some(reached.clone()));
        let found = SourceInfo {
            label: reached.context.clone(),
            namespace: reached.namespace.clone(),
            acting: info.acting.at(&reached),
            ..info.clone()
        };
        if found != info {
            info = found;
            wire.say(What::Source(info.clone())).await;
        }
        tracing::info!(context = %reached.context, namespace = %reached.namespace, "watching");
        let mut watches = begin(&reached, &wire).await;
        let fault = tokio::select! {
            fault = until_lost(&reached.client) => fault,
            panic = panicked(&mut watches) => std::panic::resume_unwind(panic),
        };
        tracing::warn!(%fault, "the cluster does not answer");
        // What the old watches still say must not end the interruption: only whole lists may.
        watches.shutdown().await;
        wire.bodies.lose(Loss::Cluster);
        wire.turn(LinkState::Interrupted, Some(fault)).await;
    }
}

/// Tries until the cluster answers; says why as long as it does not. Reads the kubeconfig anew each
/// time: a cluster that was made anew has another address and other certificates.
async fn reach(target: &Target, wire: &Wire) -> Reached {
    loop {
        let fault = match target.reach().await {
            Ok(reached) => match knock(&reached.client).await {
                Ok(()) => return reached,
                Err(mut fault) => {
                    fault.context = Some(reached.context);
                    fault
                }
            },
            Err(fault) => fault,
        };
        let state = match (wire.state(), fault.cause) {
            (LinkState::Live | LinkState::Interrupted, _) => LinkState::Interrupted,
            (_, Cause::NoKubeconfig | Cause::KubeconfigUnreadable | Cause::ContextNotFound) => {
                LinkState::Misconfigured
            }
            _ => LinkState::Connecting,
        };
        wire.turn(state, Some(fault)).await;
        sleep(RETRY_EVERY).await;
    }
}

async fn knock(client: &Client) -> Result<(), Fault> {
    match timeout(PROBE_PATIENCE, probe(client)).await {
        Ok(answer) => answer,
        Err(_) => Err(Fault::new(
            Cause::Timeout,
            format!("no answer within {} s", PROBE_PATIENCE.as_secs()),
        )),
    }
}

async fn until_lost(client: &Client) -> Fault {
    loop {
        sleep(PROBE_EVERY).await;
        // One slow answer is no interruption.
        if knock(client).await.is_err()
            && let Err(fault) = knock(client).await
        {
            return fault;
        }
    }
}

/// Waits for a watch to panic, which none does but by a fault of this program; then a kind would stand still for ever.
async fn panicked(watches: &mut JoinSet<()>) -> Box<dyn Any + Send> {
    while let Some(ended) = watches.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            return panic;
        }
    }
    std::future::pending().await
}

async fn begin(reached: &Reached, wire: &Wire) -> JoinSet<()> {
    let client = &reached.client;
    let namespace = &reached.namespace;
    wire.update(|link| {
        for state in link.kinds.values_mut() {
            *state = KindState::Waiting;
        }
        if link.state == LinkState::Misconfigured {
            link.turn(LinkState::Connecting, None, now());
        }
    })
    .await;
    let mut tasks = JoinSet::new();
    tasks.spawn(one_kind::<StorageClass>(
        Api::all(client.clone()),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<Node>(Api::all(client.clone()), wire.clone()));
    tasks.spawn(one_kind::<PersistentVolume>(
        Api::all(client.clone()),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<PersistentVolumeClaim>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<StatefulSet>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<Deployment>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<ReplicaSet>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<Pod>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks.spawn(one_kind::<Event>(
        Api::namespaced(client.clone(), namespace),
        wire.clone(),
    ));
    tasks
}

/// Watches one kind for ever. After any error it begins anew with a whole list, so that nothing
/// that happened meanwhile is missed; an end of a watch in good order is resumed by kube.
async fn one_kind<K>(api: Api<K>, wire: Wire)
where
    K: Watched + kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut failures = 0;
    loop {
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = pin!(watcher::watcher(api.clone(), config));
        let error = loop {
            let Some(event) = events.next().await else {
                break None;
            };
            match event {
                Ok(event) => {
                    // The beginning of a list says nothing: it comes before every attempt.
                    if !matches!(event, watcher::Event::Init) {
                        failures = 0;
                    }
                    hand_on(event, &wire).await;
                }
                Err(error) => break Some(error),
            }
        };
        let forbidden = error.as_ref().is_some_and(is_forbidden);
        if let Some(error) = error {
            tracing::debug!(kind = %K::KIND, %error, "watch ended");
        }
        failures += 1;
        if forbidden {
            wire.say(What::Unseen(K::KIND)).await;
            wire.kind(K::KIND, KindState::Forbidden).await;
            sleep(FORBIDDEN_RETRY).await;
        } else {
            if failures >= FAILURES {
                wire.kind(K::KIND, KindState::Failing).await;
            }
            sleep(RETRY_EVERY).await;
        }
    }
}

async fn hand_on<K: Watched>(event: watcher::Event<K>, wire: &Wire) {
    match event {
        watcher::Event::Init => wire.say(What::ListBegins(K::KIND)).await,
        watcher::Event::InitApply(object) => wire.say(What::Item(object.into())).await,
        watcher::Event::InitDone => {
            wire.say(What::ListEnds(K::KIND)).await;
            wire.kind(K::KIND, KindState::Synced).await;
        }
        watcher::Event::Apply(object) => wire.say(What::Applied(object.into())).await,
        watcher::Event::Delete(object) => wire.say(What::Deleted(object.into())).await,
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}
