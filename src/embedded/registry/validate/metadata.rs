//! The rules for names, labels, annotations and the rest of `metadata` (apimachinery `pkg/util/validation` and
//! `pkg/api/validation/objectmeta.go`).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::required_name;
use crate::failure::Cause;
use crate::object::{self, array, entries, text};
use crate::resource::Resource;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
/// What all annotations of an object may come to, keys included.
const ANNOTATIONS: usize = 256 * 1024;
/// Finalizers that need no domain.
const FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What is wrong with an object's metadata.
pub(super) fn metadata(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object::name(object);
    if name.is_empty() {
        causes.push(required_name());
    } else {
        let rules = match resource.plural {
            "services" => old_label(name),
            "namespaces" => label(name),
            "events" => segment(name),
            _ => subdomain(name),
        };
        invalid(&mut causes, "metadata.name", name, rules);
    }
    labels(&mut causes, object, "metadata.labels");
    annotations(&mut causes, object, "metadata.annotations");
    for finalizer in object::finalizers(object) {
        let mut rules = qualified(finalizer);
        if rules.is_empty() && !finalizer.contains('/') && !FINALIZERS.contains(&finalizer) {
            rules.push(
                "name is neither a standard finalizer name nor is it fully qualified".to_owned(),
            );
        }
        invalid(&mut causes, "metadata.finalizers", finalizer, rules);
    }
    owners(&mut causes, object);
    causes
}

/// What is wrong with the labels of an object, or of a template in it.
pub(super) fn labels(causes: &mut Vec<Cause>, holder: &Value, field: &str) {
    for (key, value) in entries(holder, "/metadata/labels") {
        invalid(causes, field, key, qualified(key));
        invalid(causes, field, value, label_value(value));
    }
}

