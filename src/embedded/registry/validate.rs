//! The rules an object must keep, with the messages of the real server.

mod data;
mod metadata;

use std::collections::HashSet;

use serde_json::{Value, json};

use self::data::{data, variable};
use self::metadata::{annotations, label, labels, metadata, selector};
use super::select::Labels;
use crate::failure::Cause;
use crate::object;
use crate::resource::Resource;

/// What is wrong with a new object; nothing when it is right.
pub(super) fn new_object(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = metadata(resource, object);
    match resource.plural {
        "pods" => pod_spec(&mut causes, &object["spec"], "spec", &[]),
        "statefulsets" => {
            workload(&mut causes, object);
            claim_templates(&mut causes, object);
        }
        "deployments" | "replicasets" => workload(&mut causes, object),
        "secrets" | "configmaps" => data(&mut causes, object, resource.plural == "secrets"),
        "persistentvolumeclaims" => claim_spec(&mut causes, &object["spec"], "spec"),
        "persistentvolumes" => volume_spec(&mut causes, &object["spec"]),
        "services" => service_spec(&mut causes, &object["spec"]),
        "storageclasses" => {
            if object::text(object, "/provisioner").is_empty() {
                causes.push(Cause::required("provisioner", ""));
            }
            supported(
                &mut causes,
                object,
                "/volumeBindingMode",
                "volumeBindingMode",
                &["Immediate", "WaitForFirstConsumer"],
            );
            supported(
                &mut causes,
                object,
                "/reclaimPolicy",
                "reclaimPolicy",
                &["Delete", "Retain"],
            );
        }
        _ => {}
    }
    causes
}

