//! The state of the connection to a cluster, in words that a page can explain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::kind::Kind;

/// How the source is reached right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The state as a whole.
    pub state: LinkState,
    /// Milliseconds since the epoch, when this state began.
    pub since: i64,
    /// What went wrong, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What is known of each kind.
    pub kinds: BTreeMap<Kind, KindState>,
}

/// The connection as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Not there yet for the first time.
    Connecting,
    /// Every kind that can be seen is in step.
    Live,
    /// It was live, and the cluster does not answer now.
    Interrupted,
    /// The kubeconfig does not lead to a cluster.
    Misconfigured,
}

/// What is known of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindState {
    /// The list has not arrived yet.
    Waiting,
    /// In step with the cluster.
    Synced,
    /// In step, but for objects that cannot be read and are left out.
    Partial,
    /// RBAC does not allow it; the rest goes on.
    Forbidden,
    /// The last attempts failed; it is tried again.
    Failing,
}

impl Link {
    /// A connection that is being opened.
    pub fn connecting(at: i64) -> Self {
        Self {
            state: LinkState::Connecting,
            since: at,
            fault: None,
            kinds: Kind::ALL
                .into_iter()
                .map(|kind| (kind, KindState::Waiting))
                .collect(),
        }
    }

    /// A connection at which every kind in `kinds` is in step.
    pub fn live(at: i64) -> Self {
        Self {
            state: LinkState::Live,
            since: at,
            fault: None,
            kinds: Kind::ALL
                .into_iter()
                .map(|kind| (kind, KindState::Synced))
                .collect(),
        }
    }

    /// Whether it is known of each kind whether it can be seen, and one at least can: one that
    /// cannot must not keep the others from being shown.
    pub fn settled(&self) -> bool {
        let mut states = self.kinds.values();
        states.clone().all(|state| *state != KindState::Waiting)
            && states.any(|state| matches!(state, KindState::Synced | KindState::Partial))
    }

    /// Moves to `state`; `since` stays when the state was that already.
    pub fn turn(&mut self, state: LinkState, fault: Option<Fault>, at: i64) {
        if self.state != state {
            self.since = at;
        }
        self.state = state;
        self.fault = fault;
    }
}
