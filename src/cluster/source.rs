//! Which cluster the page shows: decided once, at start, and never swapped for another.

use super::change::Changes;
use super::fault::Fault;
use super::info::{SourceInfo, SourceKind};
use super::recording::Recording;
use super::target::{Reached, Target};
use super::watch::watch;

/// A source, chosen and not started yet.
pub struct Source {
    info: SourceInfo,
    origin: Origin,
}

enum Origin {
    Kube(Target),
    Recording(Recording, f64),
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
                fallback: None,
            },
            origin: Origin::Kube(target),
        }
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

    /// What a page says about it.
    pub fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// Sends what it says into `changes` until the task is dropped.
    pub async fn run(self, changes: Changes) {
        match self.origin {
            Origin::Kube(target) => watch(target, self.info, changes).await,
            Origin::Recording(recording, speed) => recording.play(speed, changes).await,
        }
    }
}
