//! Events: what happened to an object, counted when it happens again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::driver::Controller;
use crate::failure::Failure;
use crate::object::{self, text};
use crate::registry::{Deletion, Options, Part, Registry};
use crate::resource;
use crate::store::{Change, Key};

/// Events live for an hour, as on a real cluster.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// How often old events are looked for.
const EXPIRY_EVERY: Duration = Duration::from_secs(60);
/// Remembered events before the memory is emptied: more than a class makes in an hour.
const REMEMBERED: usize = 4096;

/// From this many different messages for one reason on, within [`SIMILAR_FOR`], the real recorder tells them as one.
const SIMILAR: usize = 10;
const SIMILAR_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Something to tell about an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note {
    /// `involvedObject`.
    pub(crate) regarding: Value,
    /// Normal or Warning.
    pub(crate) kind: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Note {
    pub(crate) fn normal(object: &Value, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            regarding: reference(object),
            kind: "Normal",
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn warning(
        object: &Value,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: "Warning",
            ..Self::normal(object, reason, message)
        }
    }

    /// The note is about one container of the Pod.
    pub(crate) fn on_container(mut self, name: &str) -> Self {
        self.regarding["fieldPath"] = json!(format!("spec.containers{{{name}}}"));
        self
    }
}

fn reference(object: &Value) -> Value {
    let mut reference = json!({
        "kind": text(object, "/kind"), "name": object::name(object), "uid": object::uid(object), "apiVersion": text(object, "/apiVersion"),
        "resourceVersion": text(object, "/metadata/resourceVersion"),
    });
    if !object::namespace(object).is_empty() {
        reference["namespace"] = json!(object::namespace(object));
    }
    reference
}

/// Writes events in the name of one component.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    registry: Registry,
    component: String,
    /// The node that the component runs on, for the kubelet.
    host: String,
    memory: Arc<Mutex<Memory>>,
}

/// Events about one object for one reason that a component tells in a row, and the seconds until the next one after that
/// (client-go `tools/record/events_cache.go`, which takes all reasons together: here a probe is asked more often while
/// its Pod starts, and must not take the place of the Pod's end).
const TOLD_AT_ONCE: f64 = 25.0;
const NEXT_AFTER: f64 = 300.0;

/// What a recorder remembers, so that the same is counted and not told again.
#[derive(Debug, Default)]
struct Memory {
    /// Namespace and name of the event that tells the same, by what makes events the same.
    told: HashMap<String, (String, String)>,
    /// Messages for one reason about one object, and when the last came.
    similar: HashMap<String, (HashSet<String>, Timestamp)>,
    /// How many events of a group there were of late, and when the last.
    paces: HashMap<String, (f64, Timestamp)>,
}

impl Memory {
    /// Forgets everything when it has become too much.
    fn bound(&mut self) {
        if self
            .told
            .len()
            .max(self.similar.len())
            .max(self.paces.len())
            >= REMEMBERED
        {
            *self = Self::default();
        }
    }

    /// Counts an event of a group; true when there were so many that this one is not told.
    fn is_spam(&mut self, group: &str, now: Timestamp) -> bool {
        let (told, last) = self.paces.get(group).copied().unwrap_or((0.0, now));
        let told = (told - now.duration_since(last).as_secs_f64().max(0.0) / NEXT_AFTER).max(0.0);
        let is_spam = told > TOLD_AT_ONCE - 1.0;
        let counted = if is_spam { told } else { told + 1.0 };
        self.paces.insert(group.to_owned(), (counted, now));
        is_spam
    }

    /// Whether so many different messages came for one reason that they are told as one from now on.
    fn is_too_many(&mut self, group: &str, message: &str, now: Timestamp) -> bool {
        let (messages, last) = self
            .similar
            .entry(group.to_owned())
            .or_insert_with(|| (HashSet::new(), now));
        if now.duration_since(*last) > SIMILAR_FOR {
            messages.clear();
        }
        *last = now;
        if messages.len() < SIMILAR {
            messages.insert(message.to_owned());
        }
        messages.len() >= SIMILAR
    }
}

impl Recorder {
    pub(crate) fn new(registry: &Registry, component: &str, host: &str) -> Self {
        Self {
            registry: registry.clone(),
            component: component.to_owned(),
            host: host.to_owned(),
            memory: Arc::default(),
        }
    }

    /// Writes an event, or counts it up when the same was told before. A failure is only logged: events are never
    /// worth stopping for.
    pub(crate) fn record(&self, note: &Note) {
        let now = Timestamp::now();
        let group = format!(
            "{}\0{}\0{}\0{}",
            text(&note.regarding, "/uid"),
            text(&note.regarding, "/fieldPath"),
            note.kind,
            note.reason
        );
        let (same, message, known) = {
            let mut memory = self.memory.lock().unwrap();
            memory.bound();
            if memory.is_spam(&group, now) {
                return;
            }
            let (same, message) = if memory.is_too_many(&group, &note.message, now) {
                (
                    group,
                    format!("(combined from similar events): {}", note.message),
                )
            } else {
                (format!("{group}\0{}", note.message), note.message.clone())
            };
            let known = memory.told.get(&same).cloned();
            (same, message, known)
        };
        if let Some((namespace, name)) = known {
            let counted = self.registry.modify(
                resource::EVENTS,
                &namespace,
                &name,
                Part::Main,
                &Options::default(),
                |event| {
                    let count = object::int(event, "/count").unwrap_or(1);
                    let count = count.saturating_add(1).min(i64::from(i32::MAX));
                    event["count"] = json!(count);
                    event["lastTimestamp"] = json!(object::time(now));
                    event["message"] = json!(message);
                },
            );
            if counted.is_ok() {
                return;
            }
        }
        let mut event = self.envelope(note, now);
        event["message"] = json!(message);
        event["source"] = if self.host.is_empty() {
            json!({"component": self.component})
        } else {
            json!({"component": self.component, "host": self.host})
        };
        event["reportingInstance"] = json!(self.host);
        event["firstTimestamp"] = json!(object::time(now));
        event["lastTimestamp"] = json!(object::time(now));
        event["count"] = json!(1);
        if let Some(place) = self.insert(event) {
            self.memory.lock().unwrap().told.insert(same, place);
        }
    }

