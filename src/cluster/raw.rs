//! An object as the API sends it. Read by itself and only as far as it is shown, so that one that does not fit its type
//! does not stand in the way of the others of its kind: a list of typed objects fails as a whole.

use std::borrow::Cow;
use std::fmt;

use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::kind::{Kind, Object};

/// Any JSON that stands where an object should.
#[derive(Clone)]
pub(super) struct Raw {
    /// What a watch needs: name, namespace, uid and version, each if it is text.
    meta: ObjectMeta,
    value: Value,
}

impl Raw {
    /// The object as far as it is shown.
    ///
    /// # Errors
    /// What does not fit, in words that hold nothing of the object but the value that does not.
    pub(super) fn read(&self, kind: Kind) -> Result<Object, serde_json::Error> {
        Object::read(kind, &self.value)
    }

    /// Nothing of it but who it is.
    pub(super) fn bare(&self, kind: Kind) -> Result<Object, serde_json::Error> {
        let ObjectMeta {
            name,
            namespace,
            uid,
            resource_version,
            ..
        } = &self.meta;
        let meta = json!({"name": name, "namespace": namespace, "uid": uid, "resourceVersion": resource_version});
        Object::read(kind, &json!({"metadata": meta}))
    }

    /// What tells it from any other of its kind.
    pub(super) fn identity(&self) -> String {
        let known = self.meta.uid.as_ref().or(self.meta.name.as_ref());
        known.cloned().unwrap_or_default()
    }

    /// What a person calls it.
    pub(super) fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |name: &str| Some(value.get("metadata")?.get(name)?.as_str()?.to_owned());
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, value })
    }
}

/// Says who it is, and nothing of what is in it.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Raw").field(&self.meta.name).finish()
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.kind)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.group)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.version)
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.api_version)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(value: Value) -> Raw {
        serde_json::from_value(value).expect("any JSON is one")
    }

    #[test]
    fn what_is_not_shown_cannot_stand_in_the_way_and_what_is_can() {
        for (value, is_readable) in [
            (
                json!({"metadata": {"name": "p"}, "spec": {"priority": 1_i64 << 40}}),
                true,
            ),
            (
                json!({"metadata": {"name": "p", "generation": "new"}, "spec": {"containers": [{"name": "c", "env": 7}]}}),
                true,
            ),
            (json!({"metadata": {"name": "p", "uid": 7}}), false),
            (
                json!({"metadata": {"name": "p"}, "spec": {"containers": 7}}),
                true,
            ),
            (
                json!({"metadata": {"name": "p", "creationTimestamp": "yesterday"}}),
                false,
            ),
            (
                json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{"restartCount": 1_i64 << 40}]}}),
                false,
            ),
            (json!([]), false),
            (json!("text"), false),
        ] {
            assert_eq!(
                raw(value.clone()).read(Kind::Pod).is_ok(),
                is_readable,
                "{value}"
            );
        }
    }

    #[test]
    fn who_it_is_can_be_said_of_any() {
        let broken = json!({"metadata": {"name": "p", "uid": "u", "creationTimestamp": "yesterday"}, "spec": {"containers": "SECRET"}});
        let broken = raw(broken);
        assert!(broken.read(Kind::Pod).is_err());
        let bare = broken.bare(Kind::Pod).expect("a Pod");
        assert_eq!(bare.uid(), Some("u"));
        assert!(!format!("{broken:?}").contains("SECRET"));
        assert!(raw(json!(7)).bare(Kind::Event).is_ok());
    }
}
