//! Tables: the columns that `kubectl get` prints, worked out by the server as the real one does.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, array, int, text};
use crate::registry::is_default_class;
use crate::resource::Resource;

/// A column: its name, its type, and whether only `-o wide` shows it.
type Column = (&'static str, &'static str, bool);

const fn text_column(name: &'static str) -> Column {
    (name, "string", false)
}

const fn wide(name: &'static str) -> Column {
    (name, "string", true)
}

const NAME: Column = text_column("Name");
const AGE: Column = text_column("Age");

fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "pods" => {
            &const {
                [
                    NAME,
                    text_column("Ready"),
                    text_column("Status"),
                    text_column("Restarts"),
                    AGE,
                    wide("IP"),
                    wide("Node"),
                    wide("Nominated Node"),
                    wide("Readiness Gates"),
                ]
            }
        }
        "persistentvolumeclaims" => {
            &const {
                [
                    NAME,
                    text_column("Status"),
                    text_column("Volume"),
                    text_column("Capacity"),
                    text_column("Access Modes"),
                    text_column("StorageClass"),
                    text_column("VolumeAttributesClass"),
                    AGE,
                    wide("VolumeMode"),
                ]
            }
        }
        "persistentvolumes" => {
            &const {
                [
                    NAME,
                    text_column("Capacity"),
                    text_column("Access Modes"),
                    text_column("Reclaim Policy"),
                    text_column("Status"),
                    text_column("Claim"),
                    text_column("StorageClass"),
                    text_column("VolumeAttributesClass"),
                    text_column("Reason"),
                    AGE,
                    wide("VolumeMode"),
                ]
            }
        }
        "storageclasses" => {
            &const {
                [
                    NAME,
                    text_column("Provisioner"),
                    text_column("ReclaimPolicy"),
                    text_column("VolumeBindingMode"),
                    ("AllowVolumeExpansion", "string", false),
                    AGE,
                ]
            }
        }
        "statefulsets" => {
            &const {
                [
                    NAME,
                    text_column("Ready"),
                    AGE,
                    wide("Containers"),
                    wide("Images"),
                ]
            }
        }
        "deployments" => {
            &const {
                [
                    NAME,
                    text_column("Ready"),
                    ("Up-to-date", "string", false),
                    ("Available", "string", false),
                    AGE,
                    wide("Containers"),
                    wide("Images"),
                    wide("Selector"),
                ]
            }
        }
        "replicasets" => {
            &const {
                [
                    NAME,
                    ("Desired", "integer", false),
                    ("Current", "integer", false),
                    ("Ready", "integer", false),
                    AGE,
                    wide("Containers"),
                    wide("Images"),
                    wide("Selector"),
                ]
            }
        }
        "services" => {
            &const {
                [
                    NAME,
                    text_column("Type"),
                    text_column("Cluster-IP"),
                    text_column("External-IP"),
                    text_column("Port(s)"),
                    AGE,
                    wide("Selector"),
                ]
            }
        }
        "endpoints" => &const { [NAME, text_column("Endpoints"), AGE] },
        "endpointslices" => {
            &const {
                [
                    NAME,
                    text_column("AddressType"),
                    text_column("Ports"),
                    text_column("Endpoints"),
                    AGE,
                ]
            }
        }
        "secrets" => &const { [NAME, text_column("Type"), text_column("Data"), AGE] },
        "configmaps" => &const { [NAME, text_column("Data"), AGE] },
        "serviceaccounts" => &const { [NAME, text_column("Secrets"), AGE] },
        "nodes" => {
            &const {
                [
                    NAME,
                    text_column("Status"),
                    text_column("Roles"),
                    AGE,
                    text_column("Version"),
                    wide("Internal-IP"),
                    wide("External-IP"),
                    wide("OS-Image"),
                    wide("Kernel-Version"),
                    wide("Container-Runtime"),
                ]
            }
        }
        "events" => {
            &const {
                [
                    text_column("Last Seen"),
                    text_column("Type"),
                    text_column("Reason"),
                    text_column("Object"),
                    wide("Subobject"),
                    wide("Source"),
                    text_column("Message"),
                    wide("First Seen"),
                    wide("Count"),
                    wide("Name"),
                ]
            }
        }
        "controllerrevisions" => {
            &const {
                [
                    NAME,
                    text_column("Controller"),
                    text_column("Revision"),
                    AGE,
                ]
            }
        }
        "namespaces" => &const { [NAME, text_column("Status"), AGE] },
        _ => &const { [NAME, AGE] },
    }
}

