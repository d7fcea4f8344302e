//! What kubectl prints, without what is different every time: ages, times, ids, hashes, addresses, widths of columns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One kubectl on one cluster, in a folder with manifests.
pub(crate) struct Kubectl<'a> {
    pub(crate) program: &'a Path,
    pub(crate) kubeconfig: &'a Path,
    /// Discovery is cached there: each version begins without what another has learnt.
    pub(crate) home: &'a Path,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) folder: PathBuf,
}

impl Kubectl<'_> {
    pub(crate) fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(self.program);
        if let Some(namespace) = self.namespace {
            command.args(["--namespace", namespace]);
        }
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("KUBECONFIG", self.kubeconfig)
            .env("HOME", self.home)
            .env_remove("KUBECACHEDIR")
            // An editor that changes something and asks nothing.
            .env("KUBE_EDITOR", "sed -i 's/turn: \"2\"/turn: \"3\"/'")
            .stdin(Stdio::null());
        command
    }

    /// What it prints, errors after the rest.
    pub(crate) fn say(&self, command: &str) -> String {
        let output = self.command(&arguments(command)).output();
        let output = output.expect("kubectl starts");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

/// A command and what it printed.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) command: String,
    pub(crate) output: String,
}

/// Reasons of Events that come or do not come as the machine is fast or slow.
const OF_CHANCE: [&str; 4] = [
    "Unhealthy",
    "WaitForFirstConsumer",
    "FailedScheduling",
    "FailedMount",
];

/// Reads lines `$ kubectl …`, each with what it printed below it.
pub(crate) fn read(text: &str) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ kubectl ") {
            all.push(Said {
                command: command.to_owned(),
                output: String::new(),
            });
        } else if let Some(last) = all.last_mut() {
            last.output.push_str(line);
            last.output.push('\n');
        }
    }
    all
}

/// The arguments of a command as it was written down: what follows `-c` is one.
pub(crate) fn arguments(command: &str) -> Vec<String> {
    let (front, sql) = match command.split_once(" -c ") {
        Some((front, sql)) => (front, Some(sql)),
        None => (command, None),
    };
    let mut all: Vec<String> = front.split_whitespace().map(str::to_owned).collect();
    if let Some(sql) = sql {
        all.push("-c".to_owned());
        all.push(sql.to_owned());
    }
    all
}

/// What a command printed, comparable.
pub(crate) fn plain(command: &str, output: &str) -> Vec<String> {
    // They are listed by name, and their names end in a hash.
    let is_hashed = ["get replicaset", "get controllerrevision"]
        .iter()
        .any(|it| command.starts_with(it));
    let is_events = is_hashed || command.starts_with("get events") || command.starts_with("events");
    let mut lines = Vec::new();
    let mut events = Vec::new();
    let mut in_events = false;
    let mut header: Option<Vec<usize>> = None;
    for line in output.lines() {
        let line = line.trim_end();
        let is_stamp = line.starts_with("--- /tmp/") || line.starts_with("+++ /tmp/");
        if line.is_empty() || line.starts_with("Waiting for ") || is_stamp {
            header = None;
            continue;
        }
        let cells: Vec<String> = cells(line).into_iter().map(cell).collect();
        let starts = line.starts_with("NAME ") || line.starts_with("LAST SEEN");
        if starts {
            header = Some(Vec::new());
        }
        let plain = cells.join(" | ");
        if plain.starts_with("resourceVersion") {
            continue;
        }
        if in_events || (is_events && !starts && header.is_some()) {
            let by_chance = cells.iter().any(|it| OF_CHANCE.contains(&it.as_str()));
            if !by_chance {
                events.push(plain);
            }
        } else {
            lines.push(plain);
        }
        if line.starts_with("Events:") {
            in_events = true;
        }
    }
    // Events of one second stand in any order.
    events.sort();
    if !is_hashed {
        events.dedup();
    }
    lines.extend(events);
    lines
}

/// The cells of a line: what two spaces or more part. A single word line is one cell.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect()
}

fn cell(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(word).collect();
    let text = words.join(" ");
    if let Some((front, _)) = text.split_once(" (xN over") {
        return front.to_owned();
    }
    // A date of describe: `Mon, 23 Nov 2026 00:48:29 +0000`.
    if text.len() == 31 && text.ends_with(" +0000") {
        return "TIME".into();
    }
    // One of a log, in front `2026-11-23 00:48:39.875 UTC [15]` and behind `2026-11-23 00:48:39 UTC`.
    if text.contains(" UTC") {
        let words: Vec<&str> = text
            .split(' ')
            .filter(|it| {
                let first = it.trim_start_matches('[').as_bytes().first();
                !first.is_some_and(u8::is_ascii_digit)
            })
            .collect();
        return words.join(" ");
    }
    text
}

