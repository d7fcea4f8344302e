//! The objects and their one revision counter, on disk as etcd keeps them for a real cluster.
//!
//! Owns the store's file, a mirror of it in memory, and the log of recent changes that watches read. Hands on consistent
//! lists and changes in order. It knows keys and bytes, never what a kind means.
//!
//! A write is acknowledged after redb has committed it to the disk, and becomes visible to readers only then. One writer
//! decides and commits at a time, behind a lock of its own; readers wait for the moment of publishing only, never for the
//! disk.

mod disk;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use self::disk::Disk;
pub(crate) use self::disk::DiskError;
use super::encode;
use super::object::{self, Object};
use super::resource::Resource;

/// Changes kept for watches that resume; an older resourceVersion is answered with 410. Enough for minutes of a busy
/// class.
const LOG_LENGTH: usize = 10_000;
/// Memory that the changes in the log may hold on to: what was changed or deleted since lies nowhere else.
const LOG_BYTES: usize = 32 << 20;
/// What a reader takes from the log at once. A client that does not read holds on to no more than this.
const BATCH_LENGTH: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

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
    /// The object as JSON, made when the first watch asks for it.
    encoded: OnceLock<Bytes>,
    /// About the bytes of memory it holds on to.
    weight: usize,
}

impl Change {
    /// The object as JSON, encoded once for all who watch it.
    pub(crate) fn json(&self) -> &Bytes {
        self.encoded
            .get_or_init(|| encode::to_vec(&self.object).into())
    }
}

/// Why a write that was decided on did not happen. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritten {
    /// What decided has a fault.
    #[error("the change could not be worked out: {0}")]
    Panicked(String),
    /// Stored, it could not be read again.
    #[error("the object cannot be stored: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Disk(#[from] DiskError),
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
    disk: Mutex<Disk>,
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    objects: BTreeMap<Key, Object>,
    /// Revisions are without holes: the entry for revision r is at `r - (revision - len) - 1`.
    log: VecDeque<Arc<Change>>,
    /// The weight of all in the log.
    weight: usize,
}

