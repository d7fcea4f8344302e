//! Single objects: get, create, replace, patch, delete, and deleting many.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::query::Query;
use super::{Api, Form, Target, accept, body, form, json_response, protobuf, table};
use crate::failure::Failure;
use crate::object::{self, Object};
use crate::registry::{
    Deletion, MANAGER_LENGTH, Options, Outcome, Part, Patch, Registry, Selection, bounds,
};
use crate::resource::Resource;

/// Resources whose deletion is answered with the object and not with a Status.
const ANSWERS_WITH_OBJECT: [&str; 5] = [
    "pods",
    "persistentvolumeclaims",
    "persistentvolumes",
    "services",
    "serviceaccounts",
];

/// Letters of one warning, and of all of an answer: no client reads a head without end (apiserver
/// `pkg/endpoints/filters/warning.go`).
const WARNING_AT_MOST: usize = 256;
const WARNINGS_AT_MOST: usize = 4096;
/// Warnings of an answer: many clients read a hundred header lines and no more.
const WARNING_LINES: usize = 64;

impl Api {
    /// Answers everything about one object, and creation and deletion of a collection.
    pub(super) async fn object(
        &self,
        target: &Target,
        query: Query,
        request: Request,
    ) -> Result<Response, Failure> {
        let method = request.method().clone();
        let form = form(accept(request.headers()))?;
        let part = if target.subresource.as_deref() == Some("status") {
            Part::Status
        } else {
            Part::Main
        };
        let resource = target.resource;
        let namespace = target.namespace.clone().unwrap_or_default();
        if method == Method::GET {
            let name = target.name.clone().unwrap_or_default();
            return Ok(shown(
                resource,
                &self.registry.get(resource, &namespace, &name)?,
                form,
                &query,
                StatusCode::OK,
            ));
        }
        let options = options(&query, request.headers())?;
        let media = media_type(request.headers());
        let bytes = body(request).await?;
        let registry = self.registry.clone();
        let name = target.name.clone();
        // A write waits for the disk, so it leaves the threads that serve everybody else.
        let work = tokio::task::spawn_blocking(move || match (method, name) {
            (Method::POST, None) => {
                let object = json_body(&bytes, &media)?;
                expect_type(resource, &object)?;
                let warnings = warnings(resource, &object, &query);
                let made = registry.create(resource, &namespace, object, &options)?;
                Ok(warned(
                    shown(resource, &made, form, &query, StatusCode::CREATED),
                    &warnings,
                ))
            }
            (Method::PUT, Some(name)) => {
                let object = json_body(&bytes, &media)?;
                expect_type(resource, &object)?;
                let warnings = warnings(resource, &object, &query);
                let changed =
                    registry.update(resource, &namespace, &name, part, object, &options)?;
                Ok(warned(
                    shown(resource, &changed, form, &query, StatusCode::OK),
                    &warnings,
                ))
            }
            (Method::PATCH, Some(name)) => {
                let patch = patch(&bytes, &media, &query)?;
                let warnings = match &patch {
                    Patch::Json(_) => Vec::new(),
                    Patch::Merge(value)
                    | Patch::Strategic(value)
                    | Patch::Apply { config: value, .. } => warnings(resource, value, &query),
                };
                let (changed, is_new) =
                    registry.patch(resource, &namespace, &name, part, patch, &options)?;
                Ok(warned(
                    shown(
                        resource,
                        &changed,
                        form,
                        &query,
                        if is_new {
                            StatusCode::CREATED
                        } else {
                            StatusCode::OK
                        },
                    ),
                    &warnings,
                ))
            }
            (Method::DELETE, Some(name)) => {
                let outcome = registry.delete(
                    resource,
                    &namespace,
                    &name,
                    &deletion(&bytes, &media, &query)?,
                )?;
                Ok(deleted(resource, &outcome))
            }
            (Method::DELETE, None) => delete_many(
                &registry,
                resource,
                &namespace,
                &deletion(&bytes, &media, &query)?,
                &query,
            ),
            (method, _) => Err(Failure::method_not_allowed(&format!(
                "the server does not allow this method on the requested resource ({method})"
            ))),
        });
        let mut response = work
            .await
            .map_err(|error| Failure::internal(error.to_string()))??;
        deprecation(resource, &mut response);
        Ok(response)
    }
}