/// What is wrong with a change.
pub(super) fn changed_object(resource: &Resource, current: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = match resource.plural {
        // A Pod's spec is checked as a whole below, a claim's may have been filled in by the binder.
        "pods" | "persistentvolumeclaims" | "persistentvolumes" | "namespaces" | "nodes" => {
            metadata(resource, object)
        }
        _ => new_object(resource, object),
    };
    let spec = |value: &Value| value.get("spec").cloned().unwrap_or_else(|| json!({}));
    let (old, new) = (spec(current), spec(object));
    match resource.plural {
        "statefulsets" => {
            let allowed = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if without(&old, &allowed) != without(&new, &allowed) {
                causes.push(Cause::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
            }
        }
        "deployments" | "replicasets" if old.get("selector") != new.get("selector") => {
            causes.push(Cause::invalid(
                "spec.selector",
                &new["selector"],
                "field is immutable",
            ));
        }
        "persistentvolumeclaims" => claim_change(&mut causes, current, &old, &new),
        "persistentvolumes" => {
            volume_spec(&mut causes, &new);
            if source(&old) != source(&new) {
                causes.push(Cause::forbidden(
                    "spec.persistentvolumesource",
                    "spec.persistentvolumesource is immutable after creation",
                ));
            }
            if old.get("volumeMode") != new.get("volumeMode") {
                causes.push(Cause::invalid(
                    "volumeMode",
                    &new["volumeMode"],
                    "field is immutable",
                ));
            }
        }
        "pods" => pod_change(&mut causes, &old, &new),
        "services"
            if old.get("clusterIP") != new.get("clusterIP")
                && object::text(&old, "/type") != "ExternalName"
                && object::text(&new, "/type") != "ExternalName" =>
        {
            causes.push(Cause::invalid(
                "spec.clusterIPs[0]",
                &json!([new["clusterIP"]]),
                "may not change once set",
            ));
        }
        "storageclasses" => {
            for field in [
                "parameters",
                "provisioner",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                if current.get(field) != object.get(field) {
                    causes.push(
                        if matches!(field, "parameters" | "provisioner" | "reclaimPolicy") {
                            Cause::forbidden(field, &format!("updates to {field} are forbidden."))
                        } else {
                            Cause::invalid(field, &object[field], "field is immutable")
                        },
                    );
                }
            }
        }
        "secrets" | "configmaps"
            if object::flag(current, "/immutable")
                && (object::flag(object, "/immutable") != object::flag(current, "/immutable")
                    || current.get("data") != object.get("data")) =>
        {
            causes.push(Cause::forbidden(
                if current.get("data") == object.get("data") {
                    "immutable"
                } else {
                    "data"
                },
                "field is immutable when `immutable` is set",
            ));
        }
        "secrets" if current.get("type") != object.get("type") => causes.push(Cause::invalid(
            "type",
            &object["type"],
            "field is immutable",
        )),
        _ => {}
    }
    causes
}

fn without(spec: &Value, fields: &[&str]) -> Value {
    let mut rest = spec.clone();
    for field in fields {
        object::remove(&mut rest, &format!("/{field}"));
    }
    rest
}

fn supported(causes: &mut Vec<Cause>, value: &Value, pointer: &str, field: &str, list: &[&str]) {
    if let Some(found) = value.pointer(pointer)
        && !list.iter().any(|one| found == *one)
    {
        causes.push(Cause::unsupported(field, found, list));
    }
}

/// As the API server's `validatePathNoBacksteps` (`pkg/apis/core/validation`).
fn stays_inside(causes: &mut Vec<Cause>, path: &str, field: String) {
    if path.split('/').any(|part| part == "..") {
        causes.push(Cause::invalid(field, &json!(path), "must not contain '..'"));
    }
}

/// A count of a workload's spec, by its dotted path.
fn at_least_zero(causes: &mut Vec<Cause>, spec: &Value, field: &str) {
    if let Some(count) = object::int(spec, &format!("/{}", field.replace('.', "/")))
        && count < 0
    {
        causes.push(Cause::invalid(
            format!("spec.{field}"),
            &json!(count),
            "must be greater than or equal to 0",
        ));
    }
}

fn workload(causes: &mut Vec<Cause>, object: &Value) {
    let spec = &object["spec"];
    at_least_zero(causes, spec, "replicas");
    at_least_zero(causes, spec, "minReadySeconds");
    let has_selector = spec.get("selector").is_some_and(Value::is_object);
    if !has_selector {
        causes.push(Cause::required("spec.selector", ""));
    } else if Labels::of_selector(&spec["selector"]).is_empty() {
        causes.push(Cause::invalid(
            "spec.selector",
            &spec["selector"],
            &format!(
                "empty selector is invalid for {}",
                object::text(object, "/kind").to_lowercase()
            ),
        ));
    }
    selector(causes, &spec["selector"], "spec.selector");
    labels(causes, &spec["template"], "spec.template.labels");
    annotations(causes, &spec["template"], "spec.template.annotations");
    let template_labels = spec
        .pointer("/template/metadata/labels")
        .cloned()
        .unwrap_or_else(|| json!({}));
    // A missing selector selects nothing.
    if !has_selector || !Labels::of_selector(&spec["selector"]).matches_labels(&template_labels) {
        let shown = if template_labels == json!({}) {
            Value::Null
        } else {
            template_labels
        };
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
    let claims: Vec<&str> = object::array(spec, "/volumeClaimTemplates")
        .iter()
        .map(object::name)
        .collect();
    let template = spec
        .pointer("/template/spec")
        .cloned()
        .unwrap_or_else(|| json!({}));
    pod_spec(causes, &template, "spec.template.spec", &claims);
    supported(
        causes,
        &template,
        "/restartPolicy",
        "spec.template.spec.restartPolicy",
        &["Always"],
    );
    match object::text(object, "/kind") {
        "StatefulSet" => {
            if let Some(policy) = spec.get("podManagementPolicy")
                && policy != "OrderedReady"
                && policy != "Parallel"
            {
                causes.push(Cause::invalid(
                    "spec.podManagementPolicy",
                    policy,
                    "must be 'OrderedReady' or 'Parallel'",
                ));
            }
            for when in ["whenDeleted", "whenScaled"] {
                supported(
                    causes,
                    spec,
                    &format!("/persistentVolumeClaimRetentionPolicy/{when}"),
                    &format!("spec.persistentVolumeClaimRetentionPolicy.{when}"),
                    &["Retain", "Delete"],
                );
            }
            at_least_zero(causes, spec, "revisionHistoryLimit");
            at_least_zero(causes, spec, "ordinals.start");
            at_least_zero(causes, spec, "updateStrategy.rollingUpdate.partition");
            if let Some(kind) = spec.pointer("/updateStrategy/type")
                && kind != "RollingUpdate"
                && kind != "OnDelete"
            {
                causes.push(Cause::invalid(
                    "spec.updateStrategy",
                    &spec["updateStrategy"],
                    "must be 'RollingUpdate' or 'OnDelete'",
                ));
            }
        }
        "Deployment" => {
            at_least_zero(causes, spec, "revisionHistoryLimit");
            at_least_zero(causes, spec, "progressDeadlineSeconds");
            if let (Some(deadline), Some(ready)) = (
                object::int(spec, "/progressDeadlineSeconds"),
                object::int(spec, "/minReadySeconds"),
            ) && (0..=ready).contains(&deadline)
            {
                causes.push(Cause::invalid(
                    "spec.progressDeadlineSeconds",
                    &json!(deadline),
                    "must be greater than minReadySeconds",
                ));
            }
            let rolling = |field: &str| spec.pointer(&format!("/strategy/rollingUpdate/{field}"));
            for field in ["maxUnavailable", "maxSurge"] {
                if let Some(value) = rolling(field) {
                    share(causes, value, field);
                }
            }
            let is_none = |value: &&Value| **value == 0 || **value == "0%";
            if let (Some(_), Some(unavailable)) = (
                rolling("maxSurge").filter(is_none),
                rolling("maxUnavailable").filter(is_none),
            ) {
                causes.push(Cause::invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    unavailable,
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
            supported(
                causes,
                spec,
                "/strategy/type",
                "spec.strategy.type",
                &["Recreate", "RollingUpdate"],
            );
            if object::text(spec, "/strategy/type") == "Recreate"
                && spec
                    .pointer("/strategy/rollingUpdate")
                    .is_some_and(Value::is_object)
            {
                causes.push(Cause::forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                ));
            }
        }
        _ => {}
    }
}

/// A number of Pods or a percentage of them, in a rollout.
fn share(causes: &mut Vec<Cause>, value: &Value, field: &str) {
    let rule = match value {
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|number| number < 0)
            .then_some("must be greater than or equal to 0"),
        Value::String(text) => {
            let digits = text.strip_suffix('%').filter(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            match digits.map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX)) {
                None => Some(
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
                ),
                Some(101..) if field == "maxUnavailable" => Some("must not be greater than 100%"),
                Some(_) => None,
            }
        }
        _ => None,
    };
    causes.extend(
        rule.map(|rule| {
            Cause::invalid(format!("spec.strategy.rollingUpdate.{field}"), value, rule)
        }),
    );
}

fn claim_templates(causes: &mut Vec<Cause>, object: &Value) {
    for (index, claim) in object::array(object, "/spec/volumeClaimTemplates")
        .iter()
        .enumerate()
    {
        claim_spec(
            causes,
            &claim["spec"],
            &format!("spec.volumeClaimTemplates[{index}].spec"),
        );
    }
}

fn claim_spec(causes: &mut Vec<Cause>, spec: &Value, path: &str) {
    let modes = object::array(spec, "/accessModes");
    if modes.is_empty() {
        causes.push(Cause::required(
            format!("{path}.accessModes"),
            "at least 1 access mode is required",
        ));
    }
    access_modes(causes, modes, path);
    match spec
        .pointer("/resources/requests/storage")
        .and_then(Value::as_str)
        .map(|text| (text, object::quantity(text)))
    {
        None => causes.push(Cause::required(format!("{path}.resources[storage]"), "")),
        Some((text, size)) if size.unwrap_or(0.0) <= 0.0 => {
            causes.push(Cause::invalid(
                format!("{path}.resources[storage]"),
                &json!(text),
                "must be greater than zero",
            ));
        }
        Some(_) => {}
    }
}

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

fn access_modes(causes: &mut Vec<Cause>, modes: &[Value], path: &str) {
    for mode in modes {
        if !MODES.iter().any(|known| mode == *known) {
            causes.push(Cause::unsupported(
                format!("{path}.accessModes"),
                mode,
                &MODES,
            ));
        }
    }
}

/// The field of a volume's spec that says what storage it is.
fn source(spec: &Value) -> Option<(&String, &Value)> {
    const OTHER: [&str; 9] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeMode",
        "nodeAffinity",
        "mountOptions",
        "volumeAttributesClassName",
    ];
    spec.as_object()?
        .iter()
        .find(|(field, _)| !OTHER.contains(&field.as_str()))
}

