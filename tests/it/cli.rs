//! The command line, the unhappy paths above all.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use super::server::{Server, eizoku, root};

fn run(arguments: &[&str]) -> Output {
    eizoku().args(arguments).output().expect("the binary runs")
}

fn fails(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{arguments:?} should fail");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_port_in_use_names_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let message = fails(&["--port", &port.to_string(), "--cluster", "recording"]);
    assert!(
        message.contains(&format!("port {port} is in use")),
        "{message}"
    );
    assert!(
        message.contains(&format!("--port {}", port + 1)),
        "{message}"
    );
}

#[test]
fn a_malformed_recording_names_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.jsonl");
    std::fs::write(
        &file,
        "{\"ms\":1,\"say\":\"x\"}\n{\"ms\":2,\"kind\":\"Pod\"}\n",
    )
    .expect("written");
    let file = file.display().to_string();
    let message = fails(&["--port", "0", "--cluster", "recording", &file]);
    assert!(message.contains(&format!("{file}:2: ")), "{message}");
    let message = fails(&[
        "--port",
        "0",
        "--cluster",
        "recording",
        "/nonexistent.jsonl",
    ]);
    assert!(message.contains("/nonexistent.jsonl"), "{message}");
}

#[test]
fn an_unknown_source_names_the_known_ones() {
    let message = fails(&["--cluster", "minikube"]);
    assert!(message.contains("--cluster recording [FILE]"), "{message}");
}

