//! What a controller has decided to do.

use serde_json::{Value, json};

use super::events::{Note, Recorder};
use crate::failure::Failure;
use crate::object;
use crate::registry::{Deletion, Options, Part, Registry};
use crate::resource::Resource;

/// One step. Steps are done in order; the first that fails ends the round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Make an object; when that is refused, say so with this note.
    Create {
        resource: &'static Resource,
        object: Value,
        refused: Option<Note>,
    },
    /// Write an object, if it is still the one that was looked at.
    Update {
        resource: &'static Resource,
        object: Value,
    },
    /// Write an object's status.
    Status {
        resource: &'static Resource,
        object: Value,
    },
    /// Delete the object with this uid.
    Delete {
        resource: &'static Resource,
        namespace: String,
        name: String,
        uid: String,
    },
    /// Tell about it in an event.
    Note(Note),
}

impl Action {
    /// The deletion of an object that was looked at.
    pub(crate) fn delete(resource: &'static Resource, object: &Value) -> Self {
        Self::Delete {
            resource,
            namespace: object::namespace(object).to_owned(),
            name: object::name(object).to_owned(),
            uid: object::uid(object).to_owned(),
        }
    }
}

/// Does what was decided, in the name of `manager`.
pub(crate) fn perform(
    registry: &Registry,
    recorder: &Recorder,
    manager: &str,
    actions: Vec<Action>,
) -> Result<(), Failure> {
    let options = Options::by(manager);
    for action in actions {
        match action {
            Action::Create {
                resource,
                object,
                refused,
            } => {
                let namespace = object::namespace(&object).to_owned();
                if let Err(failure) = registry.insert(resource, &namespace, object, &options) {
                    if let Some(mut note) = refused.filter(|_| failure.reason != "AlreadyExists") {
                        note.message = format!("{}{failure}", note.message);
                        recorder.record(&note);
                    }
                    return Err(failure);
                }
            }
            Action::Update { resource, object } => {
                registry.replace(resource, Part::Main, object, &options)?;
            }
            Action::Status { resource, object } => {
                registry.replace(resource, Part::Status, object, &options)?;
            }
            Action::Delete {
                resource,
                namespace,
                name,
                uid,
            } => {
                match registry.delete(
                    resource,
                    &namespace,
                    &name,
                    &Deletion {
                        uid: Some(uid),
                        ..Deletion::default()
                    },
                ) {
                    Err(failure) if failure.code != 404 => return Err(failure),
                    _ => {}
                }
            }
            Action::Note(note) => recorder.record(&note),
        }
    }
    Ok(())
}

/// Adds fields to a map of counts, leaving out zeros as the real status types do. Sums of numbers of 32 bits are cut
/// down to what their fields hold.
pub(crate) fn counts(status: &mut Value, fields: &[(&str, i64)]) {
    for (field, count) in fields {
        if *count == 0 {
            object::remove(status, &format!("/{field}"));
        } else {
            status[*field] = json!((*count).min(i64::from(i32::MAX)));
        }
    }
}
