//! The objects and their one revision counter, on disk as etcd keeps them for a real cluster.
//!
//! Owns the redb file, a mirror of it in memory, and the log of recent changes that watches read. Hands on consistent
//! lists and changes in order. It knows keys and bytes, never what a kind means.
//!
//! A write is acknowledged after redb has committed it to the disk, and becomes visible to readers only then.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use tokio::sync::watch;

use super::object::{self, Object};
use super::resource::Resource;

/// Changes kept for watches that resume; an older resourceVersion is answered with 410. Enough for minutes of a busy
/// class, and bounded in memory because the objects are shared with the mirror.
const LOG_LENGTH: usize = 10_000;

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// Where an object lies: the resource's plural name with its group, the namespace ("" for cluster-scoped) and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) resource: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of an object of this resource.
    pub(crate) fn of(resource: &Resource, object: &Value) -> Self {
        Self::new(
            resource.plural,
            object::namespace(object),
            object::name(object),
        )
    }

    fn on_disk(&self) -> String {
        format!("{}\0{}\0{}", self.resource, self.namespace, self.name)
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    Added,
    Modified,
    Deleted,
}

/// One write, as watches see it. For a deletion `object` is the last state under the deletion's revision.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) happened: Happened,
    pub(crate) key: Key,
    pub(crate) object: Object,
    pub(crate) before: Option<Object>,
}

/// What a writer decides after it has seen the current object.
#[derive(Debug)]
pub(crate) enum Write {
    /// Store this as the object.
    Put(Value),
    /// Remove the object; the value is its last state.
    Remove(Value),
    /// Leave the store as it is and answer with this value (dry runs and writes that change nothing).
    Keep(Object),
}

/// A revision that the change log no longer reaches back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) asked: u64,
    pub(crate) oldest: u64,
}

/// Tells when the last handle on a store is gone, and the file with it.
#[derive(Debug)]
pub(crate) struct Closing(Weak<Inner>);

impl Closing {
    pub(crate) fn is_done(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// A cheap handle on the one store of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    objects: BTreeMap<Key, Object>,
    /// Revisions are without holes: the entry for revision r is at `r - (revision - len) - 1`.
    log: VecDeque<Arc<Change>>,
}

impl Store {
    /// Watches for the store's end without holding it.
    pub(crate) fn closing(&self) -> Closing {
        Closing(Arc::downgrade(&self.0))
    }

