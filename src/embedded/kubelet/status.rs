//! A Pod's status from what its containers do: phase, conditions, container statuses, as a pure function.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::node;
use crate::object::{self, array, int, text};

/// What is known about one container.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) name: String,
    /// `state`: one of waiting, running, terminated.
    pub(super) state: Value,
    /// `lastState`: how the run before ended.
    pub(super) last: Value,
    pub(super) ready: bool,
    pub(super) started: bool,
    pub(super) restarts: i64,
    /// An init container that goes on beside the others (`restartPolicy: Always`).
    pub(super) is_sidecar: bool,
    /// The image's full name once it is resolved.
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) id: String,
}

impl Seen {
    /// A container that waits for its first start. What an earlier run of the program left in the Pod's status is
    /// carried on: the container counts as restarted.
    pub(super) fn first(pod: &Value, container: &Value, list: &str, reason: &str) -> Self {
        let name = text(container, "/name");
        let before = array(pod, list).iter().find(|status| {
            text(status, "/name") == name && !text(status, "/containerID").is_empty()
        });
        let mut seen = Self {
            name: name.to_owned(),
            state: json!({"waiting": {"reason": reason}}),
            last: json!({}),
            ready: false,
            started: false,
            restarts: 0,
            is_sidecar: list == "/status/initContainerStatuses"
                && text(container, "/restartPolicy") == "Always",
            image: text(container, "/image").to_owned(),
            image_id: String::new(),
            id: String::new(),
        };
        if let Some(before) = before {
            // The field holds 32 bits.
            let count = int(before, "/restartCount").unwrap_or(0);
            seen.restarts = (count + 1).min(i64::from(i32::MAX));
            let id = text(before, "/containerID");
            seen.last = match before.pointer("/state/terminated").or_else(|| {
                before
                    .pointer("/lastState/terminated")
                    .filter(|_| before.pointer("/state/running").is_none())
            }) {
                Some(ended) => json!({"terminated": ended}),
                None => json!({"terminated": {
                    "exitCode": 255, "reason": "Unknown", "containerID": id, "startedAt": before["state"]["running"]["startedAt"], "finishedAt": before["state"]["running"]["startedAt"],
                }}),
            };
        }
        seen
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.get("running").is_some()
    }

    fn ended(&self) -> Option<&Value> {
        self.state.get("terminated")
    }

    /// Whether an init container has done what the next one waits for.
    pub(super) fn has_prepared(&self) -> bool {
        if self.is_sidecar {
            self.started
        } else {
            self.exit_code() == Some(0)
        }
    }

    fn exit_code(&self) -> Option<i64> {
        self.ended().and_then(|ended| int(ended, "/exitCode"))
    }
}

/// What the whole Pod is at.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    /// The network address, once the Pod has one.
    pub(super) address: String,
    /// Volumes are mounted and the address is given.
    pub(super) has_sandbox: bool,
    /// The Pod is being ended for good.
    pub(super) is_ending: bool,
    /// It has been active for longer than it may.
    pub(super) is_overdue: bool,
}

/// The phase of a Pod.
fn phase(pod: &Value, stage: &Stage, init: &[Seen], main: &[Seen]) -> &'static str {
    let policy = text(pod, "/spec/restartPolicy");
    if stage.is_overdue && main.iter().chain(init).all(|seen| !seen.is_running()) {
        return "Failed";
    }
    if stage.is_ending
        && main.iter().chain(init).all(|seen| !seen.is_running())
        && main.iter().any(|seen| seen.ended().is_some())
    {
        let all_well = main.iter().all(|seen| seen.exit_code() == Some(0));
        return if all_well { "Succeeded" } else { "Failed" };
    }
    let init_failed = init
        .iter()
        .any(|seen| !seen.is_sidecar && seen.exit_code().is_some_and(|code| code != 0));
    if init_failed && policy == "Never" {
        return "Failed";
    }
    let has_run = main
        .iter()
        .any(|seen| seen.is_running() || seen.ended().is_some());
    // A sidecar that is started again while the others run takes nothing back.
    if init
        .iter()
        .any(|seen| !(seen.has_prepared() || seen.is_sidecar && has_run))
    {
        return "Pending";
    }
    let waits = main
        .iter()
        .any(|seen| seen.state.get("waiting").is_some() && seen.last.get("terminated").is_none());
    if waits {
        return "Pending";
    }
    let has_sidecar = init.iter().any(|seen| seen.is_sidecar && seen.is_running());
    if main.iter().any(Seen::is_running) || has_sidecar || policy == "Always" {
        return "Running";
    }
    let failed = main.iter().any(|seen| seen.exit_code() != Some(0));
    match (failed, policy) {
        (false, _) => "Succeeded",
        (true, "Never") => "Failed",
        (true, _) => "Running",
    }
}

