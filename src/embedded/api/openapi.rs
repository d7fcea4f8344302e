//! OpenAPI v3: the types for `kubectl explain`, and the promise that the server checks fields itself.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::resource::{self, GROUPS, Resource};
use crate::schema;

/// The old document, with nothing in it: kubectl asks for it, in protobuf, about kinds that version 3 does not have, and
/// only then says that there is no such kind. Fields: swagger (1), info (2) with title (1) and version (2), paths (8).
pub(super) fn empty_v2() -> Response {
    let document: &[u8] = b"\x0a\x032.0\x12\x0c\x0a\x06eizoku\x12\x02v1\x42\x00";
    (
        [(
            header::CONTENT_TYPE,
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        )],
        document,
    )
        .into_response()
}

/// The index (`/openapi/v3`) or one group's document below it.
pub(super) fn document(rest: &[&str], prefix: &str) -> Result<Value, Failure> {
    match rest {
        [] => {
            let paths: Map<String, Value> = GROUPS
                .iter()
                .map(|(group, version)| {
                    let path = if group.is_empty() {
                        format!("api/{version}")
                    } else {
                        format!("apis/{group}/{version}")
                    };
                    // The hash only has to change when the document does, which is with the program's version.
                    let url = format!(
                        "{prefix}/openapi/v3/{path}?hash={}",
                        env!("CARGO_PKG_VERSION")
                    );
                    (path, json!({"serverRelativeURL": url}))
                })
                .collect();
            Ok(json!({"paths": paths}))
        }
        ["api", version] => group_document("", version),
        ["apis", group, version] => group_document(group, version),
        _ => Err(Failure::no_such_path()),
    }
}

fn group_document(group: &str, version: &str) -> Result<Value, Failure> {
    let resources: Vec<&Resource> = resource::ALL
        .iter()
        .copied()
        .filter(|resource| resource.group == group && resource.version == version)
        .collect();
    if resources.is_empty() {
        return Err(Failure::no_such_path());
    }
    let root = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let mut paths = Map::new();
    for resource in &resources {
        let collection = if resource.namespaced {
            format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
        } else {
            format!("{root}/{}", resource.plural)
        };
        let body = || json!({"content": {"application/json": {"schema": reference(resource)}}});
        paths.insert(
            collection.clone(),
            json!({"get": operation(resource, "list", None), "post": operation(resource, "post", Some(body()))}),
        );
        let patches: Map<String, Value> = [
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ]
        .into_iter()
        .map(|kind| (kind.to_owned(), json!({"schema": {"type": "object"}})))
        .collect();
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({
                "get": operation(resource, "get", None),
                "put": operation(resource, "put", Some(body())),
                "patch": operation(resource, "patch", Some(json!({"content": patches, "required": true}))),
                "delete": operation(resource, "delete", None),
            }),
        );
    }
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "eizoku", "version": super::discovery::version()["gitVersion"]},
        "paths": paths, "components": {"schemas": schema::reachable(&resources)},
    }))
}

fn reference(resource: &Resource) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", resource.schema)})
}

/// One operation. The `fieldValidation` parameter tells kubectl that it need not check the fields itself.
fn operation(resource: &Resource, action: &str, body: Option<Value>) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let mut operation = json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": schema::gvk(resource),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference(resource)}}}},
    });
    if let Some(body) = body {
        operation["requestBody"] = body;
        operation["parameters"] = json!([
            parameter("dryRun"),
            parameter("fieldManager"),
            parameter("fieldValidation")
        ]);
    }
    operation
}
