//! Whether the program runs, and whether its source does.

use axum::extract::State;
use axum::http::StatusCode;

use super::Site;
use crate::cluster::LinkState;

/// `GET /healthz`: the program answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the picture is in step with its cluster; else 503 and why not.
pub(super) async fn readyz(State(site): State<Site>) -> (StatusCode, String) {
    let link = site.board.link();
    if link.state == LinkState::Live {
        return (StatusCode::OK, "ok\n".into());
    }
    let why = link
        .fault
        .map_or_else(|| "connecting".into(), |fault| fault.detail);
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
}
