//! One container of a Pod: pulled, started, probed, restarted, stopped.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::mounts::{self, Volumes};
use super::probe::{Probe, Tally, Verdict};
use super::status::Seen;
use super::{Kubelet, SCRATCH_BYTES, backoff, clear, env};
use crate::controllers::events::Note;
use crate::object::{self, Object, array, int, text};
use eizoku_containers::{self as containers, Container, ContainerSpec, ExecRequest};

/// A run this long makes the next failure count as the first again.
const LONG_RUN: Duration = Duration::from_secs(600);
/// How often a container with a missing Secret or ConfigMap is tried again, as the real sync loop does.
const CONFIG_AGAIN: Duration = Duration::from_secs(5);
/// The signal that cannot be refused.
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The order to stop, with the time by which the container has to be gone.
pub(super) type Stop = Option<Instant>;

/// Waits for the order to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<Stop>) {
    // A worker that is gone has no use for its containers either.
    let _ = stop.wait_for(Option::is_some).await;
}

/// What a runner tells its Pod's worker.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) is_init: bool,
    pub(super) index: usize,
    pub(super) seen: Seen,
}

/// Runs one container of a Pod.
pub(super) struct Runner {
    pub(super) kubelet: Kubelet,
    pub(super) pod: Object,
    pub(super) container: Value,
    pub(super) is_init: bool,
    pub(super) index: usize,
    pub(super) address: String,
    pub(super) volumes: Volumes,
    pub(super) seen: Seen,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) stop: watch::Receiver<Stop>,
}

/// Why a run ended.
enum End {
    /// By itself or by a probe.
    Exited,
    /// Because the Pod is stopped.
    Stopped,
}

impl Runner {
    /// Runs the container until it has ended for good; true when it ended well.
    pub(super) async fn run(mut self) -> bool {
        let mut failures = 0;
        loop {
            let Some(image) = self.image().await else {
                return false;
            };
            let Some(spec) = self.spec(&image).await else {
                return false;
            };
            self.event(
                "Normal",
                "Created",
                format!("Created container: {}", self.seen.name),
            )
            .await;
            let begun = Instant::now();
            let started_at = Timestamp::now();
            let end = match self.kubelet.0.runtime.start(spec.clone()).await {
                Ok(container) => self.live(&container, &image, started_at).await,
                Err(error) => {
                    self.event("Warning", "Failed", format!("Error: {error}"))
                        .await;
                    self.seen.id = format!("eizoku://{}", object::random_hex(32));
                    self.seen.state = json!({"terminated": {
                        "exitCode": 128, "reason": "StartError", "message": error.to_string(), "startedAt": "1970-01-01T00:00:00Z", "finishedAt": object::time(Timestamp::now()), "containerID": self.seen.id,
                    }});
                    self.report();
                    End::Exited
                }
            };
            let scratch = spec.scratch.clone();
            let _ = tokio::task::spawn_blocking(move || clear(&scratch)).await;
            let code = int(&self.seen.state, "/terminated/exitCode").unwrap_or(255);
            let policy = text(&self.pod, "/spec/restartPolicy").to_owned();
            // An init container that has done its work is not run again, whatever the policy.
            let comes_again = match policy.as_str() {
                _ if self.seen.is_sidecar => true,
                "Always" => !self.is_init || code != 0,
                "OnFailure" => code != 0,
                _ => false,
            };
            if matches!(end, End::Stopped) || !comes_again {
                return code == 0;
            }
            if begun.elapsed() >= LONG_RUN {
                failures = 0;
            }
            if !self.wait_to_restart(failures).await {
                return false;
            }
            failures += 1;
            self.seen.restarts += 1;
        }
    }

    fn report(&self) {
        // The worker outlives its runners, so the report is always heard.
        let _ = self.reports.send(Report {
            is_init: self.is_init,
            index: self.index,
            seen: self.seen.clone(),
        });
    }

