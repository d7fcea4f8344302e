//! What became of each object, step by step, in words that two clusters share: names made of hashes, ids, times and
//! addresses are replaced by what they stand for. Made of watch events alone.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use serde_json::{Map, Value};

/// One watch event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: String,
    /// ADDED, MODIFIED or DELETED.
    pub(crate) change: String,
    pub(crate) object: Value,
}

/// An object from its first event to its last, or one aspect of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Life {
    pub(crate) steps: Vec<String>,
    /// The whole object as it was made, but for its status.
    pub(crate) made: Value,
}

/// Everything that happened, by object.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) lives: BTreeMap<String, Life>,
    /// Kind and family of objects to the beginnings, turning points and ends of their lives, in order.
    pub(crate) orders: BTreeMap<String, Vec<String>>,
}

/// Annotations that are the client's own business.
const OF_CLIENTS: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.daemonset.template.generation",
];
/// Events that come or do not come as the machine is fast or slow, on a real cluster too.
const OF_CHANCE: [&str; 4] = [
    "Unhealthy",
    "WaitForFirstConsumer",
    "FailedScheduling",
    "FailedMount",
];

impl Lives {
    /// Reads events in the order they came in. `namespace` is what the objects live in.
    pub(crate) fn of(events: &[Event], namespace: &str) -> Self {
        let mut names = Names::new(namespace);
        for event in events {
            names.learn(event);
        }
        let mut lives = Self::default();
        for event in events {
            lives.take(event, &names);
        }
        lives
    }

    fn take(&mut self, event: &Event, names: &Names) {
        let Event {
            kind,
            change,
            object,
        } = event;
        let gone = change == "DELETED";
        let plain = names.plain(object);
        if kind == "Event" {
            if let Some((about, said)) = told(&plain) {
                self.step(&format!("Events about {about}"), said, &Value::Null, true);
            }
            return;
        }
        let Some(name) = names.of(object) else { return };
        let key = format!("{kind} {name}");
        if condition(&object["status"], "PodScheduled") == "False" {
            // The scheduler may look before it has heard of the claim, and looks again.
            return;
        }
        let deleting = match &object["metadata"]["deletionGracePeriodSeconds"] {
            Value::Number(seconds) => format!(" deleting in {seconds} s"),
            _ if object["metadata"]["deletionTimestamp"].is_string() => " deleting".to_owned(),
            _ => String::new(),
        };
        let mut made = plain.clone();
        if let Some(map) = made.as_object_mut() {
            map.remove("status");
        }
        if matches!(kind.as_str(), "StatefulSet" | "Deployment" | "ReplicaSet") {
            // Whether two counts change in one write or in two is chance: each is looked at by itself.
            for (aspect, value) in aspects(&plain) {
                self.step(&format!("{key}: {aspect}"), value, &Value::Null, false);
            }
        }
        let step = format!("{}{deleting}", state(kind, &plain));
        self.step(&key, step, &made, false);
        if gone {
            self.step(&key, "gone".into(), &made, false);
        }
        self.order(kind, name, change, object);
    }

    fn step(&mut self, key: &str, step: String, made: &Value, once: bool) {
        let life = self.lives.entry(key.to_owned()).or_insert_with(|| Life {
            steps: Vec::new(),
            made: made.clone(),
        });
        let known = if once {
            life.steps.contains(&step)
        } else {
            life.steps.last() == Some(&step)
        };
        if !known {
            life.steps.push(step);
        }
    }

    fn order(&mut self, kind: &str, name: &str, change: &str, object: &Value) {
        let status = &object["status"];
        // Claims and volumes that are deleted together go in any order.
        let is_disk = matches!(kind, "PersistentVolumeClaim" | "PersistentVolume");
        let point = match (kind, change) {
            (_, "ADDED") => "made",
            _ if is_disk && status["phase"] == "Bound" => "bound",
            _ if is_disk => return,
            (_, "DELETED") => "gone",
            _ if object["metadata"]["deletionTimestamp"].is_string() => "deleting",
            // The Pods of a ReplicaSet do not wait for one another: when its substitute is ready, the old one may be
            // gone or still on its way out. Each one's own life says that it was ready.
            ("Pod", _) if is_substitute(name) => return,
            ("Pod", _) if condition(status, "Ready") == "True" => "ready",
            _ => return,
        };
        let order = self
            .orders
            .entry(format!("{kind} {}", family(name)))
            .or_default();
        let same = |it: &&String| it.rsplit_once(' ').is_some_and(|(of, _)| of == name);
        let point = format!("{name} {point}");
        // A Pod that was ready and is deleted is not ready once more, nor is a disk bound twice.
        if order.iter().rev().find(same) != Some(&point) && !(is_disk && order.contains(&point)) {
            order.push(point);
        }
    }
}

