//! Events speak where no object says the same: why something waits or failed.

use std::sync::Arc;

use super::{Card, Cards, Story};
use crate::live::card::EventCard;

pub(super) fn tell(before: Option<&Card>, event: &EventCard, cards: &Cards) -> Option<Story> {
    // A count that went up is the same news again.
    if before.is_some() {
        return None;
    }
    let about = event.regarding.uid.as_ref().and_then(|uid| cards.get(uid));
    let key = match event.reason.as_str() {
        // A Pod's own condition carries the scheduler's words, and its status says that it waits to
        // be tried again. The Event may be seen before the Pod is.
        "FailedScheduling" | "BackOff" if event.regarding.kind == "Pod" => return None,
        // "Error: ErrImagePull" is the status once more; other words after "Error: " are the reason.
        "Failed"
            if about.is_some()
                && event
                    .message
                    .strip_prefix("Error: ")
                    .is_some_and(|reason| !reason.contains(' ')) =>
        {
            return None;
        }
        "ErrImageNeverPull" | "ClaimLost" if about.is_some() => return None,
        // A probe that fails because its Pod is being stopped warns of nothing.
        "Unhealthy" if about.is_none_or(|card| card.deleting.is_some()) => return None,
        // Endpoints are not shown; who lost the race to write them tries again by himself.
        "FailedToUpdateEndpoint" | "FailedToUpdateEndpointSlices" => return None,
        "FailedScheduling" => "event.FailedScheduling",
        "FailedMount" => "event.FailedMount",
        "FailedAttachVolume" => "event.FailedAttachVolume",
        // Not to be Ready yet is what a readiness or startup probe is there to find out.
        "Unhealthy" if !event.message.starts_with("Liveness") && is_starting(about) => {
            "event.Unhealthy.starting"
        }
        "Unhealthy" => "event.Unhealthy",
        "BackOff" => "event.BackOff",
        "Failed" => "event.Failed",
        "ProvisioningFailed" => "event.ProvisioningFailed",
        "FailedCreate" => "event.FailedCreate",
        "FailedBinding" => "event.FailedBinding",
        "VolumeFailedDelete" => "event.VolumeFailedDelete",
        _ if event.level == "Warning" => "event.Warning",
        _ => return None,
    };
    Some(Story::new(
        key,
        [
            ("object", &event.regarding.name),
            ("message", &event.message),
            ("from", &event.from),
        ],
    ))
}

/// Whether this is a Pod that is not Ready.
fn is_starting(about: Option<&Arc<Card>>) -> bool {
    about
        .and_then(|card| card.pod())
        .is_some_and(|pod| !pod.is_ready)
}
