//! Puts what the watches say into the order in which it happened. Each kind has a watch of its own, and they arrive as
//! they like: an effect may be heard before its cause.
//!
//! All objects of one API server share one counter, and their `resourceVersion` is where it stood: from Kubernetes 1.35 on it is
//! promised to compare as a number (KEP-5504, "Comparable Resource Version"), and before it does. So a change is held for
//! a moment, and whatever happened before it goes first if it comes in that time. What has no such number (a list, a
//! line typed, rows) stays where it arrived, and so do the changes of one kind among each other.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::change::{Change, What};
use super::kind::{Kind, Object};

/// How long a change waits for those before it. Watches of one server are a few milliseconds apart; a reader does not
/// see the delay.
const HOLD: Duration = Duration::from_millis(15);
/// Changes in order that may wait to be taken.
const AHEAD: usize = 256;

/// Hands on the changes of `incoming` in the order in which they happened, until it ends.
pub fn in_order(mut incoming: mpsc::Receiver<Change>) -> mpsc::Receiver<Change> {
    let (ordered, outgoing) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut order = Order::default();
        loop {
            let due = order.due();
            let (ready, ended) = tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    (order.take(Instant::now()), false)
                }
                change = incoming.recv() => match change {
                    Some(change) => (order.push(change, Instant::now()), false),
                    None => (order.take_all(), true),
                },
            };
            for change in ready {
                if ordered.send(change).await.is_err() {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    });
    outgoing
}

/// The changes that are held.
#[derive(Default)]
struct Order {
    /// By when they happened, then by when they arrived.
    held: BTreeMap<(u64, u64), Held>,
    /// How many arrived.
    count: u64,
    /// The newest version seen.
    newest: u64,
    /// The newest place of each kind.
    last: HashMap<Kind, u64>,
    /// The time of what was handed on last: no later change may seem older.
    at: i64,
}

struct Held {
    change: Change,
    until: Instant,
}

impl Order {
    /// Takes a change in, and hands on what waits for nothing.
    fn push(&mut self, change: Change, now: Instant) -> Vec<Change> {
        self.count += 1;
        let place = match place(&change.what) {
            Place::Arrival => self.newest,
            Place::Of(kind, version) => {
                let version = version.unwrap_or(self.newest);
                self.newest = self.newest.max(version);
                let last = self.last.entry(kind).or_default();
                *last = version.max(*last);
                *last
            }
            Place::Border => {
                let mut all = self.take_all();
                self.newest = 0;
                self.last.clear();
                all.push(self.in_time(change));
                return all;
            }
        };
        let until = now + HOLD;
        self.held
            .insert((place, self.count), Held { change, until });
        Vec::new()
    }

    /// When something is to be handed on.
    fn due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min()
    }

    /// What has waited long enough by `now`, with everything that happened before it.
    fn take(&mut self, now: Instant) -> Vec<Change> {
        let Some(last) = self
            .held
            .iter()
            .filter(|(_, held)| held.until <= now)
            .map(|(place, _)| *place)
            .next_back()
        else {
            return Vec::new();
        };
        let later = self.held.split_off(&(last.0, last.1 + 1));
        let taken = std::mem::replace(&mut self.held, later);
        self.hand_on(taken)
    }

    fn take_all(&mut self) -> Vec<Change> {
        let taken = std::mem::take(&mut self.held);
        self.hand_on(taken)
    }

    fn hand_on(&mut self, taken: BTreeMap<(u64, u64), Held>) -> Vec<Change> {
        let changes = taken.into_values().map(|held| self.in_time(held.change));
        changes.collect()
    }

    fn in_time(&mut self, change: Change) -> Change {
        self.at = self.at.max(change.at);
        Change {
            at: self.at,
            ..change
        }
    }
}

/// Where a change belongs.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Among those of its kind, and where its version says, if it has one that is a number.
    Of(Kind, Option<u64>),
    /// Where it arrived.
    Arrival,
    /// Between what was before and what comes after: another connection, perhaps to another cluster, with which nothing
    /// compares.
    Border,
}

