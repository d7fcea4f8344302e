//! Which cluster the page shows: decided once, at start, and never swapped for another.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};

use super::act::{Actor, Scope};
use super::bodies::{Bodies, Body};
use super::change::Changes;
use super::fault::Fault;
use super::info::{Acting, SourceInfo, SourceKind, Why};
use super::look::Look;
use super::recording::Recording;
use super::target::{Reached, Target};
use super::watch::watch as watching;

/// A source, chosen and not started yet.
pub struct Source {
    info: SourceInfo,
    origin: Origin,
}

enum Origin {
    Kube(Target, Box<Kube>),
    Recording(Recording, f64),
}

/// What connects the watches of a cluster with what acts on it.
struct Kube {
    way: watch::Sender<Option<Reached>>,
    bodies: Bodies,
    turns: mpsc::Receiver<Body>,
    actor: Option<Actor>,
}

impl Kube {
    fn new() -> Self {
        let (bodies, turns) = Bodies::new();
        Self {
            way: watch::Sender::new(None),
            bodies,
            turns,
            actor: None,
        }
    }
}

impl Source {
    /// The cluster that `target` leads to; `reached` if it was reached before.
    pub fn kube(target: Target, reached: Option<Reached>) -> Self {
        let label = reached
            .as_ref()
            .map(|it| it.context.clone())
            .or_else(|| target.context.clone())
            .unwrap_or_default();
        let namespace = reached
            .map(|it| it.namespace)
            .or_else(|| target.namespace.clone())
            .unwrap_or_else(|| "default".into());
        Self {
            info: SourceInfo {
                kind: SourceKind::Kube,
                label,
                namespace,
                recorded: None,
                speed: None,
                kubeconfig: None,
                fallback: None,
                acting: Acting::new(Why::Flag),
            },
            origin: Origin::Kube(target, Box::new(Kube::new())),
        }
    }

    /// The cluster inside this program, which is reached as any other is; `fallback` says why it
    /// stands in for one.
    pub fn embedded(
        kubeconfig: PathBuf,
        namespace: Option<String>,
        fallback: Option<Fault>,
    ) -> Self {
        let target = Target {
            kubeconfig: Some(kubeconfig.clone()),
            context: None,
            namespace,
        };
        let mut source = Self::kube(target, None);
        source.info.kind = SourceKind::Embedded;
        source.info.kubeconfig = Some(kubeconfig);
        source.info.fallback = fallback;
        source
    }

    /// A recording, played `speed` times as fast as it was; `fallback` says why it stands in for
    /// a cluster.
    pub fn recording(recording: Recording, speed: f64, fallback: Option<Fault>) -> Self {
        let info = recording.info(speed, fallback);
        Self {
            info,
            origin: Origin::Recording(recording, speed),
        }
    }

    /// Decides whether pages may act on it, once and for all: on the cluster inside this program
    /// always, on any other only where `allow` says so. What was done is said into `changes`.
    pub fn actor(
        &mut self,
        allow: bool,
        scope: Scope,
        looks: Vec<Look>,
        changes: Changes,
    ) -> Actor {
        let why = match self.info.kind {
            SourceKind::Embedded => Why::Embedded,
            SourceKind::Kube if allow => Why::Allowed,
            SourceKind::Kube => Why::Flag,
            SourceKind::Recording => Why::Recording,
        };
        self.info.acting = Acting {
            context: match why {
                Why::Recording => String::new(),
                _ => self.info.label.clone(),
            },
            folders: scope.folders(),
            claims: scope.claim_selector(),
            looks,
            ..Acting::new(why)
        };
        let acting = self.info.acting.clone();
        match &mut self.origin {
            Origin::Kube(_, kube) => {
                let way = kube.way.subscribe();
                let actor = Actor::new(way, kube.bodies.clone(), acting, scope, changes);
                kube.actor = Some(actor.clone());
                actor
            }
            Origin::Recording(..) => {
                let nowhere = watch::Sender::new(None).subscribe();
                Actor::new(nowhere, Bodies::new().0, acting, scope, changes)
            }
        }
    }

    /// What a page says about it.
    pub fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// Sends what it says into `changes` until the task is dropped.
    pub async fn run(self, changes: Changes) {
        match self.origin {
            Origin::Kube(target, kube) => {
                let Kube {
                    way,
                    bodies,
                    turns,
                    actor,
                } = *kube;
                let looking = async {
                    if let Some(actor) = actor {
                        actor.look_on(turns).await;
                    }
                };
                tokio::join!(watching(target, self.info, way, bodies, changes), looking);
            }
            Origin::Recording(recording, speed) => recording.play(speed, changes).await,
        }
    }
}
