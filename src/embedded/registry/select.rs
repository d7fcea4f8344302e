//! Which objects a request means: label selectors and field selectors.

use serde_json::Value;

use crate::failure::Failure;
use crate::object;
use crate::resource::Resource;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A label selector: all requirements together. The empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    /// Reads the text form of the `labelSelector` parameter.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut requirements = Vec::new();
        for part in split_outside_brackets(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let set = |rest: &str| -> Option<Vec<String>> {
                let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
                Some(
                    inner
                        .split(',')
                        .map(|value| value.trim().to_owned())
                        .collect(),
                )
            };
            let requirement = if let Some(key) = part.strip_prefix('!') {
                Requirement::Missing(key.trim().to_owned())
            } else if let Some((key, values)) = part
                .split_once(" notin ")
                .and_then(|(key, rest)| Some((key, set(rest)?)))
            {
                Requirement::NotIn(key.trim().to_owned(), values)
            } else if let Some((key, values)) = part
                .split_once(" in ")
                .and_then(|(key, rest)| Some((key, set(rest)?)))
            {
                Requirement::In(key.trim().to_owned(), values)
            } else if let Some((key, value)) = part.split_once("!=") {
                Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()])
            } else if let Some((key, value)) = part.split_once('=') {
                let value = value.strip_prefix('=').unwrap_or(value).trim();
                if let Some(at) = value.find('=') {
                    let sign = if value[at..].starts_with("==") {
                        "=="
                    } else {
                        "="
                    };
                    return Err(Failure::bad_request(format!(
                        "found '{sign}', expected: ',' or 'end of string'"
                    )));
                }
                Requirement::In(key.trim().to_owned(), vec![value.to_owned()])
            } else if part.contains(char::is_whitespace) || part.contains(['(', ')']) {
                return Err(Failure::bad_request(format!(
                    "unable to parse requirement: found {part:?}"
                )));
            } else {
                Requirement::Exists(part.to_owned())
            };
            requirements.push(requirement);
        }
        Ok(Self(requirements))
    }

    /// Reads a `LabelSelector` of a spec (`matchLabels`, `matchExpressions`).
    pub(crate) fn of_selector(selector: &Value) -> Self {
        let mut requirements: Vec<Requirement> = object::entries(selector, "/matchLabels")
            .map(|(key, value)| Requirement::In(key.to_owned(), vec![value.to_owned()]))
            .collect();
        for expression in object::array(selector, "/matchExpressions") {
            let key = object::text(expression, "/key").to_owned();
            let values = object::array(expression, "/values")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            requirements.push(match object::text(expression, "/operator") {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                _ => Requirement::Missing(key),
            });
        }
        Self(requirements)
    }

    /// Reads the plain map of a Service's selector.
    pub(crate) fn of_map(map: &Value) -> Self {
        Self(
            object::entries(map, "")
                .map(|(key, value)| Requirement::In(key.to_owned(), vec![value.to_owned()]))
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object's labels fulfil every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.matches_labels(object.pointer("/metadata/labels").unwrap_or(&Value::Null))
    }

    /// Whether a map of labels fulfils every requirement.
    pub(crate) fn matches_labels(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                value(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Requirement::NotIn(key, values) => {
                value(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Missing(key) => value(key).is_none(),
        })
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Which objects of a resource a list, watch or deletion is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: Labels,
    /// JSON pointer, wanted value, whether equal is wanted.
    fields: Vec<(String, String, bool)>,
}

/// Fields that may be selected on, beside name and namespace.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("secrets", &["type"]),
    ("namespaces", &["status.phase"]),
    ("nodes", &["spec.unschedulable"]),
    ("replicasets", &["status.replicas"]),
];

impl Selection {
    /// Reads both parameters; a field that the resource does not offer is refused with the real message.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        let mut selection = Self {
            labels: Labels::parse(labels)?,
            fields: Vec::new(),
        };
        for part in fields.split(',').filter(|part| !part.is_empty()) {
            let (field, value, wanted) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = part.split_once('=') {
                (field, value.trim_start_matches('='), true)
            } else {
                return Err(Failure::bad_request(format!(
                    "invalid field selector: {fields:?}; can't understand {part:?}"
                )));
            };
            let offered = FIELDS
                .iter()
                .find(|(plural, _)| *plural == resource.plural)
                .map_or(&[][..], |(_, list)| list);
            let is_known = field == "metadata.name"
                || (field == "metadata.namespace" && resource.namespaced)
                || offered.contains(&field);
            if !is_known {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            let pointer = match (resource.plural, field) {
                ("events", "source") => "/source/component".to_owned(),
                _ => format!("/{}", field.replace('.', "/")),
            };
            selection.fields.push((pointer, value.to_owned(), wanted));
        }
        Ok(selection)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object)
            && self.fields.iter().all(|(pointer, value, wanted)| {
                let found = match object.pointer(pointer) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                };
                (found == *value) == *wanted
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource;

    #[test]
    fn label_selectors() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "db"}}});
        for (selector, selected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=cache", true),
            ("app in (web, api),tier notin (cache)", true),
            ("app,!gone", true),
            ("app=api", false),
            ("!app", false),
            ("gone", false),
            ("app notin (web)", false),
        ] {
            assert_eq!(
                Labels::parse(selector).unwrap().matches(&pod),
                selected,
                "{selector}"
            );
        }
    }

    #[test]
    fn fields_that_are_not_offered_are_refused() {
        let failure = Selection::parse(resource::PODS, "", "spec.foo=bar").unwrap_err();
        assert_eq!(failure.message, "field label not supported: spec.foo");
        let selection =
            Selection::parse(resource::PODS, "", "metadata.name=a,status.phase!=Running").unwrap();
        assert!(
            selection.matches(&json!({"metadata": {"name": "a"}, "status": {"phase": "Pending"}}))
        );
        assert!(
            !selection.matches(&json!({"metadata": {"name": "a"}, "status": {"phase": "Running"}}))
        );
    }
}
