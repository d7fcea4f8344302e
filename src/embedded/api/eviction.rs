//! The `eviction` subresource of Pods, for `kubectl drain`: a deletion that says why.
//!
//! A real API server also asks the PodDisruptionBudgets, of which there are none here.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::query::Query;
use super::write::{content_type, json_body, options};
use super::{Api, Target, body, json_response};
use crate::failure::Failure;
use crate::object::{self, text};
use crate::registry::{Deletion, Part};
use crate::resource;

impl Api {
    pub(super) async fn evict(
        &self,
        target: &Target,
        query: Query,
        request: Request,
    ) -> Result<Response, Failure> {
        let pod = self.pod(target)?;
        let name = object::name(&pod);
        let mut options = options(&query, request.headers())?;
        let media = content_type(request.headers()).to_owned();
        let eviction = json_body(&body(request).await?, &media)?;
        let asked = object::name(&eviction);
        if asked != name {
            return Err(Failure::bad_request(format!(
                "name in URL does not match name in Eviction object: {asked:?} != {name:?}"
            )));
        }
        let mut deletion = Deletion::parse(match eviction.get("deleteOptions") {
            None | Some(Value::Null) => json!({}),
            Some(options) => options.clone(),
        })?;
        options.dry_run |= deletion.dry_run;
        deletion.dry_run = options.dry_run;
        let registry = self.registry.clone();
        // Writes wait for the disk.
        tokio::task::spawn_blocking(move || {
            let (namespace, name) = (object::namespace(&pod), object::name(&pod));
            if !options.dry_run && is_disrupted(&pod) {
                // What will be refused gets no reason.
                let check = Deletion {
                    dry_run: true,
                    ..deletion.clone()
                };
                registry.delete(resource::PODS, namespace, name, &check)?;
                registry.modify(
                    resource::PODS,
                    namespace,
                    name,
                    Part::Status,
                    &options,
                    tell_why,
                )?;
            }
            registry.delete(resource::PODS, namespace, name, &deletion)
        })
        .await
        .map_err(|error| Failure::internal(error.to_string()))??;
        Ok(json_response(
            StatusCode::CREATED,
            &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        ))
    }
}

/// Whether the eviction interrupts anything: not a Pod that has ended, is going, or does not run yet.
fn is_disrupted(pod: &Value) -> bool {
    !object::is_deleting(pod)
        && !matches!(
            text(pod, "/status/phase"),
            "Pending" | "Succeeded" | "Failed"
        )
}

/// Writes the reason into the Pod's conditions (kubernetes `pkg/registry/core/pod/storage/eviction.go`).
fn tell_why(pod: &mut Value) {
    let mut conditions = object::array(pod, "/status/conditions").to_vec();
    conditions.retain(|one| text(one, "/type") != "DisruptionTarget");
    conditions.push(json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": object::time(Timestamp::now()),
    }));
    object::set(pod, "/status/conditions", conditions);
}