/// A table of objects. `include` is the `includeObject` parameter: None, Metadata (the default) or Object.
pub(super) fn table<'a>(
    resource: &Resource,
    objects: impl Iterator<Item = &'a Value>,
    metadata: &Value,
    include: &str,
    has_columns: bool,
    now: Timestamp,
) -> Value {
    let definitions: Vec<Value> = columns(resource)
        .iter()
        .map(|(name, kind, is_wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": kind, "format": format, "description": "", "priority": i32::from(*is_wide)})
        })
        .collect();
    let rows: Vec<Value> = objects
        .map(|object| {
            let mut row = json!({"cells": cells(resource, object, now)});
            match include {
                "None" => {}
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = metadata_only(object),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": if has_columns { json!(definitions) } else { Value::Null }, "rows": rows})
}

/// The `PartialObjectMetadata` of an object.
pub(super) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = json!(object::name(object));
    let age = json!(age(object, "/metadata/creationTimestamp", now));
    let number = |pointer: &str| int(object, pointer).unwrap_or(0);
    match resource.plural {
        "pods" => pod(object, now),
        "persistentvolumeclaims" => {
            let is_bound = !text(object, "/spec/volumeName").is_empty();
            let bound = |value: String| json!(if is_bound { value } else { String::new() });
            vec![
                name,
                json!(phase(object)),
                json!(text(object, "/spec/volumeName")),
                bound(text(object, "/status/capacity/storage").to_owned()),
                bound(modes(array(object, "/status/accessModes"))),
                json!(class(object)),
                json!(or(
                    text(object, "/spec/volumeAttributesClassName"),
                    "<unset>"
                )),
                age,
                json!(or(text(object, "/spec/volumeMode"), "<unset>")),
            ]
        }
        "persistentvolumes" => {
            let claim = match text(object, "/spec/claimRef/name") {
                "" => String::new(),
                claim => format!("{}/{claim}", text(object, "/spec/claimRef/namespace")),
            };
            vec![
                name,
                json!(text(object, "/spec/capacity/storage")),
                json!(modes(array(object, "/spec/accessModes"))),
                json!(text(object, "/spec/persistentVolumeReclaimPolicy")),
                json!(phase(object)),
                json!(claim),
                json!(class(object)),
                json!(or(
                    text(object, "/spec/volumeAttributesClassName"),
                    "<unset>"
                )),
                json!(text(object, "/status/reason")),
                age,
                json!(or(text(object, "/spec/volumeMode"), "<unset>")),
            ]
        }
        "storageclasses" => {
            let marked = if is_default_class(object) {
                format!("{} (default)", object::name(object))
            } else {
                object::name(object).to_owned()
            };
            vec![
                json!(marked),
                json!(text(object, "/provisioner")),
                json!(text(object, "/reclaimPolicy")),
                json!(text(object, "/volumeBindingMode")),
                json!(object::flag(object, "/allowVolumeExpansion")),
                age,
            ]
        }
        "statefulsets" => {
            let (names, images) = containers(object);
            vec![
                name,
                json!(format!(
                    "{}/{}",
                    number("/status/readyReplicas"),
                    number("/spec/replicas")
                )),
                age,
                json!(names),
                json!(images),
            ]
        }
        "deployments" => {
            let (names, images) = containers(object);
            let ready = format!(
                "{}/{}",
                number("/status/readyReplicas"),
                number("/spec/replicas")
            );
            vec![
                name,
                json!(ready),
                json!(number("/status/updatedReplicas")),
                json!(number("/status/availableReplicas")),
                age,
                json!(names),
                json!(images),
                json!(selector_text(&object["spec"]["selector"])),
            ]
        }
        "replicasets" => {
            let (names, images) = containers(object);
            vec![
                name,
                json!(number("/spec/replicas")),
                json!(number("/status/replicas")),
                json!(number("/status/readyReplicas")),
                age,
                json!(names),
                json!(images),
                json!(selector_text(&object["spec"]["selector"])),
            ]
        }
        "services" => service(object, age),
        "endpoints" => vec![name, json!(endpoints(object)), age],
        "endpointslices" => endpoint_slice(object, age),
        "secrets" => vec![
            name,
            json!(text(object, "/type")),
            json!(count(object, "data")),
            age,
        ],
        "configmaps" => vec![
            name,
            json!(count(object, "data") + count(object, "binaryData")),
            age,
        ],
        "serviceaccounts" => vec![name, json!(array(object, "/secrets").len()), age],
        "nodes" => node(object, age),
        "events" => event(object, now),
        "controllerrevisions" => {
            let controller = object::controller(object).map_or_else(
                || "<none>".to_owned(),
                |owner| {
                    let group = text(owner, "/apiVersion")
                        .split_once('/')
                        .map(|(group, _)| format!(".{group}"))
                        .unwrap_or_default();
                    format!(
                        "{}{group}/{}",
                        text(owner, "/kind").to_lowercase(),
                        text(owner, "/name")
                    )
                },
            );
            vec![name, json!(controller), json!(number("/revision")), age]
        }
        "namespaces" => vec![name, json!(text(object, "/status/phase")), age],
        _ => vec![name, age],
    }
}

fn or<'a>(value: &'a str, other: &'a str) -> &'a str {
    if value.is_empty() { other } else { value }
}

fn count(object: &Value, field: &str) -> usize {
    object
        .get(field)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}

/// The phase, or "Terminating", which is no phase but what kubectl shows for a deleted object that is still held.
fn phase(object: &Value) -> &str {
    if object::is_deleting(object) {
        "Terminating"
    } else {
        text(object, "/status/phase")
    }
}

fn class(object: &Value) -> &str {
    object::annotation(object, "volume.beta.kubernetes.io/storage-class")
        .unwrap_or_else(|| text(object, "/spec/storageClassName"))
}

/// Access modes in their short names, in the order that kubectl keeps.
fn modes(modes: &[Value]) -> String {
    let names = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    names
        .iter()
        .filter(|(long, _)| modes.iter().any(|mode| mode == long))
        .map(|(_, short)| *short)
        .collect::<Vec<_>>()
        .join(",")
}

fn containers(object: &Value) -> (String, String) {
    let list = array(object, "/spec/template/spec/containers");
    let join = |pointer: &str| {
        list.iter()
            .map(|container| text(container, pointer))
            .collect::<Vec<_>>()
            .join(",")
    };
    (join("/name"), join("/image"))
}

/// A label selector in the text form.
pub(super) fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<String> = object::entries(selector, "/matchLabels")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    for expression in array(selector, "/matchExpressions") {
        let (key, operator) = (text(expression, "/key"), text(expression, "/operator"));
        let values = array(expression, "/values")
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",");
        parts.push(match operator {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    if parts.is_empty() {
        "<none>".to_owned()
    } else {
        parts.join(",")
    }
}

fn age(object: &Value, pointer: &str, now: Timestamp) -> String {
    object::time_at(object, pointer).map_or_else(|| "<unknown>".to_owned(), |at| human(now, at))
}

fn human(now: Timestamp, at: Timestamp) -> String {
    human_seconds(
        (now - at)
            .total(jiff::Unit::Second)
            .map_or(0, |seconds| seconds as i64),
    )
}

/// A span as Kubernetes shortens it: two units at most, less exact as it grows.
fn human_seconds(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn pod(pod: &Value, now: Timestamp) -> Vec<Value> {
    let gates = array(pod, "/spec/readinessGates");
    let passed = gates
        .iter()
        .filter(|gate| object::is_condition_true(pod, text(gate, "/conditionType")))
        .count();
    let PodSummary {
        ready,
        total,
        reason,
        restarts,
        last_restart,
    } = summarize(pod);
    let restarts = match last_restart {
        Some(at) if restarts > 0 => format!("{restarts} ({} ago)", human(now, at)),
        _ => restarts.to_string(),
    };
    vec![
        json!(object::name(pod)),
        json!(format!("{ready}/{total}")),
        json!(reason),
        json!(restarts),
        json!(age(pod, "/metadata/creationTimestamp", now)),
        json!(or(text(pod, "/status/podIP"), "<none>")),
        json!(or(text(pod, "/spec/nodeName"), "<none>")),
        json!(or(text(pod, "/status/nominatedNodeName"), "<none>")),
        json!(if gates.is_empty() {
            "<none>".to_owned()
        } else {
            format!("{passed}/{}", gates.len())
        }),
    ]
}

struct PodSummary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

/// What READY, STATUS and RESTARTS say, by the real server's rules.
fn summarize(pod: &Value) -> PodSummary {
    let phase = text(pod, "/status/phase");
    let sidecars: Vec<&str> = array(pod, "/spec/initContainers")
        .iter()
        .filter(|container| text(container, "/restartPolicy") == "Always")
        .map(|container| text(container, "/name"))
        .collect();
    let mut sidecar_restarts = (0, None);
    let mut summary = PodSummary {
        ready: 0,
        total: array(pod, "/spec/containers").len() + sidecars.len(),
        reason: or(text(pod, "/status/reason"), phase).to_owned(),
        restarts: 0,
        last_restart: None,
    };
    if object::condition(pod, "PodScheduled")
        .is_some_and(|condition| text(condition, "/reason") == "SchedulingGated")
    {
        summary.reason = "SchedulingGated".to_owned();
    }
    let ended = |state: &Value, prefix: &str| {
        let reason = text(state, "/terminated/reason");
        match (reason, int(state, "/terminated/signal").unwrap_or(0)) {
            ("", 0) => format!(
                "{prefix}ExitCode:{}",
                int(state, "/terminated/exitCode").unwrap_or(0)
            ),
            ("", signal) => format!("{prefix}Signal:{signal}"),
            (reason, _) => format!("{prefix}{reason}"),
        }
    };
    let mut is_initializing = false;
    let init_total = array(pod, "/spec/initContainers").len();
    for (index, status) in array(pod, "/status/initContainerStatuses")
        .iter()
        .enumerate()
    {
        summary.restarts += int(status, "/restartCount").unwrap_or(0);
        summary.last_restart = summary
            .last_restart
            .max(object::time_at(status, "/lastState/terminated/finishedAt"));
        let state = &status["state"];
        let is_sidecar = sidecars.contains(&text(status, "/name"));
        if is_sidecar {
            sidecar_restarts.0 += int(status, "/restartCount").unwrap_or(0);
            sidecar_restarts.1 = sidecar_restarts
                .1
                .max(object::time_at(status, "/lastState/terminated/finishedAt"));
        }
        if state.get("terminated").is_some() && int(state, "/terminated/exitCode") == Some(0) {
            continue;
        }
        if is_sidecar && object::flag(status, "/started") {
            if object::flag(status, "/ready") {
                summary.ready += 1;
            }
            continue;
        }
        is_initializing = true;
        let waiting = text(state, "/waiting/reason");
        summary.reason = if state.get("terminated").is_some() {
            ended(state, "Init:")
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{init_total}")
        };
        break;
    }
    if !is_initializing || object::is_condition_true(pod, "Initialized") {
        (summary.restarts, summary.last_restart) = sidecar_restarts;
        let mut has_running = false;
        for status in array(pod, "/status/containerStatuses").iter().rev() {
            summary.restarts += int(status, "/restartCount").unwrap_or(0);
            summary.last_restart = summary
                .last_restart
                .max(object::time_at(status, "/lastState/terminated/finishedAt"));
            let state = &status["state"];
            let waiting = text(state, "/waiting/reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut summary.reason);
            } else if state.get("terminated").is_some() {
                summary.reason = ended(state, "");
            } else if object::flag(status, "/ready") && state.get("running").is_some() {
                has_running = true;
                summary.ready += 1;
            }
        }
        if summary.reason == "Completed" && has_running {
            summary.reason = if object::is_condition_true(pod, "Ready") {
                "Running"
            } else {
                "NotReady"
            }
            .to_owned();
        }
    }
    if object::is_deleting(pod) && text(pod, "/status/reason") == "NodeLost" {
        summary.reason = "Unknown".to_owned();
    } else if object::is_deleting(pod) && !matches!(phase, "Succeeded" | "Failed") {
        summary.reason = "Terminating".to_owned();
    }
    summary
}

fn service(service: &Value, age: Value) -> Vec<Value> {
    let kind = text(service, "/spec/type");
    let external = match kind {
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        "LoadBalancer" => "<pending>".to_owned(),
        _ => {
            let list = array(service, "/spec/externalIPs")
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(",");
            or(&list, "<none>").to_owned()
        }
    };
    let ports: Vec<String> = array(service, "/spec/ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (int(port, "/port").unwrap_or(0), text(port, "/protocol"));
            match int(port, "/nodePort") {
                Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    let ports = if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    };
    let selector: Vec<String> = object::entries(service, "/spec/selector")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let selector = if selector.is_empty() {
        "<none>".to_owned()
    } else {
        selector.join(",")
    };
    vec![
        json!(object::name(service)),
        json!(kind),
        json!(or(text(service, "/spec/clusterIP"), "<none>")),
        json!(external),
        json!(ports),
        age,
        json!(selector),
    ]
}

fn endpoint_slice(slice: &Value, age: Value) -> Vec<Value> {
    let short = |list: Vec<String>, none: &str| match list.len() {
        0 => none.to_owned(),
        1..=3 => list.join(","),
        more => format!("{} + {} more...", list[..3].join(","), more - 3),
    };
    let ports = array(slice, "/ports")
        .iter()
        .map(|port| int(port, "/port").map_or_else(|| "*".to_owned(), |port| port.to_string()))
        .collect();
    let addresses = array(slice, "/endpoints")
        .iter()
        .flat_map(|endpoint| array(endpoint, "/addresses"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    vec![
        json!(object::name(slice)),
        json!(text(slice, "/addressType")),
        json!(short(ports, "<unset>")),
        json!(short(addresses, "<unset>")),
        age,
    ]
}

fn endpoints(object: &Value) -> String {
    let mut list = Vec::new();
    for subset in array(object, "/subsets") {
        for address in array(subset, "/addresses") {
            let ports = array(subset, "/ports");
            if ports.is_empty() {
                list.push(text(address, "/ip").to_owned());
            }
            list.extend(ports.iter().map(|port| {
                format!(
                    "{}:{}",
                    text(address, "/ip"),
                    int(port, "/port").unwrap_or(0)
                )
            }));
        }
    }
    match list.len() {
        0 => "<none>".to_owned(),
        1..=3 => list.join(","),
        more => format!("{} + {} more...", list[..3].join(","), more - 3),
    }
}

fn node(node: &Value, age: Value) -> Vec<Value> {
    let mut status = if object::is_condition_true(node, "Ready") {
        "Ready"
    } else {
        "NotReady"
    }
    .to_owned();
    if object::flag(node, "/spec/unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let roles: Vec<&str> = object::entries(node, "/metadata/labels")
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let address = |kind: &str| {
        array(node, "/status/addresses")
            .iter()
            .find(|one| text(one, "/type") == kind)
            .map_or("<none>", |one| text(one, "/address"))
    };
    let info = |field: &str| {
        json!(or(
            text(node, &format!("/status/nodeInfo/{field}")),
            "<unknown>"
        ))
    };
    vec![
        json!(object::name(node)),
        json!(status),
        json!(if roles.is_empty() {
            "<none>".to_owned()
        } else {
            roles.join(",")
        }),
        age,
        json!(text(node, "/status/nodeInfo/kubeletVersion")),
        json!(address("InternalIP")),
        json!(address("ExternalIP")),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let at = |pointer: &str| object::time_at(event, pointer);
    let first = at("/firstTimestamp").or_else(|| at("/eventTime"));
    let last = at("/lastTimestamp").or(first);
    let shown =
        |at: Option<Timestamp>| at.map_or_else(|| "<unknown>".to_owned(), |at| human(now, at));
    let (component, instance) = match text(event, "/source/component") {
        "" => (
            text(event, "/reportingComponent"),
            text(event, "/reportingInstance"),
        ),
        component => (component, text(event, "/source/host")),
    };
    let source = if instance.is_empty() {
        component.to_owned()
    } else {
        format!("{component}, {instance}")
    };
    let target = format!(
        "{}/{}",
        text(event, "/involvedObject/kind").to_lowercase(),
        text(event, "/involvedObject/name")
    );
    vec![
        json!(shown(last)),
        json!(text(event, "/type")),
        json!(text(event, "/reason")),
        json!(target),
        json!(text(event, "/involvedObject/fieldPath")),
        json!(source),
        json!(text(event, "/message").trim()),
        json!(shown(first)),
        json!(int(event, "/count").unwrap_or(1).max(1)),
        json!(object::name(event)),
    ]
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "test builders read better with values"
    )]

    use super::*;

    fn with(status: Value, extra: Value) -> Value {
        let mut pod =
            json!({"metadata": {}, "spec": {"containers": [{"name": "a"}]}, "status": status});
        json_patch::merge(&mut pod, &extra);
        pod
    }

    #[test]
    fn the_status_of_a_pod_is_what_kubectl_prints() {
        let state = |state: Value| json!([{"name": "a", "ready": false, "restartCount": 0, "state": state}]);
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for (pod, ready, reason) in [
            (with(json!({"phase": "Pending"}), json!({})), 0, "Pending"),
            (
                with(
                    json!({"phase": "Pending", "containerStatuses": state(json!({"waiting": {"reason": "ContainerCreating"}}))}),
                    json!({}),
                ),
                0,
                "ContainerCreating",
            ),
            (
                with(
                    json!({"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {}}}]}),
                    json!({}),
                ),
                1,
                "Running",
            ),
            (
                with(
                    json!({"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {}}}]}),
                    deleted.clone(),
                ),
                1,
                "Terminating",
            ),
            (
                with(
                    json!({"phase": "Succeeded", "containerStatuses": state(json!({"terminated": {"reason": "Completed", "exitCode": 0}}))}),
                    deleted,
                ),
                0,
                "Completed",
            ),
            (
                with(
                    json!({"phase": "Failed", "containerStatuses": state(json!({"terminated": {"exitCode": 3}}))}),
                    json!({}),
                ),
                0,
                "ExitCode:3",
            ),
        ] {
            let summary = summarize(&pod);
            assert_eq!((summary.ready, summary.reason.as_str()), (ready, reason));
        }
    }

    #[test]
    fn spans_are_shortened_as_kubernetes_does() {
        for (seconds, shown) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (288, "4m48s"),
            (660, "11m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(human_seconds(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn access_modes_keep_their_order() {
        assert_eq!(
            modes(&[json!("ReadWriteMany"), json!("ReadWriteOnce")]),
            "RWO,RWX"
        );
    }
}