    /// Writes an event in the newer form that the scheduler uses: the time to the microsecond, no count.
    pub(crate) fn record_action(&self, note: &Note, action: &str) {
        let now = Timestamp::now();
        let mut event = self.envelope(note, now);
        event["source"] = json!({});
        event["firstTimestamp"] = Value::Null;
        event["lastTimestamp"] = Value::Null;
        event["eventTime"] = json!(object::micro_time(now));
        event["action"] = json!(action);
        event["reportingInstance"] = json!(format!("{}-{}", self.component, super::super::NODE));
        self.insert(event);
    }

    fn envelope(&self, note: &Note, now: Timestamp) -> Value {
        let namespace = match text(&note.regarding, "/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let name = format!(
            "{}.{:x}",
            text(&note.regarding, "/name"),
            now.as_nanosecond()
        );
        json!({
            "metadata": {"name": name, "namespace": namespace}, "involvedObject": note.regarding, "reason": note.reason, "message": note.message,
            "type": note.kind, "eventTime": null, "reportingComponent": self.component, "reportingInstance": "",
        })
    }

    fn insert(&self, event: Value) -> Option<(String, String)> {
        let namespace = object::namespace(&event).to_owned();
        match self
            .registry
            .insert(resource::EVENTS, &namespace, event, &Options::default())
        {
            Ok(made) => Some((namespace, object::name(&made).to_owned())),
            Err(failure) => {
                tracing::debug!(%failure, "an event was not written");
                None
            }
        }
    }
}

/// Removes events when their hour is over.
pub(super) struct Expiry;

impl Controller for Expiry {
    fn name(&self) -> &'static str {
        "events"
    }

    fn begin(&mut self, _: &Registry) -> Vec<Key> {
        vec![Key::new(resource::EVENTS.plural, "", "")]
    }

    fn wakes(&mut self, _: &Registry, _: &Change) -> Vec<Key> {
        Vec::new()
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        _: &Key,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        for event in registry.list(resource::EVENTS, None).0 {
            if is_over(&event, now) {
                // An event that somebody else has just removed is as good as removed.
                let _ = registry.delete(
                    resource::EVENTS,
                    object::namespace(&event),
                    object::name(&event),
                    &Deletion::default(),
                );
            }
        }
        Ok(Some(EXPIRY_EVERY))
    }
}

/// Whether the last that is known of an event is an hour ago. A time that is still to come is nobody's knowledge.
fn is_over(event: &Value, now: Timestamp) -> bool {
    let last = [
        "/lastTimestamp",
        "/series/lastObservedTime",
        "/eventTime",
        "/metadata/creationTimestamp",
    ]
    .into_iter()
    .filter_map(|pointer| object::time_at(event, pointer))
    .filter(|at| *at <= now)
    .max();
    last.is_none_or(|at| now.duration_since(at) > LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_over_an_hour_after_it_last_happened() {
        let now: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
        for (event, over) in [
            (
                json!({"lastTimestamp": "2026-01-01T01:30:00Z", "metadata": {"creationTimestamp": "2026-01-01T00:30:00Z"}}),
                false,
            ),
            (
                json!({"lastTimestamp": null, "eventTime": "2026-01-01T00:59:00.000001Z"}),
                true,
            ),
            (
                json!({"lastTimestamp": "9999-01-01T00:00:00Z", "metadata": {"creationTimestamp": "2026-01-01T00:30:00Z"}}),
                true,
            ),
            (
                json!({"lastTimestamp": "0001-01-01T00:00:00Z", "metadata": {"creationTimestamp": "2026-01-01T01:30:00Z"}}),
                false,
            ),
        ] {
            assert_eq!(is_over(&event, now), over);
        }
    }

    #[test]
    fn for_one_reason_only_so_much_is_told() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut memory = Memory::default();
        let mut told = |group: &str, minutes: i64| {
            let now = object::later(now, minutes * 60);
            (0..100).filter(|_| !memory.is_spam(group, now)).count()
        };
        assert_eq!((told("a", 0), told("b", 0)), (25, 25));
        assert_eq!(told("a", 5), 1, "one in five minutes after that");
        assert_eq!(told("a", 20), 3);
        for count in 0..10_000 {
            memory.bound();
            memory.is_spam(&count.to_string(), now);
        }
        assert!(memory.paces.len() <= REMEMBERED);
    }
}
