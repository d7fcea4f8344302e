//! The same on both clusters: each script is lived by the real one and by the embedded one, and each command typed into
//! both.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::kubectl::{Namespace, kubeconfig, root};
use super::lives::{Event, Lives, differences};
use super::program::Program;
use super::scripts;
use super::transcript::{self, Kubectl};
use super::wire::Wire;

/// What differs on purpose, as beginnings of what is said of a difference, with the reason.
const ON_PURPOSE: [(&str, &str); 4] = [
    (
        "Pod keyless\n",
        "what never started is removed at once; the real kubelet first says ContainerStatusUnknown",
    ),
    (
        "Pod done\n",
        "the real kubelet calls a Pod whose container has ended Running once more, until its sandbox is gone",
    ),
    ("Pod failed\n", "the same"),
    (
        "Events about StatefulSet part ",
        "the real controller says SuccessfulUpdate when it only looks at a changed claim policy",
    ),
];

fn assert_alike(real: &[Event], ours: &[Event], namespace: &str) {
    let all = differences(&Lives::of(real, namespace), &Lives::of(ours, namespace));
    let all: Vec<String> = all
        .into_iter()
        .filter(|it| !ON_PURPOSE.iter().any(|(front, _)| it.starts_with(front)))
        .collect();
    assert!(
        all.is_empty(),
        "{} differences:\n{}",
        all.len(),
        all.join("\n")
    );
}

/// Two clusters with a namespace of the same name.
struct Twins {
    real: Wire,
    ours: Wire,
    namespace: Namespace,
    program: Program,
    _folder: tempfile::TempDir,
}

impl Twins {
    async fn new(topic: &str) -> Self {
        let namespace = Namespace::new(topic);
        let folder = tempfile::Builder::new()
            .prefix("ez")
            .tempdir()
            .expect("a folder");
        let program = Program::start(folder.path());
        let real = Wire::to(Path::new(&kubeconfig()), &namespace.name).await;
        let ours = Wire::to(&program.kubeconfig(), &namespace.name).await;
        ours.create(serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}}))
            .await;
        Self {
            real,
            ours,
            namespace,
            program,
            _folder: folder,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_the_chapter_goes_alike_on_both() {
    let twins = Twins::new("twins-chapter").await;
    let real = scripts::chapter(&twins.real).await;
    let ours = scripts::chapter(&twins.ours).await;
    assert_alike(&real, &ours, &twins.namespace.name);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_three_lanes_go_alike_on_both() {
    let twins = Twins::new("twins-lanes").await;
    let real = scripts::lanes(&twins.real).await;
    let ours = scripts::lanes(&twins.ours).await;
    assert_alike(&real, &ours, &twins.namespace.name);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_other_cases_go_alike_on_both() {
    let twins = Twins::new("twins-others").await;
    let real = scripts::others(&twins.real).await;
    let ours = scripts::others(&twins.ours).await;
    assert_alike(&real, &ours, &twins.namespace.name);
}

/// What prints otherwise here, as beginnings of commands, with the reason.
const PRINTS_OTHERWISE: [(&str, &str); 3] = [
    (
        "apply -f web-wrong.yaml",
        "a patch with an unknown field is refused in the words of a create",
    ),
    ("autoscale ", "there is no autoscaler"),
    (
        "explain pod.spec.restartPolicy",
        "the schema does not list the values of a field",
    ),
];

/// What a person types after the chapter. A line with `?` asks, and is asked again until both say the same; one with `!`
/// acts, once; one with `~` waits on each by itself.
const TYPED: &str = include_str!("typed.txt");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_kubectl_prints_the_same_on_both() {
    let twins = Twins::new("twins-typed").await;
    let name = twins.namespace.name.clone();
    let ours = twins.program.kubeconfig();
    let differences = tokio::task::spawn_blocking(move || type_all(&name, &ours)).await;
    let differences = differences.expect("all is typed");
    drop(twins);
    assert!(
        differences.is_empty(),
        "{} differences, - real, + ours:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn type_all(namespace: &str, ours: &Path) -> Vec<String> {
    let home = tempfile::tempdir().expect("a folder");
    let program = PathBuf::from(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into()));
    let real = kubeconfig();
    let on = |kubeconfig| Kubectl {
        program: &program,
        kubeconfig,
        home: home.path(),
        namespace: Some(namespace),
        folder: root().join("tests/cluster/manifests"),
    };
    let (real, ours) = (on(Path::new(&real)), on(ours));
    let mut differences = Vec::new();
    for line in TYPED.lines() {
        let Some((mode, command)) = line.split_once(' ') else {
            continue;
        };
        let command = command.replace("NAMESPACE", namespace);
        let begun = Instant::now();
        loop {
            let want = transcript::plain(&command, &real.say(&command));
            let got = transcript::plain(&command, &ours.say(&command));
            let Some(difference) = transcript::difference(&command, &want, &got) else {
                break;
            };
            if mode != "?" || begun.elapsed() > Duration::from_secs(15) {
                let is_known = PRINTS_OTHERWISE
                    .iter()
                    .any(|(front, _)| command.starts_with(front));
                if mode != "~" && !is_known {
                    println!("{difference}");
                    differences.push(difference);
                }
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    differences
}