/// Takes a lock, whatever became of who held it before: nothing here is left half done by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Watches for the store's end without holding it.
    pub(crate) fn closing(&self) -> Closing {
        Closing(Arc::downgrade(&self.0))
    }

    /// Opens the store file, or makes it. `resources` are the names that may be found in it: an object of any other
    /// resource is from a later version and is left alone on disk. An object that cannot be read is put aside and named
    /// in the log.
    pub(crate) fn open(path: &Path, resources: &[&'static str]) -> Result<Self, DiskError> {
        let (mut disk, content) = Disk::open(path)?;
        let mut state = State {
            revision: content.revision,
            ..State::default()
        };
        let mut unreadable = Vec::new();
        for (key, bytes) in content.objects {
            let mut parts = key.splitn(3, '\0');
            let (Some(resource), Some(namespace), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let Some(resource) = resources.iter().find(|known| **known == resource) else {
                continue;
            };
            match serde_json::from_slice::<Value>(&bytes) {
                Ok(mut object) if object.is_object() => {
                    encode::fold(&mut object);
                    state
                        .objects
                        .insert(Key::new(resource, namespace, name), Arc::new(object));
                }
                other => {
                    let why = other.map_or_else(|error| error.to_string(), |_| "no object".into());
                    tracing::error!(
                        "{resource} {namespace}/{name} cannot be read ({why}) and is put aside; it stays in {}, in the table aside",
                        path.display()
                    );
                    unreadable.push(key);
                }
            }
        }
        if !unreadable.is_empty() {
            disk.put_aside(&unreadable, state.revision)?;
        }
        let news = watch::Sender::new(state.revision);
        Ok(Self(Arc::new(Inner {
            disk: Mutex::new(disk),
            state: Mutex::new(state),
            news,
        })))
    }

    /// Whether the disk takes writes: opens the file again when the last write failed. Nothing is said while a write is
    /// under way.
    pub(crate) fn ready(&self) -> Option<Result<(), DiskError>> {
        let mut disk = match self.0.disk.try_lock() {
            Ok(disk) => disk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(disk.ready())
    }

    /// The revision of the last write.
    pub(crate) fn revision(&self) -> u64 {
        locked(&self.0.state).revision
    }

    /// One object, if it is there.
    pub(crate) fn get(&self, key: &Key) -> Option<Object> {
        locked(&self.0.state).objects.get(key).cloned()
    }

    /// All objects of a resource, of one namespace or (with `None`) of all, in the order of their keys, and the
    /// revision at which this was so.
    pub(crate) fn list(
        &self,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> (Vec<Object>, u64) {
        let state = locked(&self.0.state);
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
        let (now, since) = {
            let state = locked(&self.0.state);
            let since = state.log.range(state.since(revision)?..).rev();
            let since: Vec<Arc<Change>> = since
                .filter(|change| change.key.matches(resource, namespace))
                .cloned()
                .collect();
            let now = state.range(resource, namespace);
            let now: Vec<(Key, Object)> = now.map(|(key, it)| (key.clone(), it.clone())).collect();
            (now, since)
        };
        if since.is_empty() {
            return Ok(now.into_iter().map(|(_, object)| object).collect());
        }
        let mut objects: BTreeMap<&Key, &Object> = now.iter().map(|(key, it)| (key, it)).collect();
        for change in &since {
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
    /// # Errors
    /// Those of the closure, and [`Unwritten`] when it panicked, when the object could not be read again, or when the disk
    /// refused it. Memory is as it was before, and the next write finds the disk open again once it takes writes.
    pub(crate) fn write<E: From<Unwritten>>(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Object>) -> Result<Write, E>,
    ) -> Result<Object, E> {
        let mut disk = locked(&self.0.disk);
        let (before, revision) = {
            let state = locked(&self.0.state);
            (state.objects.get(key).cloned(), state.revision + 1)
        };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(before.as_ref())));
        let (mut value, removed) = match decided.map_err(|panic| panicked(&*panic))?? {
            Write::Keep(object) => return Ok(object),
            Write::Put(value) => (value, false),
            Write::Remove(value) => (value, true),
        };
        object::set(
            &mut value,
            "/metadata/resourceVersion",
            revision.to_string(),
        );
        encode::fold(&mut value);
        let bytes = if removed {
            None
        } else {
            Some(readable(&value)?)
        };
        let on_disk = key.on_disk();
        disk.commit(&on_disk, bytes.as_deref(), revision, || {
            before.as_deref().map(encode::to_vec)
        })
        .map_err(Unwritten::Disk)?;
        let object = Arc::new(value);
        let happened = match (&before, removed) {
            (_, true) => Happened::Deleted,
            (None, false) => Happened::Added,
            (Some(_), false) => Happened::Modified,
        };
        let heap_before = before.as_deref().map_or(0, encode::heap);
        let change = Change {
            revision,
            happened,
            key: key.clone(),
            object: object.clone(),
            before,
            // The encoded form is about as long as what is in it.
            weight: object::size(&object) + encode::heap(&object) + heap_before,
            encoded: OnceLock::new(),
        };
        locked(&self.0.state).publish(change);
        self.0.news.send_replace(revision);
        Ok(object)
    }

    /// Changes after `revision`, to be read with [`Changes::next`].
    pub(crate) fn changes(&self, revision: u64) -> Changes {
        Changes {
            store: self.clone(),
            seen: revision,
            news: self.0.news.subscribe(),
        }
    }

    /// Some changes after `revision`, the oldest first.
    fn after(&self, revision: u64) -> Result<Vec<Arc<Change>>, Expired> {
        let state = locked(&self.0.state);
        let since = state.since(revision)?;
        let mut weight = 0;
        let batch = state.log.range(since..).take(BATCH_LENGTH);
        let batch = batch.take_while(|change| {
            let is_first = weight == 0;
            weight += change.weight;
            is_first || weight <= BATCH_BYTES
        });
        Ok(batch.cloned().collect())
    }
}

/// The object as it is written to the disk, when it can be read from there.
fn readable(value: &Value) -> Result<Vec<u8>, Unwritten> {
    let bytes = encode::to_vec(value);
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Unwritten::Unreadable(error.to_string())),
    }
}

/// What a panic said.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Unwritten {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Unwritten::Panicked(text.unwrap_or_else(|| "a panic".to_owned()))
}

impl State {
    /// Makes a change visible that is on the disk.
    fn publish(&mut self, change: Change) {
        if change.happened == Happened::Deleted {
            self.objects.remove(&change.key);
        } else {
            self.objects
                .insert(change.key.clone(), change.object.clone());
        }
        self.revision = change.revision;
        self.weight += change.weight;
        self.log.push_back(Arc::new(change));
        while self.log.len() > LOG_LENGTH || (self.weight > LOG_BYTES && self.log.len() > 1) {
            let Some(oldest) = self.log.pop_front() else {
                break;
            };
            self.weight -= oldest.weight;
        }
    }

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
    use serde_json::json;

