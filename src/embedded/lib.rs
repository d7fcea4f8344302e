//! The embedded cluster: a Kubernetes API server subset with its controllers and a kubelet, for readers who have no
//! cluster. `kubectl` and the rest of this program reach it by the kubeconfig that it writes.
//!
//! Owns the data folder and everything that runs on top of it. Knows nothing of the book, the page or the live view.
//!
//! What it leaves out answers with a clear Status: networking and DNS, quotas, admission webhooks, RBAC, and of
//! scheduling everything but node selectors and plain requests.

mod api;
mod controllers;
mod failure;
mod kubelet;
mod object;
mod registry;
mod resource;
mod schema;
mod store;

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::api::Api;
use self::failure::Failure;
use self::kubelet::{Folders, Kubelet};
use self::registry::{Options, Registry};
use self::store::{Closing, Store};
use eizoku_containers::Runtime;

/// How often the end looks whether the last write is done, and how long it waits for it.
const CLOSING: Duration = Duration::from_millis(5);
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// The one node.
const NODE: &str = "eizoku-control-plane";
/// The name of cluster, user and context in the kubeconfig.
const CONTEXT: &str = "eizoku";
/// Namespaces of a fresh cluster, as kind has them.
const NAMESPACES: [&str; 5] = [
    "default",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "local-path-storage",
];

/// A running embedded cluster. It ends with the token it was started with; [`Embedded::ended`] waits for the last
/// container to be gone.
#[derive(Debug)]
pub struct Embedded {
    /// The kubeconfig that leads to it; only its owner can read it.
    pub kubeconfig: PathBuf,
    /// The port of the API server on 127.0.0.1.
    pub port: u16,
    tasks: TaskTracker,
    closing: Closing,
    _lock: File,
}

/// The folder of the cluster when none is given: `eizoku` in the user's state folder.
pub fn default_folder() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        std::env::var_os("HOME")
            .map_or_else(std::env::temp_dir, PathBuf::from)
            .join(".local/state")
    };
    state.unwrap_or_else(home).join("eizoku")
}

/// Where the kubeconfig of a cluster in this folder lies, whether or not it runs.
pub fn kubeconfig_path(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's own folder.
    pub folder: PathBuf,
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Remove whatever was there before.
    pub fresh: bool,
    /// The program that containers are started with; it must call [`eizoku_containers::child_main`] first of all. This very
    /// program when absent.
    pub program: Option<PathBuf>,
}

impl Embedded {
    /// Starts a cluster on a folder of its own, on any free port. With `fresh` whatever was there before is removed
    /// first. Must be called inside a multi-threaded Tokio runtime.
    ///
    /// # Errors
    /// When another cluster runs on the folder, or the folder or the port cannot be had.
    pub async fn start(
        folder: &Path,
        fresh: bool,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        Self::start_with(
            Settings {
                folder: folder.to_owned(),
                port: 0,
                fresh,
                program: None,
            },
            stop,
        )
        .await
    }

