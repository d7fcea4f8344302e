//! Whatever is done in whatever order, and whenever the program is killed: what a cluster promises holds.
//!
//! A seed makes a list of steps, the steps are done to a fresh cluster in a process of its own, and when it has come to
//! rest everything is looked at. A step costs a second of real processes, so that a general property library, which
//! wants hundreds of runs to find and hundreds to shrink, is not used: a failing seed is run again with
//! `EIZOKU_TEST_SEED`, and `EIZOKU_TEST_SHRINK=1` leaves out steps for as long as it still fails. `EIZOKU_TEST_SECONDS`
//! is how long to look for trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Program, alive};
use crate::wire::{Watched, Wire};

/// As long as this is worth on every run of the tests.
const SECONDS: u64 = 45;
const STEPS: usize = 14;
/// How long a cluster may take to come to rest on a busy machine.
const REST: Duration = Duration::from_secs(90);
const WATCHED: [&str; 4] = [
    "Pod",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StatefulSet",
];

/// What to do; the number picks among what is there then.
#[derive(Debug, Clone, Copy)]
enum Step {
    Make(usize),
    Scale(usize, u32),
    DeleteWorkload(usize),
    DeletePod(usize, bool),
    DeleteClaim(usize),
    WriteRow,
    KillContainer(usize),
    KillProgram,
    Wait(u64),
}

/// xorshift64*: a seed is a run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.below(1 << 20)).expect("small")
    }
}

fn steps(seed: u64) -> Vec<Step> {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut steps = vec![
        Step::Make(0),
        Step::Make(1 + chance.pick() % 3),
        Step::WriteRow,
    ];
    while steps.len() < STEPS {
        steps.push(match chance.below(20) {
            0..=2 => Step::Make(chance.pick()),
            3..=5 => Step::Scale(
                chance.pick(),
                u32::try_from(chance.below(4)).expect("small"),
            ),
            6 => Step::DeleteWorkload(chance.pick()),
            7..=9 => Step::DeletePod(chance.pick(), chance.below(4) == 0),
            10 => Step::DeleteClaim(chance.pick()),
            11..=13 => Step::WriteRow,
            14 | 15 => Step::KillContainer(chance.pick()),
            16 | 17 => Step::KillProgram,
            _ => Step::Wait(chance.below(800)),
        });
    }
    steps
}

const WORKLOADS: [(&str, &str); 4] = [
    ("StatefulSet", "db"),
    ("StatefulSet", "row"),
    ("StatefulSet", "heap"),
    ("Deployment", "shop"),
];

fn workload(kind: &str, name: &str) -> Value {
    let idle = json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "busybox",
        "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "sleep 1000"]}]});
    let mut pod = idle;
    if name == "db" {
        pod = json!({"terminationGracePeriodSeconds": 5, "containers": [{"name": "postgres", "image": "postgres:18",
            "env": [{"name": "POSTGRES_USER", "value": "user"}, {"name": "POSTGRES_PASSWORD", "value": "p"}, {"name": "POSTGRES_DB", "value": "app_db"}],
            "readinessProbe": {"exec": {"command": ["pg_isready", "-U", "user", "-d", "app_db"]}, "periodSeconds": 1, "timeoutSeconds": 10}}]});
    }
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {
        "replicas": if name == "db" { 1 } else { 2 }, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}});
    if kind == "StatefulSet" {
        let path = if name == "db" {
            "/var/lib/postgresql"
        } else {
            "/data"
        };
        object["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "data", "mountPath": path}]);
        object["spec"]["serviceName"] = name.into();
        object["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]);
        if name == "heap" {
            object["spec"]["podManagementPolicy"] = "Parallel".into();
        }
    }
    object
}

/// One cluster and what is known about it from outside.
struct World {
    program: Program,
    wire: Wire,
    watched: Watched,
    /// Words whose writing was acknowledged, by the uid of the claim they are on.
    rows: BTreeMap<String, BTreeSet<String>>,
    written: usize,
    /// No version may be lower than one that was seen before.
    highest: u64,
}

fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or("")
}

impl World {
    async fn new(folder: &std::path::Path) -> Self {
        let program = Program::start(folder);
        let wire = Wire::to(&program.kubeconfig(), "default").await;
        let watched = wire.watch().await;
        Self {
            program,
            wire,
            watched,
            rows: BTreeMap::new(),
            written: 0,
            highest: 0,
        }
    }

