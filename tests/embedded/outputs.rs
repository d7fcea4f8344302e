//! What the chapter quotes of kubectl is what kubectl prints. Each quoted line stands in the session recorded on a real
//! cluster, as far as it is the same every time; those that no recording vouches for are listed, and only those.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::kubectl::in_words_of;
use crate::transcript;

/// The version whose words the chapter quotes.
const QUOTED: u32 = 34;
/// `UPDATE_UNRECORDED=1` writes the list again. Look at what it adds: a line stays there until it is recorded.
const UPDATE: &str = "UPDATE_UNRECORDED";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

/// Lines of output in the console blocks of a text, each without what differs every time.
fn quoted(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut command = None;
    for line in text.lines() {
        if line.starts_with("```") {
            command = (line == "```console").then_some("");
        } else if let Some(typed) = line.strip_prefix("$ ") {
            command = command.map(|_| typed.strip_prefix("kubectl ").unwrap_or(typed));
        } else if let Some(command) = command
            && !line.starts_with("app_db=#")
        {
            lines.extend(transcript::plain(command, line));
        }
    }
    lines
}

fn recorded() -> BTreeSet<String> {
    let session = transcript::read(include_str!("recorded/kubectl.txt"));
    let lines = session
        .iter()
        .flat_map(|said| transcript::plain(&said.command, &in_words_of(QUOTED, &said.output)));
    lines.collect()
}

fn chapter(language: &str) -> Vec<String> {
    let folder = root().join("content").join(language);
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = files.map(|it| it.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "md"));
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("text");
    files
        .iter()
        .map(read)
        .flat_map(|text| quoted(&text))
        .collect()
}

#[test]
fn every_quoted_line_is_recorded_or_listed() {
    let quoted: BTreeSet<String> = chapter("ja").into_iter().collect();
    assert!(quoted.len() > 40, "a whole chapter");
    let recorded = recorded();
    let lacking: Vec<&str> = quoted
        .iter()
        .filter(|line| !recorded.contains(*line))
        .map(String::as_str)
        .collect();
    let path = root().join("tests/embedded/recorded/unrecorded.txt");
    let now = format!("{}\n", lacking.join("\n"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &now).expect("written");
    }
    let listed = std::fs::read_to_string(&path).expect("the list");
    let only = |one: &str, other: &str| -> Vec<String> {
        let other: BTreeSet<&str> = other.lines().collect();
        let lines = one.lines().filter(|line| !other.contains(line));
        lines.map(|line| format!("\n  {line}")).collect()
    };
    assert!(
        listed == now,
        "quoted, but neither recorded nor listed in {}:{}\nlisted, but no longer quoted or now recorded:{}",
        path.display(),
        only(&now, &listed).concat(),
        only(&listed, &now).concat(),
    );
}

#[test]
fn both_languages_quote_the_same() {
    assert_eq!(chapter("ja"), chapter("en"));
}

#[test]
fn a_quoted_line_is_read_without_its_age() {
    let text = "$ kubectl x\n```console\n$ kubectl get pods\nNAME    AGE\nweb-0   8s\napp_db=# \\q\n```\n```text\nweb-1   8s\n```\n";
    assert_eq!(quoted(text), ["NAME | AGE", "web-0 | AGE"]);
}
