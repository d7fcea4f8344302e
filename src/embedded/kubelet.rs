//! The kubelet: runs the Pods that were given to the node, and tells in their status what became of it.
//!
//! Owns the node object, one worker for each Pod, and the folders that belong to Pods. Containers are run by
//! `containers`; objects are read and written through the registry. It never decides which Pods there should be.

mod env;
mod mounts;
mod node;
mod probe;
mod runner;
mod status;
mod worker;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::worker::Worker;
use super::controllers::events::{Note, Recorder};
use super::object::{self, Object, text};
use super::registry::{Options, Part, Registry};
use super::resource;
use super::store::Happened;
use super::{NODE, NODE_PODS};
use eizoku_containers::{Container, Runtime, remove_tree};

/// The folders that the kubelet works in.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// What Pods leave behind only as long as they live: emptyDir, secrets as files, logs.
    pub(crate) pods: PathBuf,
    /// The writable layers of containers; a short path, because sockets lie below it.
    pub(crate) scratch: PathBuf,
    /// The node's disk: volumes lie here and stay.
    pub(crate) node_root: PathBuf,
}

/// A cheap handle on the node's kubelet.
#[derive(Debug, Clone)]
pub(crate) struct Kubelet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    recorder: Recorder,
    folders: Folders,
    runtime: Runtime,
    state: Mutex<State>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct State {
    /// Running containers by Pod uid and container name.
    containers: HashMap<(String, String), Container>,
    /// The Pods being worked on, by uid.
    pods: HashMap<String, Known>,
    /// Pods that were turned away, until that is in their status.
    rejected: HashSet<String>,
    last_address: u16,
}

/// What the kubelet keeps about a Pod that has a worker.
#[derive(Debug)]
struct Known {
    full_name: String,
    news: watch::Sender<News>,
    /// Closed when the worker is through.
    done: watch::Receiver<()>,
}

/// What a worker hears about its Pod.
#[derive(Debug, Clone)]
enum News {
    Is(Object),
    /// The object is gone from the store.
    Gone(Object),
}

impl Known {
    /// Whether the Pod takes up room on the node.
    fn is_active(&self) -> bool {
        matches!(&*self.news.borrow(), News::Is(pod) if !has_ended(pod))
    }
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

impl Kubelet {
    pub(crate) fn new(
        registry: &Registry,
        folders: Folders,
        runtime: Runtime,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        Self(Arc::new(Inner {
            registry: registry.clone(),
            recorder: Recorder::new(registry, "kubelet", NODE),
            folders,
            runtime,
            state: Mutex::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        }))
    }

    /// The running container of a Pod.
    pub(crate) fn container(&self, pod_uid: &str, name: &str) -> Option<Container> {
        self.0
            .state
            .lock()
            .unwrap()
            .containers
            .get(&(pod_uid.to_owned(), name.to_owned()))
            .cloned()
    }

    /// Where the n-th run of a container writes its log.
    pub(crate) fn log_file(&self, pod_uid: &str, container: &str, run: i64) -> PathBuf {
        self.0
            .folders
            .pods
            .join(pod_uid)
            .join("logs")
            .join(container)
            .join(format!("{run}.log"))
    }

    /// Registers the node and works until the token is cancelled.
    pub(crate) async fn run(self) {
        let inner = &self.0;
        let mut beats = tokio::time::interval(node::STATUS_EVERY);
        let mut changes = inner.registry.changes(inner.registry.revision());
        // No container of this run has been started yet: every layer is one that an earlier run left behind.
        clear_all(&inner.folders.scratch, is_scratch);
        self.begin();
        loop {
            tokio::select! {
                news = changes.next() => match news {
                    Ok(list) => list.iter().filter(|change| change.key.resource == resource::PODS.plural).for_each(|change| {
                        self.hear(&change.object, change.happened == Happened::Deleted);
                    }),
                    Err(_) => {
                        changes = inner.registry.changes(inner.registry.revision());
                        self.begin();
                    }
                },
                _ = beats.tick() => {
                    let registry = inner.registry.clone();
                    let _ = tokio::task::spawn_blocking(move || node::report(&registry)).await;
                }
                () = inner.stop.cancelled() => return,
            }
        }
    }

