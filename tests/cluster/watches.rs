//! What the API's own watches say, taken down by kubectl, which knows nothing of the program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::kubectl::{Namespace, command};

/// One watch event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) deleted: bool,
    pub(crate) object: Value,
}

/// Watches of one namespace, and of the volumes of all.
pub(crate) struct Watches {
    children: Vec<Child>,
    events: Arc<Mutex<Vec<Event>>>,
}

const WATCHED: [(&str, &str); 6] = [
    ("Pod", "/api/v1/namespaces/{}/pods"),
    (
        "PersistentVolumeClaim",
        "/api/v1/namespaces/{}/persistentvolumeclaims",
    ),
    ("PersistentVolume", "/api/v1/persistentvolumes"),
    ("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets"),
    ("Deployment", "/apis/apps/v1/namespaces/{}/deployments"),
    ("ReplicaSet", "/apis/apps/v1/namespaces/{}/replicasets"),
];

impl Watches {
    /// Begins to watch; everything that is made from now on is seen from its beginning.
    pub(crate) fn begin(namespace: &Namespace) -> Self {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let children = WATCHED
            .into_iter()
            .map(|(kind, path)| {
                let path = format!("{}?watch=true", path.replace("{}", &namespace.name));
                let mut child = command()
                    .args(["get", "--raw", &path])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("kubectl starts");
                let stdout = child.stdout.take().expect("piped");
                let events = Arc::clone(&events);
                std::thread::spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        let mut event: Value = serde_json::from_str(&line).expect("JSON");
                        events.lock().unwrap().push(Event {
                            kind,
                            deleted: event["type"] == "DELETED",
                            object: event["object"].take(),
                        });
                    }
                });
                child
            })
            .collect();
        Self { children, events }
    }

    /// Everything they said so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended with its server.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
