//! Whether the cluster can do what it is there for: answer, and remember.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, sleep};

use super::Api;

/// How long a write under way may keep the answer waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether that write is done.
const AGAIN: Duration = Duration::from_millis(10);

impl Api {
    /// `/readyz`, `/healthz`: the store takes writes. `/livez`: no write hangs; a full disk is nothing that a new start
    /// would mend. The form of a failure is the real server's, with its reason.
    pub(super) async fn health(&self, probe: &str) -> Response {
        let why = match self.ready().await {
            Err(why) => why,
            Ok(Err(why)) if probe != "livez" => why,
            Ok(_) => return "ok".into_response(),
        };
        let text = format!("[+]ping ok\n[-]etcd failed: {why}\n{probe} check failed\n");
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }

    /// Whether the store takes writes; the outer error says that nobody knows, because one does not come back.
    async fn ready(&self) -> Result<Result<(), String>, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let registry = self.registry.clone();
            // To open the file again is slow.
            let asked = tokio::task::spawn_blocking(move || registry.ready());
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match tokio::time::timeout(left, asked).await {
                Ok(Ok(Some(ready))) => return Ok(ready.map_err(|error| error.to_string())),
                Ok(Err(error)) => return Err(error.to_string()),
                Ok(Ok(None)) => sleep(AGAIN).await,
                Err(_) => break,
            }
        }
        Err(format!(
            "a write to the disk takes longer than {} s",
            PATIENCE.as_secs()
        ))
    }
}
