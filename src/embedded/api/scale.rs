//! The `scale` subresource: the number of replicas, for `kubectl scale`.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::query::Query;
use super::write::{json_body, media_type, options, patch};
use super::{Api, Target, body, json_response};
use crate::failure::{Cause, Failure};
use crate::object;
use crate::registry::{Part, undecodable_kind};
use crate::schema::{self, Shape};

impl Api {
    pub(super) async fn scale(
        &self,
        target: &Target,
        query: Query,
        request: Request,
    ) -> Result<Response, Failure> {
        let (resource, namespace, name) = (
            target.resource,
            target.namespace.clone().unwrap_or_default(),
            target.name.clone().unwrap_or_default(),
        );
        let method = request.method().clone();
        let options = options(&query, request.headers())?;
        let media = media_type(request.headers());
        let current = self.registry.get(resource, &namespace, &name)?;
        if method == Method::GET {
            return Ok(json_response(StatusCode::OK, &of(&current)));
        }
        let bytes = body(request).await?;
        let wanted = match method {
            Method::PUT => {
                let mut wanted = json_body(&bytes, &media)?;
                schema::decode(&mut wanted, Shape::scale())
                    .map_err(|message| undecodable_kind("Scale", "v1", &message))?;
                wanted
            }
            Method::PATCH => {
                patch(&bytes, &media, &query)?
                    .onto(&of(&current), Shape::scale())?
                    .0
            }
            other => {
                return Err(Failure::method_not_allowed(&format!(
                    "the server does not allow this method on the requested resource ({other})"
                )));
            }
        };
        let replicas = object::int(&wanted, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            let cause = Cause::invalid(
                "spec.replicas",
                &json!(replicas),
                "must be greater than or equal to 0",
            );
            return Err(Failure::invalid(resource, &name, &[cause]));
        }
        let version = object::text(&wanted, "/metadata/resourceVersion").to_owned();
        let is_stale =
            !version.is_empty() && version != object::text(&current, "/metadata/resourceVersion");
        if is_stale {
            return Err(Failure::modified(resource, &name));
        }
        let is_exact = method == Method::PUT;
        let registry = self.registry.clone();
        let work = tokio::task::spawn_blocking(move || {
            registry.modify(
                resource,
                &namespace,
                &name,
                Part::Scale,
                &options,
                |object| {
                    object::set(object, "/spec/replicas", replicas);
                    if is_exact && !version.is_empty() {
                        object::set(object, "/metadata/resourceVersion", version);
                    }
                },
            )
        });
        let changed = work
            .await
            .map_err(|error| Failure::internal(error.to_string()))??;
        Ok(json_response(StatusCode::OK, &of(&changed)))
    }
}

/// The scale of a workload.
fn of(object: &Value) -> Value {
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        metadata[field] = object["metadata"][field].clone();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": object::int(object, "/spec/replicas").unwrap_or(0)},
        "status": {"replicas": object::int(object, "/status/replicas").unwrap_or(0), "selector": super::table::selector_text(&object["spec"]["selector"])},
    })
}