fn place(what: &What) -> Place {
    let of = |object: &Object| {
        let version = object.version().and_then(|version| version.parse().ok());
        Place::Of(object.kind(), version)
    };
    match what {
        What::Applied(object) | What::Deleted(object) => of(object),
        // An item is as old as its object; the list is of now.
        What::Item(object) => Place::Of(object.kind(), None),
        What::ListBegins(kind) | What::ListEnds(kind) | What::Unseen(kind) => {
            Place::Of(*kind, None)
        }
        What::Said(_) | What::Inside(_) => Place::Arrival,
        What::Link(_) | What::Source(_) | What::Restarted => Place::Border,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::Link;

    fn object(kind: Kind, name: &str, version: &str) -> Object {
        let value = json!({"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": version}});
        Object::from_json(kind, value).expect("an object of the API")
    }

    fn change(what: What) -> Change {
        Change { at: 0, what }
    }

    fn names(changes: Vec<Change>) -> Vec<String> {
        let name = |change: Change| match change.what {
            What::Applied(object) | What::Deleted(object) | What::Item(object) => {
                object.uid().unwrap_or_default().to_owned()
            }
            What::ListBegins(kind) => format!("{kind}["),
            What::ListEnds(kind) => format!("]{kind}"),
            What::Said(text) => text,
            What::Link(_) => "link".into(),
            _ => "other".into(),
        };
        changes.into_iter().map(name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn causes_come_before_effects_and_the_rest_stays_where_it_arrived() {
        use Kind::{PersistentVolumeClaim as Claim, Pod, StatefulSet};
        let applied = |kind, name: &str, version: &str| What::Applied(object(kind, name, version));
        type Case = (&'static str, Vec<What>, &'static [&'static str]);
        let table: [Case; 6] = [
            (
                "an effect that is heard first",
                vec![
                    applied(StatefulSet, "s", "12"),
                    applied(Pod, "p", "11"),
                    applied(Claim, "c", "9"),
                ],
                &["c", "p", "s"],
            ),
            (
                "numbers are compared as numbers",
                vec![applied(Pod, "b", "100"), applied(Claim, "a", "99")],
                &["a", "b"],
            ),
            (
                "one kind keeps its order, whatever its numbers say",
                vec![
                    applied(Pod, "a", "7"),
                    applied(Pod, "b", "5"),
                    applied(Claim, "c", "6"),
                ],
                &["c", "a", "b"],
            ),
            (
                "what does not compare stays where it arrived",
                vec![
                    applied(Pod, "a", "x"),
                    applied(Claim, "b", "y"),
                    applied(Pod, "c", ""),
                ],
                &["a", "b", "c"],
            ),
            (
                "a line typed comes after what was there and before what it brings about",
                vec![
                    applied(Pod, "a", "5"),
                    What::Said("$".into()),
                    applied(Pod, "c", "7"),
                    applied(Claim, "b", "4"),
                ],
                &["b", "a", "$", "c"],
            ),
            (
                "a list stays whole, and a new connection begins anew",
                vec![
                    applied(Claim, "c", "900"),
                    What::ListBegins(Pod),
                    What::Item(object(Pod, "i", "3")),
                    What::ListEnds(Pod),
                    What::Link(Link::live(0)),
                    applied(Pod, "p", "4"),
                    applied(Claim, "d", "3"),
                ],
                &["c", "Pod[", "i", "]Pod", "link", "d", "p"],
            ),
        ];
        for (name, changes, want) in table {
            let (sender, incoming) = mpsc::channel(64);
            let mut outgoing = in_order(incoming);
            for what in changes {
                sender.send(change(what)).await.expect("it listens");
            }
            drop(sender);
            let mut seen = Vec::new();
            while let Some(change) = outgoing.recv().await {
                seen.push(change);
            }
            assert_eq!(names(seen), want, "{name}");
        }
    }

    #[test]
    fn what_comes_too_late_waits_for_nothing_else() {
        let start = Instant::now();
        let mut order = Order::default();
        order.push(change(What::Applied(object(Kind::Pod, "p", "5"))), start);
        assert!(order.take(start + HOLD / 2).is_empty());
        assert_eq!(names(order.take(start + HOLD)), ["p"]);
        let late = start + HOLD * 2;
        order.push(change(What::Applied(object(Kind::Node, "n", "3"))), late);
        assert_eq!(order.due(), Some(late + HOLD));
        assert_eq!(names(order.take(late + HOLD)), ["n"]);
        assert_eq!(order.due(), None);
    }

    /// A run that a real cluster wrote, each kind heard by a watch that is late by its own measure each time.
    #[test]
    fn a_real_run_with_its_kinds_shuffled_and_delayed_is_told_in_its_order() {
        let text = include_str!("../../content/recordings/lanes.jsonl");
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut run: Vec<(u64, Kind, Value)> = lines
            .filter(|line| line.get("object").is_some())
            .map(|mut line| {
                let kind = serde_json::from_value(line["kind"].take()).expect("a kind");
                let object = line["object"].take();
                let version = object["metadata"]["resourceVersion"].as_str();
                let version = version.and_then(|it| it.parse().ok()).expect("a number");
                (version, kind, object)
            })
            .collect();
        run.sort_by_key(|(version, kind, _)| (*version, *kind));
        run.dedup_by_key(|(version, ..)| *version);
        assert!(run.len() > 100, "{}", run.len());
        let mut random = 11_u64;
        for _ in 0..50 {
            let start = Instant::now();
            let mut arrived: HashMap<Kind, Duration> = HashMap::new();
            let mut heard: Vec<(Duration, &(u64, Kind, Value))> = Vec::new();
            for (n, it) in run.iter().enumerate() {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let delay = Duration::from_micros((random >> 33) % 14_000);
                let after = arrived.get(&it.1).copied().unwrap_or_default();
                // A watch never overtakes itself.
                let at = after.max(Duration::from_millis(n as u64) + delay);
                arrived.insert(it.1, at);
                heard.push((at, it));
            }
            heard.sort_by_key(|(at, _)| *at);
            let shuffled = heard.windows(2).filter(|it| it[0].1.0 > it[1].1.0);
            assert!(shuffled.count() > 20, "nothing was out of order");
            let mut order = Order::default();
            let mut told = Vec::new();
            for (at, (_, kind, object)) in heard {
                told.extend(order.take(start + at));
                let object = Object::from_json(*kind, object.clone()).expect("an object");
                told.extend(order.push(change(What::Applied(object)), start + at));
            }
            told.extend(order.take_all());
            let versions: Vec<u64> = told
                .iter()
                .filter_map(|change| match place(&change.what) {
                    Place::Of(_, version) => version,
                    _ => None,
                })
                .collect();
            assert_eq!(versions.len(), run.len());
            let wrong = versions.windows(2).filter(|pair| pair[0] > pair[1]);
            assert_eq!(wrong.count(), 0);
        }
    }
}