fn volume_spec(causes: &mut Vec<Cause>, spec: &Value) {
    if object::array(spec, "/accessModes").is_empty() {
        causes.push(Cause::required("spec.accessModes", ""));
    }
    access_modes(causes, object::array(spec, "/accessModes"), "spec");
    if object::text(spec, "/capacity/storage").is_empty() {
        causes.push(Cause::required("spec.capacity", ""));
        causes.push(Cause::unsupported(
            "spec.capacity",
            &Value::Null,
            &["storage"],
        ));
    }
    if source(spec).is_none() {
        causes.push(Cause::required("spec", "must specify a volume type"));
    }
    if spec.get("hostPath").is_some() && object::text(spec, "/hostPath/path").is_empty() {
        causes.push(Cause::required("spec.hostPath.path", ""));
    }
    for field in ["hostPath", "local"] {
        let path = object::text(spec, &format!("/{field}/path"));
        stays_inside(causes, path, format!("spec.{field}.path"));
    }
    if spec.get("local").is_some() && spec.pointer("/nodeAffinity/required").is_none() {
        causes.push(Cause::required(
            "spec.nodeAffinity",
            "Local volume requires node affinity",
        ));
    }
    supported(
        causes,
        spec,
        "/persistentVolumeReclaimPolicy",
        "spec.persistentVolumeReclaimPolicy",
        &["Delete", "Recycle", "Retain"],
    );
}

