//! Every command of the recorded session, typed into several versions of kubectl, prints what it printed on a real
//! cluster. `tests/run kubectl` builds the versions and names them in `KUBECTLS`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::transcript::{self, Kubectl, Said};

/// So long a state may take that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What newer versions say in other words: from which minor version, what it was, what it is.
const WORDS: [(u32, &str, &str); 1] = [(34, "\" deleted", "\" deleted from default namespace")];
/// Lines of describe that newer versions have otherwise.
const LINES: [(u32, &str, &str); 3] = [
    (33, "ConfigMapOptional: | <nil>", "Optional: | false"),
    (34, "Port: | 5432/TCP", "Port: | 5432/TCP (postgres)"),
    (34, "Host Port: | 0/TCP", "Host Port: | 0/TCP (postgres)"),
];
/// Kinds that live in no namespace, so that nothing is deleted *from* one.
const FREE: [&str; 3] = ["persistentvolume \"", "namespace \"", "storageclass"];

/// A version's own words for what was recorded.
pub(crate) fn in_words_of(minor: u32, said: &str) -> String {
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    for (since, old, new) in WORDS {
        if minor < since {
            continue;
        }
        for line in &mut lines {
            if line.ends_with(old) && !FREE.iter().any(|it| line.starts_with(it)) {
                let front = line.strip_suffix(old).expect("just seen").to_owned();
                *line = format!("{front}{new}");
            }
        }
    }
    lines.join("\n")
}

/// Types one recorded command and compares. A question is asked again until the answer is the recorded one; what acts
/// is said once.
fn compare(kubectl: &Kubectl, said: &Said, minor: u32) -> Option<String> {
    let Said { command, output } = said;
    let mut want = transcript::plain(command, &in_words_of(minor, output));
    for (since, old, new) in LINES {
        for line in want.iter_mut().filter(|it| minor >= since && *it == old) {
            *line = new.to_owned();
        }
    }
    let asks = ["get ", "describe ", "logs ", "rollout "]
        .iter()
        .any(|it| command.starts_with(it));
    let begun = Instant::now();
    loop {
        let printed = kubectl.say(command);
        let got = transcript::plain(command, &printed);
        let difference = transcript::difference(command, &want, &got)?;
        // PostgreSQL takes connections a moment after it says it is ready, here as there.
        let too_early =
            printed.contains("connection to server") && !output.contains("connection to server");
        if !(asks || too_early) || begun.elapsed() > PATIENCE {
            return Some(difference);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Rows of `get pods -w` without ages and repetitions.
fn beats(output: &str) -> Vec<String> {
    let mut rows: Vec<String> = transcript::plain("get pods -w", output)
        .into_iter()
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            cells[..cells.len() - 1].join(" | ")
        })
        .collect();
    rows.dedup();
    rows
}

fn session(program: &Path, minor: u32, kubeconfig: &Path) -> Vec<String> {
    let home = tempfile::tempdir().expect("a folder");
    let kubectl = Kubectl {
        program,
        kubeconfig,
        home: home.path(),
        namespace: None,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("content/manifests/stateful-app"),
    };
    let recorded = transcript::read(include_str!("recorded/kubectl.txt"));
    assert!(recorded.len() > 35, "a whole session");
    // The session began with everything there but the set.
    for file in [
        "01-secret.yaml",
        "02-headless-service.yaml",
        "03-service.yaml",
    ] {
        kubectl.say(&format!("apply -f {file}"));
    }
    let mut watch = None;
    let mut differences = Vec::new();
    let mut seen_apply = false;
    for said in &recorded {
        let command = said.command.as_str();
        if command.starts_with("get pods -w") {
            let mut child: std::process::Child = watch.take().expect("begun before the delete");
            // What it prints last is what it waits for: the new Pod is ready.
            std::thread::sleep(Duration::from_secs(1));
            child.kill().expect("a child");
            let mut printed = String::new();
            let mut stdout = child.stdout.take().expect("piped");
            stdout.read_to_string(&mut printed).expect("text");
            child.wait().expect("a child");
            let (want, got) = (beats(&said.output), beats(&printed));
            differences.extend(transcript::difference(command, &want, &got));
            continue;
        }
        if command.contains("jsonpath={.metadata.uid}") {
            let uid = kubectl.say(command);
            if uid.len() != 36 {
                differences.push(format!("$ kubectl {command}\n  + {uid}"));
            }
            continue;
        }
        if command == "get statefulset,pod,pvc" && !seen_apply {
            // The picture of a moment that no machine repeats: names and columns.
            seen_apply = true;
            let names = |text: &str| -> Vec<String> {
                let lines = transcript::plain(command, text).into_iter();
                lines
                    .map(|line| {
                        if line.starts_with("NAME") {
                            line
                        } else {
                            line.split(" | ").next().unwrap_or_default().to_owned()
                        }
                    })
                    .collect()
            };
            let printed = kubectl.say(command);
            let (want, got) = (names(&said.output), names(&printed));
            differences.extend(transcript::difference(command, &want, &got));
            continue;
        }
        if command == "delete pod postgres-statefulset-0" {
            let arguments = transcript::arguments("get pods -w");
            let child = kubectl.command(&arguments).stdout(Stdio::piped()).spawn();
            watch = Some(child.expect("kubectl starts"));
            std::thread::sleep(Duration::from_millis(500));
        }
        differences.extend(compare(&kubectl, said, minor));
        if command == "delete pod postgres-statefulset-0" {
            kubectl.say("wait --for=condition=Ready pod/postgres-statefulset-0 --timeout=60s");
        }
    }
    differences
}

/// `1.30=/path/to/kubectl 1.34=…`
pub(crate) fn versions() -> Vec<(u32, PathBuf)> {
    let named = std::env::var("KUBECTLS")
        .expect("KUBECTLS names the versions: start with tests/run kubectl");
    let versions: Vec<(u32, PathBuf)> = named
        .split_whitespace()
        .map(|one| {
            let (version, path) = one.split_once('=').expect("VERSION=PATH");
            let minor = version.strip_prefix("1.").expect("1.MINOR");
            (minor.parse().expect("a number"), path.into())
        })
        .collect();
    assert!(!versions.is_empty());
    versions
}

async fn kubectl_prints_what_it_printed(minor: u32) {
    let versions = versions();
    let Some((_, program)) = versions.into_iter().find(|(it, _)| *it == minor) else {
        println!("kubectl 1.{minor} was not built");
        return;
    };
    let (_folder, cluster) = Cluster::fresh().await;
    let kubeconfig = cluster.kubeconfig().to_owned();
    let differences =
        tokio::task::spawn_blocking(move || session(&program, minor, &kubeconfig)).await;
    cluster.end().await;
    let differences = differences.expect("the session ends");
    assert!(
        differences.is_empty(),
        "kubectl 1.{minor}, - recorded, + here:\n{}",
        differences.join("\n")
    );
}

macro_rules! for_each_version {
    ($($name:ident $minor:literal),*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs kubectl: tests/run kubectl"]
        async fn $name() {
            kubectl_prints_what_it_printed($minor).await;
        }
    )*};
}

for_each_version! {
    needs_kubectl_1_30 30, needs_kubectl_1_31 31, needs_kubectl_1_32 32, needs_kubectl_1_33 33, needs_kubectl_1_34 34
}
