//! The four kinds of patches, on the way of every other write.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Options, Part, Registry, fields, strategic, strict_message, undecodable};
use crate::embedded::failure::Failure;
use crate::embedded::object::{self, Object};
use crate::embedded::resource::Resource;
use crate::embedded::schema::{self, Shape};

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

impl Patch {
    /// Changes `object` as the patch says, for all kinds but server-side apply.
    pub(crate) fn run(self, object: &mut Value, shape: Option<Shape>) -> Result<(), Failure> {
        match self {
            Self::Json(operations) => {
                let operations: json_patch::Patch =
                    serde_json::from_value(operations).map_err(|error| {
                        Failure::bad_request(format!("error decoding patch: {error}"))
                    })?;
                json_patch::patch(object, &operations).map_err(|_| Failure {
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
                strategic::merge(object, patch, shape).map_err(Failure::bad_request)
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
            let mut object = current.clone();
            patch.run(&mut object, Some(shape))?;
            check(resource, &mut object, options)?;
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
        if self.find(resource, namespace, name).is_none() {
            object::set(&mut config, "/metadata/name", name);
            let managed =
                fields::applied(resource, None, &config, &options.manager, part, force, now)?.1;
            return match self.insert(
                resource,
                namespace,
                config.clone(),
                &Options {
                    manager: String::new(),
                    ..options.clone()
                },
            ) {
                Ok(object) if options.dry_run => Ok((with_managed(&object, managed), true)),
                Ok(object) => Ok((self.keep_managed(resource, &object, managed, options), true)),
                Err(failure) => Err(failure),
            };
        }
        let object = self.change(resource, namespace, name, part, options, |current| {
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

/// Brings a patched object into stored form, or refuses it.
fn check(
    resource: &'static Resource,
    object: &mut Value,
    options: &Options,
) -> Result<(), Failure> {
    let decoded = schema::decode(object, Shape::of(resource))
        .map_err(|message| undecodable(resource, &message))?;
    if options.strict && !decoded.unknown.is_empty() {
        return Err(undecodable(resource, &strict_message(&decoded.unknown)));
    }
    Ok(())
}
