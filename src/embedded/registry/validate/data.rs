//! The rules for what ConfigMaps and Secrets hold: the names become names of files and variables.

use serde_json::{Value, json};

use crate::failure::Cause;
use crate::object;

const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// What all values of an object come to at most (`core.MaxSecretSize`).
const SIZE: usize = 1024 * 1024;

/// What is wrong with the data of a ConfigMap or Secret.
pub(super) fn data(causes: &mut Vec<Cause>, object: &Value, is_secret: bool) {
    let mut size = 0;
    for list in ["data", "binaryData"] {
        for (key, value) in object::entries(object, &format!("/{list}")) {
            for rule in config_key(key) {
                causes.push(Cause::invalid(format!("{list}[{key}]"), &json!(key), &rule));
            }
            let is_encoded = is_secret || list == "binaryData";
            size += if is_encoded {
                value.len() / 4 * 3
            } else {
                value.len()
            };
        }
    }
    if size > SIZE {
        causes.push(Cause::too_long(if is_secret { "data" } else { "[]" }, SIZE));
    }
}

fn config_key(key: &str) -> Vec<String> {
    let mut rules = Vec::new();
    if key.len() > 253 {
        rules.push("must be no more than 253 bytes".to_owned());
    }
    let is_formed = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !is_formed {
        rules.push(CONFIG_KEY.to_owned());
    }
    if matches!(key, "." | "..") {
        rules.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        rules.push("must not start with '..'".to_owned());
    }
    rules
}

/// What is wrong with the name of a variable of a container: any sign that can be printed, but '='.
pub(super) fn variable(causes: &mut Vec<Cause>, name: &str, field: &str) {
    if !name
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
    {
        causes.push(Cause::invalid(
            field,
            &json!(name),
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_of_files_and_values_have_room() {
        let long = "a".repeat(254);
        for (object, is_secret, count) in [
            (
                json!({"data": {"a.b_C-1": "x", ".hidden": "", "a..b": ""}}),
                false,
                0,
            ),
            (json!({"data": {"a/b": ""}}), false, 1),
            (json!({"data": {"..": ""}}), false, 1),
            (json!({"data": {"..data": ""}}), true, 1),
            (json!({"binaryData": {".": ""}}), false, 1),
            (json!({"data": {long.as_str(): ""}}), false, 1),
            (json!({"data": {"": ""}}), false, 1),
            (json!({"data": {"a": "x".repeat(SIZE)}}), false, 0),
            (json!({"data": {"a": "x".repeat(SIZE), "b": "x"}}), false, 1),
            (json!({"data": {"a": "eHh4".repeat(SIZE / 3)}}), true, 0),
            (json!({"data": {"a": "eHh4".repeat(SIZE / 3 + 1)}}), true, 1),
        ] {
            let mut causes = Vec::new();
            data(&mut causes, &object, is_secret);
            assert_eq!(causes.len(), count, "{causes:?}");
        }
    }

    #[test]
    fn a_variable_has_a_name_that_can_be_printed() {
        for (name, is_right) in [
            ("PATH", true),
            ("a b.c", true),
            ("a=b", false),
            ("a\0", false),
            ("é", false),
        ] {
            let mut causes = Vec::new();
            variable(&mut causes, name, "f");
            assert_eq!(causes.is_empty(), is_right, "{name:?}");
        }
    }
}