/// Builds the status. Conditions keep their time as long as they say the same.
pub(super) fn compose(
    pod: &Value,
    stage: &Stage,
    init: &[Seen],
    main: &[Seen],
    now: Timestamp,
) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
    let generation = int(pod, "/metadata/generation").unwrap_or(1);
    let phase = phase(pod, stage, init, main);
    let has_ended = matches!(phase, "Succeeded" | "Failed");
    status["phase"] = json!(phase);
    status["observedGeneration"] = json!(generation);
    status["hostIP"] = json!(node::ADDRESS);
    status["hostIPs"] = json!([{"ip": node::ADDRESS}]);
    object::set_default(&mut status, "/startTime", object::time(now));
    if !stage.address.is_empty() {
        status["podIP"] = json!(stage.address);
        status["podIPs"] = json!([{"ip": stage.address}]);
    }
    if stage.is_overdue {
        status["reason"] = json!("DeadlineExceeded");
        status["message"] = json!("Pod was active on the node longer than the specified deadline");
    }
    let unready: Vec<&str> = init
        .iter()
        .filter(|seen| seen.is_sidecar)
        .chain(main)
        .filter(|seen| !seen.ready)
        .map(|seen| seen.name.as_str())
        .collect();
    let has_run = main
        .iter()
        .any(|seen| seen.is_running() || seen.ended().is_some());
    let is_prepared = |seen: &&Seen| seen.has_prepared() || (seen.is_sidecar && has_run);
    let is_initialized = init.iter().all(|seen| is_prepared(&seen));
    let ready = if phase == "Succeeded" {
        Some(("PodCompleted", String::new()))
    } else if phase == "Failed" {
        Some(("PodFailed", String::new()))
    } else if unready.is_empty() {
        None
    } else {
        Some((
            "ContainersNotReady",
            format!("containers with unready status: [{}]", unready.join(" ")),
        ))
    };
    let initialized = match (is_initialized, phase) {
        (_, "Succeeded") => (true, Some(("PodCompleted", String::new()))),
        (true, _) => (true, None),
        (false, _) => {
            let names: Vec<&str> = init
                .iter()
                .filter(|seen| !is_prepared(seen))
                .map(|seen| seen.name.as_str())
                .collect();
            (
                false,
                Some((
                    "ContainersNotInitialized",
                    format!("containers with incomplete status: [{}]", names.join(" ")),
                )),
            )
        }
    };
    let gates: Vec<&str> = array(pod, "/spec/readinessGates")
        .iter()
        .map(|gate| text(gate, "/conditionType"))
        .filter(|kind| !object::is_condition_true(pod, kind))
        .collect();
    let pod_ready = if ready.is_none() && !gates.is_empty() {
        Some((
            "ReadinessGatesNotReady",
            format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gates.join(" ")
            ),
        ))
    } else {
        ready.clone()
    };
    let sandbox = stage.has_sandbox && !has_ended;
    let mut conditions = vec![
        ("PodReadyToStartContainers", sandbox, None),
        ("Initialized", initialized.0, initialized.1),
        ("Ready", pod_ready.is_none(), pod_ready),
        ("ContainersReady", ready.is_none(), ready),
    ]
    .into_iter()
    .map(|(kind, holds, why)| condition(pod, kind, holds, why, generation, now))
    .collect::<Vec<_>>();
    const OWN: [&str; 4] = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
    ];
    let others = array(pod, "/status/conditions")
        .iter()
        .filter(|one| !OWN.contains(&text(one, "/type")))
        .cloned();
    let mut others: Vec<Value> = others.collect();
    for other in others
        .iter_mut()
        .filter(|other| text(other, "/type") == "PodScheduled")
    {
        other["observedGeneration"] = json!(generation);
    }
    if !others
        .iter()
        .any(|other| text(other, "/type") == "PodScheduled")
    {
        // A Pod made with a node in its spec has passed no scheduler.
        others.push(condition(pod, "PodScheduled", true, None, generation, now));
    }
    conditions.extend(others);
    status["conditions"] = json!(conditions);
    if !init.is_empty() {
        status["initContainerStatuses"] = json!(
            init.iter()
                .map(|seen| container_status(
                    pod,
                    "/spec/initContainers",
                    seen,
                    if seen.is_sidecar {
                        seen.ready
                    } else {
                        seen.exit_code() == Some(0)
                    }
                ))
                .collect::<Vec<_>>()
        );
    }
    status["containerStatuses"] = json!(
        main.iter()
            .map(|seen| container_status(pod, "/spec/containers", seen, seen.ready))
            .collect::<Vec<_>>()
    );
    status
}

fn condition(
    pod: &Value,
    kind: &str,
    holds: bool,
    why: Option<(&str, String)>,
    generation: i64,
    now: Timestamp,
) -> Value {
    let status = if holds { "True" } else { "False" };
    let before = object::condition(pod, kind).filter(|before| text(before, "/status") == status);
    let since = before.map_or_else(
        || object::time(now),
        |before| text(before, "/lastTransitionTime").to_owned(),
    );
    let mut condition = json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since, "observedGeneration": generation});
    if let Some((reason, message)) = why {
        condition["reason"] = json!(reason);
        if !message.is_empty() {
            condition["message"] = json!(message);
        }
    }
    condition
}

