//! A Pod: a body that comes and goes. Its STATUS is derived here, once, as `kubectl get` derives it.

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, Volume,
};
use serde::Serialize;

/// The fields of a Pod that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodCard {
    /// `STATUS` as `kubectl get` prints it.
    pub status: String,
    /// `status.phase`.
    pub phase: String,
    /// Containers that are ready, and containers.
    pub ready: (usize, usize),
    /// The condition `Ready`: a Service sends traffic, a StatefulSet goes on.
    pub is_ready: bool,
    /// How often its containers were started again.
    pub restarts: i32,
    /// Its address; another Pod of the same name has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The node it runs on, once scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The claims it mounts.
    pub claims: Vec<MountedClaim>,
    /// Other volumes it has; service account tokens left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scratch: Vec<Scratch>,
    /// Its containers.
    pub containers: Vec<ContainerCard>,
    /// Its number in a StatefulSet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<i32>,
    /// The revision of the template it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why it is not scheduled yet, in the scheduler's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A claim that a Pod mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountedClaim {
    /// The volume's name inside the Pod.
    pub volume: String,
    /// The PersistentVolumeClaim, in the Pod's namespace.
    pub claim: String,
    /// Where the first container that mounts it sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A volume that does not outlive what it hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scratch {
    /// The volume's name inside the Pod.
    pub volume: String,
    /// The field of the spec: `emptyDir`, `hostPath`, `configMap` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the first container that mounts it sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A container of a Pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerCard {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// What it does.
    pub state: ContainerState,
    /// Why it waits or ended, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum ContainerState {
    Waiting,
    Running,
    Terminated,
}

impl PodCard {
    /// Whether the phase is one that a Pod never leaves.
    pub fn is_terminal(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl From<&Pod> for PodCard {
    fn from(pod: &Pod) -> Self {
        let default_spec = PodSpec::default();
        let default_status = PodStatus::default();
        let spec = pod.spec.as_ref().unwrap_or(&default_spec);
        let status = pod.status.as_ref().unwrap_or(&default_status);
        let label = |name: &str| pod.metadata.labels.as_ref()?.get(name).cloned();
        let line = StatusLine::of(pod, spec, status);
        Self {
            status: line.status,
            phase: status.phase.clone().unwrap_or_default(),
            ready: (line.ready, line.total),
            is_ready: condition(status, "Ready").is_some_and(|it| it.status == "True"),
            restarts: line.restarts,
            ip: status.pod_ip.clone().filter(|ip| !ip.is_empty()),
            node: spec.node_name.clone().filter(|node| !node.is_empty()),
            claims: spec
                .volumes
                .iter()
                .flatten()
                .filter_map(|volume| {
                    Some(MountedClaim {
                        volume: volume.name.clone(),
                        claim: claim_of(pod, volume)?,
                        mount: mount_of(spec, &volume.name),
                    })
                })
                .collect(),
            scratch: spec
                .volumes
                .iter()
                .flatten()
                .filter_map(|volume| {
                    Some(Scratch {
                        volume: volume.name.clone(),
                        kind: scratch_kind(volume)?.into(),
                        mount: mount_of(spec, &volume.name),
                    })
                })
                .collect(),
            containers: spec
                .containers
                .iter()
                .map(|container| {
                    let status = status
                        .container_statuses
                        .iter()
                        .flatten()
                        .find(|status| status.name == container.name);
                    container_card(
                        &container.name,
                        container.image.as_deref().unwrap_or_default(),
                        status,
                    )
                })
                .collect(),
            ordinal: label("apps.kubernetes.io/pod-index").and_then(|index| index.parse().ok()),
            revision: label("controller-revision-hash").or_else(|| label("pod-template-hash")),
            message: condition(status, "PodScheduled")
                .filter(|it| it.status == "False")
                .and_then(|it| it.message.clone()),
        }
    }
}

fn condition<'a>(status: &'a PodStatus, name: &str) -> Option<&'a PodCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == name)
}

fn claim_of(pod: &Pod, volume: &Volume) -> Option<String> {
    if let Some(source) = &volume.persistent_volume_claim {
        return Some(source.claim_name.clone());
    }
    // A generic ephemeral volume's claim is named after Pod and volume (kubernetes KEP-1698).
    volume
        .ephemeral
        .as_ref()
        .and_then(|_| Some(format!("{}-{}", pod.metadata.name.as_ref()?, volume.name)))
}

