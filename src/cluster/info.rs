//! What a page says about where its picture comes from.

use std::path::PathBuf;

use serde::Serialize;

use super::fault::Fault;
use super::look::Look;
use super::target::Reached;

/// Pods that a page may ask a workload for: more are a crowd, and no lesson needs one. A terminal takes any number.
pub(super) const REPLICAS_AT_MOST: u32 = 9;

/// What a page says about where its picture comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceInfo {
    /// The sort of source.
    pub kind: SourceKind,
    /// The context, or the name of the recording.
    pub label: String,
    /// The namespace that is shown.
    pub namespace: String,
    /// When a recording was made, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<i64>,
    /// How fast a recording is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Where the embedded cluster's kubeconfig is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Why `auto` did not take the kubeconfig's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fault>,
    /// Whether the page may act on it, and why.
    pub acting: Acting,
}

/// Whether a page may act on the source, and what it needs to name what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Acting {
    /// Whether it may.
    pub allowed: bool,
    /// The context that would be hit; empty for a recording.
    pub context: String,
    /// Why it may, or may not.
    pub why: Why,
    /// What `kubectl -n` must name; none if the context's own namespace is the one that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The folders of manifests that the lesson applies.
    pub folders: Vec<String>,
    /// The labels, as a selector, of the claims that no manifest holds: StatefulSets make them.
    pub claims: String,
    /// Which query shows the rows of which Pods.
    pub looks: Vec<Look>,
    /// The largest number of Pods that a page may ask for; 0 where it may ask for nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Reasons to let a page act, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It is the cluster inside this program.
    Embedded,
    /// `--allow-actions` was given.
    Allowed,
    /// `--allow-actions` was not given.
    Flag,
    /// There is nothing to act on.
    Recording,
}

impl Acting {
    /// Acting on nothing, for `why`, until more is known.
    pub fn new(why: Why) -> Self {
        let allowed = matches!(why, Why::Embedded | Why::Allowed);
        Self {
            allowed,
            context: String::new(),
            why,
            namespace: None,
            folders: Vec::new(),
            claims: String::new(),
            looks: Vec::new(),
            replicas: if allowed { REPLICAS_AT_MOST } else { 0 },
        }
    }

    /// The same where `reached` leads, which names the context and, if it must be, the namespace.
    pub(super) fn at(&self, reached: &Reached) -> Self {
        Self {
            context: reached.context.clone(),
            namespace: Some(reached.namespace.clone()).filter(|_| !reached.is_own),
            ..self.clone()
        }
    }

    /// The look for a Pod of this name: the one with the longest prefix that fits.
    pub fn look(&self, pod: &str) -> Option<&Look> {
        self.looks
            .iter()
            .filter(|look| pod.starts_with(&look.pods))
            .max_by_key(|look| look.pods.len())
    }
}

/// Sorts of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A cluster that a kubeconfig leads to.
    Kube,
    /// The one inside this program, reached by a kubeconfig as well.
    Embedded,
    /// A run that was written down earlier.
    Recording,
}
