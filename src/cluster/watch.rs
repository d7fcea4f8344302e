//! Watches a cluster behind a kubeconfig and says what changes, for as long as the program runs.
//! What goes wrong is a [`Link`] in the stream, never the end of it.

use std::any::Any;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::act::{is_cluster_wide, resource};
use super::bodies::{Bodies, Loss};
use super::change::{Change, Changes, What};
use super::fault::{Cause, Fault};
use super::info::SourceInfo;
use super::kind::{Kind, Object};
use super::link::{KindState, Link, LinkState};
use super::now;
use super::raw::Raw;
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
    for kind in Kind::ALL {
        let resource = resource(kind.as_str());
        let api = if is_cluster_wide(&resource.kind) {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), namespace, &resource)
        };
        let watch = Watch::new(kind, wire.clone());
        tasks.spawn(watch.run(api));
    }
    tasks
}

/// The watch of one kind.
struct Watch {
    kind: Kind,
    wire: Wire,
    /// Objects that cannot be read.
    unreadable: HashSet<String>,
    /// Those of them of which it was said.
    said: HashSet<String>,
}

impl Watch {
    fn new(kind: Kind, wire: Wire) -> Self {
        Self {
            kind,
            wire,
            unreadable: HashSet::new(),
            said: HashSet::new(),
        }
    }

    /// Goes on for ever. After any error it begins anew with a whole list, so that nothing that happened meanwhile is
    /// missed; an end of a watch in good order is resumed by kube.
    async fn run(mut self, api: Api<Raw>) {
        let kind = self.kind;
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
                        self.hand_on(event).await;
                    }
                    Err(error) => break Some(error),
                }
            };
            let forbidden = error.as_ref().is_some_and(is_forbidden);
            if let Some(error) = error {
                tracing::debug!(%kind, %error, "watch ended");
            }
            failures += 1;
            if forbidden {
                self.wire.say(What::Unseen(kind)).await;
                self.wire.kind(kind, KindState::Forbidden).await;
                sleep(FORBIDDEN_RETRY).await;
            } else {
                if failures >= FAILURES {
                    self.wire.kind(kind, KindState::Failing).await;
                }
                sleep(RETRY_EVERY).await;
            }
        }
    }

    async fn hand_on(&mut self, event: watcher::Event<Raw>) {
        match event {
            watcher::Event::Init => {
                self.unreadable.clear();
                self.wire.say(What::ListBegins(self.kind)).await;
            }
            watcher::Event::InitApply(raw) => {
                if let Some(object) = self.read(&raw) {
                    self.wire.say(What::Item(object)).await;
                }
            }
            watcher::Event::InitDone => {
                self.said.retain(|it| self.unreadable.contains(it));
                self.wire.say(What::ListEnds(self.kind)).await;
                self.wire.kind(self.kind, self.state()).await;
            }
            watcher::Event::Apply(raw) => {
                let before = self.state();
                // One that can be read no more stays as it was seen last; the state says that something is amiss.
                if let Some(object) = self.read(&raw) {
                    self.wire.say(What::Applied(object)).await;
                }
                self.update(before).await;
            }
            watcher::Event::Delete(raw) => {
                let before = self.state();
                let identity = raw.identity();
                self.unreadable.remove(&identity);
                self.said.remove(&identity);
                if let Ok(object) = raw.read(self.kind).or_else(|_| raw.bare(self.kind)) {
                    self.wire.say(What::Deleted(object)).await;
                }
                self.update(before).await;
            }
        }
    }

    /// The object, unless it cannot be read; that is said once.
    fn read(&mut self, raw: &Raw) -> Option<Object> {
        let identity = raw.identity();
        match raw.read(self.kind) {
            Ok(object) => {
                self.unreadable.remove(&identity);
                self.said.remove(&identity);
                Some(object)
            }
            Err(error) => {
                if self.said.insert(identity.clone()) {
                    let (kind, name) = (self.kind, raw.name());
                    tracing::warn!(%kind, name, %error, "an object that cannot be read is left out");
                }
                self.unreadable.insert(identity);
                None
            }
        }
    }

    fn state(&self) -> KindState {
        if self.unreadable.is_empty() {
            KindState::Synced
        } else {
            KindState::Partial
        }
    }

    async fn update(&self, before: KindState) {
        if self.state() != before {
            self.wire.kind(self.kind, self.state()).await;
        }
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
