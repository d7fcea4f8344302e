//! Reviews: what the caller may do and who it is, for `kubectl auth can-i` and `kubectl auth whoami`.
//!
//! There are no roles here: who knows the address may do everything, and that is what the answers say.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::write::{content_type, json_body};
use super::{body, json_response};
use crate::failure::Failure;

/// Why everything is allowed.
const REASON: &str = "the embedded cluster has no RBAC: its kubeconfig may do everything";

/// The kinds of review that are answered: group, plural, kind.
const REVIEWS: [(&str, &str, &str); 3] = [
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
    ),
    (
        "authorization.k8s.io",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
    ),
    (
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
    ),
];

/// The kind of the review that a path names.
pub(super) fn kind(group: &str, version: &str, rest: &[&str]) -> Option<&'static str> {
    let [plural] = rest else { return None };
    REVIEWS
        .iter()
        .find(|(of, name, _)| *of == group && name == plural && version == "v1")
        .map(|(.., kind)| *kind)
}

/// Answers a review with the review itself, its status filled in.
pub(super) async fn answer(kind: &'static str, request: Request) -> Result<Response, Failure> {
    if request.method() != Method::POST {
        return Err(Failure::method_not_allowed(
            "the server does not allow this method on the requested resource",
        ));
    }
    let media = content_type(request.headers()).to_owned();
    let mut review = json_body(&body(request).await?, &media)?;
    if review["kind"] != kind {
        return Err(Failure::bad_request(format!(
            "the kind in the data ({}) does not match the expected kind ({kind})",
            review["kind"].as_str().unwrap_or("")
        )));
    }
    review["status"] = status(kind, &review);
    Ok(json_response(StatusCode::CREATED, &review))
}

fn status(kind: &str, review: &Value) -> Value {
    match kind {
        "SelfSubjectAccessReview" => {
            let spec = &review["spec"];
            if spec["resourceAttributes"].is_null() && spec["nonResourceAttributes"].is_null() {
                return json!({"allowed": false, "reason": "nothing was asked for"});
            }
            json!({"allowed": true, "reason": REASON})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        // The name in kind's certificate, with the group that makes it an administrator.
        _ => json!({"userInfo": {
            "username": "kubernetes-admin",
            "groups": ["kubeadm:cluster-admins", "system:authenticated"],
        }}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_are_found_by_path_and_say_that_all_is_allowed() {
        let found = kind("authorization.k8s.io", "v1", &["selfsubjectaccessreviews"]);
        assert_eq!(found, Some("SelfSubjectAccessReview"));
        assert_eq!(kind("apps", "v1", &["selfsubjectaccessreviews"]), None);
        let asked = json!({"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods"}}});
        assert_eq!(status("SelfSubjectAccessReview", &asked)["allowed"], true);
        let empty = status("SelfSubjectAccessReview", &json!({"spec": {}}));
        assert_eq!(empty["allowed"], false);
    }
}