    async fn kill(&mut self) {
        self.watches_tell_the_truth(false).await;
        let children = self.program.descendants();
        self.program.kill();
        let begun = Instant::now();
        while !alive(&children).is_empty() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "orphans: {:?}",
                alive(&children)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let folder = self.program.folder.clone();
        self.program = Program::start(&folder);
        self.wire = Wire::to(&self.program.kubeconfig(), "default").await;
        self.watched = self.wire.watch().await;
    }

    async fn act(&mut self, step: Step) {
        match step {
            Step::Make(number) => {
                let (kind, name) = WORKLOADS[number % WORKLOADS.len()];
                if self.wire.find(kind, name).await.is_none() {
                    self.wire.create(workload(kind, name)).await;
                }
            }
            Step::Scale(number, replicas) => {
                let (kind, name) = WORKLOADS[number % WORKLOADS.len()];
                // Two databases would only take longer.
                let replicas = if name == "db" {
                    replicas.min(1)
                } else {
                    replicas
                };
                if self.wire.find(kind, name).await.is_some() {
                    self.wire.scale(kind, name, replicas).await;
                }
            }
            Step::DeleteWorkload(number) => {
                let (kind, name) = WORKLOADS[number % WORKLOADS.len()];
                self.wire.delete(kind, name, None).await;
            }
            Step::DeletePod(number, at_once) => {
                let pods = self.wire.list("Pod").await;
                if let Some(pod) = pods.get(number % pods.len().max(1)) {
                    let grace = at_once.then_some(0);
                    self.wire.delete("Pod", meta(pod, "name"), grace).await;
                }
            }
            Step::DeleteClaim(number) => {
                let claims = self.wire.list("PersistentVolumeClaim").await;
                if let Some(claim) = claims.get(number % claims.len().max(1)) {
                    self.wire
                        .delete("PersistentVolumeClaim", meta(claim, "name"), None)
                        .await;
                }
            }
            Step::WriteRow => self.write().await,
            Step::KillContainer(number) => {
                let children: Vec<u32> = self.program.descendants().into_iter().collect();
                if let Some(child) = children.get(number % children.len().max(1)) {
                    // It may have ended in the meantime.
                    let _ = std::process::Command::new("kill")
                        .args(["-KILL", &child.to_string()])
                        .stderr(std::process::Stdio::null())
                        .status();
                }
            }
            Step::KillProgram => self.kill().await,
            Step::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
        }
    }

    /// Writes a row if there is a database to write to. Only what psql acknowledged is promised.
    async fn write(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < REST {
            let set = self.wire.find("StatefulSet", "db").await;
            if set.is_none_or(|it| it["spec"]["replicas"] == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Some(claim) = self.wire.find("PersistentVolumeClaim", "data-db-0").await else {
                continue;
            };
            let pod = self.wire.find("Pod", "db-0").await;
            if !pod.is_some_and(|it| crate::wire::is_ready(&it)) {
                continue;
            }
            let word = format!("row-{}", self.written);
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS t (word text); INSERT INTO t VALUES ('{word}')"
            );
            if self.wire.psql("db-0", &sql).await.is_ok() {
                // The same claim before and after, so that it is known where the row is.
                let after = self.wire.find("PersistentVolumeClaim", "data-db-0").await;
                if after.is_some_and(|it| meta(&it, "uid") == meta(&claim, "uid")) {
                    let rows = self.rows.entry(meta(&claim, "uid").to_owned());
                    rows.or_default().insert(word);
                }
                self.written += 1;
                return;
            }
            self.written += 1;
        }
        panic!("the database takes no row");
    }

