//! Everything of the lesson goes: what the manifests name, and the claims and volumes that grew out
//! of it. Waits for nothing; the cluster takes its time, and the page shows it.

use serde_json::json;

use super::objects::{Objects, resource, resource_of, told};
use super::refusal::{Reason, Refusal};
use super::scope::{Scope, text};

impl Objects {
    /// Deletes all of it; answers with what kubectl would print.
    pub(super) async fn reset(&self, scope: &Scope) -> Result<Vec<String>, Refusal> {
        let mut said = Vec::new();
        // A volume that was to be kept goes with its claim again; the data would stay otherwise.
        let volumes = self.list("PersistentVolume", None).await?;
        let volumes = volumes
            .iter()
            .filter(|volume| scope.holds(volume, &self.namespace));
        let mut unclaimed = Vec::new();
        for volume in volumes {
            let name = volume.metadata.name.clone().unwrap_or_default();
            let uid = volume.metadata.uid.clone().unwrap_or_default();
            let is_fixed = scope.names("PersistentVolume", &name);
            let is_kept = text(&volume.data, "/spec/persistentVolumeReclaimPolicy") == "Retain";
            if is_kept && !is_fixed {
                let spec = json!({"persistentVolumeReclaimPolicy": "Delete"});
                let kept = self.change("PersistentVolume", &name, &uid, &spec).await;
                if was_there(kept)? {
                    said.push(format!("persistentvolume/{name} patched"));
                }
            }
            // Nobody else removes a volume that no claim has, or that a person made.
            if is_fixed || text(&volume.data, "/status/phase") == "Available" {
                unclaimed.push((name, uid));
            }
        }
        for manifest in scope.objects() {
            let kind = resource_of(manifest);
            if kind.kind == "PersistentVolume" {
                continue;
            }
            let name = text(manifest, "/metadata/name");
            let Some(object) = self.find(&kind, name).await? else {
                continue;
            };
            let uid = object.metadata.uid.as_deref();
            if was_there(self.delete(&kind, name, uid, false).await)? {
                said.push(format!("{} deleted", told(&kind, name)));
            }
        }
        let kind = resource("PersistentVolumeClaim");
        for claim in self.list(&kind.kind, None).await? {
            let name = claim.metadata.name.unwrap_or_default();
            let is_leaving = claim.metadata.deletion_timestamp.is_some();
            if is_leaving || !scope.claims(&name) {
                continue;
            }
            let uid = claim.metadata.uid.as_deref();
            if was_there(self.delete(&kind, &name, uid, false).await)? {
                said.push(format!("{} deleted", told(&kind, &name)));
            }
        }
        let kind = resource("PersistentVolume");
        for (name, uid) in unclaimed {
            if was_there(self.delete(&kind, &name, Some(&uid), false).await)? {
                said.push(format!("{} deleted", told(&kind, &name)));
            }
        }
        Ok(said)
    }
}

/// Whether it was done; what went by itself meanwhile is as good as removed.
fn was_there(done: Result<(), Refusal>) -> Result<bool, Refusal> {
    match done {
        Ok(()) => Ok(true),
        Err(refusal) if matches!(refusal.reason, Reason::NotFound | Reason::Conflict) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}
