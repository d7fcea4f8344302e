//! Why a cluster cannot be reached, sorted by what a person can do about it.

use std::error::Error;
use std::path::PathBuf;

use kube::config::KubeconfigError;
use serde::{Deserialize, Serialize};

/// One reason, with the machine's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{detail}")]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The sort of trouble.
    pub cause: Cause,
    /// The error text, from the outside in.
    pub detail: String,
    /// The context that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The contexts that the kubeconfig has instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<String>,
    /// The kubeconfig that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// Sorts of trouble; each has its own picture and its own advice on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// There is no kubeconfig file.
    NoKubeconfig,
    /// The kubeconfig cannot be read or parsed.
    KubeconfigUnreadable,
    /// The kubeconfig has no such context, or no current one.
    ContextNotFound,
    /// Nothing listens at the address, or the name does not resolve.
    Unreachable,
    /// The cluster took too long to answer.
    Timeout,
    /// The cluster does not know these credentials.
    Unauthorized,
    /// The cluster knows them and says no.
    Forbidden,
    /// The certificates do not fit.
    Tls,
    /// Anything else.
    Other,
}

impl Fault {
    /// A fault with nothing but its words.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
            context: None,
            contexts: Vec::new(),
            path: None,
        }
    }
}

impl From<&kube::Error> for Fault {
    fn from(error: &kube::Error) -> Self {
        // What a credentials plugin was called with and what it printed holds secrets.
        if let kube::Error::Auth(_) = error {
            return Self::new(
                Cause::Unauthorized,
                "the kubeconfig's credentials could not be had; `kubectl get nodes` says why",
            );
        }
        let detail = match error {
            kube::Error::Api(status) => status.message.clone(),
            error => chain(error),
        };
        let cause = match error {
            kube::Error::Api(status) if status.code == 401 => Cause::Unauthorized,
            kube::Error::Api(status) if status.code == 403 => Cause::Forbidden,
            kube::Error::Api(_) => Cause::Other,
            _ => cause_of(&detail),
        };
        Self::new(cause, detail)
    }
}

impl From<&KubeconfigError> for Fault {
    fn from(error: &KubeconfigError) -> Self {
        let cause = match error {
            KubeconfigError::CurrentContextNotSet
            | KubeconfigError::LoadContext(_)
            | KubeconfigError::LoadClusterOfContext(_) => Cause::ContextNotFound,
            KubeconfigError::FindPath => Cause::NoKubeconfig,
            _ => Cause::KubeconfigUnreadable,
        };
        // The parser's own message shows the lines around the place, and those hold keys.
        let detail = match error {
            KubeconfigError::Parse(error) => match error.location() {
                Some(place) => format!("not a kubeconfig: line {}", place.line()),
                None => "not a kubeconfig".into(),
            },
            error => chain(error),
        };
        Self::new(cause, detail)
    }
}

// hyper and rustls wrap their errors so deep that only the text tells them apart.
fn cause_of(detail: &str) -> Cause {
    let text = detail.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["certificate", "tls", "unknownissuer", "handshake"]) {
        Cause::Tls
    } else if has(&["timed out", "timeout", "deadline"]) {
        Cause::Timeout
    } else if has(&[
        "refused",
        "reset",
        "unreachable",
        "dns",
        "lookup",
        "connect",
        "closed",
    ]) {
        Cause::Unreachable
    } else {
        Cause::Other
    }
}

/// The error and its sources in one line, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_what_to_do() {
        for (detail, cause) in [
            (
                "tcp connect error: Connection refused (os error 111)",
                Cause::Unreachable,
            ),
            ("client error: operation timed out", Cause::Timeout),
            ("invalid peer certificate: UnknownIssuer (tls)", Cause::Tls),
            ("something new", Cause::Other),
        ] {
            assert_eq!(cause_of(detail), cause, "{detail}");
        }
    }
}