fn service_spec(causes: &mut Vec<Cause>, spec: &Value) {
    let kind = object::text(spec, "/type");
    supported(
        causes,
        spec,
        "/type",
        "spec.type",
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    let ports = object::array(spec, "/ports");
    if ports.is_empty() && kind != "ExternalName" && object::text(spec, "/clusterIP") != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut names = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let name = object::text(port, "/name");
        if ports.len() > 1 && name.is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        } else if !name.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(
                format!("spec.ports[{index}].name"),
                &json!(name),
            ));
        }
        port_number(causes, port, "/port", &format!("spec.ports[{index}].port"));
        if let Some(number) = object::int(port, "/nodePort")
            && !(30_000..32_768).contains(&number)
            && number != 0
        {
            causes.push(Cause::invalid(
                format!("spec.ports[{index}].nodePort"),
                &json!(number),
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            ));
        }
        if port["targetPort"].is_i64() {
            port_number(
                causes,
                port,
                "/targetPort",
                &format!("spec.ports[{index}].targetPort"),
            );
        }
    }
}

fn port_number(causes: &mut Vec<Cause>, holder: &Value, pointer: &str, field: &str) {
    let number = object::int(holder, pointer).unwrap_or(0);
    if !(1..=65_535).contains(&number) {
        causes.push(Cause::invalid(
            field,
            &json!(number),
            "must be between 1 and 65535, inclusive",
        ));
    }
}

