//! An Event: what a controller says of what it did.

use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

/// The fields of an Event that we show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventCard {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub level: String,
    /// One word, for example `FailedScheduling`.
    pub reason: String,
    /// The text.
    pub message: String,
    /// What it is about.
    pub regarding: Regarding,
    /// Who says so.
    pub from: String,
    /// How often it was said.
    pub count: i32,
    /// When it was said last, in milliseconds since the epoch.
    pub last: i64,
}

/// `involvedObject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Regarding {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl From<&Event> for EventCard {
    fn from(event: &Event) -> Self {
        let series = event.series.as_ref();
        let last = event
            .last_timestamp
            .as_ref()
            .map(|time| &time.0)
            .or_else(|| Some(&series?.last_observed_time.as_ref()?.0))
            .or_else(|| Some(&event.event_time.as_ref()?.0))
            .or_else(|| Some(&event.metadata.creation_timestamp.as_ref()?.0));
        Self {
            level: event.type_.clone().unwrap_or_else(|| "Normal".into()),
            reason: event.reason.clone().unwrap_or_default(),
            message: event
                .message
                .as_deref()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            regarding: Regarding {
                kind: event.involved_object.kind.clone().unwrap_or_default(),
                name: event.involved_object.name.clone().unwrap_or_default(),
                uid: event.involved_object.uid.clone(),
            },
            from: event
                .source
                .as_ref()
                .and_then(|source| source.component.clone())
                .or_else(|| event.reporting_component.clone())
                .unwrap_or_default(),
            count: event.count.or_else(|| series?.count).unwrap_or(1),
            last: super::millis(last),
        }
    }
}