fn delete_many(
    registry: &Registry,
    resource: &'static Resource,
    namespace: &str,
    deletion: &Deletion,
    query: &Query,
) -> Result<Response, Failure> {
    if resource.namespaced && namespace.is_empty() {
        return Err(Failure::method_not_allowed(
            "the server does not allow this method on the requested resource",
        ));
    }
    let selection = Selection::parse(
        resource,
        query.get("labelSelector"),
        query.get("fieldSelector"),
    )?;
    let (objects, revision) = registry.list(resource, resource.namespaced.then_some(namespace));
    let mut items = Vec::new();
    for object in objects.iter().filter(|object| selection.matches(object)) {
        match registry.delete(resource, namespace, object::name(object), deletion) {
            Ok(Outcome::Gone(object) | Outcome::Marked(object)) => items.push((*object).clone()),
            // Somebody else was faster.
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let list = json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": {"resourceVersion": revision.to_string()}, "items": items});
    Ok(json_response(StatusCode::OK, &list))
}

fn deleted(resource: &Resource, outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Gone(object) if !ANSWERS_WITH_OBJECT.contains(&resource.plural) => {
            let mut details = json!({"name": object::name(object), "kind": resource.plural, "uid": object::uid(object)});
            if !resource.group.is_empty() {
                details["group"] = json!(resource.group);
            }
            json_response(
                StatusCode::OK,
                &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
            )
        }
        Outcome::Gone(object) | Outcome::Marked(object) => json_response(StatusCode::OK, object),
    }
}

fn shown(
    resource: &'static Resource,
    object: &Object,
    form: Form,
    query: &Query,
    code: StatusCode,
) -> Response {
    let mut response = match form {
        Form::Plain => json_response(code, object),
        Form::Metadata => json_response(code, &table::metadata_only(object)),
        Form::Table => {
            let metadata =
                json!({"resourceVersion": object::text(object, "/metadata/resourceVersion")});
            json_response(
                code,
                &table::table(
                    resource,
                    std::iter::once(&**object),
                    &metadata,
                    query.get("includeObject"),
                    true,
                    Timestamp::now(),
                ),
            )
        }
    };
    deprecation(resource, &mut response);
    response
}

/// Who writes and how, from query and headers.
pub(super) fn options(query: &Query, headers: &HeaderMap) -> Result<Options, Failure> {
    let dry_run = query.all("dryRun");
    if let Some(other) = dry_run
        .iter()
        .find(|value| !value.is_empty() && *value != "All")
    {
        return Err(Failure::bad_request(format!(
            "dryRun: Unsupported value: {other:?}: supported values: \"All\""
        )));
    }
    let manager = match query.get("fieldManager") {
        "" => headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .and_then(|agent| agent.split('/').next())
            .unwrap_or("unknown")
            .chars()
            .take(MANAGER_LENGTH)
            .collect(),
        given if given.len() > MANAGER_LENGTH => {
            return Err(Failure::bad_request(format!(
                "fieldManager: Too long: may not be more than {MANAGER_LENGTH} bytes"
            )));
        }
        given => given.to_owned(),
    };
    match query.get("fieldValidation") {
        "" | "Ignore" | "Warn" | "Strict" => {}
        other => {
            return Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            )));
        }
    }
    Ok(Options {
        manager,
        dry_run: dry_run.iter().any(|value| value == "All"),
        strict: query.get("fieldValidation") == "Strict",
    })
}

/// The header as it came; "" when there is none.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