fn pod_spec(causes: &mut Vec<Cause>, spec: &Value, path: &str, claims: &[&str]) {
    let claims: HashSet<&str> = claims.iter().copied().collect();
    let mut volumes = claims.clone();
    for (index, volume) in object::array(spec, "/volumes").iter().enumerate() {
        let at = format!("{path}.volumes[{index}]");
        let name = object::text(volume, "/name");
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else {
            label_name(causes, name, &at);
        }
        if !volumes.insert(name) && !claims.contains(name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
        }
        if volume.get("persistentVolumeClaim").is_some()
            && object::text(volume, "/persistentVolumeClaim/claimName").is_empty()
        {
            causes.push(Cause::required(
                format!("{at}.persistentVolumeClaim.claimName"),
                "",
            ));
        }
    }
    supported(
        causes,
        spec,
        "/restartPolicy",
        &format!("{path}.restartPolicy"),
        &["Always", "OnFailure", "Never"],
    );
    if let Some(seconds) = object::int(spec, "/activeDeadlineSeconds")
        && !(1..=i64::from(u32::MAX)).contains(&seconds)
    {
        causes.push(Cause::invalid(
            format!("{path}.activeDeadlineSeconds"),
            &json!(seconds),
            "must be between 1 and 4294967295, inclusive",
        ));
    }
    let containers = object::array(spec, "/containers");
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = HashSet::new();
    for (list, containers) in [
        ("initContainers", object::array(spec, "/initContainers")),
        ("containers", containers),
    ] {
        for (index, container) in containers.iter().enumerate() {
            let at = format!("{path}.{list}[{index}]");
            let name = object::text(container, "/name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{at}.name"), ""));
            } else if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
            }
            label_name(causes, name, &at);
            container_fields(causes, container, &at, &volumes);
        }
    }
}

/// The name of a volume or container, when there is one.
fn label_name(causes: &mut Vec<Cause>, name: &str, at: &str) {
    if !name.is_empty() {
        let rules = label(name);
        causes.extend(
            rules
                .iter()
                .map(|rule| Cause::invalid(format!("{at}.name"), &json!(name), rule)),
        );
    }
}

