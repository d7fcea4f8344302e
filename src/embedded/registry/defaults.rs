//! The values that the API server fills in when a manifest leaves them out.

use serde_json::{Value, json};

use crate::object::{self, set_default};
use crate::resource::Resource;

/// Fills in the defaults of an object, as the real server does before it checks anything.
pub(super) fn apply(resource: &Resource, object: &mut Value) {
    match resource.plural {
        "pods" => {
            pod_spec(map(object, "/spec"));
            set_default(object, "/spec/enableServiceLinks", true);
        }
        "statefulsets" => stateful_set(object),
        "deployments" => deployment(object),
        "replicasets" => {
            set_default(object, "/spec/replicas", 1);
            template(object);
        }
        "persistentvolumeclaims" => set_default(object, "/spec/volumeMode", "Filesystem"),
        "persistentvolumes" => {
            set_default(object, "/spec/volumeMode", "Filesystem");
            set_default(object, "/spec/persistentVolumeReclaimPolicy", "Retain");
            if object.pointer("/spec/hostPath").is_some() {
                set_default(object, "/spec/hostPath/type", "");
            }
            if object
                .pointer("/spec/claimRef")
                .is_some_and(Value::is_object)
            {
                set_default(object, "/spec/claimRef/kind", "PersistentVolumeClaim");
                set_default(object, "/spec/claimRef/apiVersion", "v1");
            }
        }
        "storageclasses" => {
            set_default(object, "/reclaimPolicy", "Delete");
            set_default(object, "/volumeBindingMode", "Immediate");
        }
        "services" => service(object),
        "secrets" => secret(object),
        "namespaces" => {
            let name = object::name(object).to_owned();
            object::set(
                object,
                "/metadata/labels/kubernetes.io~1metadata.name",
                name,
            );
            if !object::is_deleting(object) {
                set_default(object, "/spec/finalizers", json!(["kubernetes"]));
            }
        }
        _ => {}
    }
}

fn map<'a>(object: &'a mut Value, pointer: &str) -> &'a mut Value {
    object::map_mut(object, pointer);
    object.pointer_mut(pointer).expect("it was just made")
}

fn template(object: &mut Value) {
    if object
        .pointer("/spec/template")
        .is_some_and(Value::is_object)
    {
        pod_spec(map(object, "/spec/template/spec"));
    }
}

fn stateful_set(object: &mut Value) {
    set_default(object, "/spec/replicas", 1);
    set_default(object, "/spec/podManagementPolicy", "OrderedReady");
    set_default(object, "/spec/updateStrategy/type", "RollingUpdate");
    if object::text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
        set_default(object, "/spec/updateStrategy/rollingUpdate/partition", 0);
    }
    set_default(object, "/spec/revisionHistoryLimit", 10);
    set_default(
        object,
        "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
        "Retain",
    );
    set_default(
        object,
        "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
        "Retain",
    );
    template(object);
    for claim in object
        .pointer_mut("/spec/volumeClaimTemplates")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        set_default(claim, "/kind", "PersistentVolumeClaim");
        set_default(claim, "/apiVersion", "v1");
        set_default(claim, "/spec/volumeMode", "Filesystem");
        set_default(claim, "/status/phase", "Pending");
    }
}

fn deployment(object: &mut Value) {
    set_default(object, "/spec/replicas", 1);
    set_default(object, "/spec/strategy/type", "RollingUpdate");
    if object::text(object, "/spec/strategy/type") == "RollingUpdate" {
        set_default(object, "/spec/strategy/rollingUpdate/maxSurge", "25%");
        set_default(object, "/spec/strategy/rollingUpdate/maxUnavailable", "25%");
    }
    set_default(object, "/spec/revisionHistoryLimit", 10);
    set_default(object, "/spec/progressDeadlineSeconds", 600);
    template(object);
}

fn service(object: &mut Value) {
    set_default(object, "/spec/type", "ClusterIP");
    set_default(object, "/spec/sessionAffinity", "None");
    let kind = object::text(object, "/spec/type").to_owned();
    if kind != "ExternalName" {
        set_default(object, "/spec/internalTrafficPolicy", "Cluster");
        set_default(object, "/spec/ipFamilies", json!(["IPv4"]));
        set_default(object, "/spec/ipFamilyPolicy", "SingleStack");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        set_default(object, "/spec/externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set_default(object, "/spec/allocateLoadBalancerNodePorts", true);
    }
    if object::text(object, "/spec/sessionAffinity") == "ClientIP" {
        set_default(
            object,
            "/spec/sessionAffinityConfig/clientIP/timeoutSeconds",
            10800,
        );
    }
    for port in object
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        set_default(port, "/protocol", "TCP");
        if let Some(number) = port.get("port").cloned() {
            set_default(port, "/targetPort", number);
        }
    }
}

fn secret(object: &mut Value) {
    use base64::Engine;
    set_default(object, "/type", "Opaque");
    let Some(Value::Object(plain)) = object::remove(object, "/stringData") else {
        return;
    };
    for (key, value) in plain {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or(""));
        object::map_mut(object, "/data").insert(key, json!(encoded));
    }
}

