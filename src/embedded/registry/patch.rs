//! The four kinds of patches, on the way of every other write.

use std::sync::Arc;

use jiff::Timestamp;
use json_patch::PatchOperation;
use serde_json::{Value, json};

use super::{Options, Part, Registry, bounds, fields, strategic, strict_message, undecodable};
use crate::encode;
use crate::failure::Failure;
use crate::object::{self, Object};
use crate::resource::Resource;
use crate::schema::{self, Decoded, Shape};

/// A patch by its media type.
#[derive(Debug, Clone)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own, with lists merged by key.
    Strategic(Value),
    /// Server-side apply: the fields that a manager wants, and whether it takes them from others.
    Apply { config: Value, force: bool },
}

/// Operations of one JSON patch (apiserver `endpoints/handlers/patch.go`, `maxJSONPatchOperations`).
const OPERATIONS_AT_MOST: usize = 10_000;
/// Bytes that the copies of one JSON patch come to, as many as a body has (apiserver `server/config.go`,
/// `JSONPatchMaxCopyBytes`). What is moved counts, too: it is measured in the same way.
const COPIED_AT_MOST: usize = 3 * 1024 * 1024;

/// Applies a JSON patch; nothing when it cannot be applied, and `object` may be changed half way then. One operation
/// at a time and without json-patch's way back, which puts a value that a move has overwritten into the wrong place
/// and panics on it.
fn run_json(object: &mut Value, operations: Value) -> Option<()> {
    let operations: json_patch::Patch = serde_json::from_value(operations).ok()?;
    let mut copied = 0;
    for operation in &operations.0 {
        let from = match operation {
            PatchOperation::Copy(copy) => Some(&copy.from),
            PatchOperation::Move(moved) => Some(&moved.from),
            _ => None,
        };
        let value = match (from, operation) {
            (Some(from), _) => {
                let source = object.pointer(from.as_str())?;
                copied += object::size(source);
                Some(source)
            }
            (None, PatchOperation::Add(add)) => Some(&add.value),
            (None, PatchOperation::Replace(replace)) => Some(&replace.value),
            _ => None,
        };
        let depth = operation.path().count() + value.map_or(0, object::depth);
        if copied > COPIED_AT_MOST || depth > bounds::DEEPEST {
            return None;
        }
        json_patch::patch_unsafe(object, std::slice::from_ref(operation)).ok()?;
    }
    Some(())
}

impl Patch {
    /// What the patch makes of an object, decoded as its type, for all kinds but server-side apply.
    pub(crate) fn onto(self, current: &Value, shape: Shape) -> Result<(Value, Decoded), Failure> {
        let mut object = current.clone();
        encode::unfold(&mut object);
        self.clone().run(&mut object, shape)?;
        match schema::decode(&mut object, shape) {
            Ok(decoded) => Ok((object, decoded)),
            Err(message) => Err(undecodable_patch(self, current, shape, &message)),
        }
    }

    /// Changes `object` as the patch says; after a failure it may be changed half way.
    fn run(self, object: &mut Value, shape: Shape) -> Result<(), Failure> {
        match self {
            Self::Json(operations) => {
                if !operations.is_array() {
                    return Err(Failure::bad_request(format!(
                        "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                        schema::type_name(&operations)
                    )));
                }
                let count = object::array(&operations, "").len();
                if count > OPERATIONS_AT_MOST {
                    return Err(Failure::too_large(format!(
                        "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_AT_MOST}, got {count}"
                    )));
                }
                run_json(object, operations).ok_or_else(|| Failure {
                    code: 422,
                    reason: "Invalid",
                    message: "the server rejected our request due to an error in our request"
                        .to_owned(),
                    details: Some(json!({})),
                })
            }
            Self::Merge(patch) => {
                json_patch::merge(object, &patch);
                Ok(())
            }
            Self::Strategic(patch) => {
                if !patch.is_object() {
                    return Err(Failure::bad_request(format!(
                        "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                        schema::type_name(&patch)
                    )));
                }
                strategic::merge(object, patch, Some(shape)).map_err(Failure::plain)
            }
            Self::Apply { .. } => Err(Failure::bad_request(
                "server-side apply is not possible here",
            )),
        }
    }
}