    /// Opens the store file, or makes it. `resources` are the names that may be found in it: an object of any other
    /// resource is from a later version and is left alone on disk.
    pub(crate) fn open(path: &Path, resources: &[&'static str]) -> anyhow::Result<Self> {
        let database = Database::create(path)?;
        let writing = database.begin_write()?;
        writing.open_table(OBJECTS)?;
        writing.open_table(COUNTERS)?;
        writing.commit()?;
        let reading = database.begin_read()?;
        let mut state = State {
            revision: reading
                .open_table(COUNTERS)?
                .get("revision")?
                .map_or(0, |counter| counter.value()),
            ..State::default()
        };
        for entry in reading.open_table(OBJECTS)?.iter()? {
            let (key, bytes) = entry?;
            let mut parts = key.value().splitn(3, '\0');
            let (Some(resource), Some(namespace), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let Some(resource) = resources.iter().find(|known| **known == resource) else {
                continue;
            };
            state.objects.insert(
                Key::new(resource, namespace, name),
                Arc::new(serde_json::from_slice(bytes.value())?),
            );
        }
        let news = watch::Sender::new(state.revision);
        Ok(Self(Arc::new(Inner {
            database,
            state: Mutex::new(state),
            news,
        })))
    }

    /// The revision of the last write.
    pub(crate) fn revision(&self) -> u64 {
        self.0.state.lock().unwrap().revision
    }

    /// One object, if it is there.
    pub(crate) fn get(&self, key: &Key) -> Option<Object> {
        self.0.state.lock().unwrap().objects.get(key).cloned()
    }

    /// All objects of a resource, of one namespace or (with `None`) of all, in the order of their keys, and the
    /// revision at which this was so.
    pub(crate) fn list(
        &self,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> (Vec<Object>, u64) {
        let state = self.0.state.lock().unwrap();
        (
            state
                .range(resource, namespace)
                .map(|(_, object)| object.clone())
                .collect(),
            state.revision,
        )
    }

    /// The list as it was at an earlier revision: the recent changes are taken back one by one.
    pub(crate) fn list_at(
        &self,
        resource: &'static str,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Object>, Expired> {
        let state = self.0.state.lock().unwrap();
        let since = state.since(revision)?;
        let mut objects: BTreeMap<&Key, &Object> = state.range(resource, namespace).collect();
        for change in state
            .log
            .range(since..)
            .rev()
            .filter(|change| change.key.matches(resource, namespace))
        {
            match &change.before {
                Some(before) => objects.insert(&change.key, before),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects.into_values().cloned().collect())
    }

    /// Reads, decides and writes one object with nobody in between. Whatever the closure answers is what happens:
    /// its error is handed back and leaves the store untouched. The stored object carries its new resourceVersion.
    ///
    /// # Panics
    /// When the disk refuses the write: a cluster that cannot remember must not go on.
    pub(crate) fn write<E>(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Object>) -> Result<Write, E>,
    ) -> Result<Object, E> {
        let mut state = self.0.state.lock().unwrap();
        let before = state.objects.get(key).cloned();
        let write = decide(before.as_ref())?;
        let revision = state.revision + 1;
        let (mut value, removed) = match write {
            Write::Keep(object) => return Ok(object),
            Write::Put(value) => (value, false),
            Write::Remove(value) => (value, true),
        };
        object::set(
            &mut value,
            "/metadata/resourceVersion",
            revision.to_string(),
        );
        self.commit(key, (!removed).then_some(&value), revision)
            .expect("the store's disk takes the write");
        let object = Arc::new(value);
        let happened = match (&before, removed) {
            (_, true) => Happened::Deleted,
            (None, false) => Happened::Added,
            (Some(_), false) => Happened::Modified,
        };
        if removed {
            state.objects.remove(key);
        } else {
            state.objects.insert(key.clone(), object.clone());
        }
        state.revision = revision;
        if state.log.len() == LOG_LENGTH {
            state.log.pop_front();
        }
        state.log.push_back(Arc::new(Change {
            revision,
            happened,
            key: key.clone(),
            object: object.clone(),
            before,
        }));
        drop(state);
        self.0.news.send_replace(revision);
        Ok(object)
    }

    fn commit(&self, key: &Key, value: Option<&Value>, revision: u64) -> anyhow::Result<()> {
        let writing = self.0.database.begin_write()?;
        {
            let mut objects = writing.open_table(OBJECTS)?;
            match value {
                Some(value) => objects.insert(
                    key.on_disk().as_str(),
                    serde_json::to_vec(value)?.as_slice(),
                )?,
                None => objects.remove(key.on_disk().as_str())?,
            };
            writing.open_table(COUNTERS)?.insert("revision", revision)?;
        }
        writing.commit()?;
        Ok(())
    }

    /// Changes after `revision`, to be read with [`Changes::next`].
    pub(crate) fn changes(&self, revision: u64) -> Changes {
        Changes {
            store: self.clone(),
            seen: revision,
            news: self.0.news.subscribe(),
        }
    }

    fn after(&self, revision: u64) -> Result<Vec<Arc<Change>>, Expired> {
        let state = self.0.state.lock().unwrap();
        let since = state.since(revision)?;
        Ok(state.log.range(since..).cloned().collect())
    }
}

impl State {
    fn range<'a>(
        &'a self,
        resource: &'static str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> {
        let from = Key::new(resource, namespace.unwrap_or(""), "");
        self.objects
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| key.matches(resource, namespace))
    }

    /// The place in the log of the first change after `revision`.
    fn since(&self, revision: u64) -> Result<usize, Expired> {
        let oldest = self.revision - self.log.len() as u64;
        if revision < oldest {
            return Err(Expired {
                asked: revision,
                oldest,
            });
        }
        Ok(usize::try_from(revision.min(self.revision) - oldest).expect("the log fits in memory"))
    }
}

impl Key {
    fn matches(&self, resource: &str, namespace: Option<&str>) -> bool {
        self.resource == resource && namespace.is_none_or(|wanted| self.namespace == wanted)
    }
}

/// A reader of changes; it holds no lock and no queue, only the revision it has come to.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    seen: u64,
    news: watch::Receiver<u64>,
}

impl Changes {
    /// The next changes of any resource, at least one; waits when there is none.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arc<Change>>, Expired> {
        loop {
            self.news.borrow_and_update();
            let changes = self.store.after(self.seen)?;
            if let Some(last) = changes.last() {
                self.seen = last.revision;
                return Ok(changes);
            }
            // The sender lives in the store that this reader holds, so this waits and never fails.
            let _ = self.news.changed().await;
        }
    }

