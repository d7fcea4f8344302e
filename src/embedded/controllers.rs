//! The controllers: each looks at the objects as they are and does the next step towards what was asked for.
//!
//! Owns the loops and what each controller decides. The decisions are pure functions from objects to actions; doing them
//! goes through the registry like every other write. Nothing here talks to the network or to processes.

mod action;
mod claims;
mod deployments;
mod driver;
mod endpoints;
pub(crate) mod events;
mod garbage;
pub(crate) mod namespaces;
mod pods;
mod protection;
mod provisioner;
mod replicasets;
mod revisions;
mod scheduler;
mod statefulsets;
mod volumes;

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::driver::run;
pub(crate) use self::provisioner::{LOCAL_PATH, VOLUMES, on_disk};
use super::Vital;
use super::registry::Registry;

/// Starts every controller; each ends with the token.
pub(crate) fn start(
    registry: &Registry,
    node_root: PathBuf,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Vec<Vital> {
    let provisioner = provisioner::Provisioner::new(registry, node_root);
    vec![
        run(namespaces::Namespaces, registry, stop, tasks),
        run(
            statefulsets::StatefulSets::new(registry),
            registry,
            stop,
            tasks,
        ),
        run(
            deployments::Deployments::new(registry),
            registry,
            stop,
            tasks,
        ),
        run(
            replicasets::ReplicaSets::new(registry),
            registry,
            stop,
            tasks,
        ),
        run(claims::Claims::new(registry), registry, stop, tasks),
        run(volumes::Volumes::new(registry), registry, stop, tasks),
        run(provisioner, registry, stop, tasks),
        run(protection::Protection, registry, stop, tasks),
        run(garbage::Garbage::default(), registry, stop, tasks),
        run(scheduler::Scheduler::new(registry), registry, stop, tasks),
        run(endpoints::Endpoints, registry, stop, tasks),
        run(events::Expiry, registry, stop, tasks),
    ]
}
