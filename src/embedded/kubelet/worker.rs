//! One Pod on the node, from its first sight to the last of its folders.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::mounts::{self, Volumes};
use super::runner::{Report, Runner, Stop, stopped};
use super::status::{Seen, Stage, compose};
use super::{Kubelet, News, clear};
use crate::controllers::events::Note;
use crate::object::{self, Object, array, text};
use crate::registry::{Deletion, Options, Part};
use crate::resource;

/// How often volumes that cannot be mounted are tried again.
const MOUNT_AGAIN: Duration = Duration::from_secs(2);
/// What a forced deletion still leaves a process, as the real kubelet's least.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// What the end of the program leaves every process, all at once: enough for a database's checkpoint, not so long that a person takes it for a hang.
const LAST_GRACE: Duration = Duration::from_secs(4);

/// How long the worker stays with what runs.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// Until the last one has ended.
    Ended,
    /// Until this init container has done what the next one waits for.
    Prepared(usize),
}

/// Works on one Pod.
pub(super) struct Worker {
    kubelet: Kubelet,
    news: watch::Receiver<News>,
    pod: Object,
    stage: Stage,
    init: Vec<Seen>,
    main: Vec<Seen>,
    stop: watch::Sender<Stop>,
    /// The same for sidecars, which end last.
    sidecars_stop: watch::Sender<Stop>,
    reports: mpsc::UnboundedReceiver<Report>,
    sender: mpsc::UnboundedSender<Report>,
}

impl Worker {
    pub(super) fn new(kubelet: &Kubelet, news: watch::Receiver<News>) -> Self {
        let pod = match &*news.borrow() {
            News::Is(pod) | News::Gone(pod) => pod.clone(),
        };
        let seen = |list: &str, statuses: &str, reason: &str| {
            array(&pod, list)
                .iter()
                .map(|container| Seen::first(&pod, container, statuses, reason))
                .collect::<Vec<_>>()
        };
        let init = seen(
            "/spec/initContainers",
            "/status/initContainerStatuses",
            "PodInitializing",
        );
        let main = seen(
            "/spec/containers",
            "/status/containerStatuses",
            if init.is_empty() {
                "ContainerCreating"
            } else {
                "PodInitializing"
            },
        );
        let (sender, reports) = mpsc::unbounded_channel();
        Self {
            kubelet: kubelet.clone(),
            news,
            pod,
            stage: Stage::default(),
            init,
            main,
            stop: watch::Sender::new(None),
            sidecars_stop: watch::Sender::new(None),
            reports,
            sender,
        }
    }

