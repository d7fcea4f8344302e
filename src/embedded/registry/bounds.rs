//! How large an object may become, whatever it was made by.
//!
//! Every write comes through here: what patches and copies build can get larger and deeper than any body.

use serde_json::Value;

use crate::failure::Failure;
use crate::object;

/// etcd takes requests of so many bytes (`--max-request-bytes`).
const LARGEST: usize = 3 * 512 * 1024;
/// So many maps and lists may lie inside each other. What reads JSON stops at 128, and lists, tables and watch events
/// put objects into more of them.
pub(super) const DEEPEST: usize = 100;

/// So many values may stand in an object. Each costs many times its bytes in memory, in the owners of fields and in what is
/// said of it when it is wrong; an object with content in its values is too large long before.
const MOST_VALUES: usize = 200_000;

/// Refuses the JSON of a body, before it is read, for what would be too many values.
pub(crate) fn check_json(body: &[u8]) -> Result<(), Failure> {
    let (mut count, mut is_text, mut is_escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b',' | b'[' | b'{' if !is_text => count += 1,
            _ => {}
        }
    }
    check_count(count)
}

/// Refuses an object of too many values.
pub(crate) fn check_values(object: &Value) -> Result<(), Failure> {
    check_count(object::count(object))
}

fn check_count(count: usize) -> Result<(), Failure> {
    if count > MOST_VALUES {
        return Err(Failure::too_large(format!(
            "Request entity too large: limit is {MOST_VALUES} values"
        )));
    }
    Ok(())
}

/// Refuses an object that no client could read back, or that a real cluster's store would not take.
pub(super) fn check(object: &Value) -> Result<(), Failure> {
    if object::depth(object) > DEEPEST {
        return Err(Failure::bad_request("json: exceeded max depth"));
    }
    check_values(object)?;
    if object::size(object) > LARGEST {
        return Err(Failure::too_large("etcdserver: request is too large"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_counted_before_and_after_they_are_read() {
        let objects =
            |count: usize| json!({"metadata": {"ownerReferences": vec![json!({}); count]}});
        for (body, is_right) in [
            (objects(1000), true),
            (objects(MOST_VALUES), false),
            // Signs in a text are no values.
            (json!({"data": {"k": "[,{\"\\".repeat(MOST_VALUES)}}), true),
        ] {
            assert_eq!(check_values(&body).is_ok(), is_right);
            assert_eq!(check_json(body.to_string().as_bytes()).is_ok(), is_right);
        }
    }
}
