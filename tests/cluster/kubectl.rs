//! kubectl in a namespace of the test's own, which goes with the test.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A namespace of the real cluster.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The kubeconfig that leads to the cluster.
pub(crate) fn kubeconfig() -> String {
    std::env::var("KUBECONFIG")
        .expect("KUBECONFIG leads to the cluster: start with tests/cluster/run")
}

/// kubectl as the person at the terminal has it.
pub(crate) fn command() -> Command {
    Command::new(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into()))
}

fn finish(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("kubectl reads");
    drop(stdin);
    child.wait_with_output().expect("kubectl ends")
}

impl Namespace {
    /// Makes a namespace whose name begins with `eizoku-` and `topic`.
    pub(crate) fn new(topic: &str) -> Self {
        let name = format!("eizoku-{topic}-{}", std::process::id());
        let namespace = Self { name };
        namespace.kubectl(&["create", "namespace", &namespace.name]);
        // A Pod that comes before its service account is refused, and retried with long pauses.
        namespace.kubectl(&[
            "wait",
            "--for=create",
            "serviceaccount/default",
            "--timeout=60s",
        ]);
        namespace
    }

    /// Runs kubectl in this namespace and returns what it printed. It has to succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.with_input(arguments, "")
    }

    /// The same with something on its standard input.
    pub(crate) fn with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut command = command();
        command.args(["--namespace", &self.name]).args(arguments);
        let output = finish(command, input);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, manifest: &str) {
        self.with_input(&["apply", "-f", "-"], manifest);
    }

    /// The chapter's manifests, where `kubectl apply -f` and `kubectl delete -f` find them.
    pub(crate) fn chapter() -> String {
        let folder = root().join("content/manifests/stateful-app");
        folder.display().to_string()
    }

    /// Asks the database in a Pod. PostgreSQL takes connections a moment after it says it is ready.
    pub(crate) fn psql(&self, pod: &str, query: &str) -> String {
        self.kubectl(&[
            "exec", pod, "--", "psql", "-U", "user", "-d", "app_db", "-At", "-c", query,
        ])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let gone = |arguments: &[&str]| {
            // What is left over is of no use to the next test, and a panic here would hide its own.
            let _ = command()
                .args(arguments)
                .args(["--ignore-not-found", "--wait=false"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        };
        gone(&["delete", "namespace", &self.name]);
        let ours = format!("eizoku-test={}", self.name);
        gone(&[
            "delete",
            "persistentvolume,clusterrole,clusterrolebinding",
            "-l",
            &ours,
        ]);
    }
}
