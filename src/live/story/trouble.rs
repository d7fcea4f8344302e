//! Stories of Pods that cannot start, or whose containers went down.

use super::Story;
use super::pod::image;
use crate::live::card::{ContainerState, PodCard};

/// Reasons why an image is not there (kubernetes `pkg/kubelet/images/types.go`).
const IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
];
/// Reasons why a container could not be made or started.
const CONFIG: [&str; 5] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "RunContainerError",
    "StartError",
];

pub(super) fn tell(pod: &str, old: &PodCard, face: &PodCard) -> Option<Story> {
    if old.status == face.status {
        return None;
    }
    // A container that runs before the others fails for the same reasons.
    let reason = face.status.trim_start_matches("Init:");
    let before = old.status.trim_start_matches("Init:");
    let among = |reasons: &[&str]| reasons.contains(&reason) && !reasons.contains(&before);
    if reason == "CrashLoopBackOff" {
        return Some(Story::new("pod.backoff", [("pod", pod)]));
    }
    if among(&IMAGE) {
        // The kubelet goes to and fro between failing and waiting; the first time is news.
        let key = if reason == "ErrImageNeverPull" {
            "pod.image.never"
        } else {
            "pod.image"
        };
        return Some(Story::new(
            key,
            [("pod", pod), ("image", image(face)), ("reason", reason)],
        ));
    }
    if among(&CONFIG) {
        return Some(Story::new("pod.config", [("pod", pod), ("reason", reason)]));
    }
    // A container that ended by itself while its Pod goes on.
    face.containers.iter().find_map(|container| {
        let was = old.containers.iter().find(|it| it.name == container.name);
        let ended = container.state == ContainerState::Terminated
            && was.is_none_or(|was| was.state != ContainerState::Terminated);
        // One that ended well while others go on did not crash.
        let exit = container.exit_code.filter(|code| ended && *code != 0)?;
        let exit = exit.to_string();
        Some(Story::new(
            "pod.crashed",
            [
                ("pod", pod),
                ("exit", &exit),
                ("reason", container.reason.as_deref().unwrap_or("-")),
            ],
        ))
    })
}
