//! The garbage collector: objects whose owners are gone go too; deletions in the foreground and orphaning are carried out.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::driver::Controller;
use crate::failure::Failure;
use crate::object::{self, Object, array, flag, text};
use crate::registry::{Deletion, FOREGROUND, ORPHAN, Options, Part, Propagation, Registry};
use crate::resource::{self, Resource};
use crate::store::{Change, Happened, Key};

/// Keeps who is owned by whom, so that a deletion costs only as much as it has dependents.
#[derive(Default)]
pub(super) struct Garbage {
    dependents: HashMap<String, HashSet<Key>>,
}

fn owners(object: &Value) -> &[Value] {
    array(object, "/metadata/ownerReferences")
}

fn resource_of(key: &Key) -> Option<&'static Resource> {
    resource::ALL
        .iter()
        .find(|resource| resource.plural == key.resource)
        .copied()
}

impl Garbage {
    fn dependents(&self, registry: &Registry, uid: &str) -> Vec<(Key, Object)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        let found = keys.filter_map(|key| {
            Some((
                key.clone(),
                registry.find(resource_of(key)?, &key.namespace, &key.name)?,
            ))
        });
        found
            .filter(|(_, object)| {
                owners(object)
                    .iter()
                    .any(|owner| text(owner, "/uid") == uid)
            })
            .collect()
    }

    fn note(&mut self, key: &Key, object: &Value) {
        for owner in owners(object) {
            self.dependents
                .entry(text(owner, "/uid").to_owned())
                .or_default()
                .insert(key.clone());
        }
    }

    /// Carries out what the finalizers of a deleted owner ask for.
    fn finalize(
        &self,
        registry: &Registry,
        resource: &'static Resource,
        key: &Key,
        object: &Value,
    ) -> Result<(), Failure> {
        let options = Options::by("kube-controller-manager");
        let has = |finalizer: &str| object::finalizers(object).any(|one| one == finalizer);
        let dependents = self.dependents(registry, object::uid(object));
        if has(ORPHAN) {
            for (key, _) in &dependents {
                let Some(resource) = resource_of(key) else {
                    continue;
                };
                let uid = object::uid(object);
                let freed = registry.modify(
                    resource,
                    &key.namespace,
                    &key.name,
                    Part::Main,
                    &options,
                    |dependent| forget(dependent, uid),
                );
                freed.map(drop).or_else(|failure| {
                    if failure.code == 404 {
                        Ok(())
                    } else {
                        Err(failure)
                    }
                })?;
            }
            registry.modify(
                resource,
                &key.namespace,
                &key.name,
                Part::Main,
                &options,
                |object| _ = object::drop_finalizer(object, ORPHAN),
            )?;
        } else if has(FOREGROUND) {
            let uid = object::uid(object);
            let blocking: Vec<&(Key, Object)> = dependents
                .iter()
                .filter(|(_, dependent)| {
                    owners(dependent).iter().any(|owner| {
                        text(owner, "/uid") == uid && flag(owner, "/blockOwnerDeletion")
                    })
                })
                .collect();
            for (key, dependent) in dependents
                .iter()
                .filter(|(_, dependent)| !object::is_deleting(dependent))
            {
                let Some(resource) = resource_of(key) else {
                    continue;
                };
                let deeper = !self.dependents(registry, object::uid(dependent)).is_empty();
                delete(
                    registry,
                    resource,
                    key,
                    dependent,
                    if deeper {
                        Propagation::Foreground
                    } else {
                        Propagation::Background
                    },
                )?;
            }
            if blocking.is_empty() {
                registry.modify(
                    resource,
                    &key.namespace,
                    &key.name,
                    Part::Main,
                    &options,
                    |object| _ = object::drop_finalizer(object, FOREGROUND),
                )?;
            }
        }
        Ok(())
    }
}

fn delete(
    registry: &Registry,
    resource: &'static Resource,
    key: &Key,
    object: &Value,
    propagation: Propagation,
) -> Result<(), Failure> {
    let deletion = Deletion {
        uid: Some(object::uid(object).to_owned()),
        propagation: Some(propagation),
        ..Deletion::default()
    };
    match registry.delete(resource, &key.namespace, &key.name, &deletion) {
        // Gone, or another object under the same name: either way this one needs nothing more.
        Err(failure) if failure.code != 404 && failure.code != 409 => Err(failure),
        _ => Ok(()),
    }
}

