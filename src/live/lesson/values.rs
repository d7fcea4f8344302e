//! Cards and frames as values of CEL: the JSON that the page sees, converted once and shared by every evaluation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cel::common::traits::{Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, MAP_TYPE, Type,
};
use cel::common::value::Val;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::Kind;
use crate::live::card::Card;
use crate::live::frame::{Frame, Step};

/// What a rule can speak of: lists of cards by kind, the last look into each volume by key, and what
/// happened since the step began.
pub const VARIABLES: [&str; 10] = [
    "pods",
    "claims",
    "volumes",
    "statefulsets",
    "deployments",
    "replicasets",
    "classes",
    "nodes",
    "inside",
    "since",
];

/// The variable that holds the cards of a kind. Events are in `since` only.
fn variable(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::StorageClass => "classes",
        Kind::Node => "nodes",
        Kind::PersistentVolume => "volumes",
        Kind::PersistentVolumeClaim => "claims",
        Kind::StatefulSet => "statefulsets",
        Kind::Deployment => "deployments",
        Kind::ReplicaSet => "replicasets",
        Kind::Pod => "pods",
        Kind::Event => return None,
    })
}

/// The cards of the kinds that a rule mentions, by uid.
#[derive(Debug)]
pub(super) struct Tables(BTreeMap<&'static str, BTreeMap<String, Shared>>);

impl Tables {
    pub(super) fn new(mentioned: &BTreeSet<&'static str>) -> Self {
        let kinds = mentioned.iter().copied();
        Self(kinds.map(|name| (name, BTreeMap::new())).collect())
    }

    pub(super) fn put(&mut self, card: &Card) {
        if let Some(table) = self.of(card) {
            table.insert(card.uid.clone(), shared(card));
        }
    }

    pub(super) fn take(&mut self, card: &Card) {
        if let Some(table) = self.of(card) {
            table.remove(&card.uid);
        }
    }

    /// The cards of one kind as a list.
    pub(super) fn list(&self, name: &str) -> Box<dyn Val> {
        list(self.0.get(name).into_iter().flat_map(BTreeMap::values))
    }

    fn of(&mut self, card: &Card) -> Option<&mut BTreeMap<String, Shared>> {
        self.0.get_mut(variable(card.kind())?)
    }
}

/// A list of shared values.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a Shared>) -> Box<dyn Val> {
    let items: Vec<Box<dyn Val>> = items
        .map(|item| Box::new(item.clone()) as Box<dyn Val>)
        .collect();
    Box::new(CelList::from(items))
}

/// A map of shared values.
pub(super) fn map<'a>(items: impl Iterator<Item = (&'a String, &'a Shared)>) -> Box<dyn Val> {
    let items: HashMap<CelMapKey<'static>, Box<dyn Val>> = items
        .map(|(key, item)| {
            let item: Box<dyn Val> = Box::new(item.clone());
            (CelMapKey::from(key.clone()), item)
        })
        .collect();
    Box::new(CelMap::from(items))
}

/// A frame as an element of `since`; none for those that say nothing of the cluster. Every field is
/// always there, empty if there is nothing to say, so that a rule need not ask first.
pub(super) fn record(frame: &Frame) -> Option<Shared> {
    let mut record = json!({
        "event": frame.step.name(),
        "seq": frame.seq,
        "kind": "",
        "name": "",
        "uid": "",
        "owner": "",
        "text": "",
        "story": frame.story.as_ref().map_or("", |story| story.key),
        "card": {},
    });
    match &frame.step {
        Step::Added(card) | Step::Modified(card) | Step::Deleted(card) => {
            record["kind"] = card.kind().as_str().into();
            record["name"] = card.name.clone().into();
            record["uid"] = card.uid.clone().into();
            if let Some(owner) = &card.owner {
                record["owner"] = owner.name.clone().into();
            }
            record["card"] = to_json(card);
        }
        Step::Said(text) => record["text"] = text.clone().into(),
        Step::Inside(inside) => {
            record["name"] = inside.key.clone().into();
            record["card"] = to_json(inside);
        }
        Step::Link(_) | Step::Lesson(_) | Step::Restarted => return None,
    }
    Some(shared(&record))
}

/// Anything that is an object in JSON, as a map.
pub(super) fn shared(value: &impl Serialize) -> Shared {
    let Value::Object(fields) = to_json(value) else {
        return Shared(Arc::default());
    };
    Shared(Arc::new(to_map(fields)))
}

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("cards are plain data")
}

fn to_map(fields: serde_json::Map<String, Value>) -> CelMap<'static> {
    let fields: HashMap<CelMapKey<'static>, Box<dyn Val>> = fields
        .into_iter()
        .map(|(name, value)| (CelMapKey::from(name), to_val(value)))
        .collect();
    CelMap::from(fields)
}

fn to_val(value: Value) -> Box<dyn Val> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(it) => Box::new(CelBool::from(it)),
        // All whole numbers are `int`, so that a rule can compare and add them as they are written.
        Value::Number(it) => match it.as_i64() {
            Some(it) => Box::new(CelInt::from(it)),
            None => Box::new(CelDouble::from(it.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(it) => Box::new(CelString::from(it)),
        Value::Array(items) => {
            let items: Vec<Box<dyn Val>> = items.into_iter().map(to_val).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(fields) => Box::new(to_map(fields)),
    }
}

/// A map that is cheap to clone. The interpreter clones each element of a list that it goes over,
/// and CEL's own map would copy every field of every card for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<CelMap<'static>>);

impl Val for Shared {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.0.as_container()
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        self.0.as_indexer()
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        self.0.as_iterable()
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.0.as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.0.as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        self.0.equals(other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}
