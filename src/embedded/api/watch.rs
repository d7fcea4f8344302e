//! Watches: changes as lines of JSON for as long as the client listens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::query::Query;
use super::{Api, Form, Target, form, stream_response, table};
use crate::encode;
use crate::failure::Failure;
use crate::object::{self, Object};
use crate::registry::Selection;
use crate::resource::Resource;
use crate::store::{Change, Changes, Expired, Happened};

/// How often a client that asked for bookmarks gets one, as on a real server.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a client may take no line at all. What is sent to it lies with the system, so that a reader that is alive takes
/// one long before.
const SLOWEST: Duration = Duration::from_secs(30);
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
            first: Vec::new().into_iter(),
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
            ends_with_first: None,
            has_ended: false,
        };
        // Without a revision to go on from, the present state comes first.
        if wants_initial || asked == 0 {
            let (objects, revision) = self
                .registry
                .list(target.resource, target.namespace.as_deref());
            watch.changes = self.registry.changes(revision);
            watch.first = objects.into_iter();
            watch.ends_with_first = (wants_initial && watch.bookmarks.is_some())
                .then_some(("k8s.io/initial-events-end", "true"));
        }
        let (lines, reading) = mpsc::channel(1);
        tokio::spawn(watch.pump(lines, self.stop.clone()));
        let lines = futures::stream::unfold(reading, |mut reading| async move {
            let line = reading.recv().await?;
            Some((Ok::<_, Infallible>(line), reading))
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
    /// What was there when the watch began and is not sent yet, shared with everybody.
    first: std::vec::IntoIter<Object>,
    /// The annotation of the bookmark that comes after it.
    ends_with_first: Option<(&'static str, &'static str)>,
    lines: VecDeque<Bytes>,
    changes: Changes,
    bookmarks: Option<Instant>,
    deadline: Instant,
    has_ended: bool,
}

impl Watch {
    /// Sends line by line. A client that takes none for too long is cut off, as the real server does it: what it had yet
    /// to read must not be kept for it. It lists again.
    async fn pump(mut self, lines: mpsc::Sender<Bytes>, stop: CancellationToken) {
        loop {
            let line = tokio::select! {
                line = self.next() => line,
                () = lines.closed() => None,
                () = stop.cancelled() => None,
            };
            let Some(line) = line else { return };
            let sent = tokio::select! {
                sent = lines.send_timeout(line, SLOWEST) => sent,
                () = stop.cancelled() => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// The next line; nothing when the watch is over. A client that reads too slowly for the log gets a 410 and relists.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if let Some(object) = self.first.next() {
                if self.selection.matches(&object) {
                    self.push("ADDED", &object);
                }
                continue;
            }
            if let Some(annotation) = self.ends_with_first.take() {
                self.bookmark(Some(annotation));
                continue;
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
                        self.line("ERROR", &encode::to_vec(&status));
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
            (false, true) => self.tell("ADDED", change),
            (true, true) => self.tell("MODIFIED", change),
            (true, false) if change.happened == Happened::Deleted => self.tell("DELETED", change),
            (true, false) => {
                let before = change.before.as_deref().unwrap_or(&Value::Null);
                self.push("DELETED", &encode::at_revision(before, change.revision));
            }
            (false, false) => {}
        }
    }

    /// A change with the object as it is now, which most watches see in the same bytes.
    fn tell(&mut self, kind: &str, change: &Change) {
        match self.form {
            Form::Plain => self.line(kind, change.json()),
            _ => self.push(kind, &change.object),
        }
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let shown = match self.form {
            Form::Plain => return self.line(kind, &encode::to_vec(object)),
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
        self.line(kind, &encode::to_vec(&shown));
    }

    fn line(&mut self, kind: &str, object: &[u8]) {
        let (head, tail) = ("{\"type\":\"", "\",\"object\":");
        let mut line = Vec::with_capacity(head.len() + kind.len() + tail.len() + object.len() + 2);
        for part in [head, kind, tail] {
            line.extend(part.as_bytes());
        }
        line.extend(object);
        line.extend(b"}\n");
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
        self.line("BOOKMARK", &encode::to_vec(&object));
    }
}
