//! What a container must not do to the machine: read or write without end, take all memory, all processes, all disk.

use std::time::{Duration, Instant};

use eizoku_containers::{ExecError, rotated_logs};

use crate::pod::{PATIENCE, Pod, Ran, Terminal, end, exec, log, try_exec};

/// Each ends, though what it reads or writes has no end.
#[tokio::test(flavor = "multi_thread")]
async fn pipelines_stream_and_end() {
    let pod = Pod::new();
    let container = pod.start(&pod.shell("sleep 1000")).await;
    for (script, out) in [
        ("head -c 16 /dev/urandom | wc -c", "16\n"),
        ("yes | head -n 2", "y\ny\n"),
        ("seq 1 1000000000 | head -n 1", "1\n"),
        ("cat /dev/zero | head -c 5 | wc -c", "5\n"),
        ("yes a | grep -m 2 a", "a\na\n"),
        ("yes | cat -n | cut -f 2 | head -n 1", "y\n"),
        ("seq 1 2 1000000000 | uniq -c | head -n 1", "      1 1\n"),
        ("tr -dc a-z < /dev/urandom | head -c 9 | wc -c", "9\n"),
        ("cat /dev/zero | base64 | head -c 3", "AAA"),
        ("yes | tee /dev/null | head -n 1", "y\n"),
        ("yes | tail -n +3 | head -n 1", "y\n"),
        ("while true; do echo x; done | head -n 2", "x\nx\n"),
        ("while true; do date +x; done | head -n 1", "x\n"),
        ("sh -c 'while :; do pwd; done' | head -n 1", "/\n"),
        ("{ yes; echo $? >&2; } 2>&1 | head -n 1", "y\n"),
        (
            "seq 1 100000 > f; tail -n 2 f; grep -m 1 77 f; tail -c 3 f",
            "99999\n100000\n77\n00\n",
        ),
        (
            "seq 1 5 | tail -n 99999999999; seq 3 | head -n -1",
            "1\n2\n3\n4\n5\n1\n2\n",
        ),
        ("{ head -n 1; head -n 1; } < f", "1\n2\n"),
        (
            "printf '%1000000d' 7 | tail -c 2; head -c 99999999999 /dev/null",
            " 7",
        ),
        (
            "printf 'b\\na\\nb\\n' | sort | uniq -c; printf 'a,b\\n' | cut -d, -f2",
            "      1 a\n      2 b\nb\n",
        ),
    ] {
        let ran = exec(&container, &["sh", "-c", script]).await;
        assert_eq!(ran.out, out, "{script}: {ran:?}");
    }
    let ran = exec(
        &container,
        &["sh", "-c", "{ yes; echo $? >&2; } | head -n 1"],
    )
    .await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("y\n", "141\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_memory_than_the_limit_ends_a_process_with_137() {
    let pod = Pod::new();
    let mut spec = pod.shell("sleep 1000");
    spec.memory = Some(32 << 20);
    let container = pod.start(&spec).await;
    for script in [
        "tail /dev/zero",
        "sort /dev/zero",
        "grep x /dev/zero",
        "x=$(yes)",
        "x=a; while :; do x=$x$x; done",
        "x=$(printf '%1000000000d' 1)",
    ] {
        let Ran { code, .. } = exec(&container, &["sh", "-c", script]).await;
        assert_eq!(code, 137, "{script}");
    }
    assert_eq!(
        exec(&container, &["true"]).await.code,
        0,
        "the container lives on"
    );

    let mut spec = pod.shell("tail /dev/zero");
    spec.memory = Some(32 << 20);
    let exit = end(&pod.start(&spec).await).await;
    assert_eq!(
        (exit.code, exit.signal, exit.out_of_memory),
        (137, Some(9), true)
    );
    let container = pod.start(&pod.shell("sleep 1000")).await;
    container.signal(9);
    let exit = end(&container).await;
    assert_eq!(
        (exit.code, exit.out_of_memory),
        (137, false),
        "killed is something else"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_forks_or_nests_without_end_is_refused() {
    let pod = Pod::new();
    let container = pod.start(&pod.shell("sleep 1000")).await;
    let deep = "(".repeat(100_000);
    for (script, code, err) in [
        (
            "i=0; while [ $i -lt 600 ]; do sleep 1000 & i=$((i+1)); done",
            2,
            "sh: can't fork: Resource temporarily unavailable",
        ),
        (
            "a() { a | a & }; a; wait; exit 7",
            7,
            "sh: can't fork: Resource temporarily unavailable",
        ),
        ("f() { f; }; f; echo no", 2, "sh: too deeply nested"),
        ("f() { echo $(f); }; f", 0, "sh: too deeply nested"),
        (
            "printf '#!/bin/sh\\n/tmp/s\\n' > /tmp/s; chmod +x /tmp/s; /tmp/s",
            2,
            "too deeply nested",
        ),
        (deep.as_str(), 2, "sh: syntax error: too deeply nested"),
        ("echo $((1/0))", 2, "division by zero"),
    ] {
        let ran = exec(&container, &["sh", "-c", script]).await;
        let start = &script[..script.len().min(60)];
        assert_eq!(ran.code, code, "{start}: {}", ran.err);
        assert!(ran.err.contains(err), "{start}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_what_neither_reads_nor_writes_the_terminal() {
    let pod = Pod::new();
    let container = pod.start(&pod.shell("sleep 1000")).await;
    let mut terminal = Terminal::open(&container, &["sh"]);
    terminal.expect("/ # ").await;
    for line in [
        "echo go; cat /dev/zero | sort > /dev/null",
        "echo go; yes > /dev/null",
        "echo go; while :; do :; done",
    ] {
        terminal.press(&format!("{line}\r")).await;
        terminal.expect("\r\ngo\r\n").await;
        terminal.press("\x03").await;
        terminal.expect("/ # ").await;
    }
    terminal.press("exit 3\r").await;
    assert_eq!(terminal.end().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_nobody_reads_is_not_kept() {
    let pod = Pod::new();
    let mut spec = pod.shell("sleep 1000");
    spec.memory = Some(32 << 20);
    let container = pod.start(&spec).await;
    // More than the process may have: it would end with 137 if it took all in.
    let input: &'static [u8] = Box::leak(vec![b'x'; 64 << 20].into_boxed_slice());
    let ran = try_exec(&container, &["sh", "-c", "sleep 1; head -c 3"], input).await;
    assert_eq!(ran.unwrap().out, "xxx");
    let ran = try_exec(&container, &["wc", "-c"], input).await;
    assert_eq!(ran.unwrap().out, format!("{}\n", input.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_a_few_files() {
    let pod = Pod::new();
    let spec = pod.shell("seq 1 3000000; echo end");
    let exit = end(&pod.start(&spec).await).await;
    assert_eq!(exit.code, 0);
    assert!(log(&spec).ends_with("3000000\nend\n"));
    let all: Vec<_> = rotated_logs(&spec.log).chain([spec.log.clone()]).collect();
    for file in &all {
        assert!(file.metadata().unwrap().len() <= 10 << 20, "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_commands_run_at_once_and_no_more() {
    let pod = Pod::new();
    let spec = pod.shell("sleep 1000");
    let container = pod.start(&spec).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let container = container.clone();
        running.spawn(async move {
            exec(&container, &["sh", "-c", "echo up >> /tmp/up; sleep 1000"]).await
        });
    }
    // Seen from outside, because a look from inside would take a place.
    let up = spec.scratch.join("root/tmp/up");
    let until = Instant::now() + PATIENCE;
    while std::fs::read_to_string(&up).map_or(0, |text| text.lines().count()) < 64 {
        assert!(Instant::now() < until, "they did not all start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    match try_exec(&container, &["true"], b"").await {
        Err(ExecError::Host(error)) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
        other => panic!("{other:?}"),
    }
    running.shutdown().await;
    assert_eq!(exec(&container, &["echo", "again"]).await.out, "again\n");
}
