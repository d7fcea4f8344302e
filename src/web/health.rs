//! Whether the program runs, and whether its source does.

use axum::extract::State;
use axum::http::StatusCode;

use super::Site;
use crate::cluster::LinkState;

/// `GET /healthz`: the program answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the picture is in step with its cluster, and that takes changes; else 503 and why not.
pub(super) async fn readyz(State(site): State<Site>) -> (StatusCode, String) {
    let link = site.board.link();
    let ready = if link.state == LinkState::Live {
        site.actor.ready().await
    } else {
        let why = link.fault.map(|fault| fault.detail);
        Err(why.unwrap_or_else(|| "connecting".into()))
    };
    match ready {
        Ok(()) => (StatusCode::OK, "ok\n".into()),
        Err(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", why.trim_end()),
        ),
    }
}