    /// The revision up to which changes have been handed out.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    fn put(store: &Store, name: &str, value: Value) -> Object {
        store
            .write(&Key::new("pods", "default", name), |_| {
                Ok::<_, Infallible>(Write::Put(value))
            })
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(&path, &["pods"]).unwrap();
        put(&store, "a", json!({"metadata": {"name": "a"}}));
        put(&store, "b", json!({"metadata": {"name": "b"}}));
        store
            .write(&Key::new("pods", "default", "a"), |now| {
                Ok::<_, Infallible>(Write::Remove((**now.unwrap()).clone()))
            })
            .unwrap();
        drop(store);
        let store = Store::open(&path, &["pods"]).unwrap();
        let (objects, revision) = store.list("pods", None);
        assert_eq!(revision, 3);
        assert_eq!(objects.len(), 1);
        assert_eq!(object::text(&objects[0], "/metadata/resourceVersion"), "2");
        assert_eq!(
            store.changes(2).next().await.unwrap_err(),
            Expired {
                asked: 2,
                oldest: 3
            }
        );
    }

    #[tokio::test]
    async fn a_reader_sees_every_change_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        let mut reader = store.changes(0);
        put(&store, "a", json!({"n": 1}));
        put(&store, "a", json!({"n": 2}));
        let seen = reader.next().await.unwrap();
        assert_eq!(
            seen.iter()
                .map(|change| (change.revision, change.happened))
                .collect::<Vec<_>>(),
            [(1, Happened::Added), (2, Happened::Modified)]
        );
        assert_eq!(seen[1].before.as_ref().unwrap()["n"], 1);
        let waiting = tokio::spawn(async move { reader.next().await.unwrap().len() });
        put(&store, "b", json!({}));
        assert_eq!(waiting.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_earlier_list_can_be_had_while_the_log_reaches_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        put(&store, "a", json!({"n": 1}));
        put(&store, "b", json!({"n": 1}));
        put(&store, "a", json!({"n": 2}));
        store
            .write(&Key::new("pods", "default", "b"), |now| {
                Ok::<_, Infallible>(Write::Remove((**now.unwrap()).clone()))
            })
            .unwrap();
        let names = |revision| {
            store
                .list_at("pods", None, revision)
                .unwrap()
                .iter()
                .map(|object| object["n"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), [json!(1)]);
        assert_eq!(names(2), [json!(1), json!(1)]);
        assert_eq!(names(4), [json!(2)]);
    }

    #[test]
    fn a_refused_write_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        assert_eq!(
            store
                .write(&Key::new("pods", "", "a"), |_| Err::<Write, _>("no"))
                .unwrap_err(),
            "no"
        );
        assert_eq!(store.revision(), 0);
    }
}