fn mount_of(spec: &PodSpec, volume: &str) -> Option<String> {
    spec.containers
        .iter()
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .find(|mount| mount.name == volume)
        .map(|mount| mount.mount_path.clone())
}

fn scratch_kind(volume: &Volume) -> Option<&'static str> {
    if volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some() {
        None
    } else if volume.empty_dir.is_some() {
        Some("emptyDir")
    } else if volume.host_path.is_some() {
        Some("hostPath")
    } else if volume.config_map.is_some() {
        Some("configMap")
    } else if volume.secret.is_some() {
        Some("secret")
    } else if volume.nfs.is_some() {
        Some("nfs")
    } else {
        // Projected volumes are service account tokens in every Pod: noise in a picture.
        None
    }
}

fn container_card(name: &str, image: &str, status: Option<&ContainerStatus>) -> ContainerCard {
    let state = status.and_then(|status| status.state.as_ref());
    let (state, reason, exit_code) = match state {
        Some(state) if state.running.is_some() => (ContainerState::Running, None, None),
        Some(state) => match (&state.terminated, &state.waiting) {
            (Some(ended), _) => (
                ContainerState::Terminated,
                ended.reason.clone(),
                Some(ended.exit_code),
            ),
            (None, waiting) => (
                ContainerState::Waiting,
                waiting.as_ref().and_then(|it| it.reason.clone()),
                None,
            ),
        },
        None => (ContainerState::Waiting, None, None),
    };
    ContainerCard {
        name: name.into(),
        image: image.into(),
        state,
        reason,
        exit_code,
    }
}

/// The cells READY, STATUS and RESTARTS, after `printPod` in kubernetes
/// `pkg/printers/internalversion/printers.go` (1.34).
struct StatusLine {
    status: String,
    ready: usize,
    total: usize,
    restarts: i32,
}

impl StatusLine {
    fn of(pod: &Pod, spec: &PodSpec, status: &PodStatus) -> Self {
        let phase = status.phase.clone().unwrap_or_default();
        let mut reason = status
            .reason
            .clone()
            .filter(|reason| !reason.is_empty())
            .unwrap_or_else(|| phase.clone());
        if condition(status, "PodScheduled")
            .is_some_and(|it| it.reason.as_deref() == Some("SchedulingGated"))
        {
            reason = "SchedulingGated".into();
        }

        let mut restarts = 0;
        let mut ready = 0;
        let initialising = initialising(spec, status);
        if let Some(text) = &initialising {
            reason.clone_from(text);
            restarts = status
                .init_container_statuses
                .iter()
                .flatten()
                .map(|container| container.restart_count)
                .sum();
        }
        let initialised = condition(status, "Initialized").is_some_and(|it| it.status == "True");
        if initialising.is_none() || initialised {
            let sidecars = || sidecars(spec, status);
            restarts = sidecars().map(|it| it.restart_count).sum();
            ready = sidecars()
                .filter(|it| it.started == Some(true) && it.ready)
                .count();
            let mut running = false;
            for container in status.container_statuses.iter().flatten().rev() {
                restarts += container.restart_count;
                match ended_or_waiting(container) {
                    Some(text) => reason = text,
                    None if container.ready => {
                        running = true;
                        ready += 1;
                    }
                    None => {}
                }
            }
            if reason == "Completed" && running {
                let is_ready = condition(status, "Ready").is_some_and(|it| it.status == "True");
                reason = if is_ready { "Running" } else { "NotReady" }.into();
            }
        }

        if pod.metadata.deletion_timestamp.is_some() {
            if status.reason.as_deref() == Some("NodeLost") {
                reason = "Unknown".into();
            } else if !matches!(phase.as_str(), "Succeeded" | "Failed") {
                reason = "Terminating".into();
            }
        }
        let is_sidecar = |it: &&Container| it.restart_policy.as_deref() == Some("Always");
        let init = spec.init_containers.iter().flatten();
        Self {
            status: reason,
            ready,
            total: spec.containers.len() + init.filter(is_sidecar).count(),
            restarts,
        }
    }
}

/// The statuses of init containers that run as long as the Pod does.
fn sidecars<'a>(
    spec: &'a PodSpec,
    status: &'a PodStatus,
) -> impl Iterator<Item = &'a ContainerStatus> {
    status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|container| {
            spec.init_containers.iter().flatten().any(|init| {
                init.name == container.name && init.restart_policy.as_deref() == Some("Always")
            })
        })
}

