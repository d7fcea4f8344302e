//! The node object: one machine, always ready while the program runs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::discovery::architecture;
use crate::object::{self, text};
use crate::registry::{Options, Part, Registry};
use crate::resource;
use crate::{NODE, NODE_PODS};

/// How often the node's status is written without need, as the real kubelet does.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(300);
/// The node's address: where Pods would be reached if there were a network.
pub(super) const ADDRESS: &str = "127.0.0.1";

/// Writes the node's status; makes the node when it is not there.
pub(super) fn report(registry: &Registry) {
    let options = Options::by("kubelet");
    if registry.find(resource::NODES, "", NODE).is_none() {
        let labels = json!({
            "beta.kubernetes.io/arch": architecture(), "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": architecture(), "kubernetes.io/hostname": NODE,
            "kubernetes.io/os": "linux", "node-role.kubernetes.io/control-plane": "",
        });
        let node = json!({"metadata": {"name": NODE, "labels": labels}, "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"]}});
        if let Err(failure) = registry.insert(resource::NODES, "", node, &options) {
            tracing::warn!(%failure, "the node was not registered");
        }
    }
    let now = Timestamp::now();
    let written = registry.modify(resource::NODES, "", NODE, Part::Status, &options, |node| {
        node["status"] = status(node, now);
    });
    if let Err(failure) = written {
        tracing::warn!(%failure, "the node's status was not written");
    }
}

fn status(node: &Value, now: Timestamp) -> Value {
    let version = crate::api::discovery::version();
    let version = text(&version, "/gitVersion");
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|info| {
            info.lines().find_map(|line| {
                line.strip_prefix("MemTotal:")
                    .and_then(|rest| rest.split_whitespace().next().map(str::to_owned))
            })
        })
        .map_or_else(|| "8Gi".to_owned(), |kibibytes| format!("{kibibytes}Ki"));
    let capacity =
        json!({"cpu": cpus.to_string(), "memory": memory, "pods": NODE_PODS.to_string()});
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let before =
            object::condition(node, kind).filter(|before| text(before, "/status") == status);
        let since = before.map_or_else(
            || object::time(now),
            |before| text(before, "/lastTransitionTime").to_owned(),
        );
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": object::time(now), "lastTransitionTime": since})
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|release| release.trim().to_owned())
        .unwrap_or_default();
    json!({
        "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": NODE}],
        "capacity": capacity, "allocatable": capacity,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "nodeInfo": {
            "architecture": architecture(), "bootID": "", "containerRuntimeVersion": concat!("eizoku://", env!("CARGO_PKG_VERSION")), "kernelVersion": kernel, "kubeProxyVersion": "",
            "kubeletVersion": version, "machineID": "", "operatingSystem": std::env::consts::OS, "osImage": concat!("eizoku ", env!("CARGO_PKG_VERSION")), "systemUUID": "",
        },
    })
}
