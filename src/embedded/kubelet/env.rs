//! A container's environment: services, envFrom, env, and `$(NAME)` in values and commands.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use serde_json::Value;

use super::node;
use crate::object::{self, Object, array, flag, int, text};
use crate::registry::Registry;
use crate::resource;

/// Bytes that all of a container's variables, and all words of a command, may come to once names are replaced: as many
/// as an object has room for, and more than Linux hands to a program. Each variable can name others several times, so
/// that a short list may otherwise say more than any memory holds.
const MOST_EXPANDED: usize = 2 << 20;

/// The variables of a container, in order. The error is the message of a `CreateContainerConfigError`.
pub(super) fn of(
    registry: &Registry,
    pod: &Value,
    address: &str,
    container: &Value,
) -> Result<Vec<(String, String)>, String> {
    let namespace = object::namespace(pod);
    let mut variables = Variables::default();
    let mut room = MOST_EXPANDED;
    if pod
        .pointer("/spec/enableServiceLinks")
        .and_then(Value::as_bool)
        .unwrap_or(true)
    {
        let (services, _) = registry.list(resource::SERVICES, Some(namespace));
        let own = (namespace != "default")
            .then(|| registry.find(resource::SERVICES, "default", "kubernetes"))
            .flatten();
        own.iter()
            .chain(&services)
            .for_each(|service| service_variables(service, &mut variables));
    }
    for source in array(container, "/envFrom") {
        let prefix = text(source, "/prefix");
        for (kind, field) in [("Secret", "/secretRef"), ("ConfigMap", "/configMapRef")] {
            let Some(reference) = source.pointer(field) else {
                continue;
            };
            for (key, value) in data(registry, kind, namespace, reference)?.unwrap_or_default() {
                variables.put(format!("{prefix}{key}"), value);
            }
        }
    }
    for entry in array(container, "/env") {
        let name = text(entry, "/name").to_owned();
        let value = match entry.get("valueFrom") {
            None => Some(expand(text(entry, "/value"), &variables, &mut room)?),
            Some(source) => referenced(registry, pod, address, container, source)?,
        };
        if let Some(value) = value {
            variables.put(name, value);
        }
    }
    Ok(variables.list)
}

/// Variables in the order of their first mention.
#[derive(Debug, Default)]
struct Variables {
    list: Vec<(String, String)>,
    /// Where each name stands in the list.
    places: HashMap<String, usize>,
}

impl Variables {
    fn put(&mut self, name: String, value: String) {
        if let Some(place) = self.places.get(&name) {
            self.list[*place].1 = value;
        } else {
            self.places.insert(name.clone(), self.list.len());
            self.list.push((name, value));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let place = self.places.get(name)?;
        Some(&self.list[*place].1)
    }
}

/// The words of a command with `$(NAME)` replaced. The error is what Linux says of too many of them.
pub(super) fn words(
    container: &Value,
    field: &str,
    variables: &[(String, String)],
) -> Result<Option<Vec<String>>, String> {
    let Some(words) = container.get(field).and_then(Value::as_array) else {
        return Ok(None);
    };
    let mut known = Variables::default();
    for (name, value) in variables {
        known.put(name.clone(), value.clone());
    }
    let mut room = MOST_EXPANDED;
    words
        .iter()
        .filter_map(Value::as_str)
        .map(|word| expand(word, &known, &mut room))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Replaces `$(NAME)` of known names; `$$` is a plain dollar sign. What it comes to is taken from the room there is.
fn expand(text: &str, variables: &Variables, room: &mut usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match variables.get(name) {
                Some(value) if out.len() + value.len() > *room => {
                    return Err("argument list too long".to_owned());
                }
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    *room = room.saturating_sub(out.len());
    Ok(out)
}

/// The entries of a Secret or ConfigMap as text; nothing when it is missing and optional.
pub(super) fn data(
    registry: &Registry,
    kind: &str,
    namespace: &str,
    reference: &Value,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let name = text(reference, "/name");
    let resource = if kind == "Secret" {
        resource::SECRETS
    } else {
        resource::CONFIGMAPS
    };
    let Some(found) = registry.find(resource, namespace, name) else {
        return if flag(reference, "/optional") {
            Ok(None)
        } else {
            Err(format!("{} {name:?} not found", kind.to_lowercase()))
        };
    };
    Ok(Some(
        contents(kind, &found)
            .into_iter()
            .map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes).into_owned()))
            .collect(),
    ))
}

