//! The errors of the API as Kubernetes words them.
//!
//! Owns reason, code, message and details of a `Status`; hands it on as JSON. The messages are the real ones, because
//! kubectl prints them as they are and people search for them.

use serde_json::{Value, json};

use super::object;
use super::resource::Resource;
use super::store::{DiskError, Unwritten};

/// Causes that a refusal names. An object can be wrong in more places than anybody reads, or any memory holds as text.
const CAUSES_AT_MOST: usize = 100;

/// A request that was refused, with all that a `Status` answer says.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
}

/// One thing that is wrong with a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {detail}"),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {detail}"),
        }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list = supported
            .iter()
            .map(|entry| format!("{entry:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!("Unsupported value: {value}: supported values: {list}"),
        }
    }

    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: may not be more than {most} bytes"),
        }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueNotFound",
            field: field.into(),
            message: format!("Not found: {value}"),
        }
    }
}

impl Failure {
    fn about(
        resource: &Resource,
        name: &str,
        code: u16,
        reason: &'static str,
        message: String,
    ) -> Self {
        let mut details = json!({"name": name, "kind": resource.plural});
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        Self {
            code,
            reason,
            message,
            details: Some(details),
        }
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::about(
            resource,
            name,
            404,
            "NotFound",
            format!("{} {name:?} not found", resource.qualified()),
        )
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::about(
            resource,
            name,
            409,
            "AlreadyExists",
            format!("{} {name:?} already exists", resource.qualified()),
        )
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        Self::about(
            resource,
            name,
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                resource.qualified()
            ),
        )
    }

    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        Self::about(
            resource,
            name,
            403,
            "Forbidden",
            format!("{} {name:?} is forbidden: {why}", resource.qualified()),
        )
    }

    /// A validation failure; `causes` must not be empty.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let (causes, more) = causes.split_at(causes.len().min(CAUSES_AT_MOST));
        let mut texts: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        if !more.is_empty() {
            texts.push(format!("and {} more", more.len()));
        }
        let list = if let [only] = texts.as_slice() {
            only.clone()
        } else {
            format!("[{}]", texts.join(", "))
        };
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let mut details = json!({
            "name": name, "kind": resource.kind,
            "causes": causes.iter().map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field})).collect::<Vec<_>>(),
        });
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        Self {
            code: 422,
            reason: "Invalid",
            message: format!("{kind} {name:?} is invalid: {list}"),
            details: Some(details),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            code: 400,
            reason: "BadRequest",
            message: message.into(),
            details: None,
        }
    }

    /// The program is about to end.
    pub(crate) fn ending() -> Self {
        Self {
            code: 503,
            reason: "ServiceUnavailable",
            message: "the cluster is ending".to_owned(),
            details: None,
        }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self {
            code: 413,
            reason: "RequestEntityTooLarge",
            message: message.into(),
            details: None,
        }
    }

    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self {
            code: 410,
            reason: "Expired",
            message: format!("too old resource version: {asked} ({oldest})"),
            details: None,
        }
    }

    /// The path names nothing that is served.
    pub(crate) fn no_such_path() -> Self {
        Self {
            code: 404,
            reason: "NotFound",
            message: "the server could not find the requested resource".to_owned(),
            details: Some(json!({})),
        }
    }

    pub(crate) fn method_not_allowed(message: &str) -> Self {
        Self {
            code: 405,
            reason: "MethodNotAllowed",
            message: message.to_owned(),
            details: Some(json!({})),
        }
    }

    /// Something Kubernetes has and this cluster leaves out on purpose.
    pub(crate) fn left_out(what: &str) -> Self {
        Self {
            code: 501,
            reason: "NotImplemented",
            message: format!("the embedded cluster has no {what}"),
            details: None,
        }
    }

    pub(crate) fn unsupported_media(message: impl Into<String>) -> Self {
        Self {
            code: 415,
            reason: "UnsupportedMediaType",
            message: message.into(),
            details: None,
        }
    }

    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self {
            code: 406,
            reason: "NotAcceptable",
            message: message.into(),
            details: None,
        }
    }

    /// An error that the real server passes on as it is, without a reason.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self {
            code: 500,
            reason: "",
            message: message.into(),
            details: None,
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            code: 500,
            reason: "InternalError",
            message: format!("Internal error occurred: {}", message.into()),
            details: None,
        }
    }

    /// The `Status` object for the wire.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if self.reason.is_empty() {
            object::remove(&mut status, "/reason");
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

/// A write that did not happen is answered in words, as every refusal is.
impl From<Unwritten> for Failure {
    fn from(why: Unwritten) -> Self {
        let message = why.to_string();
        match why {
            Unwritten::Panicked(_) => Self::internal(message),
            Unwritten::Unreadable(_) => Self::bad_request(message),
            Unwritten::Disk(error) => Self {
                code: match error {
                    DiskError::Full { .. } => 507,
                    DiskError::Failed { .. } => 500,
                },
                ..Self::internal(message)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;

    #[test]
    fn messages_are_the_real_ones() {
        assert_eq!(
            Failure::not_found(resource::PODS, "a").message,
            "pods \"a\" not found"
        );
        assert_eq!(
            Failure::already_exists(resource::STATEFULSETS, "a").message,
            "statefulsets.apps \"a\" already exists"
        );
        assert_eq!(
            Failure::invalid(
                resource::STATEFULSETS,
                "a",
                &[Cause::required("spec.selector", "")]
            )
            .message,
            "StatefulSet.apps \"a\" is invalid: spec.selector: Required value"
        );
    }

    #[test]
    fn a_refusal_names_what_can_be_read() {
        let causes: Vec<Cause> = (0..10_000)
            .map(|index| Cause::required(format!("spec.containers[{index}].name"), ""))
            .collect();
        let failure = Failure::invalid(resource::PODS, "a", &causes);
        assert!(failure.message.ends_with(", and 9900 more]"), "{failure}");
        let details = failure.details.unwrap();
        assert_eq!(object::array(&details, "/causes").len(), CAUSES_AT_MOST);
    }
}
