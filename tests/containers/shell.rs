//! Containers without PostgreSQL: the shell, files, signals, logs, and the end of the parent.

use std::time::{Duration, Instant};

use eizoku_containers::{ExecError, Mount};

use crate::pod::{PATIENCE, Pod, Terminal, end, exec, exec_with, log, try_exec};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_does_what_it_says() {
    let pod = Pod::new();
    for (script, output) in [
        (
            "echo hello; echo $((2 * 21)) \"a  b\" 'c'",
            "hello\n42 a  b c\n",
        ),
        ("false && echo no || echo yes; ! true; echo $?", "yes\n1\n"),
        (
            "for i in 1 2 3; do echo $i; done | while read n; do echo n=$n; done | tail -n 1",
            "n=3\n",
        ),
        (
            "x=$(echo りんご | tr -d ん); echo ${x}-${y:-none} ${#x}",
            "りご-none 2\n",
        ),
        (
            "if [ -d /var/lib/postgresql ]; then echo dir; else echo no; fi",
            "dir\n",
        ),
        (
            "cd /tmp && echo one > a && echo two >> a && cat < a | wc -l && ls && rm a && ls | wc -l",
            "2\na\n0\n",
        ),
        (
            "cat <<E\n$HOSTNAME\nE\ncat /etc/hostname; hostname",
            "postgres-statefulset-0\npostgres-statefulset-0\npostgres-statefulset-0\n",
        ),
        (
            "i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $i = 2 ] && continue; echo $i; done",
            "1\n3\n",
        ),
        ("f() { echo f $1; return 3; }; f x; echo $?", "f x\n3\n"),
        ("case a.sql in *.txt) echo t;; *.sql) echo s;; esac", "s\n"),
        (
            "seq 1 100000 | head -n 2; printf '%s-%03d\\n' a 7 b 8",
            "1\n2\na-007\nb-008\n",
        ),
        (
            "echo out; echo err >&2; ls /nope 2>/dev/null; nope; echo $?",
            "out\nerr\nsh: nope: not found\n127\n",
        ),
        ("(exit 3); echo $?; sh -c 'exit 4' || echo $?", "3\n4\n"),
        (
            "echo a b | { read x y; echo $y; }; set -- p q; echo $# $2 \"$@\"",
            "b\n2 q p q\n",
        ),
        (
            "cat ../../../../etc/passwd | head -n 1",
            "root:x:0:0:root:/root:/bin/sh\n",
        ),
    ] {
        let (exit, text) = pod.run(&pod.shell(script)).await;
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(exit.code, 0, "{script}: {text}");
        // Two streams reach the log by two pipes, so their lines may change places.
        assert_eq!(sorted(&text), sorted(output), "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_streams_are_the_commands_own() {
    let pod = Pod::new();
    let (exit, _) = pod.run(&pod.shell("exit 7")).await;
    assert_eq!((exit.code, exit.signal), (7, None));
    let spec = pod.shell("sleep 100");
    let container = pod.start(&spec).await;
    let ran = exec_with(
        &container,
        &["sh", "-c", "cat; echo err >&2; exit 3"],
        "りんご\n".as_bytes(),
    )
    .await;
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (3, "りんご\n", "err\n")
    );
    assert_eq!(
        exec(&container, &["env"])
            .await
            .out
            .matches("HOSTNAME=postgres-statefulset-0\n")
            .count(),
        1
    );
    for (command, text) in [
        (
            "foo",
            "exec: \"foo\": executable file not found in $PATH: unknown",
        ),
        (
            "/foo",
            "exec: \"/foo\": stat /foo: no such file or directory: unknown",
        ),
        (
            "/etc/hostname",
            "exec: \"/etc/hostname\": permission denied: unknown",
        ),
    ] {
        let error = try_exec(&container, &[command], b"")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(text), "{error}");
        assert!(
            error.contains(
                "OCI runtime exec failed: exec failed: unable to start container process: "
            ),
            "{error}"
        );
    }
    container.signal(9);
    let exit = end(&container).await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    assert!(matches!(
        try_exec(&container, &["ls"], b"").await,
        Err(ExecError::NotRunning(_))
    ));
    let mut spec = pod.spec("busybox");
    spec.command = Some(vec!["nope".to_owned()]);
    assert!(
        pod.try_start(&spec)
            .await
            .unwrap_err()
            .contains("exec: \"nope\": executable file not found in $PATH")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_process_ignores_sigterm_unless_it_has_a_trap() {
    let pod = Pod::new();
    let spec = pod.shell("echo up; while true; do sleep 0.1; done");
    let container = pod.start(&spec).await;
    until(|| log(&spec).contains("up")).await;
    container.signal(15);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(exec(&container, &["true"]).await.code, 0, "still there");
    container.signal(9);
    assert_eq!(end(&container).await.code, 137);

    let spec = pod.shell("trap 'echo bye; exit 5' TERM; echo up; while true; do sleep 0.1; done");
    let container = pod.start(&spec).await;
    until(|| log(&spec).contains("up")).await;
    assert_eq!(exec(&container, &["sh", "-c", "kill 1"]).await.code, 0);
    assert_eq!(end(&container).await.code, 5);
    assert!(log(&spec).ends_with("bye\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_its_mounts_and_nothing_else() {
    let pod = Pod::new();
    std::fs::write(pod.volume().join("rows"), "apple\n").unwrap();
    std::fs::write(pod.folder.path().join("secret"), "host").unwrap();
    std::os::unix::fs::symlink(pod.folder.path().join("secret"), pod.volume().join("link"))
        .unwrap();
    let mut spec = pod.shell("sleep 100");
    spec.mounts.push(Mount {
        host: pod.volume(),
        below: String::new(),
        path: "/ro".to_owned(),
        read_only: true,
    });
    let container = pod.start(&spec).await;
    let sh = async |script: &str| exec(&container, &["sh", "-c", script]).await;
    assert_eq!(
        sh("cat /var/lib/postgresql/rows; ls -d /var/lib/postgresql")
            .await
            .out,
        "apple\n/var/lib/postgresql\n"
    );
    assert_ne!(sh("cat /var/lib/postgresql/link").await.code, 0);
    let ran = sh("echo x > /ro/rows").await;
    assert!(
        ran.code != 0 && ran.err.contains("Read-only file system"),
        "{ran:?}"
    );
    assert!(
        sh("rm -rf /var/lib/postgresql")
            .await
            .err
            .contains("Device or resource busy")
    );
    assert!(sh("ls /").await.out.contains("etc\n"));
    assert_ne!(
        sh(&format!("ls {}", pod.folder.path().display()))
            .await
            .code,
        0
    );
    sh("echo pear >> /var/lib/postgresql/rows").await;
    assert_eq!(
        std::fs::read_to_string(pod.volume().join("rows")).unwrap(),
        "apple\npear\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_on_a_terminal_edits_lines() {
    let pod = Pod::new();
    let container = pod.start(&pod.shell("sleep 100")).await;
    let mut terminal = Terminal::open(&container, &["sh"]);
    terminal.expect("/ # ").await;
    assert!(
        terminal
            .line("echo りんご", "/ # ")
            .await
            .contains("りんご\r\n")
    );
    // Type, go to the start, insert, delete, and take the killed word back.
    terminal.press("ho x\x01ec\x05\x7f").await;
    assert!(
        terminal
            .line("apple", "/ # ")
            .await
            .starts_with("apple\r\n")
    );
    terminal.press("\x1b[A\x1b[A").await;
    assert!(
        terminal.line("", "/ # ").await.contains("りんご\r\n"),
        "history"
    );
    terminal.press("nonsense\x03").await;
    terminal.expect("^C").await;
    terminal.expect("/ # ").await;
    terminal.press("sleep 100\r").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminal.press("\x03").await;
    terminal.expect("/ # ").await;
    assert!(terminal.line("if true", "> ").await.len() <= 2);
    assert!(
        terminal
            .line("then echo two lines; fi", "/ # ")
            .await
            .contains("two lines\r\n")
    );
    terminal.press("exit 4\r").await;
    assert_eq!(terminal.end().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_exec_or_a_container_ends_it() {
    let pod = Pod::new();
    let spec = pod.shell("sleep 100");
    let container = pod.start(&spec).await;
    let pid = container.pid();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists() || !cfg!(target_os = "linux"));
    let probe = tokio::time::timeout(
        Duration::from_millis(300),
        exec(&container, &["sh", "-c", "echo $$ > /tmp/pid; sleep 100"]),
    )
    .await;
    assert!(probe.is_err(), "it hangs until it is dropped");
    let process = exec(&container, &["cat", "/tmp/pid"]).await.out;
    until(|| is_gone(process.trim())).await;
    drop(container);
    until(|| is_gone(&pid.to_string())).await;
}

#[cfg(target_os = "linux")]
fn is_gone(process: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

#[cfg(not(target_os = "linux"))]
fn is_gone(process: &str) -> bool {
    !std::process::Command::new("kill")
        .args(["-0", process])
        .status()
        .unwrap()
        .success()
}

async fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
