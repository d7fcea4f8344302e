//! Why something was not done, sorted by what a reader can do about it, with the API's own words.

use serde::Serialize;

use crate::cluster::fault::{Cause, Fault};

/// An action that was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The sort of refusal; the page has words for each.
    pub reason: Reason,
    /// What the API said, or what it would have said.
    pub message: String,
}

/// Sorts of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// Acting on this source is off.
    NotAllowed,
    /// The request came from somebody who may only read.
    NoKey,
    /// It is none of the lesson's objects.
    NotOfTheLesson,
    /// There is no such object.
    NotFound,
    /// It is another one by now, or was changed meanwhile.
    Conflict,
    /// The cluster does not let us.
    Forbidden,
    /// What was asked makes no sense.
    Invalid,
    /// More Pods than a page may ask for.
    TooMany,
    /// A program in a Pod ran and said that it failed.
    Failed,
    /// The cluster does not answer.
    Unreachable,
    /// Anything else.
    Internal,
}

impl Refusal {
    /// A refusal in our own words.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl From<&kube::Error> for Refusal {
    fn from(error: &kube::Error) -> Self {
        // The words of a fault are those that may be shown: a credentials plugin's may not.
        let fault = Fault::from(error);
        let reason = match error {
            kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
                (_, "Timeout" | "ServerTimeout" | "ServiceUnavailable" | "TooManyRequests") => {
                    Reason::Unreachable
                }
                (401 | 403, _) => Reason::Forbidden,
                (404 | 410, _) => Reason::NotFound,
                (409, _) => Reason::Conflict,
                (400 | 405 | 413 | 415 | 422, _) => Reason::Invalid,
                (429 | 502..=504, _) => Reason::Unreachable,
                _ => Reason::Internal,
            },
            kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Reason::Internal,
            _ if fault.cause == Cause::Unauthorized => Reason::Forbidden,
            _ => Reason::Unreachable,
        };
        Self::new(reason, fault.detail)
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn the_apis_own_words_are_kept_and_sorted() {
        for (code, reason, want) in [
            (404, "NotFound", Reason::NotFound),
            (409, "Conflict", Reason::Conflict),
            (409, "AlreadyExists", Reason::Conflict),
            (403, "Forbidden", Reason::Forbidden),
            (401, "Unauthorized", Reason::Forbidden),
            (422, "Invalid", Reason::Invalid),
            (400, "BadRequest", Reason::Invalid),
            (503, "ServiceUnavailable", Reason::Unreachable),
            (500, "InternalError", Reason::Internal),
        ] {
            let status = Status::failure("its words", reason).with_code(code);
            let refusal = Refusal::from(kube::Error::Api(status.boxed()));
            assert_eq!(refusal, Refusal::new(want, "its words"), "{code} {reason}");
        }
    }
}