fn container_fields(causes: &mut Vec<Cause>, container: &Value, at: &str, volumes: &HashSet<&str>) {
    if object::text(container, "/image").is_empty() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    supported(
        causes,
        container,
        "/imagePullPolicy",
        &format!("{at}.imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
    );
    for (index, port) in object::array(container, "/ports").iter().enumerate() {
        port_number(
            causes,
            port,
            "/containerPort",
            &format!("{at}.ports[{index}].containerPort"),
        );
    }
    for (index, entry) in object::array(container, "/env").iter().enumerate() {
        let (name, field) = (
            object::text(entry, "/name"),
            format!("{at}.env[{index}].name"),
        );
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
        } else {
            variable(causes, name, &field);
        }
    }
    let amount = |list: &str, name: &str| {
        container
            .pointer(&format!("/resources/{list}/{name}"))
            .and_then(Value::as_str)
    };
    for name in container
        .pointer("/resources/requests")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|requests| requests.keys())
    {
        if let (Some(asked), Some(limit)) = (amount("requests", name), amount("limits", name))
            && object::quantity(asked) > object::quantity(limit)
        {
            causes.push(Cause::invalid(
                format!("{at}.resources.requests"),
                &json!(asked),
                &format!("must be less than or equal to {name} limit of {limit}"),
            ));
        }
    }
    let mut paths = HashSet::new();
    for (index, mount) in object::array(container, "/volumeMounts").iter().enumerate() {
        let (name, path) = (
            object::text(mount, "/name"),
            object::text(mount, "/mountPath"),
        );
        let at = format!("{at}.volumeMounts[{index}]");
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause::not_found(format!("{at}.name"), &json!(name)));
        }
        if path.is_empty() {
            causes.push(Cause::required(format!("{at}.mountPath"), ""));
        } else if !paths.insert(path) {
            causes.push(Cause::invalid(
                format!("{at}.mountPath"),
                &json!(path),
                "must be unique",
            ));
        }
        // Stricter than the API server, which leaves this one to the runtime: there it means a path that nobody has written down.
        stays_inside(causes, path, format!("{at}.mountPath"));
        let sub_path = object::text(mount, "/subPath");
        if sub_path.starts_with('/') {
            causes.push(Cause::invalid(
                format!("{at}.subPath"),
                &json!(sub_path),
                "must be a relative path",
            ));
        }
        stays_inside(causes, sub_path, format!("{at}.subPath"));
    }
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        let Some(fields) = container.get(probe).and_then(Value::as_object) else {
            continue;
        };
        let handlers: Vec<&str> = ["exec", "httpGet", "tcpSocket", "grpc"]
            .into_iter()
            .filter(|kind| fields.contains_key(*kind))
            .collect();
        match handlers.as_slice() {
            [] => causes.push(Cause::required(
                format!("{at}.{probe}"),
                "must specify a handler type",
            )),
            [_, more @ ..] => causes.extend(more.iter().map(|kind| {
                Cause::forbidden(
                    format!("{at}.{probe}.{kind}"),
                    "may not specify more than 1 handler type",
                )
            })),
        }
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            if let Some(number) = fields
                .get(field)
                .and_then(Value::as_i64)
                .filter(|it| *it < 0)
            {
                causes.push(Cause::invalid(
                    format!("{at}.{probe}.{field}"),
                    &json!(number),
                    "must be greater than or equal to 0",
                ));
            }
        }
        if handlers.contains(&"exec") && object::array(&fields["exec"], "/command").is_empty() {
            causes.push(Cause::required(format!("{at}.{probe}.exec.command"), ""));
        }
        if probe != "readinessProbe"
            && fields
                .get("successThreshold")
                .is_some_and(|value| value != 1)
        {
            causes.push(Cause::invalid(
                format!("{at}.{probe}.successThreshold"),
                &fields["successThreshold"],
                "must be 1",
            ));
        }
    }
}

/// A claim's spec stays as it is, but for growing requests and what the binder fills in.
fn claim_change(causes: &mut Vec<Cause>, current: &Value, old: &Value, new: &Value) {
    let mut allowed = vec!["resources", "volumeAttributesClassName"];
    let is_unbound = object::text(old, "/volumeName").is_empty();
    if is_unbound {
        allowed.push("volumeName");
    }
    if old.get("storageClassName").is_none() {
        allowed.push("storageClassName");
    }
    if without(old, &allowed) != without(new, &allowed) {
        causes.push(Cause::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
        return;
    }
    if old.get("resources") == new.get("resources") {
        return;
    }
    if object::text(current, "/status/phase") != "Bound" {
        causes.push(Cause::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
        return;
    }
    let size = |spec: &Value| {
        object::quantity(object::text(spec, "/resources/requests/storage")).unwrap_or(0.0)
    };
    if size(new) < size(old) {
        causes.push(Cause::forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        ));
    }
}

/// Of a running Pod's spec only images, the deadline, added tolerations and a grace period that was wrong may change.
fn pod_change(causes: &mut Vec<Cause>, old: &Value, new: &Value) {
    let grace = |spec: &Value| object::int(spec, "/terminationGracePeriodSeconds").unwrap_or(30);
    let is_mended = grace(old) < 0 && grace(new) == 1;
    let strip = |spec: &Value| {
        let mut rest = without(
            spec,
            &[
                "activeDeadlineSeconds",
                "tolerations",
                "nodeName",
                "schedulingGates",
            ],
        );
        if is_mended {
            object::remove(&mut rest, "/terminationGracePeriodSeconds");
        }
        for list in ["/containers", "/initContainers"] {
            for container in rest
                .pointer_mut(list)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                object::remove(container, "/image");
            }
        }
        rest
    };
    let is_moved =
        !object::text(old, "/nodeName").is_empty() && old.get("nodeName") != new.get("nodeName");
    if strip(old) != strip(new) || is_moved {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}
