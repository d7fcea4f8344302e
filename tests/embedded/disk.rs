//! A disk that takes no more writes, and takes them again: an answer in words meanwhile, and nothing lost.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::program::Program;
use crate::wire::Wire;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// How large the program's files may get from now on. No disk has to be filled for a test, and no right is needed.
fn limit(program: &Program, bytes: Option<u64>) {
    let id = i32::try_from(program.id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(id, Resource::Fsize, limit).expect("our own child");
}

async fn make(wire: &Wire, name: &str) -> Result<Value, Value> {
    let object = json!({"metadata": {"name": name}, "data": {"k": "v".repeat(100_000)}});
    wire.send("POST", CONFIG_MAPS, "application/json", Some(object))
        .await
}

async fn made(wire: &Wire) -> Vec<String> {
    let names = wire.list("ConfigMap").await;
    let names = names
        .iter()
        .filter_map(|it| it["metadata"]["name"].as_str());
    let ours = names.filter(|name| name.starts_with("c-"));
    ours.map(str::to_owned).collect()
}

async fn ready(program: &Program) -> (u16, String) {
    let kubeconfig = std::fs::read_to_string(program.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig
        .lines()
        .find_map(|line| line.split_once("server: "));
    let answer = reqwest::get(format!("{}/readyz", server.expect("a server").1)).await;
    let answer = answer.expect("an answer");
    (
        answer.status().as_u16(),
        answer.text().await.expect("a text"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_is_an_answer_and_the_next_write_is_taken() {
    let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
    // The signal that comes with the refusal ends a program that does not ignore it.
    let mut program = Program::start_by(
        &["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"],
        folder.path(),
    );
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    let mut kept = Vec::new();
    for turn in 0..2 {
        let store = program.folder.join("data/store.redb");
        limit(&program, Some(store.metadata().expect("a store").len()));
        let refused = loop {
            let name = format!("c-{turn}-{:03}", kept.len());
            match make(&wire, &name).await {
                Ok(_) => kept.push(name),
                Err(refused) => break (name, refused),
            }
            assert!(kept.len() < 500, "the limit is not felt");
        };
        let (name, status) = refused;
        let words = status["message"].as_str().expect("a message");
        assert!(
            words.contains("the disk of") && words.contains("store.redb"),
            "{status}"
        );
        assert!(status["code"].as_u64() >= Some(500), "{status}");
        assert_eq!(made(&wire).await, kept, "readers see what was acknowledged");
        let (code, text) = ready(&program).await;
        assert_eq!(code, 500, "{text}");
        assert!(text.contains("[-]etcd failed: the disk of"), "{text}");
        limit(&program, None);
        assert_eq!(ready(&program).await, (200, "ok".to_owned()));
        make(&wire, &name).await.expect("there is room again");
        kept.push(name);
    }
    program.kill();
    let program = Program::start(folder.path());
    let wire = Wire::to(&program.kubeconfig(), "default").await;
    assert_eq!(made(&wire).await, kept);
}