pub(super) fn annotations(causes: &mut Vec<Cause>, holder: &Value, field: &str) {
    let mut size = 0;
    for (key, value) in entries(holder, "/metadata/annotations") {
        invalid(causes, field, key, qualified(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS {
        causes.push(Cause::too_long(field, ANNOTATIONS));
    }
}

/// What is wrong with a `LabelSelector` (apimachinery `meta/v1/validation`).
pub(super) fn selector(causes: &mut Vec<Cause>, selector: &Value, field: &str) {
    for (key, value) in entries(selector, "/matchLabels") {
        let field = format!("{field}.matchLabels");
        invalid(causes, &field, key, qualified(key));
        invalid(causes, &field, value, label_value(value));
    }
    for (index, expression) in array(selector, "/matchExpressions").iter().enumerate() {
        let at = format!("{field}.matchExpressions[{index}]");
        let values = array(expression, "/values");
        match text(expression, "/operator") {
            "In" | "NotIn" if values.is_empty() => causes.push(Cause::required(
                format!("{at}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => causes.push(Cause::forbidden(
                format!("{at}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => causes.push(Cause::invalid(
                format!("{at}.operator"),
                &json!(other),
                "not a valid selector operator",
            )),
        }
        let key = text(expression, "/key");
        invalid(causes, &format!("{at}.key"), key, qualified(key));
        for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
            invalid(
                causes,
                &format!("{at}.values[{index}]"),
                value,
                label_value(value),
            );
        }
    }
}

fn owners(causes: &mut Vec<Cause>, object: &Value) {
    const FIELD: &str = "metadata.ownerReferences";
    let mut controllers = HashSet::new();
    for owner in array(object, "/metadata/ownerReferences") {
        for (field, words) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(owner, &format!("/{field}")).is_empty() {
                causes.push(Cause::invalid(
                    format!("{FIELD}.{field}"),
                    &json!(""),
                    words,
                ));
            }
        }
        if object::flag(owner, "/controller") {
            controllers.insert(text(owner, "/uid"));
        }
    }
    if controllers.len() > 1 {
        causes.push(Cause::invalid(
            FIELD,
            &object["metadata"]["ownerReferences"],
            "Only one reference can have Controller set to true",
        ));
    }
}

fn invalid(causes: &mut Vec<Cause>, field: &str, value: &str, rules: Vec<String>) {
    causes.extend(
        rules
            .into_iter()
            .map(|rule| Cause::invalid(field, &json!(value), &rule)),
    );
}

fn too_long(length: usize, most: usize) -> Option<String> {
    (length > most).then(|| format!("must be no more than {most} bytes"))
}

/// The rule of a length and the rule of a form, as far as they are broken.
fn broken(name: &str, most: usize, is_formed: bool, form: &str) -> Vec<String> {
    let form = (!is_formed).then(|| form.to_owned());
    too_long(name.len(), most).into_iter().chain(form).collect()
}

fn is_label_formed(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The rules of an RFC 1123 label that a name breaks.
pub(super) fn label(name: &str) -> Vec<String> {
    broken(name, 63, is_label_formed(name), LABEL)
}

fn old_label(name: &str) -> Vec<String> {
    let is_formed =
        is_label_formed(name) && name.starts_with(|letter: char| letter.is_ascii_lowercase());
    broken(name, 63, is_formed, OLD_LABEL)
}

fn subdomain(name: &str) -> Vec<String> {
    broken(name, 253, name.split('.').all(is_label_formed), SUBDOMAIN)
}

/// The rules that a name breaks which may be anything that fits into a path (apimachinery `api/validation/path`).
fn segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|sign| name.contains(*sign))
        .map(|sign| format!("may not contain '{sign}'"))
        .collect()
}

fn is_qualified_form(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.ends_with(|letter: char| letter.is_ascii_alphanumeric())
}

/// The rules of a label's value that it breaks.
fn label_value(value: &str) -> Vec<String> {
    let is_formed = value.is_empty() || is_qualified_form(value);
    broken(value, 63, is_formed, LABEL_VALUE)
}

/// The rules that a key of a label, annotation or finalizer breaks: a name, maybe behind a domain.
fn qualified(key: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let name = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            rules.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            rules.extend(
                subdomain(prefix)
                    .iter()
                    .map(|rule| format!("prefix part {rule}")),
            );
            name
        }
        None => key,
    };
    if name.is_empty() {
        rules.push("name part must be non-empty".to_owned());
    }
    rules.extend(
        broken(name, 63, is_qualified_form(name), QUALIFIED)
            .iter()
            .map(|rule| format!("name part {rule}")),
    );
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::resource;

    fn words(metadata: &Value) -> String {
        let causes = super::metadata(resource::CONFIGMAPS, &json!({"metadata": metadata}));
        Failure::invalid(resource::CONFIGMAPS, "c", &causes)
            .message
            .replacen("ConfigMap \"c\" is invalid: ", "", 1)
    }

    #[test]
    fn keys_and_lengths_are_held_to_their_rules() {
        let long = "a".repeat(64);
        for (metadata, expected) in [
            (json!({"name": "A"}), format!("metadata.name: Invalid value: \"A\": {SUBDOMAIN}")),
            (
                json!({"name": "a".repeat(254)}),
                format!("metadata.name: Invalid value: {:?}: must be no more than 253 bytes", "a".repeat(254)),
            ),
            (
                json!({"name": "c", "labels": {"a b": "v"}}),
                format!("metadata.labels: Invalid value: \"a b\": name part {QUALIFIED}"),
            ),
            (
                json!({"name": "c", "labels": {"/a": "v"}}),
                "metadata.labels: Invalid value: \"/a\": prefix part must be non-empty".to_owned(),
            ),
            (
                json!({"name": "c", "labels": {"a/b/c": "v"}}),
                format!("metadata.labels: Invalid value: \"a/b/c\": a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"),
            ),
            (
                json!({"name": "c", "labels": {"B.example/a": "v"}}),
                format!("metadata.labels: Invalid value: \"B.example/a\": prefix part {SUBDOMAIN}"),
            ),
            (
                json!({"name": "c", "labels": {long.as_str(): long.as_str()}}),
                format!("[metadata.labels: Invalid value: {long:?}: name part must be no more than 63 bytes, metadata.labels: Invalid value: {long:?}: must be no more than 63 bytes]"),
            ),
            (
                json!({"name": "c", "annotations": {"a": "v".repeat(ANNOTATIONS)}}),
                "metadata.annotations: Too long: may not be more than 262144 bytes".to_owned(),
            ),
            (
                json!({"name": "c", "finalizers": ["held"]}),
                "metadata.finalizers: Invalid value: \"held\": name is neither a standard finalizer name nor is it fully qualified".to_owned(),
            ),
            (
                json!({"name": "c", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]}),
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty".to_owned(),
            ),
        ] {
            assert_eq!(words(&metadata), expected);
        }
        let right = json!({
            "name": "a.b-c", "labels": {"app.kubernetes.io/name": "A_b.c", "x": ""}, "annotations": {"Example.com/A": "any \\n text"},
            "finalizers": ["kubernetes", "example.com/held"],
        });
        assert!(super::metadata(resource::CONFIGMAPS, &json!({"metadata": right})).is_empty());
        let name = |name: &str| {
            super::metadata(resource::EVENTS, &json!({"metadata": {"name": name}})).len()
        };
        assert_eq!([name("a.17b2:x"), name(".."), name("a/b%")], [0, 1, 2]);
    }

    #[test]
    fn a_selector_that_cannot_be_meant_is_refused() {
        let mut causes = Vec::new();
        let wrong = json!({"matchLabels": {"a b": "v"}, "matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Near"}, {"key": "a", "operator": "Exists", "values": ["b"]}]});
        selector(&mut causes, &wrong, "spec.selector");
        let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.selector.matchLabels",
                "spec.selector.matchExpressions[0].values",
                "spec.selector.matchExpressions[1].operator",
                "spec.selector.matchExpressions[2].values"
            ]
        );
    }
}
