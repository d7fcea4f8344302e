//! The whole program with its embedded cluster, as a process that can be killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Program {
    child: Child,
    pub(crate) folder: PathBuf,
}

impl Program {
    /// Starts the program on this folder; it answers when this returns.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_by(&[], folder)
    }

    /// Starts it by another program, whose arguments end where ours begin.
    pub(crate) fn start_by(starter: &[&str], folder: &Path) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("a log");
        let mut words = starter
            .iter()
            .copied()
            .chain([env!("CARGO_BIN_EXE_eizoku")]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EIZOKU_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["--cluster", "embedded", "--port", "0", "--data"])
            .arg(folder.join("data"))
            .env("KUBECONFIG", "/nonexistent/kubeconfig")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        BufReader::new(child.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok)
            .find(|line| line.contains("http://"))
            .expect("the binary says where it listens");
        Self {
            child,
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("data/kubeconfig")
    }

    /// SIGKILL: no farewell, no flush.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// SIGTERM, and the end that follows.
    pub(crate) fn end(&mut self) -> std::process::ExitStatus {
        let id = i32::try_from(self.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let sent = rustix::process::kill_process(id.expect("an id"), rustix::process::Signal::TERM);
        sent.expect("a child");
        self.child.wait().expect("a child")
    }

    /// The processes that this one started, and theirs.
    pub(crate) fn descendants(&self) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([self.id()]);
        let pairs = parents();
        loop {
            let more: Vec<u32> = pairs
                .iter()
                .filter(|(id, parent)| all.contains(parent) && !all.contains(id))
                .map(|(id, _)| *id)
                .collect();
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        all.remove(&self.id());
        all
    }

    /// The highest its memory ever was, in MB; its children's are their own.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|it| it.split_whitespace().next());
        number.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) / 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes and their parents.
fn parents() -> Vec<(u32, u32)> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    folders
        .filter_map(|folder| {
            let id: u32 = folder.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            // A zombie is gone but for its name.
            (fields.next()? != "Z").then_some(())?;
            Some((id, fields.next()?.parse().ok()?))
        })
        .collect()
}

/// Which of these still run.
pub(crate) fn alive(ids: &BTreeSet<u32>) -> BTreeSet<u32> {
    let now: BTreeSet<u32> = parents().into_iter().map(|(id, _)| id).collect();
    ids.intersection(&now).copied().collect()
}
