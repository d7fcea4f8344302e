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

/// So often an object is looked at in a row; what changes faster is looked at [`LOOKS_PER_SECOND`] times a second, so
/// that two who undo each other's work do not take the whole disk. Far more than a rollout needs.
const LOOKS_AT_ONCE: f64 = 100.0;
/// As many as the real controllers' requests (`--kube-api-qps`).
const LOOKS_PER_SECOND: f64 = 20.0;
/// Objects whose looks are counted before those that rest are forgotten.
const COUNTED: usize = 1024;

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
            paces: Paces::default(),
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
    paces: Paces,
}

/// How often each object has been looked at of late.
#[derive(Default)]
struct Paces(HashMap<Key, (f64, Instant)>);

impl Paces {
    /// Counts a look; when there were too many, how long to wait instead.
    fn count(&mut self, key: &Key, now: Instant) -> Option<Duration> {
        let left = |(looks, since): (f64, Instant)| {
            (looks - now.duration_since(since).as_secs_f64() * LOOKS_PER_SECOND).max(0.0)
        };
        if self.0.len() > COUNTED {
            self.0.retain(|_, pace| left(*pace) > 0.0);
        }
        let looks = left(self.0.get(key).copied().unwrap_or((0.0, now)));
        if looks > LOOKS_AT_ONCE - 1.0 {
            return Some(Duration::from_secs_f64(1.0 / LOOKS_PER_SECOND));
        }
        self.0.insert(key.clone(), (looks + 1.0, now));
        None
    }
}

impl<C: Controller> Loop<C> {
    fn run(mut self, handle: &tokio::runtime::Handle, stop: &CancellationToken) {
        let mut changes = self.registry.changes(self.registry.revision());
        self.ready.extend(self.controller.begin(&self.registry));
        while !stop.is_cancelled() {
            while let Some(key) = self.ready.pop_first() {
                let now = Instant::now();
                match self.paces.count(&key, now) {
                    None => self.look(&key),
                    Some(wait) => drop(self.later.insert(key, now + wait)),
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    struct Odd(Vec<String>);

    impl Controller for Odd {
        fn name(&self) -> &'static str {
            "odd"
        }

        fn begin(&mut self, _: &Registry) -> Vec<Key> {
            Vec::new()
        }

        fn wakes(&mut self, _: &Registry, _: &Change) -> Vec<Key> {
            Vec::new()
        }

        fn reconcile(
            &mut self,
            _: &Registry,
            key: &Key,
            _: Timestamp,
        ) -> Result<Option<Duration>, Failure> {
            assert_ne!(key.name, "hostile");
            self.0.push(key.name.clone());
            Ok(None)
        }
    }

    #[test]
    fn an_object_that_makes_a_controller_panic_comes_again_and_the_others_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &[]).unwrap();
        let mut odd = Loop {
            controller: Odd(Vec::new()),
            registry: Registry::new(store, CancellationToken::new()),
            ready: BTreeSet::new(),
            later: BTreeMap::new(),
            failures: HashMap::new(),
            paces: Paces::default(),
        };
        let hostile = Key::new("pods", "default", "hostile");
        odd.look(&hostile);
        odd.look(&Key::new("pods", "default", "a"));
        assert_eq!(odd.controller.0, ["a"]);
        assert!(odd.later.contains_key(&hostile));
    }

    #[test]
    fn an_object_that_changes_without_end_is_looked_at_so_often_a_second() {
        let (mut paces, key) = (Paces::default(), Key::new("pods", "default", "a"));
        let start = Instant::now();
        let mut looks = |millis: u64, key: &Key| {
            let now = start + Duration::from_millis(millis);
            (0..1000)
                .filter(|_| paces.count(key, now).is_none())
                .count()
        };
        assert_eq!(looks(0, &key), 100);
        assert_eq!(
            looks(0, &Key::new("pods", "default", "b")),
            100,
            "others do not wait"
        );
        assert_eq!(looks(1000, &key), 20);
        assert_eq!(looks(60_000, &key), 100, "after a rest");
    }
}