#[test]
fn the_way_to_the_embedded_cluster_is_printed() {
    let output = run(&["kubeconfig", "--data", "/tmp/lesson"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text, "export KUBECONFIG=/tmp/lesson/kubeconfig\n");
}

#[test]
fn check_passes_on_what_ships() {
    let output = run(&["check"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("ja"));
}

#[test]
fn check_reports_every_error_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(root().join("content"))
        .arg(folder.path())
        .status()
        .expect("cp");
    assert!(status.success());
    let content = folder.path().join("content");
    let broken = "---\ntitle: x\n---\n\n```mermaid {#figure-9}\nflowchart XX\n  A[\n```\n\n```manifest nowhere/none.yaml\n```\n";
    std::fs::write(content.join("ja/90-broken.md"), broken).expect("written");
    let message = fails(&["check", "--content", &content.display().to_string()]);
    for part in [
        "ja/90-broken.md:1: ",
        "ja/90-broken.md:6: ",
        "ja/90-broken.md:10: ",
        "nowhere/none.yaml",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    // The same errors keep the page from being served.
    let served = fails(&["--port", "0", "--content", &content.display().to_string()]);
    assert!(served.contains("ja/90-broken.md:10: "), "{served}");
}

#[test]
fn check_holds_the_lesson_and_the_languages_against_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(root().join("content"))
        .arg(folder.path())
        .status()
        .expect("cp");
    assert!(status.success());
    let content = folder.path().join("content");
    let drop_line = |file: &str, part: &str| {
        let path = content.join(file);
        let text = std::fs::read_to_string(&path).expect("text");
        let kept: Vec<&str> = text.lines().filter(|line| !line.contains(part)).collect();
        assert!(kept.len() < text.lines().count(), "{part} in {file}");
        std::fs::write(path, kept.join("\n")).expect("written");
    };
    drop_line("en/words.toml", "\"panel.speed\"");
    drop_line("ja/words.toml", "\"hint.pod.seat\"");
    let lesson = content.join("lesson.toml");
    let text = std::fs::read_to_string(&lesson).expect("text");
    let line = text.lines().count() + 2;
    let broken = format!(
        "{text}\n[[step]]\nid = \"step-nowhere\"\nobjective = \"goal-none\"\ncheck = 'pod.size() == 0'\nundo = 'pods.exists('\n"
    );
    std::fs::write(&lesson, broken).expect("written");
    let message = fails(&["check", "--content", &content.display().to_string()]);
    for part in [
        "en/words.toml:1: `\"panel.speed\"` is missing".to_owned(),
        "ja/words.toml:1: `\"hint.pod.seat\"` is missing".to_owned(),
        format!(
            "lesson.toml:{}: no heading in `en` has the anchor `{{#step-nowhere}}`",
            line + 1
        ),
        format!(
            "lesson.toml:{}: no objective in `ja` has the id `goal-none`",
            line + 2
        ),
        format!(
            "lesson.toml:{}: `check`: there is no variable `pod`",
            line + 3
        ),
        format!("lesson.toml:{}: `undo`: not CEL: ", line + 4),
    ] {
        assert!(message.contains(&part), "{part} in {message}");
    }
    assert!(
        message.contains("`\"hint.pod.seat\"` is missing in ja/words.toml"),
        "{message}"
    );
}

#[test]
fn licences_of_every_linked_crate_are_shown() {
    let output = run(&["licenses"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "-e",
            "normal",
            "--prefix",
            "none",
            "-f",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .expect("cargo tree");
    let tree = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.lines().count() > 50);
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        let entry = format!("{name} {}: ", version.trim_start_matches('v'));
        assert!(
            name.starts_with("eizoku") || text.contains(&entry),
            "{entry}is missing: run tests/third-party"
        );
    }
}

#[test]
fn licences_of_every_script_from_elsewhere_are_shown() {
    let output = run(&["licenses"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let vendor = root().join("static/vendor");
    let list = std::fs::read_to_string(vendor.join("vendored.json")).expect("a list");
    let scripts: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
    assert!(scripts.len() >= 2);
    for script in &scripts {
        let word = |name: &str| script[name].as_str().expect("text");
        let entry = format!(
            "{} {}: {}",
            word("package"),
            word("version"),
            word("license")
        );
        assert!(text.contains(&entry), "{entry} is missing");
        let licence = std::fs::read_to_string(vendor.join(word("text"))).expect("a licence");
        assert!(text.contains(licence.trim()), "{entry}: its text");
        for file in script["files"].as_array().expect("files") {
            assert!(vendor.join(file.as_str().expect("text")).is_file());
        }
    }
}

#[tokio::test]
async fn it_serves_on_when_nobody_reads_what_it_says() {
    // Whoever started it reads one line and closes the pipe, as `eizoku | head -1` does; or there is no room for a word.
    let server = Server::recording();
    assert_eq!(server.get("/healthz").await.status(), 200);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let port = free_port();
    let child = eizoku()
        .args(["--cluster", "recording", "--port", &port.to_string()])
        .stdout(full.expect("/dev/full"))
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("the binary starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let said = said
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("http://"));
    assert!(said.is_some(), "it says elsewhere where it listens");
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/healthz")).await;
    assert_eq!(answer.expect("an answer").status(), 200);
    child.kill().expect("it still runs");
    child.wait().expect("ended");
}

#[test]
fn what_cannot_be_printed_is_said_and_a_closed_pipe_is_no_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = eizoku()
        .arg("licenses")
        .stdout(full.expect("/dev/full"))
        .output()
        .expect("the binary runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("nothing can be printed"), "{message}");
    let mut child = eizoku()
        .arg("licenses")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("ended").success());
}

#[test]
fn a_folder_of_somebody_else_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("node/src")).expect("made");
    std::fs::write(folder.path().join("node/src/app.js"), "mine").expect("written");
    let path = folder.path().display().to_string();
    for fresh in [&[][..], &["--fresh"]] {
        let arguments = ["--port", "0", "--cluster", "embedded", "--data", &path];
        let message = fails(&[&arguments[..], fresh].concat());
        assert!(
            message.contains("is not empty and not a folder of eizoku's"),
            "{message}"
        );
        let left = std::fs::read_dir(folder.path()).expect("there").count();
        assert_eq!(left, 1);
        let mine = std::fs::read(folder.path().join("node/src/app.js"));
        assert_eq!(mine.expect("there"), b"mine");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
