//! Looking inside: which query shows the rows of which Pods.

use serde::{Deserialize, Serialize};

/// One query, for the Pods whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What the Pods' names begin with.
    pub pods: String,
    /// The database's user.
    pub user: String,
    /// The database.
    pub database: String,
    /// What is asked.
    pub query: String,
}
