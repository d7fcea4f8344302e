//! What the real cluster's admission and registration steps add to objects: first status, finalizers, service accounts,
//! cluster addresses, the default storage class.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Registry;
use crate::failure::{Cause, Failure};
use crate::object::{self, Object, set_default};
use crate::resource::{self, Resource};

/// Holds a claim while a Pod uses it.
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Holds a volume while a claim is bound to it.
pub(crate) const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// Pods that the cluster keeps, waiting and ended ones included: the node takes a ninth of them.
const PODS: usize = 1000;

/// Completes a new object.
pub(super) fn new_object(
    registry: &Registry,
    resource: &'static Resource,
    object: &mut Value,
    now: Timestamp,
) -> Result<(), Failure> {
    match resource.plural {
        "pods" => {
            quota(registry, object)?;
            object["status"] = json!({"phase": "Pending", "qosClass": quality(object)});
            service_account(registry, object)?;
        }
        "persistentvolumeclaims" => {
            object["status"] = json!({"phase": "Pending"});
            add_finalizer(object, CLAIM_PROTECTION);
            default_class(registry, object);
        }
        "persistentvolumes" => {
            object["status"] =
                json!({"phase": "Pending", "lastPhaseTransitionTime": object::time(now)});
            add_finalizer(object, VOLUME_PROTECTION);
        }
        "statefulsets" => object["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        "replicasets" => object["status"] = json!({"replicas": 0}),
        "deployments" => object["status"] = json!({}),
        "namespaces" => object["status"] = json!({"phase": "Active"}),
        "services" => {
            object["status"] = json!({"loadBalancer": {}});
            cluster_address(registry, object)?;
        }
        _ => {}
    }
    Ok(())
}

/// Completes a changed object: what the server assigned stays when a manifest does not name it.
pub(super) fn changed_object(
    resource: &'static Resource,
    current: &Value,
    object: &mut Value,
) -> Result<(), Failure> {
    match resource.plural {
        "services" if object::text(object, "/spec/type") != "ExternalName" => {
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(value) = current.pointer(&format!("/spec/{field}")) {
                    set_default(object, &format!("/spec/{field}"), value.clone());
                }
            }
        }
        "persistentvolumeclaims" => {
            // A replace without the class or the volume means "as it is".
            for field in ["storageClassName", "volumeName"] {
                if let Some(value) = current.pointer(&format!("/spec/{field}")) {
                    set_default(object, &format!("/spec/{field}"), value.clone());
                }
            }
            let size = |claim: &Value| {
                object::quantity(object::text(claim, "/spec/resources/requests/storage"))
                    .unwrap_or(0.0)
            };
            if object::text(current, "/status/phase") == "Bound" && size(object) > size(current) {
                let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
                return Err(Failure::forbidden(resource, object::name(current), why));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Completes a changed status.
pub(super) fn changed_status(
    resource: &Resource,
    current: &Value,
    object: &mut Value,
    now: Timestamp,
) {
    if resource.plural == "persistentvolumes"
        && object::text(current, "/status/phase") != object::text(object, "/status/phase")
    {
        object::set(object, "/status/lastPhaseTransitionTime", object::time(now));
    }
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    if !object::finalizers(object).any(|found| found == finalizer) {
        let mut list = object::array(object, "/metadata/finalizers").to_vec();
        list.push(json!(finalizer));
        object::set(object, "/metadata/finalizers", list);
    }
}

/// Refuses a Pod beyond those that the cluster keeps, in the words of a ResourceQuota: what makes Pods for ever, such
/// as a ReplicaSet whose Pods the node turns away, comes to an end.
fn quota(registry: &Registry, pod: &Value) -> Result<(), Failure> {
    let used = registry.list(resource::PODS, None).0.len();
    if used < PODS {
        return Ok(());
    }
    let why = format!(
        "exceeded quota: embedded-cluster, requested: count/pods=1, used: count/pods={used}, limited: count/pods={PODS}"
    );
    Err(Failure::forbidden(resource::PODS, object::name(pod), &why))
}

/// The quality-of-service class that follows from requests and limits.
fn quality(pod: &Value) -> &'static str {
    let containers = || {
        object::array(pod, "/spec/containers")
            .iter()
            .chain(object::array(pod, "/spec/initContainers"))
    };
    let names = |container: &Value, kind: &str| -> HashSet<String> {
        object::entries(container, &format!("/resources/{kind}"))
            .filter(|(name, _)| matches!(*name, "cpu" | "memory"))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    if containers().all(|container| {
        names(container, "requests").is_empty() && names(container, "limits").is_empty()
    }) {
        return "BestEffort";
    }
    let is_guaranteed = containers().all(|container| {
        names(container, "limits").len() == 2
            && container.pointer("/resources/limits") == container.pointer("/resources/requests")
    });
    if is_guaranteed {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The service account with its volume, and the rest of what admission gives to every Pod.
fn service_account(registry: &Registry, pod: &mut Value) -> Result<(), Failure> {
    set_default(pod, "/spec/serviceAccountName", "default");
    let account = object::text(pod, "/spec/serviceAccountName").to_owned();
    set_default(pod, "/spec/serviceAccount", account.clone());
    let namespace = object::namespace(pod).to_owned();
    let Some(found) = registry.find(resource::SERVICE_ACCOUNTS, &namespace, &account) else {
        return Err(Failure::forbidden(
            resource::PODS,
            object::name(pod),
            &format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            ),
        ));
    };
    let wants_token = pod
        .pointer("/spec/automountServiceAccountToken")
        .or_else(|| found.get("automountServiceAccountToken"))
        .and_then(Value::as_bool)
        .unwrap_or(true);
    const TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    if wants_token {
        let volume = format!("kube-api-access-{}", object::random_letters(5));
        let mut is_used = false;
        for list in ["/spec/initContainers", "/spec/containers"] {
            for container in pod
                .pointer_mut(list)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if object::array(container, "/volumeMounts")
                    .iter()
                    .any(|mount| object::text(mount, "/mountPath") == TOKENS)
                {
                    continue;
                }
                let mut mounts = object::array(container, "/volumeMounts").to_vec();
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKENS}));
                container["volumeMounts"] = json!(mounts);
                is_used = true;
            }
        }
        if is_used {
            let mut volumes = object::array(pod, "/spec/volumes").to_vec();
            volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ]}}));
            object::set(pod, "/spec/volumes", volumes);
        }
    }
    let mut tolerations = object::array(pod, "/spec/tolerations").to_vec();
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let is_tolerated = tolerations.iter().any(|one| {
            matches!(
                object::text(one, "/key"),
                "" | "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"
            ) && (object::text(one, "/key").is_empty() || object::text(one, "/key") == key)
                && matches!(object::text(one, "/effect"), "" | "NoExecute")
        });
        if !is_tolerated {
            tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    object::set(pod, "/spec/tolerations", tolerations);
    set_default(pod, "/spec/priority", 0);
    set_default(pod, "/spec/preemptionPolicy", "PreemptLowerPriority");
    Ok(())
}

