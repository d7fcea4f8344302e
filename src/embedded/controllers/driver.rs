//! The loop that every controller runs in: changes wake keys, keys are looked at one by one, failures come again later.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Vital;
use crate::failure::Failure;
use crate::registry::Registry;
use crate::store::{Change, Key};

/// The first wait after a failure; it doubles up to [`RETRY_AT_MOST`], as the real work queues do.
const RETRY_FIRST: Duration = Duration::from_millis(5);
/// The longest wait after a failure.
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// One controller.
pub(crate) trait Controller: Send + 'static {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// What to look at when the loop begins.
    fn begin(&mut self, registry: &Registry) -> Vec<Key>;

    /// What to look at after a change.
    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key>;

    /// Looks at one object and does the next steps. A duration asks to look again without any change.
    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure>;
}

/// Runs a controller on a thread of its own: its writes wait for the disk.
pub(crate) fn run(
    controller: impl Controller,
    registry: &Registry,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Vital {
    let name = controller.name();
    let (registry, stop) = (registry.clone(), stop.clone());
    let handle = tokio::runtime::Handle::current();
    let task = tasks.spawn_blocking(move || {
        let span = tracing::info_span!("controller", name = controller.name());
        let _entered = span.enter();
        Loop {
            controller,
            registry,
            ready: BTreeSet::new(),
            later: BTreeMap::new(),
            failures: HashMap::new(),
        }
        .run(&handle, &stop);
    });
    (name, task)
}

struct Loop<C> {
    controller: C,
    registry: Registry,
    ready: BTreeSet<Key>,
    later: BTreeMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl<C: Controller> Loop<C> {
    fn run(mut self, handle: &tokio::runtime::Handle, stop: &CancellationToken) {
        let mut changes = self.registry.changes(self.registry.revision());
        self.ready.extend(self.controller.begin(&self.registry));
        while !stop.is_cancelled() {
            while let Some(key) = self.ready.pop_first() {
                self.look(&key);
                if stop.is_cancelled() {
                    return;
                }
            }
            let due = self.later.values().min().copied();
            let woken = handle.block_on(async {
                tokio::select! {
                    woken = changes.next() => Some(woken),
                    () = sleep_until(due) => None,
                    () = stop.cancelled() => None,
                }
            });
            match woken {
                Some(Ok(list)) => {
                    for change in list {
                        self.ready
                            .extend(self.controller.wakes(&self.registry, &change));
                    }
                }
                // Too much happened while this controller was busy: look at everything.
                Some(Err(_)) => {
                    changes = self.registry.changes(self.registry.revision());
                    self.ready.extend(self.controller.begin(&self.registry));
                }
                None => {}
            }
            let now = Instant::now();
            let due: Vec<Key> = self
                .later
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(key, _)| key.clone())
                .collect();
            for key in due {
                self.later.remove(&key);
                self.ready.insert(key);
            }
        }
    }

    fn look(&mut self, key: &Key) {
        // One object that makes a controller panic must not take the others with it, in this run and in every later one.
        let looked = catch_unwind(AssertUnwindSafe(|| {
            self.controller
                .reconcile(&self.registry, key, Timestamp::now())
        }));
        let looked = looked.unwrap_or_else(|_| {
            tracing::error!(
                ?key,
                "the controller panicked over this object and comes again later"
            );
            Err(Failure::internal("the controller panicked"))
        });
        match looked {
            Ok(again) => {
                self.failures.remove(key);
                match again {
                    Some(wait) => drop(self.later.insert(key.clone(), Instant::now() + wait)),
                    None => drop(self.later.remove(key)),
                }
            }
            Err(failure) => {
                let count = self.failures.entry(key.clone()).or_insert(0);
                let wait = RETRY_FIRST
                    .saturating_mul(1 << (*count).min(16))
                    .min(RETRY_AT_MOST);
                *count += 1;
                tracing::debug!(?key, %failure, ?wait, "comes again");
                self.later.insert(key.clone(), Instant::now() + wait);
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
