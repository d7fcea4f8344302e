//! Lists: selected, in pages, as objects, metadata or a table.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::query::Query;
use super::{Api, Form, Target, form, json_response, stream_response, table};
use crate::encode;
use crate::failure::Failure;
use crate::object::{self, Object};
use crate::registry::Selection;

/// Bytes of a list that are encoded at once.
const PIECE: usize = 64 << 10;

impl Api {
    pub(super) fn list(
        &self,
        target: &Target,
        query: &Query,
        accept: &str,
    ) -> Result<Response, Failure> {
        let form = form(accept)?;
        let selection = Selection::parse(
            target.resource,
            query.get("labelSelector"),
            query.get("fieldSelector"),
        )?;
        let namespace = target.namespace.as_deref();
        let page = Page::parse(query)?;
        let (objects, revision) = match page.revision {
            Some(revision) => (
                self.registry
                    .list_at(target.resource, namespace, revision)?,
                revision,
            ),
            None => self.registry.list(target.resource, namespace),
        };
        let key =
            |object: &Value| format!("{}/{}", object::namespace(object), object::name(object));
        let selected = objects.into_iter().filter(|object| {
            page.after.as_ref().is_none_or(|after| key(object) > *after)
                && selection.matches(object)
        });
        let mut items: Vec<Object> = selected.collect();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some(limit) = page.limit
            && items.len() > limit
        {
            let left = items.len() - limit;
            items.truncate(limit);
            metadata["continue"] = json!(Page::token(
                revision,
                &items.last().map(|object| key(object)).unwrap_or_default()
            ));
            if query.get("labelSelector").is_empty() && query.get("fieldSelector").is_empty() {
                metadata["remainingItemCount"] = json!(left);
            }
        }
        let resource = target.resource;
        let items_of = |kind: &str, version: &str, shown: fn(&Object) -> Vec<u8>| {
            let head = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
            pieces(&head, items.clone(), shown)
        };
        let mut response = match form {
            Form::Table => json_response(
                StatusCode::OK,
                &table::table(
                    resource,
                    items.iter().map(|object| &**object),
                    &metadata,
                    query.get("includeObject"),
                    true,
                    Timestamp::now(),
                ),
            ),
            Form::Plain => items_of(
                &format!("{}List", resource.kind),
                &resource.api_version(),
                |object| encode::to_vec(object),
            ),
            Form::Metadata => items_of("PartialObjectMetadataList", "meta.k8s.io/v1", |object| {
                encode::to_vec(&table::metadata_only(object))
            }),
        };
        super::write::deprecation(resource, &mut response);
        Ok(response)
    }
}

/// A list as an answer: `head` with the items in it. It is encoded while it is sent, so that a long one is in memory only
/// once, as the objects that everybody shares.
fn pieces(head: &Value, items: Vec<Object>, shown: fn(&Object) -> Vec<u8>) -> Response {
    let mut piece = encode::to_vec(head);
    piece.pop();
    piece.extend(b",\"items\":[");
    let mut pieces = Pieces {
        items: items.into_iter(),
        shown,
        is_first: true,
        is_whole: false,
    };
    let first = pieces.after(piece);
    if pieces.is_whole {
        return stream_response("application/json", Body::from(first));
    }
    let rest = std::iter::from_fn(move || (!pieces.is_whole).then(|| pieces.after(Vec::new())));
    let all = std::iter::once(first).chain(rest).map(Ok::<_, Infallible>);
    stream_response(
        "application/json",
        Body::from_stream(futures::stream::iter(all)),
    )
}

/// The items of a list that are not encoded yet.
struct Pieces {
    items: std::vec::IntoIter<Object>,
    shown: fn(&Object) -> Vec<u8>,
    is_first: bool,
    is_whole: bool,
}

impl Pieces {
    /// The next piece, behind what is in it already.
    fn after(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        while piece.len() < PIECE {
            let Some(item) = self.items.next() else {
                piece.extend(b"]}\n");
                self.is_whole = true;
                break;
            };
            if !std::mem::replace(&mut self.is_first, false) {
                piece.push(b',');
            }
            piece.extend((self.shown)(&item));
        }
        piece
    }
}

/// Which part of a list is wanted, and as of when.
struct Page {
    limit: Option<usize>,
    after: Option<String>,
    revision: Option<u64>,
}

impl Page {
    fn parse(query: &Query) -> Result<Self, Failure> {
        let limit = query
            .number("limit")
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let token = query.get("continue");
        if token.is_empty() {
            let version = query.get("resourceVersion");
            let asked: u64 = if version.is_empty() {
                0
            } else {
                version.parse().map_err(|_| Failure::bad_request(format!("resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax")))?
            };
            let is_exact = query.get("resourceVersionMatch") == "Exact";
            return Ok(Self {
                limit,
                after: None,
                revision: (is_exact && asked > 0).then_some(asked),
            });
        }
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let parts = decoded.as_ref().and_then(|token| {
            Some((
                token.get("rv")?.as_u64()?,
                token.get("start")?.as_str()?.to_owned(),
            ))
        });
        let (revision, after) = parts.ok_or_else(|| Failure::bad_request("continue key is not valid: the provided continue parameter is too old or malformed"))?;
        Ok(Self {
            limit,
            after: Some(after),
            revision: Some(revision),
        })
    }

    fn token(revision: u64, last: &str) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": last}).to_string())
    }
}