/// Whether a class is marked as the one for claims that name none.
pub(crate) fn is_default_class(class: &Value) -> bool {
    [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ]
    .into_iter()
    .any(|key| object::annotation(class, key) == Some("true"))
}

/// A claim that leaves the class out gets the default one; "" means none on purpose. Of several the newest wins.
fn default_class(registry: &Registry, claim: &mut Value) {
    if claim.pointer("/spec/storageClassName").is_some() {
        return;
    }
    let (classes, _) = registry.list(resource::STORAGE_CLASSES, None);
    let newest = classes
        .iter()
        .filter(|class| is_default_class(class))
        .max_by_key(|class| object::text(class, "/metadata/creationTimestamp").to_owned());
    if let Some(class) = newest {
        object::set(claim, "/spec/storageClassName", object::name(class));
    }
}

/// Gives a Service its cluster address and its node ports.
fn cluster_address(registry: &Registry, service: &mut Value) -> Result<(), Failure> {
    let kind = object::text(service, "/spec/type").to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    let (services, _) = registry.list(resource::SERVICES, None);
    let asked = object::text(service, "/spec/clusterIP").to_owned();
    let address = if asked.is_empty() {
        let taken: HashSet<&str> = services
            .iter()
            .map(|one| object::text(one, "/spec/clusterIP"))
            .collect();
        // The first addresses of the range are kept for fixed services, as the real allocator does.
        (256u32..65_535)
            .map(|offset| format!("10.96.{}.{}", offset / 256, offset % 256))
            .find(|one| !one.ends_with(".0") && !taken.contains(one.as_str()))
            .unwrap_or_default()
    } else {
        if asked != "None"
            && services
                .iter()
                .any(|one| object::text(one, "/spec/clusterIP") == asked)
        {
            let cause = Cause::invalid(
                "spec.clusterIPs",
                &json!([asked]),
                &format!("failed to allocate IP {asked}: provided IP is already allocated"),
            );
            return Err(Failure::invalid(
                resource::SERVICES,
                object::name(service),
                &[cause],
            ));
        }
        asked
    };
    object::set(service, "/spec/clusterIPs", json!([address.clone()]));
    object::set(service, "/spec/clusterIP", address);
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        node_ports(service, &services)?;
    }
    Ok(())
}

/// Node ports for the ports of a Service that have none.
fn node_ports(service: &mut Value, services: &[Object]) -> Result<(), Failure> {
    let mut taken: HashSet<i64> = services
        .iter()
        .flat_map(|one| {
            object::array(one, "/spec/ports")
                .iter()
                .filter_map(|port| object::int(port, "/nodePort"))
        })
        .collect();
    let asked = object::array(service, "/spec/ports")
        .iter()
        .filter_map(|port| object::int(port, "/nodePort"));
    taken.extend(asked);
    let mut free = (30_000..32_768).filter(|number| !taken.contains(number));
    for port in service
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if object::int(port, "/nodePort").unwrap_or(0) == 0 {
            let number = free
                .next()
                .ok_or_else(|| Failure::internal("failed to allocate a nodePort: range is full"))?;
            object::set(port, "/nodePort", number);
        }
    }
    Ok(())
}
