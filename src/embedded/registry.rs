//! The verbs of the API with Kubernetes' meaning: create, update, patch, delete, list, over the store.
//!
//! Owns what happens to an object between a request and the store: names, uids, defaults, rules, generations, conflicts,
//! deletion in steps. The HTTP API and the controllers both come through here. It never speaks HTTP and starts nothing.

mod admit;
pub(crate) mod bounds;
mod defaults;
mod delete;
mod fields;
mod patch;
mod select;
mod strategic;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) use self::admit::{CLAIM_PROTECTION, VOLUME_PROTECTION, is_default_class};
pub(crate) use self::delete::{Deletion, Outcome, Propagation};
pub(crate) use self::delete::{FOREGROUND, ORPHAN};
pub(crate) use self::fields::MANAGER_LENGTH;
pub(crate) use self::patch::Patch;
pub(crate) use self::select::{Labels, Selection};
use super::encode;
use super::failure::{Cause, Failure};
use super::object::{self, Object};
use super::resource::{self, Resource};
use super::schema::{self, Shape};
use super::store::{Changes, DiskError, Expired, Key, Store, Write};

/// Which part of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Main,
    /// Only the status.
    Status,
    /// The number of replicas; written like the main part, remembered as the scale subresource.
    Scale,
}

/// What goes with a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Who writes, for `managedFields`.
    pub(crate) manager: String,
    /// Answer as if it were done, and do nothing.
    pub(crate) dry_run: bool,
    /// Refuse objects with fields that their type does not have, instead of dropping the fields.
    pub(crate) strict: bool,
}

impl Options {
    /// The options of a controller's or the kubelet's write.
    pub(crate) fn by(manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            ..Self::default()
        }
    }
}

/// A cheap handle on the cluster's objects.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    store: Store,
    stop: CancellationToken,
}

impl Registry {
    /// After the token is cancelled nothing is written any more: whoever is in the middle of many writes ends with the
    /// program.
    pub(crate) fn new(store: Store, stop: CancellationToken) -> Self {
        Self { store, stop }
    }