/// Where two clusters differ, in words; empty if they do not.
pub(crate) fn differences(real: &Lives, ours: &Lives) -> Vec<String> {
    let mut all = Vec::new();
    let mut keys: Vec<&String> = real.lives.keys().chain(ours.lives.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        match (real.lives.get(key), ours.lives.get(key)) {
            (Some(real), Some(ours)) => {
                if !alike(&real.steps, &ours.steps) {
                    all.push(format!("{key}\n{}", beside(&real.steps, &ours.steps)));
                }
                let mut fields = Vec::new();
                compare("", &real.made, &ours.made, &mut fields);
                if !fields.is_empty() {
                    all.push(format!("{key}, as it was made\n  {}", fields.join("\n  ")));
                }
            }
            (Some(real), None) => all.push(format!("{key}\n  only real: {:#?}", real.steps)),
            (None, Some(ours)) => all.push(format!("{key}\n  only ours: {:#?}", ours.steps)),
            (None, None) => {}
        }
    }
    let mut keys: Vec<&String> = real.orders.keys().chain(ours.orders.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let none = Vec::new();
        let (real, ours) = (
            real.orders.get(key).unwrap_or(&none),
            ours.orders.get(key).unwrap_or(&none),
        );
        let (real, ours) = (in_runs(real), in_runs(ours));
        if real != ours {
            all.push(format!("order of {key}\n{}", beside(&real, &ours)));
        }
    }
    all
}

/// Whether two lives are the same. A kubelet that is quick tells of a container's start and its running at once: that
/// step may be missing on either side.
fn alike(real: &[String], ours: &[String]) -> bool {
    let passing = |step: &&String| !step.contains(" waiting ContainerCreating ");
    let rest = |steps: &[String]| steps.iter().filter(passing).cloned().collect::<Vec<_>>();
    let (real_rest, ours_rest) = (rest(real), rest(ours));
    real == ours
        || (real_rest == ours_rest
            && (real.len() == real_rest.len() || ours.len() == ours_rest.len()))
}

/// An order without the chance in it: what several objects go through directly one after another, they go through
/// together.
fn in_runs(order: &[String]) -> Vec<String> {
    let mut order = order.to_vec();
    let point = |it: &String| it.rsplit(' ').next().unwrap_or_default().to_owned();
    for run in order.chunk_by_mut(|a, b| point(a) == point(b)) {
        run.sort();
    }
    order
}

/// Two lists of steps from where they part.
fn beside(real: &[String], ours: &[String]) -> String {
    let same = real.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let list = |steps: &[String]| -> String {
        let rest: Vec<&str> = steps.iter().skip(same).map(String::as_str).collect();
        rest.join("\n         ")
    };
    format!(
        "  {same} steps are the same, then\n  real:  {}\n  ours:  {}",
        list(real),
        list(ours)
    )
}

/// The fields in which two values differ.
fn compare(path: &str, real: &Value, ours: &Value, out: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (a, b) = (a.get(key), b.get(key));
                compare(
                    &format!("{path}.{key}"),
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    out,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), a, b, out);
            }
        }
        _ if real != ours => out.push(format!("{path}: real {real}, ours {ours}")),
        _ => {}
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a str {
    let list = status["conditions"].as_array();
    list.into_iter()
        .flatten()
        .find(|one| one["type"] == kind)
        .map_or("-", |one| text(&one["status"]))
}

/// Conditions with their reasons, in the order in which they stand.
fn conditions(status: &Value) -> String {
    let list = status["conditions"].as_array();
    let words: Vec<String> = list
        .into_iter()
        .flatten()
        .map(|one| match one["reason"].as_str() {
            Some(reason) => format!("{}={}/{reason}", text(&one["type"]), text(&one["status"])),
            None => format!("{}={}", text(&one["type"]), text(&one["status"])),
        })
        .collect();
    words.join(" ")
}

