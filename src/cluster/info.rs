//! What a page says about where its picture comes from.

use serde::Serialize;

use super::fault::Fault;

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
    /// Why `auto` did not take the kubeconfig's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fault>,
}

/// Sorts of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A cluster that a kubeconfig leads to.
    Kube,
    /// A run that was written down earlier.
    Recording,
}
