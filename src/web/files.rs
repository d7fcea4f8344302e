//! `GET /manifests/…`: what a reader applies, file by file and as one archive a folder.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::{Site, assets};
use crate::book::Manifests;

/// Every file under its address below `/manifests/`.
#[derive(Debug)]
pub struct Files(BTreeMap<String, Bytes>);

impl Files {
    /// The manifests, and `FOLDER.tar.gz` for each folder of them.
    pub fn new(manifests: &Manifests) -> Self {
        let files = manifests
            .iter()
            .map(|manifest| (manifest.path.clone(), manifest.text.clone().into()));
        let archives = manifests.folders().into_iter().filter_map(|folder| {
            Some((
                format!("{folder}.tar.gz"),
                Bytes::from(manifests.archive(folder)?),
            ))
        });
        Self(files.chain(archives).collect())
    }
}

pub(super) async fn get(State(site): State<Site>, Path(name): Path<String>) -> Response {
    let Some(file) = site.files.0.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    (
        [
            (header::CONTENT_TYPE, assets::content_type(&name)),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        file.clone(),
    )
        .into_response()
}