fn ended_or_waiting(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(reason) = state
        .waiting
        .as_ref()
        .and_then(|waiting| waiting.reason.clone())
        .filter(|reason| !reason.is_empty())
    {
        return Some(reason);
    }
    let ended = state.terminated.as_ref()?;
    Some(match ended.reason.as_deref() {
        Some(reason) if !reason.is_empty() => reason.into(),
        _ => match ended.signal {
            Some(signal) if signal != 0 => format!("Signal:{signal}"),
            _ => format!("ExitCode:{}", ended.exit_code),
        },
    })
}

/// `Init:…` while an init container keeps the others waiting, else nothing.
fn initialising(spec: &PodSpec, status: &PodStatus) -> Option<String> {
    let all = spec.init_containers.as_ref()?;
    for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
        let sidecar = all.iter().any(|init| {
            init.name == container.name && init.restart_policy.as_deref() == Some("Always")
        });
        let state = container.state.as_ref();
        let ended = state.and_then(|state| state.terminated.as_ref());
        if ended.is_some_and(|ended| ended.exit_code == 0)
            || (sidecar && container.started == Some(true))
        {
            continue;
        }
        let waiting = state
            .and_then(|state| state.waiting.as_ref()?.reason.clone())
            .filter(|reason| !reason.is_empty() && reason != "PodInitializing");
        return Some(if let Some(ended) = ended {
            match (ended.reason.as_deref(), ended.signal) {
                (Some(reason), _) if !reason.is_empty() => format!("Init:{reason}"),
                (_, Some(signal)) if signal != 0 => format!("Init:Signal:{signal}"),
                _ => format!("Init:ExitCode:{}", ended.exit_code),
            }
        } else if let Some(reason) = waiting {
            format!("Init:{reason}")
        } else {
            format!("Init:{index}/{}", all.len())
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn card(metadata: &Value, status: &Value) -> PodCard {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": metadata,
            "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]},
            "status": status,
        }))
        .expect("a Pod");
        PodCard::from(&pod)
    }

    fn one(state: &Value, ready: bool) -> Value {
        json!([{"name": "a", "image": "", "imageID": "", "restartCount": 2, "ready": ready, "state": state}])
    }

    #[test]
    fn status_is_what_kubectl_prints() {
        let deleted = json!({"deletionTimestamp": "2026-11-23T00:00:00Z"});
        let running = one(&json!({"running": {}}), true);
        let completed = one(
            &json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
            false,
        );
        for (metadata, status, want) in [
            (json!({}), json!({"phase": "Pending"}), "Pending"),
            (
                json!({}),
                json!({"phase": "Pending", "containerStatuses": one(&json!({"waiting": {"reason": "ContainerCreating"}}), false)}),
                "ContainerCreating",
            ),
            (
                json!({}),
                json!({"phase": "Running", "containerStatuses": running}),
                "Running",
            ),
            (
                deleted.clone(),
                json!({"phase": "Running", "containerStatuses": running}),
                "Terminating",
            ),
            // Once the phase is terminal, kubectl stops saying Terminating.
            (
                deleted,
                json!({"phase": "Succeeded", "containerStatuses": completed}),
                "Completed",
            ),
            (
                json!({}),
                json!({"phase": "Running", "containerStatuses": one(&json!({"waiting": {"reason": "CrashLoopBackOff"}}), false)}),
                "CrashLoopBackOff",
            ),
            (
                json!({}),
                json!({"phase": "Failed", "containerStatuses": one(&json!({"terminated": {"exitCode": 137, "signal": 9}}), false)}),
                "Signal:9",
            ),
            (
                json!({}),
                json!({"phase": "Failed", "reason": "Evicted"}),
                "Evicted",
            ),
            (
                json!({}),
                json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}]}),
                "Init:0/1",
            ),
            (
                json!({}),
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
                "SchedulingGated",
            ),
        ] {
            assert_eq!(card(&metadata, &status).status, want, "{status}");
        }
    }

    #[test]
    fn ready_and_restarts_are_counted() {
        let card = card(
            &json!({}),
            &json!({"phase": "Running", "containerStatuses": one(&json!({"running": {}}), true)}),
        );
        assert_eq!((card.ready, card.restarts), ((1, 1), 2));
    }
}
