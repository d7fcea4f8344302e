//! Watches: changes as lines of JSON for as long as the client listens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::query::Query;
use super::{Api, Form, Target, form, stream_response, table};
use crate::failure::Failure;
use crate::object;
use crate::registry::Selection;
use crate::resource::Resource;
use crate::store::{Change, Changes, Expired, Happened};

/// How often a client that asked for bookmarks gets one, as on a real server.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch without `timeoutSeconds` stays open. The real one takes 30 to 60 minutes by chance.
const OPEN_FOR: Duration = Duration::from_secs(45 * 60);

impl Api {
    pub(super) fn watch(
        &self,
        target: &Target,
        query: &Query,
        accept: &str,
    ) -> Result<Response, Failure> {
        let mut fields = query.get("fieldSelector").to_owned();
        if let Some(name) = &target.name {
            fields = format!("metadata.name={name}");
        }
        let selection = Selection::parse(target.resource, query.get("labelSelector"), &fields)?;
        let version = query.get("resourceVersion");
        let asked: u64 = if version.is_empty() {
            0
        } else {
            version.parse().map_err(|_| Failure::bad_request(format!("resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax")))?
        };
        let wants_initial = query.is("sendInitialEvents");
        let mut watch = Watch {
            resource: target.resource,
            namespace: target.namespace.clone(),
            selection,
            form: form(accept)?,
            include: query.get("includeObject").to_owned(),
            has_sent_columns: false,
            lines: VecDeque::new(),
            changes: self.registry.changes(asked),
            bookmarks: query
                .is("allowWatchBookmarks")
                .then(|| Instant::now() + BOOKMARK_EVERY),
            deadline: Instant::now()
                + query
                    .number("timeoutSeconds")
                    .filter(|seconds| *seconds > 0)
                    .map_or(OPEN_FOR, object::wait),
            has_ended: false,
        };
        // Without a revision to go on from, the present state comes first.
        if wants_initial || asked == 0 {
            let (objects, revision) = self
                .registry
                .list(target.resource, target.namespace.as_deref());
            watch.changes = self.registry.changes(revision);
            for object in objects {
                if watch.selection.matches(&object) {
                    watch.push("ADDED", &object);
                }
            }
            if wants_initial && watch.bookmarks.is_some() {
                watch.bookmark(Some(("k8s.io/initial-events-end", "true")));
            }
        }
        let stop = self.stop.clone();
        let lines = futures::stream::unfold((watch, stop), |(mut watch, stop)| async move {
            let line = tokio::select! {
                line = watch.next() => line,
                () = stop.cancelled() => None,
            };
            line.map(|line| (Ok::<_, Infallible>(line), (watch, stop)))
        });
        Ok(stream_response(
            "application/json",
            Body::from_stream(lines),
        ))
    }
}

/// One client's watch.
struct Watch {
    resource: &'static Resource,
    namespace: Option<String>,
    selection: Selection,
    form: Form,
    include: String,
    has_sent_columns: bool,
    lines: VecDeque<Bytes>,
    changes: Changes,
    bookmarks: Option<Instant>,
    deadline: Instant,
    has_ended: bool,
}

impl Watch {
    /// The next line; nothing when the watch is over. A client that reads too slowly for the log gets a 410 and relists.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.has_ended {
                return None;
            }
            let next_bookmark = self.bookmarks.unwrap_or(self.deadline);
            tokio::select! {
                changes = self.changes.next() => match changes {
                    Ok(changes) => changes.iter().for_each(|change| self.take(change)),
                    Err(Expired { asked, oldest }) => {
                        let status = Failure::expired(asked, oldest).to_status();
                        self.line("ERROR", &status);
                        self.has_ended = true;
                    }
                },
                () = tokio::time::sleep_until(next_bookmark.min(self.deadline)) => {
                    if self.bookmarks.is_some() {
                        self.bookmark(None);
                        self.bookmarks = Some(Instant::now() + BOOKMARK_EVERY);
                    }
                    self.has_ended = Instant::now() >= self.deadline;
                }
            }
        }
    }

    /// Turns a change of the store into what this client sees of it: an object can come into its selection or leave it.
    fn take(&mut self, change: &Change) {
        if change.key.resource != self.resource.plural
            || self
                .namespace
                .as_ref()
                .is_some_and(|namespace| *namespace != change.key.namespace)
        {
            return;
        }
        let was = change
            .before
            .as_ref()
            .is_some_and(|before| self.selection.matches(before));
        let is = change.happened != Happened::Deleted && self.selection.matches(&change.object);
        match (was, is) {
            (false, true) => self.push("ADDED", &change.object),
            (true, true) => self.push("MODIFIED", &change.object),
            (true, false) if change.happened == Happened::Deleted => {
                self.push("DELETED", &change.object);
            }
            (true, false) => {
                let mut last = change
                    .before
                    .as_ref()
                    .map(|before| (**before).clone())
                    .unwrap_or_default();
                object::set(
                    &mut last,
                    "/metadata/resourceVersion",
                    change.revision.to_string(),
                );
                self.push("DELETED", &last);
            }
            (false, false) => {}
        }
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let object = match self.form {
            Form::Plain => object.clone(),
            Form::Metadata => table::metadata_only(object),
            Form::Table => {
                let metadata =
                    json!({"resourceVersion": object::text(object, "/metadata/resourceVersion")});
                let has_columns = !std::mem::replace(&mut self.has_sent_columns, true);
                table::table(
                    self.resource,
                    std::iter::once(object),
                    &metadata,
                    &self.include,
                    has_columns,
                    Timestamp::now(),
                )
            }
        };
        self.line(kind, &object);
    }

    fn line(&mut self, kind: &str, object: &Value) {
        let mut line =
            serde_json::to_vec(&json!({"type": kind, "object": object})).unwrap_or_default();
        line.push(b'\n');
        self.lines.push_back(line.into());
    }

    fn bookmark(&mut self, annotation: Option<(&str, &str)>) {
        let mut object = json!({
            "kind": self.resource.kind, "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": self.changes.seen().to_string(), "creationTimestamp": null},
        });
        if let Some((key, value)) = annotation {
            object::annotate(&mut object, key, value);
        }
        if self.form == Form::Table {
            object = json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"], "columnDefinitions": null,
                "rows": [{"cells": [], "object": table::metadata_only(&object)}],
            });
        }
        self.line("BOOKMARK", &object);
    }
}