    use super::*;
    use crate::failure::Failure;

    fn put(store: &Store, name: &str, value: Value) -> Object {
        store
            .write(&Key::new("pods", "default", name), |_| {
                Ok::<_, Failure>(Write::Put(value))
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
                Ok::<_, Failure>(Write::Remove((**now.unwrap()).clone()))
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
                Ok::<_, Failure>(Write::Remove((**now.unwrap()).clone()))
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
                .write(&Key::new("pods", "", "a"), |_| Err::<Write, _>(
                    Failure::plain("no")
                ))
                .unwrap_err(),
            Failure::plain("no")
        );
        assert_eq!(store.revision(), 0);
    }

    #[test]
    fn what_goes_wrong_in_one_write_is_no_matter_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        let key = Key::new("pods", "default", "a");
        let old = put(&store, "a", json!({"n": 1}));
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!({ "a": deep });
        }
        type Decide = fn(Value) -> Result<Write, Failure>;
        let writes: [(Decide, Value, u16, &str); 2] = [
            (|_| panic!("a fault"), json!({}), 500, "a fault"),
            (|it| Ok(Write::Put(it)), deep, 400, "recursion limit"),
        ];
        for (decide, value, code, words) in writes {
            let refused = store.write(&key, |_| decide(value)).unwrap_err();
            assert_eq!(refused.code, code, "{refused}");
            assert!(refused.message.contains(words), "{refused}");
            assert_eq!(store.get(&key), Some(old.clone()));
            assert_eq!(store.revision(), 1);
            assert!(matches!(store.ready(), Some(Ok(()))));
        }
        put(&store, "a", json!({"n": 2}));
        assert_eq!(store.revision(), 2);
    }

    #[test]
    fn readers_do_not_wait_for_a_write_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        let reader = store.clone();
        store
            .write(&Key::new("pods", "default", "a"), |_| {
                assert_eq!(reader.list("pods", None).1, 0);
                assert!(reader.ready().is_none(), "nobody knows yet");
                Ok::<_, Failure>(Write::Put(json!({})))
            })
            .unwrap();
    }

    #[test]
    fn an_object_that_cannot_be_read_is_put_aside_and_the_others_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let (mut disk, _) = Disk::open(&path).unwrap();
        for (name, text) in [("bad", "{\"metadata\": "), ("good", "{}"), ("odd", "5")] {
            let key = Key::new("pods", "default", name).on_disk();
            disk.commit(&key, Some(text.as_bytes()), 7, || None)
                .unwrap();
        }
        drop(disk);
        for _ in 0..2 {
            let store = Store::open(&path, &["pods"]).unwrap();
            assert_eq!(store.list("pods", None).0.len(), 1);
            assert!(store.get(&Key::new("pods", "default", "good")).is_some());
        }
        let (_, content) = Disk::open(&path).unwrap();
        assert_eq!(
            content.objects.len(),
            1,
            "the others are elsewhere in the file"
        );
    }

    #[test]
    fn the_log_is_bounded_by_what_it_holds_on_to() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        let writes = 1 + LOG_BYTES as u64 / (1 << 20);
        for number in 0..writes {
            put(
                &store,
                "a",
                json!({"n": number, "data": "x".repeat(1 << 20)}),
            );
        }
        assert!(locked(&store.0.state).weight <= LOG_BYTES);
        assert!(store.list_at("pods", None, writes).is_ok());
        assert!(store.list_at("pods", None, 1).is_err());
        // A reader takes a few at a time, whatever waits for it.
        let weight = |batch: Vec<Arc<Change>>| batch.iter().map(|it| it.weight).sum::<usize>();
        let batch = store.after(store.revision() - 5).unwrap();
        assert_eq!(batch.len(), 1);
        assert!(weight(batch) < 4 << 20);
    }

    #[test]
    fn a_change_is_encoded_once_for_all_who_watch() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &["pods"]).unwrap();
        put(&store, "a", json!({"n": 1}));
        let (one, other) = (store.after(0).unwrap(), store.after(0).unwrap());
        assert_eq!(one[0].json().as_ptr(), other[0].json().as_ptr());
    }
}