/// The entries of a Secret or ConfigMap as bytes.
pub(super) fn contents(kind: &str, object: &Object) -> BTreeMap<String, Vec<u8>> {
    let decode = |value: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(value)
            .unwrap_or_default()
    };
    let plain = object::entries(object, "/data").map(|(key, value)| {
        (
            key.to_owned(),
            if kind == "Secret" {
                decode(value)
            } else {
                value.as_bytes().to_vec()
            },
        )
    });
    plain
        .chain(
            object::entries(object, "/binaryData")
                .map(|(key, value)| (key.to_owned(), decode(value))),
        )
        .collect()
}

/// A container's resource as a whole number of `divisor`s, rounded up (kubernetes `pkg/api/v1/resource/helpers.go`).
fn in_units(amount: &str, divisor: &str) -> String {
    let Some(amount) = object::quantity(amount) else {
        return String::new();
    };
    let unit = object::quantity(divisor).filter(|unit| *unit > 0.0);
    format!("{:.0}", (amount / unit.unwrap_or(1.0)).ceil())
}

fn referenced(
    registry: &Registry,
    pod: &Value,
    address: &str,
    container: &Value,
    source: &Value,
) -> Result<Option<String>, String> {
    for (kind, field) in [
        ("Secret", "/secretKeyRef"),
        ("ConfigMap", "/configMapKeyRef"),
    ] {
        let Some(reference) = source.pointer(field) else {
            continue;
        };
        let namespace = object::namespace(pod);
        let (name, key) = (text(reference, "/name"), text(reference, "/key"));
        let found =
            data(registry, kind, namespace, reference)?.and_then(|mut data| data.remove(key));
        return match found {
            Some(value) => Ok(Some(value)),
            None if flag(reference, "/optional") => Ok(None),
            None => Err(format!(
                "couldn't find key {key} in {kind} {namespace}/{name}"
            )),
        };
    }
    if let Some(field) = source
        .pointer("/fieldRef/fieldPath")
        .and_then(Value::as_str)
    {
        return Ok(Some(own_field(pod, address, field)));
    }
    if let Some(resource) = source
        .pointer("/resourceFieldRef/resource")
        .and_then(Value::as_str)
    {
        let (kind, name) = resource.split_once('.').unwrap_or(("limits", resource));
        let amount = text(container, &format!("/resources/{kind}/{name}"));
        let divisor = text(source, "/resourceFieldRef/divisor");
        return Ok(Some(in_units(amount, divisor)));
    }
    Ok(None)
}

/// A field of the Pod itself, as the downward API names it.
pub(super) fn own_field(pod: &Value, address: &str, path: &str) -> String {
    match path {
        "status.podIP" | "status.podIPs" => address.to_owned(),
        "status.hostIP" | "status.hostIPs" => node::ADDRESS.to_owned(),
        "metadata.labels" | "metadata.annotations" => {
            let pointer = format!("/{}", path.replace('.', "/"));
            object::entries(pod, &pointer)
                .map(|(key, value)| format!("{key}={value:?}"))
                .collect::<Vec<_>>()
                .join("\n")
        }
        _ => match path
            .split_once("['")
            .and_then(|(map, key)| Some((map, key.strip_suffix("']")?)))
        {
            Some((map, key)) => pod
                .pointer(&format!("/{}", map.replace('.', "/")))
                .and_then(|map| map.get(key))
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned(),
            None => text(pod, &format!("/{}", path.replace('.', "/"))).to_owned(),
        },
    }
}

