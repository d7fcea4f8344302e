//! `POST /act`: the owner does something to the cluster. Takes JSON from this very page only, and
//! never anything by GET.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde_json::json;

use super::Site;
use super::door::Owner;
use crate::cluster::{Action, Reason, Refusal};

/// The longest request that is read; a page's longest is some SQL.
const LONGEST: usize = 16 * 1024;

/// The route.
pub(super) fn route() -> MethodRouter<Site> {
    post(act).layer(DefaultBodyLimit::max(LONGEST))
}

async fn act(
    State(site): State<Site>,
    _: Owner,
    body: Result<Json<Action>, JsonRejection>,
) -> Response {
    let action = match body {
        Ok(Json(action)) => action,
        Err(rejection) => {
            let refusal = Refusal::new(Reason::Invalid, rejection.body_text());
            return refused(rejection.status(), &refusal);
        }
    };
    // Once begun it is brought to its end, even if the reader leaves: half a folder applied is worse.
    let acting = tokio::spawn(async move { site.actor.act(action).await });
    match acting.await {
        Ok(Ok(done)) => {
            Json(json!({"ok": true, "kubectl": done.kubectl, "said": done.said})).into_response()
        }
        Ok(Err(refusal)) => refused(status(refusal.reason), &refusal),
        Err(error) => {
            tracing::error!(%error, "an action ended badly");
            let refusal = Refusal::new(Reason::Internal, "the program failed; its log says more");
            refused(StatusCode::INTERNAL_SERVER_ERROR, &refusal)
        }
    }
}

fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::NotAllowed | Reason::NoKey | Reason::NotOfTheLesson | Reason::Forbidden => {
            StatusCode::FORBIDDEN
        }
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::Conflict => StatusCode::CONFLICT,
        Reason::Invalid | Reason::TooMany | Reason::Failed => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal as the page reads it.
pub(super) fn refused(status: StatusCode, refusal: &Refusal) -> Response {
    let body = json!({"ok": false, "reason": refusal.reason, "message": refusal.message});
    (status, Json(body)).into_response()
}