    /// Every write comes through here.
    fn write(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Object>) -> Result<Write, Failure>,
    ) -> Result<Object, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::ending());
        }
        self.store.write(key, decide)
    }

    /// One object, or the real "not found".
    pub(crate) fn get(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Object, Failure> {
        self.find(resource, namespace, name)
            .ok_or_else(|| Failure::not_found(resource, name))
    }

    /// One object, if it is there.
    pub(crate) fn find(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Object> {
        self.store.get(&Key::new(resource.plural, namespace, name))
    }

    /// All objects of a resource, in one namespace or in all, and the revision of this list.
    pub(crate) fn list(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> (Vec<Object>, u64) {
        self.store.list(resource.plural, namespace)
    }

    /// The keys of all objects of a resource: what a controller looks at when it begins.
    pub(crate) fn keys(&self, resource: &'static Resource) -> Vec<Key> {
        let (objects, _) = self.list(resource, None);
        objects
            .iter()
            .map(|object| Key::of(resource, object))
            .collect()
    }

    /// The list as it was at an earlier revision.
    pub(crate) fn list_at(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Object>, Failure> {
        self.store
            .list_at(resource.plural, namespace, revision)
            .map_err(|Expired { asked, oldest }| Failure::expired(asked, oldest))
    }

    /// The revision of the last write.
    pub(crate) fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Whether writes are taken. Nothing is said while one is under way.
    pub(crate) fn ready(&self) -> Option<Result<(), DiskError>> {
        self.store.ready()
    }

    /// All changes after a revision.
    pub(crate) fn changes(&self, revision: u64) -> Changes {
        self.store.changes(revision)
    }

    /// Makes an object: name, uid, times, defaults and rules as the real server does it.
    pub(crate) fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        options: &Options,
    ) -> Result<Object, Failure> {
        let unknown = schema::decode(&mut object, Shape::of(resource))
            .map_err(|message| undecodable(resource, &message))?;
        if options.strict && !unknown.unknown.is_empty() {
            return Err(undecodable(resource, &strict_message(&unknown.unknown)));
        }
        self.insert(resource, namespace, object, options)
    }

    /// Makes an object that is already in stored form, as controllers write it.
    pub(crate) fn insert(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        options: &Options,
    ) -> Result<Object, Failure> {
        let given = object::namespace(&object);
        if resource.namespaced && !given.is_empty() && given != namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let now = Timestamp::now();
        object["apiVersion"] = json!(resource.api_version());
        object["kind"] = json!(resource.kind);
        if resource.namespaced {
            object::set(&mut object, "/metadata/namespace", namespace);
            self.accepts_new(resource, namespace, &object)?;
        } else {
            object::remove(&mut object, "/metadata/namespace");
        }
        if object::name(&object).is_empty()
            && !object::text(&object, "/metadata/generateName").is_empty()
        {
            let name = object::generated_name(object::text(&object, "/metadata/generateName"));
            object::set(&mut object, "/metadata/name", name);
        }
        if !object::text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(Failure::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        for gone in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "resourceVersion",
            "selfLink",
            "managedFields",
        ] {
            object::remove(&mut object, &format!("/metadata/{gone}"));
        }
        object::set(&mut object, "/metadata/uid", object::random_uid());
        object::set(
            &mut object,
            "/metadata/creationTimestamp",
            object::time(now),
        );
        if resource.generation {
            object::set(&mut object, "/metadata/generation", 1);
        } else {
            object::remove(&mut object, "/metadata/generation");
        }
        defaults::apply(resource, &mut object);
        admit::new_object(self, resource, &mut object, now)?;
        let causes = validate::new_object(resource, &object);
        if !causes.is_empty() {
            return Err(Failure::invalid(resource, object::name(&object), &causes));
        }
        fields::track(
            resource,
            None,
            &mut object,
            &options.manager,
            Part::Main,
            now,
        );
        bounds::check(&object)?;
        let name = object::name(&object).to_owned();
        self.write(
            &Key::new(resource.plural, namespace, &name),
            |current| match current {
                Some(current) if object::is_deleting(current) && resource.plural != "events" => {
                    let mut failure = Failure::already_exists(resource, &name);
                    failure.message = format!("object is being deleted: {}", failure.message);
                    Err(failure)
                }
                Some(_) => Err(Failure::already_exists(resource, &name)),
                None if options.dry_run => Ok(Write::Keep(Arc::new(object))),
                None => Ok(Write::Put(object)),
            },
        )
    }

    /// Replaces an object (or its status) by another, when it has not changed since the resourceVersion that it names.
    pub(crate) fn update(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        mut object: Value,
        options: &Options,
    ) -> Result<Object, Failure> {
        let unknown = schema::decode(&mut object, Shape::of(resource))
            .map_err(|message| undecodable(resource, &message))?;
        if options.strict && !unknown.unknown.is_empty() {
            return Err(undecodable(resource, &strict_message(&unknown.unknown)));
        }
        let given = object::name(&object);
        if given != name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        self.change(resource, namespace, name, part, options, |_| Ok(object))
    }

    /// Writes an object that was read before and changed since, as controllers do it: in stored form, and refused when
    /// somebody else has written in between.
    pub(crate) fn replace(
        &self,
        resource: &'static Resource,
        part: Part,
        object: Value,
        options: &Options,
    ) -> Result<Object, Failure> {
        let (namespace, name) = (
            object::namespace(&object).to_owned(),
            object::name(&object).to_owned(),
        );
        self.change(resource, &namespace, &name, part, options, |_| Ok(object))
    }

    /// Reads an object, lets `edit` change it, and writes it, with nobody in between.
    pub(crate) fn modify(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        options: &Options,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Object, Failure> {
        self.change(resource, namespace, name, part, options, |current| {
            let mut object = current.clone();
            edit(&mut object);
            Ok(object)
        })
    }

    /// Gives a Pod to a node and marks it in its status, in the one write that watches of a real cluster see. Nothing
    /// happens when the Pod has a node already or is another one by now.
    pub(crate) fn assign(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        node: &str,
        options: &Options,
        mark: impl FnOnce(&mut Value),
    ) -> Result<Object, Failure> {
        let now = Timestamp::now();
        self.write(
            &Key::new(resource::PODS.plural, namespace, name),
            |current| {
                let current = current.ok_or_else(|| Failure::not_found(resource::PODS, name))?;
                if object::uid(current) != uid
                    || !object::text(current, "/spec/nodeName").is_empty()
                {
                    return Err(Failure::conflict(
                        resource::PODS,
                        name,
                        &format!(
                            "pod {name} is already assigned to node {:?}",
                            object::text(current, "/spec/nodeName")
                        ),
                    ));
                }
                let mut object = (**current).clone();
                object::set(&mut object, "/spec/nodeName", node);
                mark(&mut object);
                fields::track(
                    resource::PODS,
                    Some(current),
                    &mut object,
                    &options.manager,
                    Part::Status,
                    now,
                );
                Ok(Write::Put(object))
            },
        )
    }

    /// The common way of every write to an existing object: `build` makes the new one from the current one.
    fn change(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        options: &Options,
        build: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Object, Failure> {
        let now = Timestamp::now();
        self.write(&Key::new(resource.plural, namespace, name), |current| {
            let current = current.ok_or_else(|| Failure::not_found(resource, name))?;
            let wanted = build(current)?;
            let object = self.settle(resource, part, current, wanted, &options.manager, now)?;
            let is_same = object == **current;
            if options.dry_run || is_same {
                return Ok(Write::Keep(if is_same {
                    current.clone()
                } else {
                    Arc::new(object)
                }));
            }
            let freed = object::is_deleting(&object)
                && object::int(&object, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0
                && delete::is_free(&object);
            Ok(if freed {
                Write::Remove((**current).clone())
            } else {
                Write::Put(object)
            })
        })
    }

    /// What the server makes of a new version of an object: fields nobody may change are put back, defaults filled in,
    /// rules checked, the generation counted.
    fn settle(
        &self,
        resource: &'static Resource,
        part: Part,
        current: &Value,
        mut wanted: Value,
        manager: &str,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        encode::fold(&mut wanted);
        let name = object::name(current);
        let uid = object::uid(&wanted);
        if !uid.is_empty() && uid != object::uid(current) {
            return Err(Failure::conflict(
                resource,
                name,
                &format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                    object::uid(current)
                ),
            ));
        }
        let version = object::text(&wanted, "/metadata/resourceVersion");
        if !version.is_empty()
            && version != "0"
            && version != object::text(current, "/metadata/resourceVersion")
        {
            return Err(Failure::modified(resource, name));
        }
        let mut object = match part {
            Part::Status => {
                let mut object = current.clone();
                object["status"] = wanted.get("status").cloned().unwrap_or_else(|| json!({}));
                object
            }
            Part::Main | Part::Scale => {
                if resource.status {
                    match current.get("status") {
                        Some(status) => wanted["status"] = status.clone(),
                        None => drop(object::remove(&mut wanted, "/status")),
                    }
                }
                wanted["apiVersion"] = current["apiVersion"].clone();
                wanted["kind"] = current["kind"].clone();
                wanted
            }
        };
        for field in [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "generateName",
            "resourceVersion",
        ] {
            let pointer = format!("/metadata/{field}");
            match current.pointer(&pointer) {
                Some(value) => object::set(&mut object, &pointer, value.clone()),
                None => drop(object::remove(&mut object, &pointer)),
            }
        }
        if part != Part::Status {
            defaults::apply(resource, &mut object);
            admit::changed_object(resource, current, &mut object)?;
            let causes = validate::changed_object(resource, current, &object);
            if !causes.is_empty() {
                return Err(Failure::invalid(resource, name, &causes));
            }
            if resource.generation && current.get("spec") != object.get("spec") {
                let generation = object::int(current, "/metadata/generation").unwrap_or(0) + 1;
                object::set(&mut object, "/metadata/generation", generation);
            }
        } else {
            admit::changed_status(resource, current, &mut object, now);
        }
        let managed = current
            .pointer("/metadata/managedFields")
            .cloned()
            .unwrap_or_else(|| json!([]));
        match object.pointer("/metadata/managedFields") {
            // Apply has worked out the owners itself, and a client may hand fields over from one manager to another.
            Some(given) if *given != managed => {
                if given
                    .as_array()
                    .is_none_or(|list| list.iter().all(|entry| entry == &json!({})))
                {
                    object::remove(&mut object, "/metadata/managedFields");
                } else if !fields::is_sound(given) {
                    // What cannot be read is passed over (apimachinery `util/managedfields/internal/managedfieldsupdater.go`).
                    object::set(&mut object, "/metadata/managedFields", managed);
                }
            }
            _ => {
                if managed != json!([]) {
                    object::set(&mut object, "/metadata/managedFields", managed);
                }
                if object != *current {
                    fields::track(resource, Some(current), &mut object, manager, part, now);
                }
            }
        }
        bounds::check(&object)?;
        Ok(object)
    }

    /// A namespace must be there and not be ending when something is made in it.
    fn accepts_new(
        &self,
        resource: &'static Resource,
        namespace: &str,
        object: &Value,
    ) -> Result<(), Failure> {
        let found = self.get(resource::NAMESPACES, "", namespace)?;
        if object::is_deleting(&found) && resource.plural != "events" {
            return Err(Failure::forbidden(
                resource,
                object::name(object),
                &format!(
                    "unable to create new content in namespace {namespace} because it is being terminated"
                ),
            ));
        }
        Ok(())
    }

    /// Refuses what a create, decoded without strictness, would have to warn about.
    pub(crate) fn unknown_fields(resource: &'static Resource, object: &Value) -> Vec<String> {
        schema::decode(&mut object.clone(), Shape::of(resource))
            .map(|decoded| decoded.unknown)
            .unwrap_or_default()
    }
}

/// The decoder's refusal of a body.
fn undecodable(resource: &Resource, message: &str) -> Failure {
    undecodable_kind(resource.kind, resource.version, message)
}

/// The decoder's refusal of a body of a kind that is no resource of its own.
pub(crate) fn undecodable_kind(kind: &str, version: &str, message: &str) -> Failure {
    Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {message}"
    ))
}

/// How the server lists unknown fields.
fn strict_message(unknown: &[String]) -> String {
    let list = unknown
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    format!("strict decoding error: {list}")
}

/// The causes of a refused name, for validation of any kind.
fn required_name() -> Cause {
    Cause::required("metadata.name", "name or generateName is required")
}