/// The variables by which Pods have found Services since before DNS.
fn service_variables(service: &Value, variables: &mut Variables) {
    let address = text(service, "/spec/clusterIP");
    if matches!(address, "" | "None") {
        return;
    }
    let name = object::name(service).to_uppercase().replace('-', "_");
    for (index, port) in array(service, "/spec/ports").iter().enumerate() {
        let number = int(port, "/port").unwrap_or(0);
        let protocol = text(port, "/protocol");
        let url = format!("{}://{address}:{number}", protocol.to_lowercase());
        if index == 0 {
            variables.put(format!("{name}_SERVICE_HOST"), address.to_owned());
            variables.put(format!("{name}_SERVICE_PORT"), number.to_string());
            variables.put(format!("{name}_PORT"), url.clone());
        }
        if !text(port, "/name").is_empty() {
            variables.put(
                format!(
                    "{name}_SERVICE_PORT_{}",
                    text(port, "/name").to_uppercase().replace('-', "_")
                ),
                number.to_string(),
            );
        }
        let prefix = format!("{name}_PORT_{number}_{protocol}");
        variables.put(prefix.clone(), url);
        variables.put(format!("{prefix}_PROTO"), protocol.to_lowercase());
        variables.put(format!("{prefix}_PORT"), number.to_string());
        variables.put(format!("{prefix}_ADDR"), address.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_counted_in_their_divisor() {
        for (amount, divisor, expected) in [
            ("64Mi", "", "67108864"),
            ("64Mi", "1Mi", "64"),
            ("500m", "", "1"),
            ("500m", "1m", "500"),
            ("", "1Mi", ""),
        ] {
            assert_eq!(in_units(amount, divisor), expected, "{amount} in {divisor}");
        }
    }

    #[test]
    fn names_in_brackets_are_replaced() {
        let mut variables = Variables::default();
        variables.put("A".to_owned(), "x".to_owned());
        for (text, expanded) in [
            ("$(A)-$(B)-$$(A)", "x-$(B)-$(A)"),
            ("no", "no"),
            ("end$", "end$"),
            ("$A", "$A"),
        ] {
            let got = expand(text, &variables, &mut 100);
            assert_eq!(got.as_deref(), Ok(expanded), "{text}");
        }
    }

    /// Thirty variables, each the one before it twice, are a gigabyte.
    #[test]
    fn what_names_come_to_is_bounded_for_all_variables_together() {
        let mut variables = Variables::default();
        variables.put("V0".to_owned(), "x".to_owned());
        let mut room = 1000;
        let mut last = 0;
        for index in 1..30 {
            let before = index - 1;
            let text = format!("$(V{before})$(V{before})");
            let Ok(value) = expand(&text, &variables, &mut room) else {
                break;
            };
            variables.put(format!("V{index}"), value);
            last = index;
        }
        assert_eq!(last, 8);
        let list = vec![("A".to_owned(), "x".repeat(MOST_EXPANDED / 2))];
        let words =
            |count: usize| super::words(&json!({"args": vec!["$(A)"; count]}), "args", &list);
        assert_eq!(words(2).unwrap().map(|words| words.len()), Some(2));
        assert_eq!(words(3), Err("argument list too long".to_owned()));
    }

    #[test]
    fn fields_of_the_pod() {
        let pod = json!({"metadata": {"name": "p", "labels": {"app.kubernetes.io/name": "x"}}, "spec": {"nodeName": "n"}});
        assert_eq!(
            own_field(&pod, "1.2.3.4", "metadata.labels['app.kubernetes.io/name']"),
            "x"
        );
        assert_eq!(own_field(&pod, "1.2.3.4", "spec.nodeName"), "n");
        assert_eq!(own_field(&pod, "1.2.3.4", "status.podIP"), "1.2.3.4");
    }
}