fn word(word: &str) -> String {
    if word.contains(',') && word.contains('=') {
        // Labels in one cell.
        let parts: Vec<String> = word.split(',').map(self::word).collect();
        return parts.join(",");
    }
    if word.starts_with("/tmp/") {
        // The two sides of a diff, with random numbers in their folders' names.
        return word.chars().filter(|it| !it.is_ascii_digit()).collect();
    }
    let is_id = |it: &str| it.len() >= 32 && it.bytes().all(|it| it.is_ascii_hexdigit());
    if is_id(word.trim_matches(['"', ':', ','])) {
        return "ID".into();
    }
    if word.starts_with("resourceVersion") {
        return "resourceVersion".into();
    }
    let bare = word.trim_matches(|it| "()\"',:;".contains(it));
    if !bare.is_empty() && is_age(bare) {
        return word.replace(bare, "AGE");
    }
    if let Some(count) = word.strip_prefix("(x")
        && count.parse::<u32>().is_ok()
    {
        return "(xN".into();
    }
    if bare.len() == 20 && bare.as_bytes()[10] == b'T' && bare.ends_with('Z') {
        return word.replace(bare, "TIME");
    }
    let mut text = word.to_owned();
    for node in ["real-control-plane", "eizoku-control-plane"] {
        text = text.replace(node, "NODE");
    }
    for (front, end) in [
        ("containerd://", ""),
        ("eizoku://", ""),
        ("sha256:", ""),
        ("kube-api-access-", ""),
        ("rancher.io/local-path_", ""),
    ] {
        if let Some(at) = text.find(front) {
            let plain = match front {
                "containerd://" | "eizoku://" | "sha256:" => "ID",
                _ => front,
            };
            text.truncate(at);
            text.push_str(plain);
            text.push_str(end);
        }
    }
    text = uuids(&text);
    let parts: Vec<String> = text
        .split('/')
        .map(|part| match part.parse::<std::net::Ipv4Addr>() {
            Ok(_) => "ADDRESS".to_owned(),
            Err(_) => hash(part),
        })
        .collect();
    parts.join("/")
}

/// `5s`, `2m`, `4m48s`, `<unknown>`.
fn is_age(word: &str) -> bool {
    word == "<invalid>"
        || word == "<unknown>"
        || (word.ends_with(['s', 'm', 'h', 'd'])
            && word.starts_with(|it: char| it.is_ascii_digit())
            && word
                .chars()
                .all(|it| it.is_ascii_digit() || "smhd".contains(it)))
}

/// Every `8-4-4-4-12` of hexadecimal digits becomes UUID.
fn uuids(text: &str) -> String {
    let is_uuid = |part: &[u8]| {
        part.iter().enumerate().all(|(at, it)| match at {
            8 | 13 | 18 | 23 => *it == b'-',
            _ => it.is_ascii_hexdigit(),
        })
    };
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(part) = rest.as_bytes().get(..36)
            && is_uuid(part)
        {
            out.push_str("UUID");
            rest = &rest[36..];
            continue;
        }
        let next = rest.chars().next().expect("not empty");
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    out
}

/// The hash of a revision or a ReplicaSet and the random end of its Pods' names: `web-79c4956c47-x7x2d`. They are made
/// of letters without vowels and of digits, so that no word is taken for one.
fn hash(name: &str) -> String {
    let is_hash = |part: &str| {
        (5..=10).contains(&part.len())
            && part
                .bytes()
                .all(|it| b"bcdfghjklmnpqrstvwxz2456789".contains(&it))
    };
    let trimmed = name.trim_end_matches([',', '.', '"', ')', ']']);
    let end = &name[trimmed.len()..];
    let parts: Vec<&str> = trimmed.split('-').collect();
    if parts.len() < 2 {
        return name.to_owned();
    }
    let plain: Vec<&str> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| if at > 0 && is_hash(part) { "#" } else { *part })
        .collect();
    format!("{}{end}", plain.join("-"))
}

/// Where two outputs part, in words; `None` if they do not.
pub(crate) fn difference(command: &str, want: &[String], got: &[String]) -> Option<String> {
    if want == got {
        return None;
    }
    let only = |one: &[String], other: &[String], sign: &str| -> Vec<String> {
        one.iter()
            .filter(|line| !other.contains(line))
            .map(|line| format!("  {sign} {line}"))
            .collect()
    };
    let mut lines = only(want, got, "-");
    lines.extend(only(got, want, "+"));
    if lines.is_empty() {
        lines.push("  the same lines in another order or number".into());
        lines.extend(want.iter().map(|it| format!("  - {it}")));
        lines.extend(got.iter().map(|it| format!("  + {it}")));
    }
    Some(format!("$ kubectl {command}\n{}", lines.join("\n")))
}

#[test]
fn what_changes_every_time_is_left_out() {
    let one = "NAME    READY   STATUS    RESTARTS   AGE   IP\nweb-6b8f7d9c5-x7x2d   1/1     Running   0          8s   10.244.0.28\n";
    let two = "NAME                  READY   STATUS    RESTARTS   AGE     IP\nweb-79c4956c47-bcdfg   1/1     Running   0          4m48s   10.1.0.2\n";
    assert_eq!(plain("get pods", one), plain("get pods", two));
    let other = two.replace("Running", "Pending");
    assert_ne!(plain("get pods", one), plain("get pods", &other));
    assert_eq!(
        plain("logs x", "2026-11-23 00:48:39.875 UTC [1] LOG:  ready\n"),
        plain("logs x", "2027-01-02 10:48:39.123 UTC [77] LOG:  ready\n")
    );
    assert_eq!(
        word("pvc-3b0c6809-ad88-4480-8d92-b7ac56741283\"."),
        "pvc-UUID\"."
    );
    assert_eq!(word("postgres-statefulset-0"), "postgres-statefulset-0");
    assert_eq!(word("lane-emptydir"), "lane-emptydir");
}