/// What a container does, as its status says.
fn containers(status: &Value) -> String {
    let list = status["containerStatuses"].as_array();
    let words: Vec<String> = list
        .into_iter()
        .flatten()
        .map(|one| {
            let (state, more) = one["state"]
                .as_object()
                .and_then(|it| it.iter().next())
                .map_or(("-", &Value::Null), |(key, more)| (key.as_str(), more));
            format!(
                "{} {state} {} exit={} ready={} started={} restarts={}",
                text(&one["name"]),
                text(&more["reason"]),
                more["exitCode"],
                one["ready"],
                one["started"],
                one["restartCount"]
            )
        })
        .collect();
    words.join(", ")
}

fn list(value: &Value) -> String {
    let words: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    words.join(",")
}

fn keys(value: &Value) -> String {
    let mut words: Vec<&str> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    words.sort_unstable();
    words.join(",")
}

/// The state of an object as one line.
fn state(kind: &str, object: &Value) -> String {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let finalizers = list(&meta["finalizers"]);
    match kind {
        "Pod" => format!(
            "{} node={} [{}] [{}] qos={} finalizers={finalizers}",
            text(&status["phase"]),
            text(&spec["nodeName"]),
            conditions(status),
            containers(status),
            text(&status["qosClass"])
        ),
        "PersistentVolumeClaim" => format!(
            "{} volume={} capacity={} modes={} annotations={} finalizers={finalizers}",
            text(&status["phase"]),
            text(&spec["volumeName"]),
            text(&status["capacity"]["storage"]),
            list(&status["accessModes"]),
            keys(&meta["annotations"])
        ),
        "PersistentVolume" => format!(
            "{} claim={} uid={} policy={} annotations={} finalizers={finalizers} reason={}",
            text(&status["phase"]),
            text(&spec["claimRef"]["name"]),
            text(&spec["claimRef"]["uid"]),
            text(&spec["persistentVolumeReclaimPolicy"]),
            keys(&meta["annotations"]),
            text(&status["reason"])
        ),
        _ => format!("wanted={} finalizers={finalizers}", spec["replicas"]),
    }
}

/// The counts and conditions of a workload, each by itself.
fn aspects(object: &Value) -> Vec<(String, String)> {
    let status = &object["status"];
    // A Deployment sums up what its sets say when it looks, and may miss a Pod's short absence.
    let sums = object["kind"] == "Deployment";
    let mut all: Vec<(String, String)> = ["readyReplicas", "availableReplicas", "replicas"]
        .into_iter()
        .take(if sums { 2 } else { 3 })
        .map(|name| {
            let count = status[name].as_i64().unwrap_or(0);
            (name.to_owned(), count.to_string())
        })
        .collect();
    for one in status["conditions"].as_array().into_iter().flatten() {
        all.push((
            format!("condition {}", text(&one["type"])),
            format!("{}/{}", text(&one["status"]), text(&one["reason"])),
        ));
    }
    all
}

/// What an Event is about, and what it says.
fn told(event: &Value) -> Option<(String, String)> {
    let reason = text(&event["reason"]);
    if OF_CHANCE.contains(&reason) {
        return None;
    }
    let about = &event["involvedObject"];
    let said = format!(
        "{} {reason}: {}",
        text(&event["type"]),
        text(&event["message"])
    );
    // Each component tells in its own order; between two of them it is chance.
    let source = text(&event["source"]["component"]);
    let (kind, name) = (text(&about["kind"]), text(&about["name"]));
    Some((format!("{kind} {name} from {source}"), said))
}

/// A name without its ordinal and its number: objects of one family come in an order that means something.
fn family(name: &str) -> &str {
    let name = name.split(" (").next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((front, ordinal)) if ordinal.bytes().all(|it| it.is_ascii_digit()) => front,
        _ => name,
    }
}

/// Whether a Pod was given its name by chance, so that any other one may take its place.
fn is_substitute(name: &str) -> bool {
    name.split(" (").next().is_some_and(|it| it.ends_with('#'))
}

/// What the names of one run stand for.
struct Names {
    namespace: String,
    /// By uid.
    objects: HashMap<String, String>,
    /// Chance's words and what stands for them, longest first.
    words: Vec<(String, String)>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            objects: HashMap::new(),
            words: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    fn of(&self, object: &Value) -> Option<&String> {
        self.objects.get(object["metadata"]["uid"].as_str()?)
    }

