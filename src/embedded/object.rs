//! Reading and changing Kubernetes objects as JSON values.
//!
//! Owns the small vocabulary (name, labels, owner, condition, quantity) that the store, the API and the controllers share.
//! It never knows which kinds exist, and never does IO.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::quantity::Quantity;

/// An object as it is stored: shared, never changed in place.
pub(crate) type Object = Arc<Value>;

/// The annotation in which `kubectl apply` keeps what it applied.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The string at a JSON pointer, or "" when it is absent or not a string.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The integer at a JSON pointer.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The boolean at a JSON pointer, false when absent.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// The array at a JSON pointer, empty when absent.
pub(crate) fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The string entries of the map at a JSON pointer.
pub(crate) fn entries<'a>(
    value: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    value
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("")))
}

/// Puts a value at a JSON pointer; maps on the way are made when missing.
pub(crate) fn set(target: &mut Value, pointer: &str, value: impl Into<Value>) {
    let mut place = target;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = json!({});
        }
        place = place
            .as_object_mut()
            .expect("it was just made a map")
            .entry(key)
            .or_insert(Value::Null);
    }
    *place = value.into();
}

/// Puts a value at a JSON pointer unless something other than null is there.
pub(crate) fn set_default(target: &mut Value, pointer: &str, value: impl Into<Value>) {
    if target.pointer(pointer).is_none_or(Value::is_null) {
        set(target, pointer, value);
    }
}

/// Takes away what is at a JSON pointer whose last part is a map's key.
pub(crate) fn remove(target: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    target.pointer_mut(parent)?.as_object_mut()?.remove(&key)
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, "" for cluster-scoped objects.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether somebody asked for the object's deletion.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// A label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// An annotation's value.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Puts an annotation on the object.
pub(crate) fn annotate(object: &mut Value, key: &str, value: &str) {
    set(
        object,
        &format!(
            "/metadata/annotations/{}",
            key.replace('~', "~0").replace('/', "~1")
        ),
        value,
    );
}

/// The finalizers that hold the object.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    array(object, "/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
}

/// Takes one finalizer away; true when it was there.
pub(crate) fn drop_finalizer(object: &mut Value, finalizer: &str) -> bool {
    let Some(list) = object
        .pointer_mut("/metadata/finalizers")
        .and_then(Value::as_array_mut)
    else {
        return false;
    };
    let before = list.len();
    list.retain(|entry| entry != finalizer);
    let gone = list.len() < before;
    if list.is_empty() {
        remove(object, "/metadata/finalizers");
    }
    gone
}

/// The owner reference whose `controller` is true.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    array(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| flag(owner, "/controller"))
}

/// Whether the object's controller is the one with this uid.
pub(crate) fn is_controlled_by(object: &Value, owner_uid: &str) -> bool {
    controller(object).is_some_and(|owner| text(owner, "/uid") == owner_uid)
}

/// A controller's owner reference to `owner`.
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"), "kind": text(owner, "/kind"), "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The status condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    array(object, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == kind)
}

/// Whether a status condition is there and "True".
pub(crate) fn is_condition_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| text(condition, "/status") == "True")
}

/// Time as the API writes it: RFC 3339, UTC, whole seconds.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Time as `MicroTime` fields have it.
pub(crate) fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The time at a JSON pointer.
pub(crate) fn time_at(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// A quantity ("1Gi", "500M", "0.5") in its base unit, or nothing when it does not parse.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    Quantity::parse(text).ok().map(Quantity::value)
}

/// So many seconds after a time; the last time that there is when it would be later, the first when earlier.
pub(crate) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    let last = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    at.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(last)
}

/// Seconds that a client may have written, as a wait: none when negative, a century at most, which no clock of the
/// system runs over at.
pub(crate) fn wait(seconds: i64) -> Duration {
    const CENTURY: u64 = 100 * 366 * 24 * 3600;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(CENTURY))
}

/// How many maps and lists lie inside each other.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How many values there are, those inside others included.
pub(crate) fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// The bytes of a value's JSON.
pub(crate) fn size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("counting takes every byte");
    count.0
}

/// The map at a JSON pointer, made when missing.
pub(crate) fn map_mut<'a>(object: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    if !object.pointer(pointer).is_some_and(Value::is_object) {
        set(object, pointer, json!({}));
    }
    object
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
        .expect("it was just made a map")
}

/// Letters and digits that generated names use: no vowels, nothing that reads like another.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A random ending for a generated name.
pub(crate) fn random_letters(count: usize) -> String {
    let mut bytes = vec![0u8; count];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
        .iter()
        .map(|byte| char::from(NAME_LETTERS[usize::from(*byte) % NAME_LETTERS.len()]))
        .collect()
}

/// A name with a random end; a long beginning is cut, so that the end fits (apiserver `storage/names/generate.go`).
pub(crate) fn generated_name(base: &str) -> String {
    let base: String = base.chars().take(58).collect();
    format!("{base}{}", random_letters(5))
}

/// A number's decimal digits written in the letters of generated names, as hashes in names are.
pub(crate) fn safe_letters(digits: &str) -> String {
    digits
        .bytes()
        .map(|byte| char::from(NAME_LETTERS[usize::from(byte) % NAME_LETTERS.len()]))
        .collect()
}

/// A random hexadecimal text of `bytes` bytes.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    getrandom::fill(&mut buffer).expect("the system gives random bytes");
    buffer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this has the form of a uid, as [`random_uid`] makes them.
pub(crate) fn is_uid(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_hex = |part: &&str| {
        part.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(is_hex)
}

/// A random uid (UUID, version 4).
pub(crate) fn random_uid() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_seconds_is_too_many() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(later(now, 30)), "2026-01-01T00:00:30Z");
        assert_eq!(later(now, i64::MAX), Timestamp::MAX);
        assert_eq!(later(now, i64::MIN), Timestamp::MIN);
        assert_eq!(
            (wait(-1), wait(3)),
            (Duration::ZERO, Duration::from_secs(3))
        );
        assert!(
            std::time::Instant::now()
                .checked_add(wait(i64::MAX))
                .is_some()
        );
    }

    #[test]
    fn sizes_are_those_of_the_json() {
        let value = json!({"a": [{"b": "\n"}, 1.5, null]});
        assert_eq!((depth(&value), size(&value)), (3, value.to_string().len()));
        assert_eq!((depth(&json!("a")), count(&value)), (0, 6));
    }

    #[test]
    fn a_uid_is_told_from_any_other_name() {
        assert!(is_uid(&random_uid()));
        for name in [
            "",
            "notes",
            "----",
            "0123456-0123-0123-0123-0123456789ab",
            "01234567-0123-0123-0123-0123456789AB",
            "../../../etc",
        ] {
            assert!(!is_uid(name), "{name}");
        }
    }

    #[test]
    fn setting_makes_the_maps_on_the_way() {
        let mut value = json!({});
        annotate(&mut value, "a.b/c", "d");
        assert_eq!(value, json!({"metadata": {"annotations": {"a.b/c": "d"}}}));
        assert_eq!(annotation(&value, "a.b/c"), Some("d"));
    }

    #[test]
    fn dropping_the_last_finalizer_drops_the_list() {
        let mut value = json!({"metadata": {"finalizers": ["a"]}});
        assert!(drop_finalizer(&mut value, "a"));
        assert!(!drop_finalizer(&mut value, "a"));
        assert_eq!(value, json!({"metadata": {}}));
    }
}
