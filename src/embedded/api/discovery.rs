//! What the server has: versions, groups, resources, in the plain and in the aggregated form.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::json_response;
use crate::failure::Failure;
use crate::resource::{self, GROUPS, Resource};

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The Kubernetes version that the cluster behaves as.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.4+eizoku", "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, architecture()),
        "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
    })
}

/// The processor's name as Go and container images spell it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Answers a discovery path.
pub(super) fn answer(parts: &[&str], accept: &str) -> Result<Response, Failure> {
    // Clients up to 1.29 ask only for the beta form and cannot read the final one, so the plain form is for them.
    let is_aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
    let document = match parts {
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/apis/apps/v1", "/apis/discovery.k8s.io/v1", "/apis/storage.k8s.io/v1", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})
        }
        ["api" | "apis"] if is_aggregated => {
            let mut response = json_response(StatusCode::OK, &aggregated(parts[0] == "api"));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(
                    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                ),
            );
            return Ok(response);
        }
        ["api"] => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        ["apis"] => {
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": named_groups().map(|(group, version)| api_group(group, version)).collect::<Vec<_>>()})
        }
        ["apis", name] => {
            let (group, version) = named_groups()
                .find(|(group, _)| group == name)
                .ok_or_else(Failure::no_such_path)?;
            let mut document = api_group(group, version);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            document
        }
        ["api", "v1"] => resource_list("", "v1"),
        ["apis", group, version] if GROUPS.contains(&(*group, *version)) => {
            resource_list(group, version)
        }
        _ => return Err(Failure::no_such_path()),
    };
    Ok(json_response(StatusCode::OK, &document))
}

fn named_groups() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS
        .iter()
        .copied()
        .filter(|(group, _)| !group.is_empty())
}

fn api_group(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version.clone()], "preferredVersion": version})
}

fn of_group<'a>(
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'static Resource> + use<'a> {
    resource::ALL
        .iter()
        .copied()
        .filter(move |resource| resource.group == group && resource.version == version)
}

/// A subresource: name, kind, group and version when they are not the resource's own, verbs.
type Below = (
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
    &'static [&'static str],
);

/// A resource's subresources.
fn subresources(resource: &Resource) -> Vec<Below> {
    let mut list: Vec<Below> = Vec::new();
    if resource.plural == "pods" {
        list.push(("eviction", "Eviction", Some(("policy", "v1")), &["create"]));
        list.push(("exec", "PodExecOptions", None, &["create", "get"]));
        list.push(("log", "Pod", None, &["get"]));
        list.push((
            "portforward",
            "PodPortForwardOptions",
            None,
            &["create", "get"],
        ));
    }
    if resource.scale {
        list.push((
            "scale",
            "Scale",
            Some(("autoscaling", "v1")),
            &["get", "patch", "update"],
        ));
    }
    if resource.status {
        list.push(("status", resource.kind, None, &["get", "patch", "update"]));
    }
    list
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    VERBS
        .into_iter()
        .filter(|verb| resource.plural != "namespaces" || *verb != "deletecollection")
        .collect()
}

fn resource_list(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for resource in of_group(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs(resource),
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for (name, kind, elsewhere, verbs) in subresources(resource) {
            let mut entry = json!({"name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced, "kind": kind, "verbs": verbs});
            if let Some((group, version)) = elsewhere {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            resources.push(entry);
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
}

fn aggregated(is_core: bool) -> Value {
    let groups = GROUPS.iter().filter(|(group, _)| group.is_empty() == is_core).map(|(group, version)| {
        let resources: Vec<Value> = of_group(group, version)
            .map(|resource| {
                let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
                let mut entry = json!({
                    "resource": resource.plural, "responseKind": kind(resource.group, resource.version, resource.kind),
                    "scope": if resource.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": resource.singular, "verbs": verbs(resource),
                });
                if !resource.short.is_empty() {
                    entry["shortNames"] = json!(resource.short);
                }
                if !resource.categories.is_empty() {
                    entry["categories"] = json!(resource.categories);
                }
                let below: Vec<Value> = subresources(resource)
                    .into_iter()
                    .map(|(name, sub_kind, elsewhere, verbs)| {
                        let (group, version) = elsewhere.unwrap_or((resource.group, resource.version));
                        json!({"subresource": name, "responseKind": kind(group, version, sub_kind), "verbs": verbs})
                    })
                    .collect();
                if !below.is_empty() {
                    entry["subresources"] = json!(below);
                }
                entry
            })
            .collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": [{"version": version, "resources": resources, "freshness": "Current"}]})
    });
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups.collect::<Vec<_>>()})
}