impl Registry {
    /// Patches an object or its status. Server-side apply makes the object when it is not there; true says it did.
    pub(crate) fn patch(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        patch: Patch,
        options: &Options,
    ) -> Result<(Object, bool), Failure> {
        if let Patch::Apply { config, force } = patch {
            return self.apply(resource, namespace, name, part, config, force, options);
        }
        let shape = Shape::of(resource);
        let object = self.change(resource, namespace, name, part, options, |current| {
            let (object, decoded) = patch.onto(current, shape)?;
            refuse_unknown(resource, &decoded.unknown, options)?;
            Ok(object)
        })?;
        Ok((object, false))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the place of the object and the terms of the patch are both needed, once"
    )]
    fn apply(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        mut config: Value,
        force: bool,
        options: &Options,
    ) -> Result<(Object, bool), Failure> {
        if !object::array(&config, "/metadata/managedFields").is_empty() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        if options.manager.is_empty() {
            return Err(Failure::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        check(resource, &mut config, options)?;
        object::remove(&mut config, "/metadata/managedFields");
        let now = Timestamp::now();
        // Apply says itself who owns what; for the way of every other write nobody is named.
        let unnamed = Options {
            manager: String::new(),
            ..options.clone()
        };
        if self.find(resource, namespace, name).is_none() {
            object::set(&mut config, "/metadata/name", name);
            let managed =
                fields::applied(resource, None, &config, &options.manager, part, force, now)?.1;
            return match self.insert(resource, namespace, config, &unnamed) {
                Ok(object) if options.dry_run => Ok((with_managed(&object, managed), true)),
                Ok(object) => Ok((self.keep_managed(resource, &object, managed, options), true)),
                Err(failure) => Err(failure),
            };
        }
        let object = self.change(resource, namespace, name, part, &unnamed, |current| {
            let (mut object, managed) = fields::applied(
                resource,
                Some(current),
                &config,
                &options.manager,
                part,
                force,
                now,
            )?;
            object::set(&mut object, "/metadata/managedFields", managed);
            Ok(object)
        })?;
        Ok((object, false))
    }

    /// Writes down who owns the fields of an object that apply has just made.
    fn keep_managed(
        &self,
        resource: &'static Resource,
        object: &Object,
        managed: Value,
        options: &Options,
    ) -> Object {
        self.modify(
            resource,
            object::namespace(object),
            object::name(object),
            Part::Main,
            options,
            |object| object::set(object, "/metadata/managedFields", managed),
        )
        .unwrap_or_else(|_| object.clone())
    }
}

fn with_managed(object: &Object, managed: Value) -> Object {
    let mut object = (**object).clone();
    object::set(&mut object, "/metadata/managedFields", managed);
    Arc::new(object)
}

/// Brings a configuration into stored form, or refuses it.
fn check(
    resource: &'static Resource,
    object: &mut Value,
    options: &Options,
) -> Result<(), Failure> {
    let decoded = schema::decode(object, Shape::of(resource))
        .map_err(|message| undecodable(resource, &message))?;
    refuse_unknown(resource, &decoded.unknown, options)
}

fn refuse_unknown(
    resource: &'static Resource,
    unknown: &[String],
    options: &Options,
) -> Result<(), Failure> {
    if options.strict && !unknown.is_empty() {
        return Err(undecodable(resource, &strict_message(unknown)));
    }
    Ok(())
}

/// A patch after which the object has a value of a wrong type (apiserver `endpoints/handlers/patch.go`): a strategic one
/// is shown as Go prints it and refused in the converter's words, any other by what it made of the object.
fn undecodable_patch(patch: Patch, current: &Value, shape: Shape, message: &str) -> Failure {
    let (shown, words) = if let Patch::Strategic(patch) = patch {
        (as_go_prints(&patch), converters_words(message))
    } else {
        // Only now, since every patch that is taken would pay for keeping it.
        let mut patched = current.clone();
        encode::unfold(&mut patched);
        if let Err(failure) = patch.run(&mut patched, shape) {
            return failure;
        }
        (patched.to_string(), message.to_owned())
    };
    let detail = format!("Invalid value: {shown:?}: {words}");
    Failure {
        code: 422,
        reason: "Invalid",
        message: format!(" \"\" is invalid: patch: {detail}"),
        details: Some(
            json!({"causes": [{"reason": "FieldValueInvalid", "message": detail, "field": "patch"}]}),
        ),
    }
}

/// A decoder's message in the words of apimachinery's `runtime/converter.go`.
fn converters_words(message: &str) -> String {
    let Some((found, wanted)) = message
        .strip_prefix("json: cannot unmarshal ")
        .and_then(|rest| rest.split_once(" into "))
        .and_then(|(found, rest)| Some((found, rest.rsplit_once(" of type ")?.1)))
    else {
        return message.to_owned();
    };
    let found = match found.split(' ').next().unwrap_or_default() {
        "object" => "map",
        "array" => "slice",
        "number" => "int64",
        other => other,
    };
    match wanted {
        "string" if found == "int64" => "cannot convert int64 to string".to_owned(),
        _ if wanted.starts_with("[]") => format!("cannot restore slice from {found}"),
        _ if wanted.starts_with("map[") => format!("cannot restore map from {found}"),
        _ if wanted.contains('.') => format!("cannot restore struct from: {found}"),
        _ => format!("unrecognized type: {wanted}"),
    }
}

/// `%+v` of what Go reads JSON into.
pub(super) fn as_go_prints(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(as_go_prints).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(map) => {
            let mut parts: Vec<(&String, String)> = map
                .iter()
                .map(|(key, value)| (key, as_go_prints(value)))
                .collect();
            parts.sort();
            let parts: Vec<String> = parts
                .iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            format!("map[{}]", parts.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_of_a_wrong_type_is_refused_in_the_real_words() {
        // As a real 1.34 said each of them.
        for (patch, words) in [
            (
                json!({"spec": {"replicas": "two"}}),
                r#""map[spec:map[replicas:two]]": unrecognized type: int32"#,
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": 5}]}}}}),
                r#""map[spec:map[template:map[spec:map[containers:[map[image:5 name:c]]]]]]": cannot convert int64 to string"#,
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": "x"}}}}),
                r#""map[spec:map[template:map[spec:map[containers:x]]]]": cannot restore slice from string"#,
            ),
            (
                json!({"spec": 7}),
                r#""map[spec:7]": cannot restore struct from: int64"#,
            ),
        ] {
            let shape = Shape::of(crate::resource::DEPLOYMENTS);
            let message = schema::decode(&mut patch.clone(), shape).unwrap_err();
            let failure = undecodable_patch(Patch::Strategic(patch), &Value::Null, shape, &message);
            assert_eq!(
                failure.message,
                format!(" \"\" is invalid: patch: Invalid value: {words}")
            );
        }
    }

    fn json_patched(object: &Value, operations: Value) -> Result<Value, u16> {
        let shape = Shape::of(crate::resource::CONFIGMAPS);
        Patch::Json(operations)
            .onto(object, shape)
            .map(|(object, _)| object)
            .map_err(|failure| failure.code)
    }

    #[test]
    fn a_json_patch_that_fails_half_way_is_refused() {
        // json-patch's own way back panics after each of these.
        let map = json!({"data": {"k": "v", "l": "w"}});
        for operations in [
            json!([{"op": "move", "from": "/data/k", "path": "/data"}, {"op": "remove", "path": "/no"}]),
            json!([{"op": "move", "from": "/data/k", "path": "/data/l"}, {"op": "test", "path": "", "value": 1}]),
            json!([{"op": "copy", "from": "/data", "path": ""}, {"op": "move", "from": "/k", "path": ""}, {"op": "add", "path": "/a/b", "value": 1}]),
            json!([{"op": "move", "from": "", "path": "/a"}]),
            json!([{"op": "move", "from": "/data", "path": "/data/k"}]),
            json!([{"op": "remove", "path": ""}]),
            json!([{"op": "replace", "path": "/data/-", "value": 1}]),
            json!([{"op": "copy", "from": "/data/no", "path": "/data/a"}]),
            json!([{"op": "leap", "path": "/data"}]),
            json!([{"op": "add", "path": "data", "value": 1}]),
            json!([1]),
        ] {
            assert_eq!(
                json_patched(&map, operations.clone()),
                Err(422),
                "{operations}"
            );
        }
    }

    #[test]
    fn what_a_json_patch_copies_is_bounded() {
        let map = json!({"data": {"k": "v".repeat(500)}});
        let double = |index| json!({"op": "copy", "from": "", "path": format!("/x{index}")});
        let doubles: Vec<Value> = (0..14).map(double).collect();
        assert_eq!(json_patched(&map, json!(doubles)), Err(422));
        let nest = json!({"op": "copy", "from": "/data", "path": "/data/k"});
        assert_eq!(
            json_patched(&json!({"data": {}}), json!(vec![nest; 200])),
            Err(422)
        );
        let wrap = |index: usize| {
            [
                json!({"op": "add", "path": format!("/b{}", index + 1), "value": {}}),
                json!({"op": "move", "from": format!("/b{index}"), "path": format!("/b{}/b", index + 1)}),
            ]
        };
        let wraps: Vec<Value> = (0..1000).flat_map(wrap).collect();
        assert_eq!(json_patched(&json!({"b0": {}}), json!(wraps)), Err(422));
        let test = json!({"op": "test", "path": "/data", "value": {}});
        assert_eq!(
            json_patched(&json!({"data": {}}), json!(vec![test.clone(); 10_000])),
            Ok(json!({"data": {}}))
        );
        assert_eq!(
            json_patched(&json!({"data": {}}), json!(vec![test; 10_001])),
            Err(413)
        );
    }

    #[test]
    fn a_merge_patch_is_refused_by_what_it_made_of_the_object() {
        let current = json!({"spec": {"replicas": 1}});
        let patch = Patch::Merge(json!({"spec": {"replicas": "two"}}));
        let shape = Shape::of(crate::resource::DEPLOYMENTS);
        assert_eq!(
            undecodable_patch(patch, &current, shape, "json: no").message,
            r#" "" is invalid: patch: Invalid value: "{\"spec\":{\"replicas\":\"two\"}}": json: no"#
        );
    }
}