    fn learn(&mut self, event: &Event) {
        let meta = &event.object["metadata"];
        let Some(uid) = meta["uid"].as_str() else {
            return;
        };
        if event.kind == "Event" || self.objects.contains_key(uid) {
            return;
        }
        let name = text(&meta["name"]);
        for label in ["pod-template-hash", "controller-revision-hash"] {
            if let Some(hash) = meta["labels"][label].as_str() {
                let hash = hash.rsplit('-').next().unwrap_or(hash);
                // What stands before it is the workload's own name.
                let label = text(&meta["labels"]["controller-revision-hash"]);
                let whole = if name.contains(hash) { name } else { label };
                let owner = whole.split(hash).next().unwrap_or_default();
                self.word(hash, "hash", owner);
            }
        }
        let mut plain = self.replaced(name);
        if event.kind == "Pod"
            && let Some(front) = meta["generateName"].as_str()
            && text(&meta["ownerReferences"][0]["kind"]) != "StatefulSet"
        {
            plain = format!("{}#", self.replaced(front));
        }
        if event.kind == "PersistentVolume" && name.starts_with("pvc-") {
            plain = format!("of {}", text(&event.object["spec"]["claimRef"]["name"]));
        }
        // A second object of the same name is another one.
        let count = self
            .numbers
            .entry(format!("{} {plain}", event.kind))
            .or_default();
        *count += 1;
        let named = match *count {
            1 => plain,
            number => format!("{plain} ({number})"),
        };
        if named.split(" (").next() != Some(name) {
            self.words.push((name.to_owned(), named.clone()));
        }
        self.words
            .push((uid.to_owned(), format!("uid of {} {named}", event.kind)));
        self.words.sort_by_key(|(word, _)| usize::MAX - word.len());
        self.objects.insert(uid.to_owned(), named);
    }

    fn word(&mut self, word: &str, kind: &str, of: &str) {
        if self.words.iter().any(|(known, _)| known == word) {
            return;
        }
        let count = self.numbers.entry(format!("{kind} {of}")).or_default();
        *count += 1;
        self.words.push((word.to_owned(), format!("{kind}{count}")));
        self.words.sort_by_key(|(word, _)| usize::MAX - word.len());
    }

    fn replaced(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, plain) in &self.words {
            if text.contains(word.as_str()) {
                text = text.replace(word.as_str(), plain);
            }
        }
        text
    }

    /// An object without what is different every time.
    fn plain(&self, object: &Value) -> Value {
        match object {
            Value::Object(map) => {
                let mut plain = Map::new();
                for (key, value) in map {
                    let skip = matches!(
                        key.as_str(),
                        "resourceVersion" | "managedFields" | "selfLink"
                    ) || OF_CLIENTS.contains(&key.as_str());
                    if !skip {
                        plain.insert(key.clone(), self.plain(value));
                    }
                }
                // An empty map and none are the same to every reader.
                plain.retain(|_, value| value.as_object().is_none_or(|it| !it.is_empty()));
                Value::Object(plain)
            }
            Value::Array(list) => list.iter().map(|one| self.plain(one)).collect(),
            Value::String(text) => self.word_of(text).into(),
            other => other.clone(),
        }
    }

    fn word_of(&self, text: &str) -> String {
        if is_time(text) {
            return "TIME".into();
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return "ADDRESS".into();
        }
        for front in ["containerd://", "sha256:", "docker.io/library/"] {
            if text.starts_with(front) {
                return format!("{front}#");
            }
        }
        if text == self.namespace {
            return "NAMESPACE".into();
        }
        let mut text = self.replaced(text);
        if text.starts_with('/') && text.contains(&format!("_{}_", self.namespace)) {
            // Where the node keeps its disks is the node's business.
            text = format!("DISKS/{}", text.rsplit('/').next().unwrap_or_default());
        }
        for (word, plain) in [
            (format!("\"{}/", self.namespace), "\"NAMESPACE/"),
            (format!(" {}/", self.namespace), " NAMESPACE/"),
            (format!("_{}_", self.namespace), "_NAMESPACE_"),
            ("real-control-plane".into(), "NODE"),
            ("eizoku-control-plane".into(), "NODE"),
        ] {
            text = text.replace(&word, plain);
        }
        for front in ["kube-api-access-", "rancher.io/local-path_"] {
            if let Some(at) = text.find(front) {
                let from = at + front.len();
                let length = text[from..]
                    .bytes()
                    .take_while(|it| it.is_ascii_alphanumeric() || *it == b'-' || *it == b'_')
                    .count();
                text.replace_range(from..from + length, "#");
            }
        }
        text
    }
}

/// Whether a text is a point in time as the API writes it.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes.ends_with(b"Z")
}