/// Takes an owner out of an object's references.
fn forget(object: &mut Value, uid: &str) {
    let left: Vec<Value> = owners(object)
        .iter()
        .filter(|owner| text(owner, "/uid") != uid)
        .cloned()
        .collect();
    if left.is_empty() {
        object::remove(object, "/metadata/ownerReferences");
    } else {
        object::set(object, "/metadata/ownerReferences", left);
    }
}

/// Whether an owner is still there: the same name with another uid is another object.
fn is_there(registry: &Registry, namespace: &str, owner: &Value) -> bool {
    let Some(resource) = resource::by_kind(text(owner, "/apiVersion"), text(owner, "/kind")) else {
        return true;
    };
    let namespace = if resource.namespaced { namespace } else { "" };
    registry
        .find(resource, namespace, text(owner, "/name"))
        .is_some_and(|found| object::uid(&found) == text(owner, "/uid"))
}

impl Controller for Garbage {
    fn name(&self) -> &'static str {
        "garbage-collector"
    }

    fn begin(&mut self, registry: &Registry) -> Vec<Key> {
        self.dependents.clear();
        let mut keys = Vec::new();
        for resource in resource::ALL {
            for object in registry.list(resource, None).0 {
                let key = Key::new(
                    resource.plural,
                    object::namespace(&object),
                    object::name(&object),
                );
                self.note(&key, &object);
                if !owners(&object).is_empty() || object::is_deleting(&object) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    fn wakes(&mut self, registry: &Registry, change: &Change) -> Vec<Key> {
        // Owners that wait for their dependents look again when one of them changes or goes.
        let owner_keys = |object: &Value| -> Vec<Key> {
            owners(object)
                .iter()
                .filter_map(|owner| {
                    resource::by_kind(text(owner, "/apiVersion"), text(owner, "/kind"))
                        .map(|resource| (resource, owner))
                })
                .map(|(resource, owner)| {
                    Key::new(
                        resource.plural,
                        if resource.namespaced {
                            &change.key.namespace
                        } else {
                            ""
                        },
                        text(owner, "/name"),
                    )
                })
                .collect()
        };
        if change.happened == Happened::Deleted {
            for owner in owners(&change.object) {
                if let Some(keys) = self.dependents.get_mut(text(owner, "/uid")) {
                    keys.remove(&change.key);
                }
            }
            let uid = object::uid(&change.object);
            let mut keys: Vec<Key> = self
                .dependents(registry, uid)
                .into_iter()
                .map(|(key, _)| key)
                .collect();
            self.dependents.remove(uid);
            keys.extend(owner_keys(&change.object));
            return keys;
        }
        self.note(&change.key, &change.object);
        let has_new_owners = change
            .before
            .as_ref()
            .is_none_or(|before| owners(before) != owners(&change.object));
        let mut keys = Vec::new();
        if (has_new_owners && !owners(&change.object).is_empty())
            || object::is_deleting(&change.object)
        {
            keys.push(change.key.clone());
        }
        if has_new_owners && let Some(before) = &change.before {
            keys.extend(owner_keys(before));
        }
        keys
    }

    fn reconcile(
        &mut self,
        registry: &Registry,
        key: &Key,
        _: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let Some(resource) = resource_of(key) else {
            return Ok(None);
        };
        let Some(found) = registry.find(resource, &key.namespace, &key.name) else {
            return Ok(None);
        };
        if object::is_deleting(&found) {
            self.finalize(registry, resource, key, &found)?;
            return Ok(None);
        }
        let owners = owners(&found);
        let (there, gone): (Vec<&Value>, Vec<&Value>) = owners
            .iter()
            .partition(|owner| is_there(registry, &key.namespace, owner));
        if there.is_empty() && !owners.is_empty() {
            delete(registry, resource, key, &found, Propagation::Background)?;
        } else if !gone.is_empty() {
            let uids: Vec<String> = gone
                .iter()
                .map(|owner| text(owner, "/uid").to_owned())
                .collect();
            registry.modify(
                resource,
                &key.namespace,
                &key.name,
                Part::Main,
                &Options::by("kube-controller-manager"),
                |object| uids.iter().for_each(|uid| forget(object, uid)),
            )?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forgetting_the_only_owner_leaves_no_list() {
        let mut object = json!({"metadata": {"ownerReferences": [{"uid": "a"}, {"uid": "b"}]}});
        forget(&mut object, "a");
        assert_eq!(
            object,
            json!({"metadata": {"ownerReferences": [{"uid": "b"}]}})
        );
        forget(&mut object, "b");
        assert_eq!(object, json!({"metadata": {}}));
    }
}