fn pod_spec(spec: &mut Value) {
    set_default(spec, "/restartPolicy", "Always");
    set_default(spec, "/terminationGracePeriodSeconds", 30);
    set_default(spec, "/dnsPolicy", "ClusterFirst");
    set_default(spec, "/securityContext", json!({}));
    set_default(spec, "/schedulerName", "default-scheduler");
    // The old field name is kept equal to the new one.
    let account = [
        object::text(spec, "/serviceAccountName"),
        object::text(spec, "/serviceAccount"),
    ]
    .into_iter()
    .find(|name| !name.is_empty())
    .map(str::to_owned);
    if let Some(account) = account {
        spec["serviceAccountName"] = json!(account);
        spec["serviceAccount"] = json!(account);
    }
    for list in ["/initContainers", "/containers"] {
        for one in spec
            .pointer_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            container(one);
        }
    }
    for volume in spec
        .pointer_mut("/volumes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(fields) = volume.as_object() else {
            continue;
        };
        if fields.len() == 1 && fields.contains_key("name") {
            volume["emptyDir"] = json!({});
        }
        for kind in ["secret", "configMap", "projected", "downwardAPI"] {
            if volume.get(kind).is_some() {
                set_default(volume, &format!("/{kind}/defaultMode"), 420);
            }
        }
        if volume.get("hostPath").is_some() {
            set_default(volume, "/hostPath/type", "");
        }
        for source in volume
            .pointer_mut("/projected/sources")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if source.get("serviceAccountToken").is_some() {
                set_default(source, "/serviceAccountToken/expirationSeconds", 3600);
            }
            field_references(source, "/downwardAPI/items", "/fieldRef");
        }
        field_references(volume, "/downwardAPI/items", "/fieldRef");
    }
}

fn field_references(holder: &mut Value, list: &str, reference: &str) {
    for item in holder
        .pointer_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if item.pointer(reference).is_some() {
            set_default(item, &format!("{reference}/apiVersion"), "v1");
        }
    }
}

fn container(container: &mut Value) {
    set_default(container, "/terminationMessagePath", "/dev/termination-log");
    set_default(container, "/terminationMessagePolicy", "File");
    set_default(container, "/resources", json!({}));
    let image = object::text(container, "/image");
    let has_fixed_tag = image.contains('@')
        || image
            .rsplit('/')
            .next()
            .and_then(|last| last.split_once(':'))
            .is_some_and(|(_, tag)| tag != "latest");
    set_default(
        container,
        "/imagePullPolicy",
        if has_fixed_tag {
            "IfNotPresent"
        } else {
            "Always"
        },
    );
    for port in container
        .pointer_mut("/ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        set_default(port, "/protocol", "TCP");
    }
    field_references(container, "/env", "/valueFrom/fieldRef");
    for probe in ["/readinessProbe", "/livenessProbe", "/startupProbe"] {
        if container.pointer(probe).is_none() {
            continue;
        }
        for (field, value) in [
            ("timeoutSeconds", 1),
            ("periodSeconds", 10),
            ("successThreshold", 1),
            ("failureThreshold", 3),
        ] {
            set_default(container, &format!("{probe}/{field}"), value);
        }
        if container.pointer(&format!("{probe}/httpGet")).is_some() {
            set_default(container, &format!("{probe}/httpGet/path"), "/");
            set_default(container, &format!("{probe}/httpGet/scheme"), "HTTP");
        }
    }
    if let Some(Value::Object(limits)) = container.pointer("/resources/limits").cloned() {
        for (name, limit) in limits {
            set_default(
                container,
                &format!(
                    "/resources/requests/{}",
                    name.replace('~', "~0").replace('/', "~1")
                ),
                limit,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;

    #[test]
    fn a_stateful_set_gets_what_the_real_one_gets() {
        let mut set = json!({"spec": {
            "selector": {"matchLabels": {"app": "postgres"}}, "serviceName": "s",
            "template": {"spec": {"containers": [{"name": "postgres", "image": "postgres:18", "ports": [{"containerPort": 5432}], "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 2}}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
        }});
        apply(resource::STATEFULSETS, &mut set);
        assert_eq!(
            set["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        );
        assert_eq!(
            set["spec"]["persistentVolumeClaimRetentionPolicy"],
            json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
        );
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            container["readinessProbe"],
            json!({"exec": {"command": ["true"]}, "periodSeconds": 2, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3})
        );
        assert_eq!(
            set["spec"]["volumeClaimTemplates"][0]["status"],
            json!({"phase": "Pending"})
        );
    }

    #[test]
    fn plain_secret_text_is_folded_into_data() {
        let mut secret = json!({"stringData": {"A": "user"}, "data": {"B": "Yg=="}});
        apply(resource::SECRETS, &mut secret);
        assert_eq!(
            secret,
            json!({"data": {"A": "dXNlcg==", "B": "Yg=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn only_a_fixed_tag_spares_the_pull() {
        for (image, policy) in [
            ("busybox", "Always"),
            ("busybox:latest", "Always"),
            ("postgres:18", "IfNotPresent"),
            ("host:5000/postgres", "Always"),
            ("a@sha256:1", "IfNotPresent"),
        ] {
            let mut one = json!({"image": image});
            container(&mut one);
            assert_eq!(one["imagePullPolicy"], policy, "{image}");
        }
    }
}