fn container_status(pod: &Value, list: &str, seen: &Seen, ready: bool) -> Value {
    let spec = array(pod, list)
        .iter()
        .find(|container| text(container, "/name") == seen.name)
        .cloned()
        .unwrap_or_default();
    let mounts: Vec<Value> = array(&spec, "/volumeMounts")
        .iter()
        .map(|mount| {
            let mut shown = json!({"name": mount["name"], "mountPath": mount["mountPath"]});
            if object::flag(mount, "/readOnly") {
                shown["readOnly"] = json!(true);
                shown["recursiveReadOnly"] = json!("Disabled");
            }
            shown
        })
        .collect();
    let mut status = json!({
        "name": seen.name, "state": seen.state, "lastState": seen.last, "ready": ready, "restartCount": seen.restarts, "image": seen.image, "imageID": seen.image_id, "started": seen.started,
    });
    if !mounts.is_empty() {
        status["volumeMounts"] = json!(mounts);
    }
    if !seen.id.is_empty() {
        status["containerID"] = json!(seen.id);
        status["resources"] = spec.get("resources").cloned().unwrap_or_else(|| json!({}));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: Value, last: Value, ready: bool) -> Seen {
        let pod = json!({});
        Seen {
            state,
            last,
            ready,
            ..Seen::first(&pod, &json!({"name": "a"}), "/x", "ContainerCreating")
        }
    }

    fn ended(code: i64) -> Value {
        json!({"terminated": {"exitCode": code}})
    }

    #[test]
    fn the_phase_follows_the_containers() {
        let stage = Stage {
            has_sandbox: true,
            ..Stage::default()
        };
        let ending = Stage {
            is_ending: true,
            ..stage.clone()
        };
        let running = || seen(json!({"running": {}}), json!({}), true);
        let waiting = || seen(json!({"waiting": {}}), json!({}), false);
        let backing_off = || seen(json!({"waiting": {}}), ended(1), false);
        let gone = |code| seen(ended(code), json!({}), false);
        for (what, policy, stage, init, main, expected) in [
            (
                "creating",
                "Always",
                &stage,
                vec![],
                vec![waiting()],
                "Pending",
            ),
            (
                "initializing",
                "Always",
                &stage,
                vec![running()],
                vec![waiting()],
                "Pending",
            ),
            (
                "init failed for good",
                "Never",
                &stage,
                vec![gone(1)],
                vec![waiting()],
                "Failed",
            ),
            (
                "running",
                "Always",
                &stage,
                vec![gone(0)],
                vec![running()],
                "Running",
            ),
            (
                "crash loop",
                "Always",
                &stage,
                vec![],
                vec![backing_off()],
                "Running",
            ),
            (
                "between restarts",
                "Always",
                &stage,
                vec![],
                vec![gone(0)],
                "Running",
            ),
            ("done", "Never", &stage, vec![], vec![gone(0)], "Succeeded"),
            (
                "failed",
                "Never",
                &stage,
                vec![],
                vec![gone(0), gone(3)],
                "Failed",
            ),
            (
                "comes again",
                "OnFailure",
                &stage,
                vec![],
                vec![gone(3)],
                "Running",
            ),
            (
                "ending well",
                "Always",
                &ending,
                vec![],
                vec![gone(0)],
                "Succeeded",
            ),
            (
                "ending by force",
                "Always",
                &ending,
                vec![],
                vec![gone(137)],
                "Failed",
            ),
            (
                "still ending",
                "Always",
                &ending,
                vec![],
                vec![running(), gone(0)],
                "Running",
            ),
        ] {
            let pod = json!({"spec": {"restartPolicy": policy}});
            assert_eq!(phase(&pod, stage, &init, &main), expected, "{what}");
        }
    }

    #[test]
    fn conditions_keep_their_time_until_they_change() {
        let (early, late): (Timestamp, Timestamp) = (
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "2026-01-01T00:00:09Z".parse().unwrap(),
        );
        let stage = Stage {
            has_sandbox: true,
            ..Stage::default()
        };
        let mut pod = json!({"metadata": {"generation": 1}, "spec": {"containers": [{"name": "a"}], "restartPolicy": "Always"}, "status": {}});
        pod["status"] = compose(
            &pod,
            &stage,
            &[],
            &[seen(json!({"running": {}}), json!({}), false)],
            early,
        );
        let shown = |pod: &Value, kind: &str| {
            object::condition(pod, kind)
                .map(|one| {
                    (
                        text(one, "/status").to_owned(),
                        text(one, "/lastTransitionTime").to_owned(),
                    )
                })
                .unwrap()
        };
        assert_eq!(
            shown(&pod, "Ready"),
            ("False".to_owned(), "2026-01-01T00:00:00Z".to_owned())
        );
        pod["status"] = compose(
            &pod,
            &stage,
            &[],
            &[seen(json!({"running": {}}), json!({}), true)],
            late,
        );
        assert_eq!(
            shown(&pod, "Ready"),
            ("True".to_owned(), "2026-01-01T00:00:09Z".to_owned())
        );
        assert_eq!(
            shown(&pod, "Initialized"),
            ("True".to_owned(), "2026-01-01T00:00:00Z".to_owned())
        );
    }
}