pub(super) fn media_type(headers: &HeaderMap) -> String {
    content_type(headers)
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

/// The object of a body, from JSON or protobuf. YAML is refused by name: kubectl shows the message as it is.
pub(super) fn json_body(bytes: &[u8], media: &str) -> Result<Value, Failure> {
    match media {
        "" | "application/json" => {
            bounds::check_json(bytes)?;
            serde_json::from_slice(bytes).map_err(|error| {
                Failure::bad_request(format!(
                    "couldn't get version/kind; json parse error: {error}"
                ))
            })
        }
        protobuf::MEDIA => {
            let object = protobuf::decode(bytes).map_err(|error| {
                Failure::bad_request(format!("couldn't read the body: {error}"))
            })?;
            bounds::check_values(&object)?;
            Ok(object)
        }
        other => Err(Failure::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, {} (not {other})",
            protobuf::MEDIA
        ))),
    }
}

fn expect_type(resource: &Resource, object: &Value) -> Result<(), Failure> {
    let version = object::text(object, "/apiVersion");
    let kind = object::text(object, "/kind");
    if !version.is_empty() && version != resource.api_version() {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if !kind.is_empty() && kind != resource.kind {
        return Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: no kind {kind:?} is registered for version {:?}",
            kind,
            resource.version,
            resource.kind,
            resource.api_version()
        )));
    }
    Ok(())
}

/// The patch of a body.
pub(super) fn patch(bytes: &[u8], media: &str, query: &Query) -> Result<Patch, Failure> {
    let value = || {
        bounds::check_json(bytes)?;
        serde_json::from_slice::<Value>(bytes).map_err(|error| {
            // The words of Go's decoder for what is cut off; others of its messages name other things than ours.
            Failure::bad_request(if error.is_eof() {
                "unexpected end of JSON input".to_owned()
            } else {
                format!("error decoding patch: {error}")
            })
        })
    };
    match media {
        "application/json-patch+json" => Ok(Patch::Json(value()?)),
        "application/merge-patch+json" => Ok(Patch::Merge(value()?)),
        "application/strategic-merge-patch+json" => Ok(Patch::Strategic(value()?)),
        "application/apply-patch+yaml" => Ok(Patch::Apply {
            config: value()?,
            force: query.is("force"),
        }),
        _ => Err(Failure::unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

fn deletion(bytes: &[u8], media: &str, query: &Query) -> Result<Deletion, Failure> {
    let mut options = if bytes.is_empty() {
        json!({})
    } else {
        json_body(bytes, media)?
    };
    if let Some(grace) = query.number("gracePeriodSeconds") {
        object::set_default(&mut options, "/gracePeriodSeconds", grace);
    }
    if !query.get("propagationPolicy").is_empty() {
        object::set_default(
            &mut options,
            "/propagationPolicy",
            query.get("propagationPolicy"),
        );
    }
    if !query.get("dryRun").is_empty() {
        object::set_default(&mut options, "/dryRun", json!(query.all("dryRun")));
    }
    Deletion::parse(options)
}

/// What the server warns about when unknown fields are dropped and not refused.
fn warnings(resource: &'static Resource, object: &Value, query: &Query) -> Vec<String> {
    if !matches!(query.get("fieldValidation"), "" | "Warn") {
        return Vec::new();
    }
    // Directives of a strategic merge patch are no fields.
    Registry::unknown_fields(resource, object)
        .iter()
        .filter(|field| !field.contains('$'))
        .map(|field| format!("unknown field {field:?}"))
        .collect()
}

fn warned(mut response: Response, warnings: &[String]) -> Response {
    let mut room = WARNINGS_AT_MOST;
    for warning in warnings.iter().take(WARNING_LINES) {
        let text: String = warning.chars().take(WARNING_AT_MOST).collect();
        let Some(left) = room.checked_sub(text.chars().count()) else {
            break;
        };
        room = left;
        warn(&mut response, &text);
    }
    response
}

fn warn(response: &mut Response, text: &str) {
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
        response.headers_mut().append(header::WARNING, value);
    }
}

/// The warning that newer servers give for an old resource.
pub(super) fn deprecation(resource: &Resource, response: &mut Response) {
    if resource.plural == "endpoints" && !response.headers().contains_key(header::WARNING) {
        warn(
            response,
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        );
    }
}
