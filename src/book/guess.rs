//! Predictions: what the reader is asked to guess before an act, and what can be guessed about each act. Everything
//! here is the same in every language; the page holds each guess against what the watch says.

/// What is done after the reader has guessed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// One Pod is deleted and another takes its place.
    KillPod,
    /// The Pods of several workloads are deleted at once; their names.
    KillLanes(Vec<String>),
    /// A claim is deleted while a Pod uses it.
    DeleteClaim,
    /// A workload is scaled.
    Scale,
}

/// What `::: predict ID` is followed by.
pub(super) const DEEDS: &str = "`delete Pod NAME`, `delete Pod deployment/NAME statefulset/NAME …`, `delete PersistentVolumeClaim NAME` or `scale StatefulSet NAME REPLICAS`";

/// What may be guessed of one Pod that is replaced, or of a lane.
const OF_A_POD: [&str; 6] = ["name", "uid", "ip", "claim", "volume", "rows"];

/// The two answers to "is it the same afterwards?".
pub(super) const SAME_OR_NOT: [&str; 2] = ["same", "changes"];

impl Deed {
    /// Reads the words after the id of a prediction.
    pub(super) fn read(words: &[&str]) -> Option<Self> {
        match words {
            ["delete", "Pod", workloads @ ..] if workloads.iter().any(|it| it.contains('/')) => {
                let names: Option<Vec<String>> = workloads
                    .iter()
                    .map(|it| workload(it).map(|(_, name)| name.to_owned()))
                    .collect();
                names.map(Self::KillLanes)
            }
            ["delete", "Pod", _] => Some(Self::KillPod),
            ["delete", "PersistentVolumeClaim", _] => Some(Self::DeleteClaim),
            ["scale", "StatefulSet" | "Deployment", _, replicas] => {
                replicas.parse::<u32>().is_ok().then_some(Self::Scale)
            }
            _ => None,
        }
    }

    /// What can be guessed about it.
    pub(super) fn guesses(&self) -> Vec<String> {
        let plain = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        match self {
            Self::KillPod => plain(&OF_A_POD),
            Self::KillLanes(names) => OF_A_POD
                .iter()
                .flat_map(|aspect| names.iter().map(move |name| format!("{aspect}/{name}")))
                .collect(),
            Self::DeleteClaim => plain(&["status", "phase", "pod", "volume"]),
            Self::Scale => plain(&["pods", "first", "claims", "volumes"]),
        }
    }

    /// Whether `option` can be an answer to `guess`.
    pub(super) fn answers(&self, guess: &str, option: &str) -> bool {
        match (self, guess) {
            (Self::DeleteClaim, "status") => ["Bound", "Terminating", "gone"].contains(&option),
            (Self::DeleteClaim, "phase") => {
                ["Pending", "Bound", "Lost", "Terminating", "gone"].contains(&option)
            }
            (Self::DeleteClaim, "volume") => {
                ["Available", "Bound", "Released", "gone"].contains(&option)
            }
            (Self::Scale, "pods") => option.parse::<u32>().is_ok(),
            (Self::Scale, "first") => ["highest", "lowest"].contains(&option),
            _ => SAME_OR_NOT.contains(&option),
        }
    }

    /// Whether the answers to `guess` go without saying.
    pub(super) fn is_same_or_not(&self, guess: &str) -> bool {
        SAME_OR_NOT.iter().all(|option| self.answers(guess, option))
    }
}

/// `deployment/web` as kind and name.
pub(super) fn workload(text: &str) -> Option<(&str, &str)> {
    let (kind, name) = text.split_once('/')?;
    (matches!(kind, "deployment" | "statefulset") && !name.is_empty()).then_some((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_says_what_can_be_guessed_about_it() {
        let read = |text: &str| Deed::read(&text.split_whitespace().collect::<Vec<_>>());
        assert_eq!(read("delete Pod web-0"), Some(Deed::KillPod));
        assert_eq!(read("scale StatefulSet web 1"), Some(Deed::Scale));
        assert_eq!(read("scale StatefulSet web many"), None);
        assert_eq!(read("delete Pod deployment/a b"), None);
        assert_eq!(read("delete Node n"), None);
        let lanes = read("delete Pod deployment/a statefulset/b").unwrap();
        assert!(lanes.guesses().contains(&"rows/b".to_owned()));
        assert!(lanes.is_same_or_not("rows/b"));
        let claim = read("delete PersistentVolumeClaim data-web-0").unwrap();
        assert!(claim.answers("phase", "Terminating") && !claim.answers("status", "same"));
        assert!(!claim.is_same_or_not("status") && claim.is_same_or_not("pod"));
    }
}
