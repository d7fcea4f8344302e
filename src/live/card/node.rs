//! A Node: the ground that Pods run on and local disks stand on.

use k8s_openapi::api::core::v1::Node;
use serde::Serialize;

/// The fields of a Node that we show. Its heartbeat is left out, so that it makes no frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeCard {
    /// `STATUS` as `kubectl get` prints it: Ready, NotReady or Unknown, cordoned or not.
    pub status: String,
    /// The kubelet's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl From<&Node> for NodeCard {
    fn from(node: &Node) -> Self {
        let ready = node
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .find(|condition| condition.type_ == "Ready");
        let mut status = match ready.map(|condition| condition.status.as_str()) {
            Some("True") => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        }
        .to_owned();
        if node
            .spec
            .as_ref()
            .is_some_and(|spec| spec.unschedulable == Some(true))
        {
            status.push_str(",SchedulingDisabled");
        }
        Self {
            status,
            version: node
                .status
                .as_ref()
                .and_then(|status| status.node_info.as_ref())
                .map(|info| info.kubelet_version.clone()),
        }
    }
}
