//! A person in psql, on a terminal.
#![cfg(feature = "postgres")]

use std::path::Path;
use std::time::Instant;

use crate::pod::{PATIENCE, Pod, Terminal, end, exec, log, ready};

const PSQL: [&str; 5] = ["psql", "-U", "user", "-d", "app_db"];

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_session_feels_like_psql() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    let mut psql = Terminal::open(&container, &PSQL);
    assert!(
        psql.expect("app_db=# ")
            .await
            .starts_with("psql (18.4)\r\nType \"help\" for help.\r\n\r\n")
    );
    let ready_prompt = "app_db=# ";
    psql.line(
        "CREATE TABLE inventory (id serial PRIMARY KEY,",
        "app_db(# ",
    )
    .await;
    assert!(
        psql.line("name varchar(50));", ready_prompt)
            .await
            .starts_with("CREATE TABLE\r\n")
    );
    psql.line("INSERT INTO inventory (name)", "app_db-# ").await;
    assert!(
        psql.line("VALUES ('りんご'), ('orange');", ready_prompt)
            .await
            .starts_with("INSERT 0 2\r\n")
    );
    let table = psql.line("SELECT * FROM inventory;", ready_prompt).await;
    assert!(
        table.contains("  1 | りんご\r\n  2 | orange\r\n(2 rows)"),
        "{table}"
    );
    assert!(
        psql.line("\\d inventory", ready_prompt)
            .await
            .contains("\"inventory_pkey\" PRIMARY KEY, btree (id)")
    );
    assert!(
        psql.line("\\dt", ready_prompt)
            .await
            .contains(" public | inventory | table | user")
    );
    assert!(psql.line("\\l", ready_prompt).await.contains(" app_db "));
    assert!(
        psql.line("\\x", ready_prompt)
            .await
            .contains("Expanded display is on.")
    );
    assert!(
        psql.line("SELECT 1 AS a;", ready_prompt)
            .await
            .contains("-[ RECORD 1 ]")
    );
    psql.line("\\x", ready_prompt).await;
    assert!(
        psql.line("\\i some.sql", ready_prompt)
            .await
            .contains("\\i: reading a file is left out")
    );
    let error = psql.line("SELEC 1;", ready_prompt).await;
    assert!(
        error
            .contains("ERROR:  syntax error at or near \"SELEC\"\r\nLINE 1: SELEC 1;\r\n        ^"),
        "{error}"
    );

    // A line longer than the terminal wraps, and a resize is heeded.
    psql.resize
        .send(eizoku_containers::Size {
            width: 20,
            height: 24,
        })
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    psql.press("SELECT 'りんごりんご' AS x;\x01").await;
    psql.expect("\x1b[1A\r\x1b[9C").await;
    assert!(psql.line("", ready_prompt).await.contains("(1 row)"));
    psql.resize
        .send(eizoku_containers::Size {
            width: 80,
            height: 24,
        })
        .await
        .unwrap();

    // Ctrl-C throws a statement away, whatever it is in.
    for (line, prompt) in [
        ("SELECT", "app_db-# "),
        ("SELECT (1", "app_db(# "),
        ("SELECT 'a", "app_db'# "),
        ("SELECT $x$", "app_db$# "),
        ("SELECT \"a", "app_db\"# "),
        ("/* a", "app_db*# "),
    ] {
        psql.line(line, prompt).await;
        psql.press("\x03").await;
        let shown = psql.expect(ready_prompt).await;
        assert!(!shown.contains("Query buffer"), "{shown}");
    }
    psql.line("BEGIN;", "app_db=*# ").await;
    psql.line("SELECT 1/0;", "app_db=!# ").await;
    psql.line("ROLLBACK;", ready_prompt).await;

    // Ctrl-C while a statement runs cancels it.
    psql.press("SELECT pg_sleep(60);\r").await;
    psql.expect("\r\n").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let began = Instant::now();
    psql.press("\x03").await;
    psql.expect("ERROR:  canceling statement due to user request")
        .await;
    psql.expect(ready_prompt).await;
    assert!(began.elapsed().as_secs() < 30, "{}", log(&spec));
    assert!(
        psql.line("SELECT name FROM inventory WHERE id = 1;", ready_prompt)
            .await
            .contains("りんご")
    );
    psql.press("\x04").await;
    assert_eq!(psql.end().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_an_open_transaction_leaves_probes_alone() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    let mut first = Terminal::open(&container, &PSQL);
    first.expect("app_db=# ").await;
    first.line("SET work_mem = '7MB';", "app_db=# ").await;
    first.line("CREATE TABLE t (a int);", "app_db=# ").await;

    // Idle outside a transaction, the session lends the backend out and gets its settings back.
    let other = [
        "psql",
        "-U",
        "user",
        "-d",
        "app_db",
        "-Atc",
        "SHOW work_mem",
    ];
    assert_eq!(exec(&container, &other).await.out, "4MB\n");
    assert!(
        first
            .line("SHOW work_mem;", "app_db=# ")
            .await
            .contains("7MB")
    );

    first.line("BEGIN;", "app_db=*# ").await;
    first.line("INSERT INTO t VALUES (1);", "app_db=*# ").await;
    for _ in 0..3 {
        let began = Instant::now();
        let probe = exec(
            &container,
            &[
                "sh",
                "-c",
                "pg_isready -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"",
            ],
        )
        .await;
        assert_eq!(
            (probe.code, probe.out.as_str()),
            (0, "/var/run/postgresql:5432 - accepting connections\n")
        );
        assert!(began.elapsed().as_millis() < 1000);
    }
    let refused = exec(&container, &other).await;
    assert_eq!(refused.code, 2);
    assert!(
        refused
            .err
            .contains("another session has a transaction open"),
        "{refused:?}"
    );
    first.line("COMMIT;", "app_db=# ").await;
    assert_eq!(
        exec(
            &container,
            &[
                "psql",
                "-U",
                "user",
                "-d",
                "app_db",
                "-Atc",
                "SELECT a FROM t"
            ]
        )
        .await
        .out,
        "1\n"
    );

    // The pod is deleted under the session.
    container.signal(2);
    assert_eq!(crate::pod::end(&container).await.code, 0, "{}", log(&spec));
}

/// Guards against a backend that dies while its session is idle: when that session left, all others waited for ever.
#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_backend_that_dies_under_an_idle_session_is_started_again() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    let mut idle = Terminal::open(&container, &PSQL);
    idle.expect("app_db=# ").await;
    idle.line("CREATE TABLE t (a int);", "app_db=# ").await;
    let backends = backends(&pod.volume());
    assert!(!backends.is_empty(), "a backend has the data open");
    for process in backends {
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
    idle.press("\x04").await;
    let count = [
        "psql",
        "-U",
        "user",
        "-d",
        "app_db",
        "-Atc",
        "SELECT count(*) FROM t",
    ];
    let until = Instant::now() + PATIENCE;
    loop {
        let ran = exec(&container, &count).await;
        if ran.out == "0\n" {
            break;
        }
        assert!(Instant::now() < until, "{ran:?}");
    }
    container.signal(2);
    assert_eq!(end(&container).await.code, 0, "{}", log(&spec));
}

/// The processes that have a file below this folder open and are PostgreSQL's backend.
fn backends(folder: &Path) -> Vec<rustix::process::Pid> {
    let has_open = |process: &Path| {
        std::fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|file| file.starts_with(folder))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("--be-a-postgres-backend")
        })
        .filter(|process| has_open(&process.path()))
        .filter_map(|process| {
            rustix::process::Pid::from_raw(process.file_name().to_str()?.parse().ok()?)
        })
        .collect()
}