    /// [`Embedded::start`] with everything said.
    ///
    /// # Errors
    /// As for [`Embedded::start`].
    pub async fn start_with(settings: Settings, stop: CancellationToken) -> anyhow::Result<Self> {
        let Settings {
            folder,
            port,
            fresh,
            program,
        } = settings;
        let shown = folder.display().to_string();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {shown}"))?;
        restrict(&folder)?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot open the folder {shown}"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .with_context(|| format!("cannot lock {shown}"))?;
        lock.try_lock().map_err(|_| anyhow::anyhow!("another eizoku is running its cluster in {shown}; end it, or use another folder with --data"))?;
        if fresh {
            empty(&folder).with_context(|| format!("cannot empty {shown}"))?;
        }
        let resources: Vec<&'static str> = resource::ALL
            .iter()
            .map(|resource| resource.plural)
            .collect();
        let store = Store::open(&folder.join("store.redb"), &resources)
            .with_context(|| format!("cannot open the store in {shown}"))?;
        let closing = store.closing();
        let registry = Registry::new(store);
        furnish(&registry)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("port {port} on 127.0.0.1 is in use"))?;
        let port = listener.local_addr()?.port();
        let prefix = format!("/k/{}", object::random_hex(16));
        let kubeconfig = kubeconfig_path(&folder);
        write_kubeconfig(&kubeconfig, port, &prefix)
            .with_context(|| format!("cannot write {}", kubeconfig.display()))?;
        let node_root = folder.join("node");
        let folders = Folders {
            pods: folder.join("pods"),
            scratch: folder.join("c"),
            node_root: node_root.clone(),
        };
        let cache = folder.join("cache");
        let runtime = match program {
            Some(program) => Runtime::new(program, cache),
            None => Runtime::of_this_program(cache)?,
        };
        if let Some(why) = eizoku_containers::missing_wall() {
            tracing::warn!("containers are kept to their files by this program alone: {why}");
        }
        let tasks = TaskTracker::new();
        let kubelet = Kubelet::new(&registry, folders, runtime, &stop, &tasks);
        tasks.spawn(kubelet.clone().run());
        controllers::start(&registry, node_root, &stop, &tasks);
        let api = Api {
            registry,
            kubelet,
            prefix,
            port,
            stop,
        };
        tasks.spawn(async move {
            if let Err(error) = api::serve(listener, api).await {
                tracing::error!(%error, "the API server ended");
            }
        });
        tasks.close();
        Ok(Self {
            kubeconfig,
            port,
            tasks,
            closing,
            _lock: lock,
        })
    }

    /// Waits until everything has ended after the token was cancelled.
    pub async fn ended(self) {
        self.tasks.wait().await;
        // A write that was on its way to the disk when its task was cancelled still holds the store for a moment.
        let done = async {
            while !self.closing.is_done() {
                tokio::time::sleep(CLOSING).await;
            }
        };
        let _ = tokio::time::timeout(CLOSING_PATIENCE, done).await;
    }
}

/// Secrets lie in the folder, so only its owner may look in.
fn restrict(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// Removes what a cluster keeps, but for the lock that is being held.
fn empty(folder: &Path) -> std::io::Result<()> {
    for name in ["store.redb", "kubeconfig"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for name in ["pods", "c", "node"] {
        eizoku_containers::remove_tree(&folder.join(name))?;
    }
    Ok(())
}

/// Makes what every cluster has. What is there already is left as it is.
fn furnish(registry: &Registry) -> anyhow::Result<()> {
    let options = Options::by("eizoku");
    let mut objects = Vec::new();
    for name in NAMESPACES {
        objects.push((
            resource::NAMESPACES,
            "",
            json!({"metadata": {"name": name}}),
        ));
    }
    let class = json!({
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": controllers::LOCAL_PATH, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.96.0.1", "type": "ClusterIP", "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    objects.push((resource::STORAGE_CLASSES, "", class));
    objects.push((resource::SERVICES, "default", service));
    let is_fresh = registry.revision() == 0;
    for (resource, namespace, object) in objects {
        // The class may have been removed or changed on purpose; it comes back only with a fresh cluster.
        let is_wanted = is_fresh || resource.plural != "storageclasses";
        let name = object::name(&object).to_owned();
        if is_wanted && registry.find(resource, namespace, &name).is_none() {
            registry
                .insert(resource, namespace, object, &options)
                .map_err(|failure| unfurnished(&failure))?;
        }
    }
    // Who finds the API ready finds what a Pod needs, too: a controller would come a moment later.
    for namespace in NAMESPACES {
        let is_there = registry
            .find(resource::NAMESPACES, "", namespace)
            .is_some_and(|it| !object::is_deleting(&it));
        if is_there {
            controllers::namespaces::furnish(registry, namespace)
                .map_err(|failure| unfurnished(&failure))?;
        }
    }
    Ok(())
}

fn unfurnished(failure: &Failure) -> anyhow::Error {
    anyhow::anyhow!("the cluster could not be furnished: {failure}")
}

/// Writes the kubeconfig so that it is never there half-written or readable by others.
fn write_kubeconfig(path: &Path, port: u16, prefix: &str) -> std::io::Result<()> {
    use std::io::Write;
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {CONTEXT}\n  cluster:\n    server: http://127.0.0.1:{port}{prefix}\nusers:\n- name: {CONTEXT}\n  user: {{}}\ncontexts:\n- name: {CONTEXT}\n  context:\n    cluster: {CONTEXT}\n    user: {CONTEXT}\n    namespace: default\ncurrent-context: {CONTEXT}\n"
    );
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}
