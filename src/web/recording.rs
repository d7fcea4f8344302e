//! `GET /recording`: the run so far as a file that `--cluster recording FILE` plays; for the owner, who may give it on.

use std::io;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::door::Owner;
use super::{Site, pieces};

pub(super) async fn get(State(site): State<Site>, _: Owner) -> Response {
    // The reader's own clock: the name is for them.
    let name = jiff::Zoned::now().strftime("eizoku-%Y%m%d-%H%M.jsonl");
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let lines = site.tape.lines();
    let lines = lines.map(|line| line.map_err(io::Error::other));
    (headers, pieces::body(lines)).into_response()
}