    async fn event(&self, kind: &'static str, reason: &'static str, message: String) {
        let note = if kind == "Normal" {
            Note::normal(&self.pod, reason, message)
        } else {
            Note::warning(&self.pod, reason, message)
        };
        let note = note.on_container(&self.seen.name);
        let recorder = self.kubelet.0.recorder.clone();
        let _ = tokio::task::spawn_blocking(move || recorder.record(&note)).await;
    }

    /// Waits, unless the Pod is stopped first: then false.
    async fn sleep(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = stopped(&mut self.stop) => false,
        }
    }

    fn wait_state(&mut self, reason: &str, message: &str) {
        self.seen.state = json!({"waiting": {"reason": reason}});
        if !message.is_empty() {
            self.seen.state["waiting"]["message"] = json!(message);
        }
        self.report();
    }

    async fn wait_to_restart(&mut self, failures: u32) -> bool {
        let wait = backoff(failures);
        self.seen.last = self.seen.state.clone();
        self.seen.started = false;
        if !wait.is_zero() {
            let full = format!(
                "{}_{}({})",
                object::name(&self.pod),
                object::namespace(&self.pod),
                object::uid(&self.pod)
            );
            self.event(
                "Warning",
                "BackOff",
                format!(
                    "Back-off restarting failed container {} in pod {full}",
                    self.seen.name
                ),
            )
            .await;
            let shown = match wait.as_secs() {
                seconds @ 0..60 => format!("{seconds}s"),
                seconds => format!("{}m{}s", seconds / 60, seconds % 60),
            };
            let message = format!(
                "back-off {shown} restarting failed container={} pod={full}",
                self.seen.name
            );
            self.wait_state("CrashLoopBackOff", &message);
        }
        self.sleep(wait).await
    }

    /// Resolves the image; an unknown one is tried again with longer and longer waits.
    async fn image(&mut self) -> Option<containers::ImageInfo> {
        let image = text(&self.container, "/image").to_owned();
        let policy = text(&self.container, "/imagePullPolicy").to_owned();
        let mut tries = 0;
        loop {
            match containers::resolve(&image) {
                Ok(info) => {
                    if policy == "Always" {
                        self.event("Normal", "Pulling", format!("Pulling image {image:?}"))
                            .await;
                        self.event("Normal", "Pulled", format!("Successfully pulled image {image:?} in 0s (0s including waiting). Image size: {} bytes.", info.size)).await;
                    } else {
                        self.event(
                            "Normal",
                            "Pulled",
                            format!("Container image {image:?} already present on machine"),
                        )
                        .await;
                    }
                    return Some(info);
                }
                Err(error) => {
                    let reason = error.reason();
                    if reason == "InvalidImageName" {
                        self.event(
                            "Warning",
                            "InspectFailed",
                            format!("Failed to apply default image tag {image:?}: {error}"),
                        )
                        .await;
                        self.event("Warning", "Failed", "Error: InvalidImageName".to_owned())
                            .await;
                        self.wait_state(reason, &error.to_string());
                    } else if policy == "Never" {
                        let message = format!(
                            "Container image {image:?} is not present with pull policy of Never"
                        );
                        self.event("Warning", "ErrImageNeverPull", message.clone())
                            .await;
                        self.event("Warning", "Failed", "Error: ErrImageNeverPull".to_owned())
                            .await;
                        self.wait_state("ErrImageNeverPull", &message);
                    } else {
                        self.event("Normal", "Pulling", format!("Pulling image {image:?}"))
                            .await;
                        self.event(
                            "Warning",
                            "Failed",
                            format!("Failed to pull image {image:?}: {error}"),
                        )
                        .await;
                        self.event("Warning", "Failed", "Error: ErrImagePull".to_owned())
                            .await;
                        self.wait_state("ErrImagePull", &error.to_string());
                        if !self.sleep(Duration::from_secs(2)).await {
                            return None;
                        }
                        self.event(
                            "Normal",
                            "BackOff",
                            format!("Back-off pulling image {image:?}"),
                        )
                        .await;
                        self.event("Warning", "Failed", "Error: ImagePullBackOff".to_owned())
                            .await;
                        self.wait_state(
                            "ImagePullBackOff",
                            &format!("Back-off pulling image {image:?}: ErrImagePull: {error}"),
                        );
                    }
                    tries += 1;
                    if !self.sleep(backoff(tries)).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Puts together what the container is started with; tries again while something it names is missing.
    async fn spec(&mut self, image: &containers::ImageInfo) -> Option<ContainerSpec> {
        loop {
            let made = self.build();
            let message = match made {
                Ok(spec) => {
                    self.seen.image.clone_from(&image.reference);
                    self.seen.image_id.clone_from(&image.id);
                    return Some(spec);
                }
                Err(message) => message,
            };
            self.event("Warning", "Failed", format!("Error: {message}"))
                .await;
            self.wait_state("CreateContainerConfigError", &message);
            if !self.sleep(CONFIG_AGAIN).await {
                return None;
            }
            self.event(
                "Normal",
                "Pulled",
                format!(
                    "Container image {:?} already present on machine",
                    text(&self.container, "/image")
                ),
            )
            .await;
        }
    }

    fn build(&self) -> Result<ContainerSpec, String> {
        let env = env::of(
            &self.kubelet.0.registry,
            &self.pod,
            &self.address,
            &self.container,
        )?;
        let log =
            self.kubelet
                .log_file(object::uid(&self.pod), &self.seen.name, self.seen.restarts);
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        // The run before this one can be asked for (`kubectl logs -p`), those before it cannot.
        if self.seen.restarts >= 2 {
            let old = self.kubelet.log_file(
                object::uid(&self.pod),
                &self.seen.name,
                self.seen.restarts - 2,
            );
            for file in containers::rotated_logs(&old).chain([old.clone()]) {
                let _ = std::fs::remove_file(file);
            }
        }
        let hostname = match text(&self.pod, "/spec/hostname") {
            "" => object::name(&self.pod),
            hostname => hostname,
        };
        Ok(ContainerSpec {
            image: text(&self.container, "/image").to_owned(),
            command: env::words(&self.container, "command", &env)?,
            args: env::words(&self.container, "args", &env)?,
            mounts: mounts::of_container(&self.pod, &self.container, &self.volumes)?,
            env,
            working_dir: Some(text(&self.container, "/workingDir").to_owned())
                .filter(|folder| !folder.is_empty()),
            hostname: hostname.chars().take(63).collect(),
            scratch: self
                .kubelet
                .0
                .folders
                .scratch
                .join(object::random_hex(SCRATCH_BYTES)),
            log,
            memory: memory_limit(&self.container),
        })
    }

    /// From the start of the process to its end.
    async fn live(
        &mut self,
        container: &Container,
        image: &containers::ImageInfo,
        started_at: Timestamp,
    ) -> End {
        let uid = object::uid(&self.pod).to_owned();
        self.kubelet
            .put_container(&uid, &self.seen.name, Some(container.clone()));
        self.event(
            "Normal",
            "Started",
            format!("Started container {}", self.seen.name),
        )
        .await;
        self.seen.id = format!("eizoku://{}", container.id());
        self.after_start(container, image).await;
        self.seen.state = json!({"running": {"startedAt": object::time(started_at)}});
        let readiness = Probe::of(&self.container, "readinessProbe");
        let startup = Probe::of(&self.container, "startupProbe");
        self.seen.started = startup.is_none();
        self.seen.ready =
            (!self.is_init || self.seen.is_sidecar) && readiness.is_none() && startup.is_none();
        self.report();
        let end = self.watch_over(container, image, startup, readiness).await;
        let exit = container.wait().await;
        self.kubelet.put_container(&uid, &self.seen.name, None);
        self.seen.ready = false;
        self.seen.started = false;
        let reason = match exit.code {
            0 => "Completed",
            _ if exit.out_of_memory => "OOMKilled",
            _ => "Error",
        };
        self.seen.state = json!({"terminated": {
            "exitCode": exit.code, "reason": reason, "startedAt": object::time(started_at), "finishedAt": object::time(Timestamp::now()), "containerID": self.seen.id,
        }});
        self.report();
        end
    }

    /// Readiness, told when it changes.
    fn put_in_service(&mut self, is_ready: bool) {
        if self.seen.ready != is_ready {
            self.seen.ready = is_ready;
            self.report();
        }
    }

    /// Asks the probes until the process ends, a probe ends it, or the Pod is stopped.
    async fn watch_over(
        &mut self,
        container: &Container,
        image: &containers::ImageInfo,
        startup: Option<Probe>,
        readiness: Option<Probe>,
    ) -> End {
        let liveness = Probe::of(&self.container, "livenessProbe");
        let mut stop = self.stop.clone();
        let (answers, mut heard) = mpsc::channel::<(&'static str, bool, Option<String>)>(8);
        let mut asking = tokio::task::JoinSet::new();
        if let Some(probe) = startup.clone() {
            asking.spawn(ask(
                probe,
                "Startup",
                container.clone(),
                self.address.clone(),
                answers.clone(),
            ));
        }
        let mut later = [("Readiness", readiness), ("Liveness", liveness)];
        let mut ask_rest = |asking: &mut tokio::task::JoinSet<()>, address: &str| {
            for (kind, probe) in &mut later {
                if let Some(probe) = probe.take() {
                    asking.spawn(ask(
                        probe,
                        kind,
                        container.clone(),
                        address.to_owned(),
                        answers.clone(),
                    ));
                }
            }
        };
        if startup.is_none() {
            ask_rest(&mut asking, &self.address);
        }
        loop {
            tokio::select! {
                _ = container.wait() => return End::Exited,
                () = stopped(&mut stop) => {
                    self.end(container, image).await;
                    return End::Stopped;
                }
                Some((kind, is_good, message)) = heard.recv() => {
                    if let Some(message) = message {
                        let text = match message.strip_prefix("errored and ") {
                            Some(rest) => format!("{kind} probe errored and {rest}"),
                            None => format!("{kind} probe failed: {message}"),
                        };
                        self.event("Warning", "Unhealthy", text).await;
                        continue;
                    }
                    match (kind, is_good) {
                        ("Startup", true) => {
                            self.seen.started = true;
                            self.seen.ready = Probe::of(&self.container, "readinessProbe").is_none();
                            self.report();
                            ask_rest(&mut asking, &self.address);
                        }
                        // A Pod that is not ready gets no traffic; its container is left alone.
                        ("Readiness", good) => self.put_in_service(good),
                        (kind, false) => {
                            self.event("Normal", "Killing", format!("Container {} failed {} probe, will be restarted", self.seen.name, kind.to_lowercase())).await;
                            self.kill(container, image).await;
                            return End::Exited;
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Runs a hook of the container's life; false when it failed.
    async fn hook(&self, container: &Container, name: &str) -> bool {
        let hook = &self.container["lifecycle"][name];
        let command: Vec<String> = array(hook, "/exec/command")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if let Some(seconds) = int(hook, "/sleep/seconds") {
            tokio::time::sleep(object::wait(seconds)).await;
        }
        if command.is_empty() {
            return true;
        }
        let request = ExecRequest {
            command,
            tty: false,
            stdin: None,
            stdout: Box::pin(tokio::io::sink()),
            stderr: Some(Box::pin(tokio::io::sink())),
            resize: None,
        };
        matches!(container.exec(request).await, Ok(0))
    }

    /// The postStart hook: until it is done the container does not count as running, and when it fails the container
    /// is ended.
    async fn after_start(&mut self, container: &Container, image: &containers::ImageInfo) {
        let mut stop = self.stop.clone();
        let is_well = tokio::select! {
            is_well = self.hook(container, "postStart") => is_well,
            _ = container.wait() => true,
            () = stopped(&mut stop) => true,
        };
        if !is_well {
            self.event(
                "Warning",
                "FailedPostStartHook",
                "PostStartHook failed".to_owned(),
            )
            .await;
            self.event("Normal", "Killing", "FailedPostStartHook".to_owned())
                .await;
            self.kill(container, image).await;
        }
    }

    /// Ends a container that is to be started again, within the Pod's grace period.
    async fn kill(&self, container: &Container, image: &containers::ImageInfo) {
        let grace = int(&self.pod, "/spec/terminationGracePeriodSeconds")
            .unwrap_or(30)
            .max(0)
            .unsigned_abs();
        container.signal(image.stop_signal);
        if tokio::time::timeout(Duration::from_secs(grace), container.wait())
            .await
            .is_err()
        {
            container.signal(SIGKILL);
        }
    }

    /// The stop: the preStop hook, the image's signal, and the end of patience.
    async fn end(&mut self, container: &Container, image: &containers::ImageInfo) {
        let mut stop = self.stop.clone();
        let program = self.kubelet.0.stop.clone();
        let polite = async {
            let hook = async {
                tokio::select! {
                    is_well = self.hook(container, "preStop") => is_well,
                    // When the program ends, what little time there is belongs to the process.
                    () = program.cancelled() => true,
                }
            };
            if !hook.await {
                self.event(
                    "Warning",
                    "FailedPreStopHook",
                    "PreStopHook failed".to_owned(),
                )
                .await;
            }
            container.signal(if image.stop_signal == 0 {
                SIGTERM
            } else {
                image.stop_signal
            });
            std::future::pending::<()>().await;
        };
        let deadline = async {
            loop {
                let at = stop.borrow_and_update().unwrap_or_else(Instant::now);
                tokio::select! {
                    () = tokio::time::sleep_until(at) => return,
                    // The grace period can be shortened while it runs.
                    Ok(()) = stop.changed() => {}
                }
            }
        };
        tokio::select! {
            _ = container.wait() => {}
            () = polite => {}
            () = deadline => container.signal(SIGKILL),
        }
    }
}

/// `resources.limits.memory` in bytes.
fn memory_limit(container: &Value) -> Option<u64> {
    let bytes = object::quantity(text(container, "/resources/limits/memory"))?;
    // As the runtime does it: 0 is no limit.
    (bytes >= 1.0).then_some(bytes as u64)
}

/// Asks one probe for as long as the container lives. A verdict is sent when it changes; a failure with its message when
/// it falls on the probe's own beat.
async fn ask(
    probe: Probe,
    kind: &'static str,
    container: Container,
    address: String,
    answers: mpsc::Sender<(&'static str, bool, Option<String>)>,
) {
    tokio::time::sleep(probe.initial_delay).await;
    let mut tally = Tally::default();
    let mut verdict = Verdict::Unknown;
    let mut beat = Instant::now();
    loop {
        let answer = probe.ask(&container, &address).await;
        let is_on_beat = Instant::now() >= beat;
        if is_on_beat {
            beat = Instant::now() + probe.period;
        }
        // Questions between the beats only make a good answer come sooner; they never add up to a failure.
        if is_on_beat || answer.is_ok() {
            let new = probe.count(&mut tally, answer.is_ok());
            if let Err(message) = &answer
                && answers
                    .send((kind, false, Some(message.clone())))
                    .await
                    .is_err()
            {
                return;
            }
            if new != Verdict::Unknown && new != verdict {
                verdict = new;
                if answers
                    .send((kind, new == Verdict::Good, None))
                    .await
                    .is_err()
                {
                    return;
                }
                if kind == "Startup" {
                    return;
                }
            }
        }
        let is_eager = kind != "Liveness" && verdict == Verdict::Unknown;
        tokio::time::sleep(probe.pause(is_eager)).await;
    }
}