    /// Takes up every Pod of the node, tells workers of vanished ones, and removes the folders that no Pod owns.
    fn begin(&self) {
        let (pods, _) = self.0.registry.list(resource::PODS, None);
        let known: Vec<(String, watch::Sender<News>)> = self
            .0
            .state
            .lock()
            .unwrap()
            .pods
            .iter()
            .map(|(uid, known)| (uid.clone(), known.news.clone()))
            .collect();
        for (uid, news) in known {
            if !pods.iter().any(|pod| object::uid(pod) == uid) {
                news.send_modify(|news| {
                    if let News::Is(last) = news {
                        *news = News::Gone(last.clone());
                    }
                });
            }
        }
        for pod in &pods {
            self.hear(pod, false);
        }
        let uids: Vec<&str> = pods.iter().map(|pod| object::uid(pod)).collect();
        let state = self.0.state.lock().unwrap();
        clear_all(&self.0.folders.pods, |name| {
            object::is_uid(name) && !uids.contains(&name) && !state.pods.contains_key(name)
        });
    }

    /// Tells a Pod's worker, or starts one.
    fn hear(&self, pod: &Object, is_gone: bool) {
        if text(pod, "/spec/nodeName") != NODE {
            return;
        }
        let uid = object::uid(pod).to_owned();
        let mut state = self.0.state.lock().unwrap();
        if let Some(known) = state.pods.get(&uid) {
            known.news.send_replace(if is_gone {
                News::Gone(pod.clone())
            } else {
                News::Is(pod.clone())
            });
            return;
        }
        let has_ended = has_ended(pod);
        if is_gone || has_ended {
            state.rejected.remove(&uid);
        } else if state.rejected.contains(&uid) {
            return;
        }
        if is_gone || (has_ended && !object::is_deleting(pod)) {
            if is_gone {
                clear(&self.0.folders.pods.join(&uid));
            }
            return;
        }
        // A Pod that was begun has been let in before, maybe by an earlier run of the program.
        let is_begun = has_ended || !text(pod, "/status/startTime").is_empty();
        let used = state
            .pods
            .values()
            .filter(|known| known.is_active())
            .count();
        if !is_begun && !object::is_deleting(pod) && used >= NODE_PODS {
            state.rejected.insert(uid);
            drop(state);
            return self.reject(pod, used);
        }
        let full_name = format!("{}/{}", object::namespace(pod), object::name(pod));
        // A Pod's successor under the same name waits until the last process of the one before has ended: both would
        // write to the same claim.
        let before: Vec<watch::Receiver<()>> = state
            .pods
            .values()
            .filter(|known| known.full_name == full_name)
            .map(|known| known.done.clone())
            .collect();
        let (news, hears) = watch::channel(News::Is(pod.clone()));
        let (guard, done) = watch::channel(());
        state.pods.insert(
            uid.clone(),
            Known {
                full_name,
                news,
                done,
            },
        );
        drop(state);
        let kubelet = self.clone();
        self.0.tasks.spawn(async move {
            for mut earlier in before {
                // The channel closes when the earlier worker is through.
                let _ = earlier.changed().await;
            }
            let working = async { Worker::new(&kubelet, hears.clone()).run().await };
            if AssertUnwindSafe(working).catch_unwind().await.is_err() {
                // What ran in the Pod has ended with its worker.
                worker::give_up(&kubelet, hears).await;
            }
            kubelet.0.state.lock().unwrap().pods.remove(&uid);
            drop(guard);
        });
    }

