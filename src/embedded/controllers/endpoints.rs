//! Endpoints: which Pods stand behind a Service, in the old form and in slices.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::driver::Controller;
use super::pods;
use crate::failure::Failure;
use crate::object::{self, Object, array, int, text};
use crate::registry::{Deletion, Labels, Options, Part, Registry};
use crate::resource;
use crate::store::{Change, Key};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SLICE_MANAGER: &str = "endpointslice-controller.k8s.io";

pub(super) struct Endpoints;

impl Controller for Endpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry.keys(resource::SERVICES)
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        match change.key.resource {
            "services" => vec![change.key.clone()],
            "pods" => {
                let selects = |service: &Value| {
                    let selector = Labels::of_map(&service["spec"]["selector"]);
                    !selector.is_empty()
                        && (selector.matches(&change.object)
                            || change
                                .before
                                .as_ref()
                                .is_some_and(|before| selector.matches(before)))
                };
                let (services, _) = registry.list(resource::SERVICES, Some(&change.key.namespace));
                services
                    .iter()
                    .filter(|service| selects(service))
                    .map(|service| {
                        Key::new("services", &change.key.namespace, object::name(service))
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        _: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let current = registry.find(resource::ENDPOINTS, &key.namespace, &key.name);
        let Some(service) = registry.find(resource::SERVICES, &key.namespace, &key.name) else {
            if current.is_some_and(|current| object::label(&current, MANAGED_BY) == Some(MANAGER)) {
                registry.delete(
                    resource::ENDPOINTS,
                    &key.namespace,
                    &key.name,
                    &Deletion::default(),
                )?;
            }
            return Ok(None);
        };
        let selector = Labels::of_map(&service["spec"]["selector"]);
        if selector.is_empty() {
            // Endpoints of a Service without selector are somebody else's.
            return Ok(None);
        }
        let (pods, _) = registry.list(resource::PODS, Some(&key.namespace));
        let selected: Vec<Object> = pods
            .into_iter()
            .filter(|pod| selector.matches(pod))
            .collect();
        let subsets = subsets(&service, &selected);
        let options = Options::by("kube-controller-manager");
        slices(registry, &service, &selected, &options)?;
        match current {
            Some(current) if current.get("subsets").unwrap_or(&json!([])) == &json!(subsets) => {}
            Some(_) => {
                registry.modify(
                    resource::ENDPOINTS,
                    &key.namespace,
                    &key.name,
                    Part::Main,
                    &options,
                    |object| {
                        if subsets.is_empty() {
                            object::remove(object, "/subsets");
                        } else {
                            object["subsets"] = json!(subsets);
                        }
                    },
                )?;
            }
            None => {
                let mut labels = service
                    .pointer("/metadata/labels")
                    .cloned()
                    .unwrap_or_else(|| json!({}));
                labels[MANAGED_BY] = json!(MANAGER);
                if text(&service, "/spec/clusterIP") == "None" {
                    labels["service.kubernetes.io/headless"] = json!("");
                }
                let mut made = json!({"metadata": {"name": key.name, "labels": labels}});
                if !subsets.is_empty() {
                    made["subsets"] = json!(subsets);
                }
                registry.insert(resource::ENDPOINTS, &key.namespace, made, &options)?;
            }
        }
        Ok(None)
    }
}

/// Brings a Service's slices up to date: one for each set of ports, and an empty one when there is no Pod.
fn slices(
    registry: &Registry,
    service: &Value,
    pods: &[Object],
    options: &Options,
) -> Result<(), Failure> {
    let namespace = object::namespace(service);
    let (all, _) = registry.list(resource::ENDPOINT_SLICES, Some(namespace));
    let mut there: Vec<Object> = all
        .into_iter()
        .filter(|slice| object::label(slice, SERVICE_NAME) == Some(object::name(service)))
        .filter(|slice| object::label(slice, SLICE_MANAGED_BY) == Some(SLICE_MANAGER))
        .collect();
    for (ports, endpoints) in slice_contents(service, pods) {
        let (ports, endpoints) = (json!(ports), json!(endpoints));
        let same = there.iter().position(|slice| slice["ports"] == ports);
        // A slice whose ports have changed is used on, when it is the only one.
        match same.or_else(|| (there.len() == 1).then_some(0)) {
            Some(at) => {
                let slice = there.swap_remove(at);
                if slice["endpoints"] == endpoints && slice["ports"] == ports {
                    continue;
                }
                registry.modify(
                    resource::ENDPOINT_SLICES,
                    namespace,
                    object::name(&slice),
                    Part::Main,
                    options,
                    |object| {
                        object["endpoints"] = endpoints;
                        object["ports"] = ports;
                    },
                )?;
            }
            None => {
                let mut labels = service
                    .pointer("/metadata/labels")
                    .cloned()
                    .unwrap_or_else(|| json!({}));
                labels[SERVICE_NAME] = json!(object::name(service));
                labels[SLICE_MANAGED_BY] = json!(SLICE_MANAGER);
                if text(service, "/spec/clusterIP") == "None" {
                    labels["service.kubernetes.io/headless"] = json!("");
                }
                let made = json!({
                    "metadata": {
                        "generateName": format!("{}-", object::name(service)), "labels": labels,
                        "ownerReferences": [object::controller_reference(service)],
                    },
                    "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
                });
                registry.create(resource::ENDPOINT_SLICES, namespace, made, options)?;
            }
        }
    }
    for slice in there {
        let deletion = Deletion {
            uid: Some(object::uid(&slice).to_owned()),
            ..Deletion::default()
        };
        match registry.delete(
            resource::ENDPOINT_SLICES,
            namespace,
            object::name(&slice),
            &deletion,
        ) {
            Err(failure) if failure.code != 404 => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

/// Ports, and the Pods that serve them. Unlike the old form, slices also have the Pods that are on their way out.
fn slice_contents(service: &Value, pods: &[Object]) -> Vec<(Vec<Value>, Vec<Value>)> {
    let all_ready = object::flag(service, "/spec/publishNotReadyAddresses");
    let mut groups: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for pod in pods {
        let address = text(pod, "/status/podIP");
        if pods::has_ended(pod) || address.is_empty() {
            continue;
        }
        let ports: Vec<Value> = array(service, "/spec/ports")
            .iter()
            .filter_map(|port| target(port, pod))
            .map(|mut port| {
                object::set_default(&mut port, "/name", "");
                port
            })
            .collect();
        let is_serving = object::is_condition_true(pod, "Ready");
        let is_leaving = object::is_deleting(pod);
        let mut endpoint = json!({
            "addresses": [address],
            "conditions": {
                "ready": all_ready || (is_serving && !is_leaving),
                "serving": is_serving, "terminating": is_leaving,
            },
            "nodeName": text(pod, "/spec/nodeName"),
            "targetRef": {"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod)},
        });
        if text(pod, "/spec/subdomain") == object::name(service)
            && !text(pod, "/spec/hostname").is_empty()
        {
            endpoint["hostname"] = pod["spec"]["hostname"].clone();
        }
        match groups.iter_mut().find(|(same, _)| *same == ports) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => groups.push((ports, vec![endpoint])),
        }
    }
    if groups.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    groups
}

/// The addresses behind a Service, grouped by the ports that they serve.
fn subsets(service: &Value, pods: &[Object]) -> Vec<Value> {
    let all_ready = object::flag(service, "/spec/publishNotReadyAddresses");
    let mut subsets: Vec<Value> = Vec::new();
    for pod in pods.iter().filter(|pod| {
        !pods::has_ended(pod) && !object::is_deleting(pod) && !text(pod, "/status/podIP").is_empty()
    }) {
        let ports: Vec<Value> = array(service, "/spec/ports")
            .iter()
            .filter_map(|port| target(port, pod))
            .collect();
        if ports.is_empty() && !array(service, "/spec/ports").is_empty() {
            continue;
        }
        let mut address = json!({
            "ip": text(pod, "/status/podIP"), "nodeName": text(pod, "/spec/nodeName"),
            "targetRef": {"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod)},
        });
        if text(pod, "/spec/subdomain") == object::name(service)
            && !text(pod, "/spec/hostname").is_empty()
        {
            address["hostname"] = pod["spec"]["hostname"].clone();
        }
        let list = if all_ready || object::is_condition_true(pod, "Ready") {
            "addresses"
        } else {
            "notReadyAddresses"
        };
        let same = subsets
            .iter_mut()
            .find(|subset| subset["ports"] == json!(ports));
        match same {
            Some(subset) if subset.get(list).is_some() => subset[list]
                .as_array_mut()
                .expect("address lists are arrays")
                .push(address),
            Some(subset) => subset[list] = json!([address]),
            None => subsets.push(json!({list: [address], "ports": ports})),
        }
    }
    subsets
}

/// A Service's port as this Pod serves it: a named target is looked up among the Pod's ports.
fn target(port: &Value, pod: &Value) -> Option<Value> {
    let number = match &port["targetPort"] {
        Value::String(name) => array(pod, "/spec/containers")
            .iter()
            .flat_map(|container| array(container, "/ports"))
            .find(|one| text(one, "/name") == name)
            .and_then(|one| int(one, "/containerPort"))?,
        number => number
            .as_i64()
            .filter(|number| *number > 0)
            .or_else(|| int(port, "/port"))?,
    };
    let mut target = json!({"port": number, "protocol": port["protocol"]});
    if let Some(name) = port.get("name") {
        target["name"] = name.clone();
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn ready_and_unready_pods_stand_apart() {
        let pod = |name: &str, ready: &str, phase: &str| -> Object {
            Arc::new(
                json!({"metadata": {"name": name}, "spec": {"containers": [{"ports": [{"name": "pg", "containerPort": 5432}]}]}, "status": {"phase": phase, "podIP": format!("10.244.0.{}", name.len()), "conditions": [{"type": "Ready", "status": ready}]}}),
            )
        };
        let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 5432, "targetPort": "pg", "protocol": "TCP", "name": "postgres"}]}});
        let found = subsets(
            &service,
            &[
                pod("a", "True", "Running"),
                pod("bb", "False", "Running"),
                pod("ccc", "False", "Succeeded"),
            ],
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["addresses"][0]["ip"], "10.244.0.1");
        assert_eq!(found[0]["notReadyAddresses"][0]["ip"], "10.244.0.2");
        assert_eq!(
            found[0]["ports"],
            json!([{"port": 5432, "protocol": "TCP", "name": "postgres"}])
        );
    }

    #[test]
    fn slices_tell_ready_from_leaving_and_are_never_none() {
        let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]}});
        let pod = |deleted: bool| -> Object {
            let mut pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running", "podIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": "True"}]}});
            if deleted {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            Arc::new(pod)
        };
        let found = slice_contents(&service, &[pod(false), pod(true)]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].0,
            [json!({"name": "", "port": 80, "protocol": "TCP"})]
        );
        let conditions: Vec<_> = found[0].1.iter().map(|one| &one["conditions"]).collect();
        assert_eq!(
            conditions,
            [
                &json!({"ready": true, "serving": true, "terminating": false}),
                &json!({"ready": false, "serving": true, "terminating": true})
            ]
        );
        assert_eq!(slice_contents(&service, &[]), [(Vec::new(), Vec::new())]);
    }
}