    /// Runs the Pod to its end, and removes it when it was deleted.
    pub(super) async fn run(mut self) {
        self.hear();
        let was_started = !text(&self.pod, "/status/podIP").is_empty();
        if !self.is_stopping() {
            if was_started {
                let note = Note::normal(
                    &self.pod,
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                );
                self.tell(note).await;
            }
            self.write().await;
            if let Some(volumes) = self.mount().await {
                self.stage.has_sandbox = true;
                self.containers(volumes).await;
            }
        }
        let stop = self.kubelet.0.stop.clone();
        if stop.is_cancelled() {
            return;
        }
        // A Pod that ended by itself stays until somebody deletes it.
        while !self.stage.is_ending {
            tokio::select! {
                changed = self.news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.hear();
                }
                () = stop.cancelled() => return,
            }
        }
        self.remove().await;
    }

    /// Takes in what is new about the Pod: its deletion becomes the order to stop.
    fn hear(&mut self) {
        let news = self.news.borrow_and_update().clone();
        let (pod, is_gone) = match news {
            News::Is(pod) => (pod, false),
            News::Gone(pod) => (pod, true),
        };
        self.pod = pod;
        if !is_gone && !object::is_deleting(&self.pod) {
            return;
        }
        self.stage.is_ending = true;
        let deadline = if is_gone {
            Instant::now() + LEAST_GRACE
        } else {
            let until = object::time_at(&self.pod, "/metadata/deletionTimestamp")
                .unwrap_or_else(Timestamp::now);
            Instant::now()
                + Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or(LEAST_GRACE)
        };
        self.stop.send_if_modified(|stop| {
            let is_sooner = stop.is_none_or(|before| deadline < before);
            if is_sooner {
                *stop = Some(deadline);
            }
            is_sooner
        });
    }

    fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn tell(&self, note: Note) {
        let recorder = self.kubelet.0.recorder.clone();
        let _ = tokio::task::spawn_blocking(move || recorder.record(&note)).await;
    }

    /// Writes the status as it is now; nothing when the object is gone or is another one by now.
    async fn write(&self) {
        let registry = self.kubelet.0.registry.clone();
        let (pod, stage, init, main) = (
            self.pod.clone(),
            self.stage.clone(),
            self.init.clone(),
            self.main.clone(),
        );
        let work = move || {
            registry.modify(
                resource::PODS,
                object::namespace(&pod),
                object::name(&pod),
                Part::Status,
                &Options::by("kubelet"),
                |current| {
                    if object::uid(current) == object::uid(&pod) {
                        current["status"] =
                            compose(current, &stage, &init, &main, Timestamp::now());
                    }
                },
            )
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Err(failure)) if failure.code != 404 => {
                tracing::warn!(%failure, "a Pod's status was not written");
            }
            _ => {}
        }
    }

    /// Mounts the volumes, however long it takes; nothing when the Pod is stopped before.
    async fn mount(&mut self) -> Option<Volumes> {
        self.stage.address = self.kubelet.address();
        let mut stop = self.stop.subscribe();
        loop {
            let (kubelet, pod, address) = (
                self.kubelet.clone(),
                self.pod.clone(),
                self.stage.address.clone(),
            );
            match tokio::task::spawn_blocking(move || mounts::prepare(&kubelet, &pod, &address))
                .await
            {
                Ok(Ok(volumes)) => return Some(volumes),
                Ok(Err(message)) => {
                    self.tell(Note::warning(&self.pod, "FailedMount", message))
                        .await;
                }
                Err(error) => tracing::error!(%error, "mounting failed"),
            }
            self.stage.address.clear();
            let cancelled = self.kubelet.0.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(MOUNT_AGAIN) => {}
                _ = self.news.changed() => self.hear(),
                () = stopped(&mut stop) => {}
                () = cancelled.cancelled() => return None,
            }
            if self.is_stopping() {
                return None;
            }
            self.stage.address = self.kubelet.address();
        }
    }

    fn runner(&self, is_init: bool, index: usize, volumes: &Volumes) -> Runner {
        let (list, seen) = if is_init {
            ("/spec/initContainers", &self.init)
        } else {
            ("/spec/containers", &self.main)
        };
        Runner {
            kubelet: self.kubelet.clone(),
            pod: self.pod.clone(),
            container: array(&self.pod, list)[index].clone(),
            is_init,
            index,
            address: self.stage.address.clone(),
            volumes: volumes.clone(),
            seen: seen[index].clone(),
            reports: self.sender.clone(),
            stop: if seen[index].is_sidecar {
                self.sidecars_stop.subscribe()
            } else {
                self.stop.subscribe()
            },
        }
    }

    /// Until when the Pod may be active.
    fn deadline(&self) -> Option<Instant> {
        let seconds = object::int(&self.pod, "/spec/activeDeadlineSeconds")?;
        let now = Timestamp::now();
        let begun = object::time_at(&self.pod, "/status/startTime").unwrap_or(now);
        let left =
            jiff::SignedDuration::from_secs(seconds).saturating_sub(now.duration_since(begun));
        Some(Instant::now() + object::wait(left.as_secs()))
    }

    /// The Pod has been active for too long: its containers are stopped, and it has failed.
    async fn be_overdue(&mut self) {
        self.stage.is_overdue = true;
        let grace = object::int(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
        let until = Instant::now() + object::wait(grace);
        self.stop.send_modify(|stop| {
            stop.get_or_insert(until);
        });
        let note = Note::normal(
            &self.pod,
            "DeadlineExceeded",
            "Pod was active on the node longer than the specified deadline",
        );
        self.tell(note).await;
        self.say_goodbye().await;
    }

    /// Runs the init containers one after the other, then the others together, until all have ended for good.
    async fn containers(&mut self, volumes: Volumes) {
        // Dropped at the end of this function at the latest, and what still runs with it.
        let mut sidecars = JoinSet::new();
        for index in 0..self.init.len() {
            let runner = self.runner(true, index, &volumes).run();
            let mut running = JoinSet::new();
            let until = if self.init[index].is_sidecar {
                sidecars.spawn(runner);
                Until::Prepared(index)
            } else {
                running.spawn(runner);
                Until::Ended
            };
            if !self.accompany(running, until).await {
                return self.end_sidecars(sidecars).await;
            }
        }
        if !self.init.is_empty() {
            for seen in &mut self.main {
                seen.state = json!({"waiting": {"reason": "PodInitializing"}});
            }
        }
        let mut running = JoinSet::new();
        for index in 0..self.main.len() {
            running.spawn(self.runner(false, index, &volumes).run());
        }
        self.accompany(running, Until::Ended).await;
        self.end_sidecars(sidecars).await;
    }

    /// Stops the sidecars, which end after the containers they are there for.
    async fn end_sidecars(&mut self, sidecars: JoinSet<bool>) {
        if sidecars.is_empty() {
            return;
        }
        if self.kubelet.0.stop.is_cancelled() {
            return self.close_down(sidecars).await;
        }
        let grace = object::int(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
        let own = Instant::now() + object::wait(grace);
        let until = self.stop.borrow().map_or(own, |stop| stop.min(own));
        self.sidecars_stop.send_replace(Some(until));
        self.accompany(sidecars, Until::Ended).await;
    }

    /// Writes every report down while runners run; true when all of them ended well.
    async fn accompany(&mut self, mut running: JoinSet<bool>, until: Until) -> bool {
        let mut all_well = true;
        let deadline = self.deadline();
        let cancelled = self.kubelet.0.stop.clone();
        let mut has_said_goodbye = false;
        loop {
            if let Until::Prepared(index) = until
                && (self.init[index].has_prepared() || self.is_stopping())
            {
                break;
            }
            let is_due = deadline.is_some() && !self.is_stopping();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if is_due => {
                    has_said_goodbye = true;
                    self.be_overdue().await;
                }
                Some(report) = self.reports.recv() => {
                    let list = if report.is_init { &mut self.init } else { &mut self.main };
                    list[report.index] = report.seen;
                    self.write().await;
                }
                ended = running.join_next(), if matches!(until, Until::Ended) => match ended {
                    Some(ended) => all_well &= ended.unwrap_or(false),
                    None => break,
                },
                changed = self.news.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    self.hear();
                    if self.is_stopping() && !has_said_goodbye {
                        has_said_goodbye = true;
                        self.say_goodbye().await;
                    }
                }
                () = cancelled.cancelled() => {
                    self.close_down(running).await;
                    return false;
                }
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            let list = if report.is_init {
                &mut self.init
            } else {
                &mut self.main
            };
            list[report.index] = report.seen;
            self.write().await;
        }
        all_well && !self.is_stopping()
    }

    /// The program ends: what runs is asked to, and killed when it takes too long. The status stays as it is: the Pod is to run again with the next start.
    async fn close_down(&self, mut running: JoinSet<bool>) {
        let grace = object::int(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
        let grace = Duration::from_secs(grace.max(0).unsigned_abs());
        let until = Instant::now() + grace.min(LAST_GRACE);
        for order in [&self.stop, &self.sidecars_stop] {
            order.send_modify(|stop| *stop = Some(stop.map_or(until, |at| at.min(until))));
        }
        while running.join_next().await.is_some() {}
    }

    /// The first signs of a stop: an event for each container that runs, and a status that has seen the deletion.
    async fn say_goodbye(&self) {
        for seen in self
            .main
            .iter()
            .chain(&self.init)
            .filter(|seen| seen.is_running())
        {
            let note = Note::normal(
                &self.pod,
                "Killing",
                format!("Stopping container {}", seen.name),
            )
            .on_container(&seen.name);
            self.tell(note).await;
        }
        self.write().await;
    }

    /// After the last process: the folders go, then the object.
    async fn remove(mut self) {
        self.stage.is_ending = true;
        for seen in self.main.iter_mut().chain(&mut self.init) {
            // What never ran, or ran in an earlier life of the program, has ended now.
            if seen.state.get("terminated").is_none() && seen.restarts > 0 {
                seen.state = if seen.last == json!({}) {
                    seen.state.clone()
                } else {
                    seen.last.clone()
                };
            }
        }
        self.write().await;
        remove(&self.kubelet, self.pod.clone()).await;
    }
}

/// Takes over a Pod whose worker panicked: it has failed, which a start of the program does not try again, and goes when
/// it is deleted.
pub(super) async fn give_up(kubelet: &Kubelet, mut news: watch::Receiver<News>) {
    let registry = kubelet.0.registry.clone();
    let (pod, _) = known(&mut news);
    tracing::error!(
        "the kubelet panicked over the Pod {}/{}, which has failed by that",
        object::namespace(&pod),
        object::name(&pod)
    );
    let failed = move || {
        let edit = |current: &mut Value| {
            if object::uid(current) == object::uid(&pod) {
                object::set(current, "/status/phase", "Failed");
                object::set(current, "/status/reason", "KubeletPanic");
                object::set(
                    current,
                    "/status/message",
                    "The kubelet panicked over this Pod.",
                );
            }
        };
        let (namespace, name) = (object::namespace(&pod), object::name(&pod));
        let by = Options::by("kubelet");
        registry.modify(resource::PODS, namespace, name, Part::Status, &by, edit)
    };
    // A Pod that is gone by now needs no status.
    let _ = tokio::task::spawn_blocking(failed).await;
    let stop = kubelet.0.stop.clone();
    loop {
        let (pod, is_ending) = known(&mut news);
        if is_ending {
            return remove(kubelet, pod).await;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() {
                return;
            },
            () = stop.cancelled() => return,
        }
    }
}

/// The Pod as it was last heard of, and whether it is to go.
fn known(news: &mut watch::Receiver<News>) -> (Object, bool) {
    match &*news.borrow_and_update() {
        News::Is(pod) => (pod.clone(), object::is_deleting(pod)),
        News::Gone(pod) => (pod.clone(), true),
    }
}

/// Removes the folders of a Pod in which nothing runs any more, and then the object.
async fn remove(kubelet: &Kubelet, pod: Object) {
    let folder = kubelet.0.folders.pods.join(object::uid(&pod));
    let registry = kubelet.0.registry.clone();
    let work = move || {
        clear(&folder);
        let deletion = Deletion {
            grace: Some(0),
            uid: Some(object::uid(&pod).to_owned()),
            ..Deletion::default()
        };
        registry.delete(
            resource::PODS,
            object::namespace(&pod),
            object::name(&pod),
            &deletion,
        )
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Err(failure)) if !matches!(failure.code, 404 | 409) => {
            tracing::warn!(%failure, "a Pod was not removed");
        }
        _ => {}
    }
}