    /// Turns a Pod away that somebody gave to the full node without asking the scheduler (kubernetes
    /// `pkg/kubelet/lifecycle/predicate.go`).
    fn reject(&self, pod: &Object, used: usize) {
        let message = format!(
            "Node didn't have enough resource: pods, requested: 1, used: {used}, capacity: {NODE_PODS}"
        );
        let (kubelet, pod) = (self.clone(), pod.clone());
        self.0.tasks.spawn_blocking(move || {
            let inner = &kubelet.0;
            let note = Note::warning(&pod, "OutOfpods", message.clone());
            inner.recorder.record(&note);
            let written = inner.registry.modify(
                resource::PODS,
                object::namespace(&pod),
                object::name(&pod),
                Part::Status,
                &Options::by("kubelet"),
                |now| {
                    if object::uid(now) == object::uid(&pod) {
                        now["status"]["phase"] = json!("Failed");
                        now["status"]["reason"] = json!("OutOfpods");
                        now["status"]["message"] = json!(format!("Pod was rejected: {message}"));
                        now["status"]["startTime"] = json!(object::time(Timestamp::now()));
                    }
                },
            );
            if let Err(failure) = written {
                tracing::debug!(%failure, "a Pod was turned away, and its status could not be written");
                kubelet.0.state.lock().unwrap().rejected.remove(object::uid(&pod));
            }
        });
    }

    /// An address of the Pod network that no Pod has now.
    fn address(&self) -> String {
        let taken: Vec<String> = self
            .0
            .registry
            .list(resource::PODS, None)
            .0
            .iter()
            .filter(|pod| !object::is_deleting(pod))
            .map(|pod| text(pod, "/status/podIP").to_owned())
            .collect();
        let mut state = self.0.state.lock().unwrap();
        for _ in 0..u16::MAX {
            state.last_address = if state.last_address >= 65_000 {
                2
            } else {
                (state.last_address + 1).max(2)
            };
            let address = format!(
                "10.244.{}.{}",
                state.last_address / 256,
                state.last_address % 256
            );
            if !taken.contains(&address) && !matches!(state.last_address % 256, 0 | 255) {
                return address;
            }
        }
        "10.244.0.1".to_owned()
    }

    fn put_container(&self, pod_uid: &str, name: &str, container: Option<Container>) {
        let key = (pod_uid.to_owned(), name.to_owned());
        let mut state = self.0.state.lock().unwrap();
        match container {
            Some(container) => drop(state.containers.insert(key, container)),
            None => drop(state.containers.remove(&key)),
        }
    }
}

/// The random bytes in the name of a container's writable layer: few, because the path of a socket is short.
const SCRATCH_BYTES: usize = 6;

/// Whether a writable layer may have this name.
fn is_scratch(name: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 2 * SCRATCH_BYTES && name.bytes().all(is_hex)
}

/// Removes what a container or a Pod leaves behind. What cannot be removed is told, and tried again with the next start.
fn clear(folder: &Path) {
    if let Err(error) = remove_tree(folder) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        tracing::warn!(%error, "the folder {name} was not removed");
    }
}

/// Removes the folders in a folder whose names say that they are left over. Nothing else is ours to remove.
fn clear_all(folder: &Path, is_left_over: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && is_left_over(&entry.file_name().to_string_lossy()) {
            clear(&entry.path());
        }
    }
}

/// The wait after a container's n-th failure in a row: the first restart is at once, then 10 s doubling up to 5 min.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        count => Duration::from_secs(10)
            .saturating_mul(1 << (count - 1).min(8))
            .min(Duration::from_secs(300)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_have_been_made_here_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = object::random_hex(SCRATCH_BYTES);
        let kept = ["notes", "0123456789AB", "0123456789abc", "0123456789a"];
        for name in kept.iter().copied().chain([scratch.as_str()]) {
            std::fs::create_dir_all(folder.path().join(name).join("below")).unwrap();
        }
        std::fs::write(folder.path().join("aaaaaaaaaaaa"), "a file").unwrap();
        std::os::unix::fs::symlink("notes", folder.path().join("bbbbbbbbbbbb")).unwrap();
        clear_all(folder.path(), is_scratch);
        assert!(!folder.path().join(scratch).exists());
        for name in kept {
            assert!(folder.path().join(name).join("below").is_dir(), "{name}");
        }
        assert!(folder.path().join("aaaaaaaaaaaa").is_file());
        assert!(folder.path().join("bbbbbbbbbbbb").is_symlink());
    }

    #[test]
    fn restarts_wait_longer_and_longer() {
        let waits: Vec<u64> = (0..8).map(|count| backoff(count).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }
}
