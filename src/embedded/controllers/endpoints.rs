//! Endpoints: which Pods stand behind a Service.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::driver::Controller;
use super::pods;
use crate::embedded::failure::Failure;
use crate::embedded::object::{self, Object, array, int, text};
use crate::embedded::registry::{Deletion, Labels, Options, Part, Registry};
use crate::embedded::resource;
use crate::embedded::store::{Change, Key};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

pub(super) struct Endpoints;

impl Controller for Endpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        registry
            .list(resource::SERVICES, None)
            .0
            .iter()
            .map(|service| {
                Key::new(
                    "services",
                    object::namespace(service),
                    object::name(service),
                )
            })
            .collect()
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
}