    /// Waits until every workload has what it wants and nothing is going.
    async fn rest(&self) {
        let begun = Instant::now();
        loop {
            let mut restless = Vec::new();
            for kind in ["StatefulSet", "Deployment"] {
                for one in self.wire.list(kind).await {
                    let count = |field: &str| one["status"][field].as_u64().unwrap_or(0);
                    let wanted = one["spec"]["replicas"].as_u64().unwrap_or(0);
                    if count("replicas") != wanted
                        || count("readyReplicas") != wanted
                        || one["status"]["observedGeneration"] != one["metadata"]["generation"]
                    {
                        restless.push(format!("{kind} {} {}", meta(&one, "name"), one["status"]));
                    }
                }
            }
            for kind in ["Pod", "PersistentVolumeClaim", "PersistentVolume"] {
                for one in self.wire.list(kind).await {
                    let is_kept = kind == "PersistentVolumeClaim" && !meta(&one, "name").is_empty();
                    // A claim may be held for as long as a Pod uses it.
                    if !one["metadata"]["deletionTimestamp"].is_null() && !is_kept {
                        restless.push(format!("{kind} {} is going", meta(&one, "name")));
                    }
                    if kind == "PersistentVolume" && one["status"]["phase"] != "Bound" {
                        restless.push(format!("volume {} {}", meta(&one, "name"), one["status"]));
                    }
                    if kind == "Pod" && meta(&one, "name").starts_with(['r', 'h', 's', 'd']) {
                        let ready = crate::wire::is_ready(&one);
                        if !ready {
                            restless.push(format!("Pod {} {}", meta(&one, "name"), one["status"]));
                        }
                    }
                }
            }
            if restless.is_empty() {
                return;
            }
            assert!(begun.elapsed() < REST, "no rest: {restless:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything that is promised of a cluster at rest.
    async fn check(&mut self) {
        self.rest().await;
        let pods = self.wire.list("Pod").await;
        let claims = self.wire.list("PersistentVolumeClaim").await;
        let volumes = self.wire.list("PersistentVolume").await;
        let mut owners: BTreeMap<String, Value> = BTreeMap::new();
        for kind in ["StatefulSet", "ReplicaSet"] {
            for one in self.wire.list(kind).await {
                owners.insert(meta(&one, "uid").to_owned(), one);
            }
        }

        let mut ordinals: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for pod in &pods {
            let list = pod["metadata"]["ownerReferences"].as_array();
            let controllers: Vec<&Value> = list
                .into_iter()
                .flatten()
                .filter(|it| it["controller"] == true)
                .collect();
            assert_eq!(controllers.len(), 1, "one controller: {pod:#}");
            let uid = controllers[0]["uid"].as_str().expect("a uid");
            let owner = owners.get(uid);
            let owner = owner.unwrap_or_else(|| panic!("its controller is there: {pod:#}"));
            if controllers[0]["kind"] == "StatefulSet" {
                let (set, ordinal) = meta(pod, "name").rsplit_once('-').expect("an ordinal");
                assert_eq!(set, meta(owner, "name"));
                let all = ordinals.entry(set).or_default();
                assert!(all.insert(ordinal.parse().expect("a number")), "each once");
            }
        }
        for (set, all) in &ordinals {
            let want: BTreeSet<usize> = (0..all.len()).collect();
            assert_eq!(*all, want, "the ordinals of {set} have no holes");
        }

        let mut taken = BTreeSet::new();
        for claim in &claims {
            let name = claim["spec"]["volumeName"].as_str().unwrap_or("");
            if name.is_empty() {
                // Nobody has used it yet.
                assert_eq!(claim["status"]["phase"], "Pending", "{claim:#}");
                continue;
            }
            assert!(taken.insert(name), "{name} has one claim");
            let volume = volumes.iter().find(|it| meta(it, "name") == name);
            let volume = volume.unwrap_or_else(|| panic!("{name} is there: {claim:#}"));
            assert_eq!(volume["spec"]["claimRef"]["uid"], claim["metadata"]["uid"]);
        }
        for volume in &volumes {
            assert!(
                taken.contains(meta(volume, "name")),
                "of nobody: {volume:#}"
            );
        }

        for claim in &claims {
            let Some(rows) = self.rows.get(meta(claim, "uid")) else {
                continue;
            };
            let said = self.wire.rows("db-0", "SELECT word FROM t").await;
            let there: BTreeSet<String> = said.lines().map(str::to_owned).collect();
            let lost: Vec<&String> = rows.difference(&there).collect();
            assert!(lost.is_empty(), "rows are lost: {lost:?} of {rows:?}");
        }

        self.nothing_left_over(&pods, &volumes).await;
        self.watches_tell_the_truth(true).await;
    }

    /// A process for each container, a folder for each Pod and each volume, and no others.
    async fn nothing_left_over(&self, pods: &[Value], volumes: &[Value]) {
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = std::fs::read_dir(self.program.folder.join("data").join(folder));
            let entries = entries.into_iter().flatten().flatten();
            entries
                .map(|it| it.file_name().to_string_lossy().into_owned())
                .collect()
        };
        let uids: BTreeSet<String> = pods.iter().map(|it| meta(it, "uid").to_owned()).collect();
        let disks: BTreeSet<String> = volumes
            .iter()
            .filter_map(|it| it["spec"]["hostPath"]["path"].as_str()?.rsplit('/').next())
            .map(str::to_owned)
            .collect();
        let begun = Instant::now();
        loop {
            let folders = names("pods");
            let volumes = names("node/var/local-path-provisioner");
            let idle = self.program.descendants().len() >= pods.len();
            let clean = folders.is_subset(&uids) && volumes == disks && idle;
            if clean && (!pods.is_empty() || self.program.descendants().is_empty()) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "folders of Pods {folders:?} for {uids:?}, of volumes {volumes:?} for {disks:?}, processes {:?} for {} Pods",
                self.program.descendants(),
                pods.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the watches said, added up, is what a list says; and versions only rose.
    async fn watches_tell_the_truth(&mut self, at_rest: bool) {
        let begun = Instant::now();
        loop {
            let events = self.watched.events();
            let mut wrong = Vec::new();
            for (kind, before) in &self.watched.before {
                if !WATCHED.contains(kind) {
                    continue;
                }
                let mut now: BTreeMap<String, Value> = before
                    .iter()
                    .map(|it| (meta(it, "uid").to_owned(), version(it)))
                    .collect();
                let mut last = 0;
                for event in events.iter().filter(|it| it.kind == *kind) {
                    let number = number(&event.object);
                    assert!(number > last, "{kind}: version {number} after {last}");
                    last = number;
                    let uid = meta(&event.object, "uid").to_owned();
                    let was = match event.change.as_str() {
                        "DELETED" => now.remove(&uid),
                        _ => now.insert(uid, version(&event.object)),
                    };
                    let is_right = was.is_some() != (event.change == "ADDED");
                    assert!(is_right, "{} of {kind} {}", event.change, event.object);
                }
                self.highest = self.highest.max(last);
                let list = self.wire.list(kind).await;
                let list: BTreeMap<String, Value> = list
                    .iter()
                    .map(|it| (meta(it, "uid").to_owned(), version(it)))
                    .collect();
                if list != now {
                    wrong.push(format!("{kind}: listed {list:?}, watched {now:?}"));
                }
            }
            if wrong.is_empty() || !at_rest {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{wrong:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn version(object: &Value) -> Value {
    object["metadata"]["resourceVersion"].clone()
}

fn number(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.expect("a version").parse().expect("a number")
}

/// One run; the words of the panic if a promise was broken.
async fn run(steps: Vec<Step>) -> Result<usize, String> {
    let task = tokio::spawn(async move {
        let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
        let mut world = World::new(folder.path()).await;
        for step in steps {
            world.act(step).await;
        }
        // Somebody has to be there to say which rows there are.
        world.act(Step::Make(0)).await;
        world.act(Step::Scale(0, 1)).await;
        world.check().await;
        let rows = world.rows.values().map(BTreeSet::len).sum();
        // And everything can be cleared away.
        for (kind, name) in WORKLOADS {
            world.wire.delete(kind, name, None).await;
        }
        for claim in world.wire.list("PersistentVolumeClaim").await {
            let name = meta(&claim, "name");
            world.wire.delete("PersistentVolumeClaim", name, None).await;
            world.wire.gone("PersistentVolumeClaim", name).await;
        }
        world.check().await;
        let pods = world.wire.list("Pod").await;
        let volumes = world.wire.list("PersistentVolume").await;
        assert!(
            pods.is_empty() && volumes.is_empty(),
            "{pods:?} {volumes:?}"
        );
        rows
    });
    task.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
            .unwrap_or_default(),
        Err(error) => error.to_string(),
    })
}

/// Leaves out steps for as long as what is left still fails.
async fn shrink(mut steps: Vec<Step>) -> Vec<Step> {
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        if run(fewer.clone()).await.is_err() {
            steps = fewer;
        } else {
            at += 1;
        }
    }
    steps
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn random_steps_break_no_promise() {
    let limit = Duration::from_secs(setting("EIZOKU_TEST_SECONDS").unwrap_or(SECONDS));
    let fixed = setting("EIZOKU_TEST_SEED");
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = fixed.unwrap_or_else(|| clock.expect("after 1970").as_secs());
    let begun = Instant::now();
    let mut runs = 0;
    loop {
        let seed = first + runs;
        let list = steps(seed);
        println!("seed {seed}: {list:?}");
        match run(list.clone()).await {
            Ok(rows) => println!(
                "seed {seed}: sound, {rows} rows kept, {:?}",
                begun.elapsed()
            ),
            Err(error) => {
                let least = match setting("EIZOKU_TEST_SHRINK") {
                    Some(_) => shrink(list).await,
                    None => list,
                };
                panic!("EIZOKU_TEST_SEED={seed} breaks a promise: {error}\nsteps: {least:#?}");
            }
        }
        runs += 1;
        if fixed.is_some() || begun.elapsed() > limit {
            break;
        }
    }
    println!("{runs} runs");
}
