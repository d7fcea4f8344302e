//! A postgres container's life.
#![cfg(feature = "postgres")]

use crate::pod::{Pod, end, exec, exec_with, log, ready};

const SELECT: [&str; 7] = [
    "psql",
    "-U",
    "user",
    "-d",
    "app_db",
    "-c",
    "SELECT * FROM inventory;",
];
const ROWS: &str = " id |  name  \n----+--------\n  1 | apple\n  2 | orange\n(2 rows)\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_rows_outlive_containers() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    for sql in [
        "CREATE TABLE inventory (id serial PRIMARY KEY, name VARCHAR(50));",
        "INSERT INTO inventory (name) VALUES ('apple'), ('orange');",
    ] {
        let ran = exec(
            &container,
            &["psql", "-U", "user", "-d", "app_db", "-c", sql],
        )
        .await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = exec(&container, &SELECT).await;
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, ROWS, "")
    );

    let rival = pod.postgres();
    let (exit, text) = pod.run(&rival).await;
    assert!(
        exit.code == 1 && text.contains("lock file \"postmaster.pid\" already exists"),
        "{text}"
    );

    container.signal(2);
    assert_eq!(end(&container).await.code, 0, "{}", log(&spec));
    assert!(
        log(&spec).ends_with("database system is shut down\n"),
        "{}",
        log(&spec)
    );

    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    assert!(
        log(&spec).contains("database system was shut down at"),
        "{}",
        log(&spec)
    );
    assert_eq!(exec(&container, &SELECT).await.out, ROWS);
    container.signal(9);
    let exit = end(&container).await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));

    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    assert!(
        log(&spec).contains("automatic recovery in progress"),
        "{}",
        log(&spec)
    );
    assert_eq!(exec(&container, &SELECT).await.out, ROWS);
    let ran = exec(
        &container,
        &[
            "sh",
            "-c",
            "ls /var/lib/postgresql/18 && ls $PGDATA | head -n 3 && ps",
        ],
    )
    .await;
    assert!(
        ran.out.starts_with("docker\nPG_VERSION\nbase\nglobal\nPID"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_missing_password_is_the_official_error() {
    let pod = Pod::new();
    let (exit, text) = pod.run(&pod.spec("postgres")).await;
    assert_eq!(exit.code, 1);
    assert!(
        text.starts_with(
            "Error: Database is uninitialized and superuser password is not specified.\n"
        ),
        "{text}"
    );
    let mut spec = pod.postgres();
    spec.mounts[0].path = "/var/lib/postgresql/data".to_owned();
    let (exit, text) = pod.run(&spec).await;
    assert!(
        exit.code == 1 && text.starts_with("Error: in 18+"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_psql_runs_scripts_and_says_what_is_wrong() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    let psql = async |args: &[&str]| {
        let command: Vec<&str> = ["psql", "-U", "user", "-d", "app_db"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        exec(&container, &command).await
    };
    let ran = psql(&[
        "-At",
        "-c",
        "SELECT 1",
        "-c",
        "SELECT current_user, current_database()",
    ])
    .await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "1\nuser|app_db\n"));
    let ran = psql(&["-c", "SELECT * FROM missing;"]).await;
    let text = "ERROR:  relation \"missing\" does not exist\nLINE 1: SELECT * FROM missing;\n                      ^\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, text));
    assert!(
        log(&spec).contains("ERROR:  relation \"missing\" does not exist at character 15\n"),
        "{}",
        log(&spec)
    );
    assert!(log(&spec).contains("STATEMENT:  SELECT * FROM missing;\n"));

    let script = b"CREATE TABLE t (a int, b text);\nCOPY t FROM stdin;\n1\tapple\n2\torange\n\\.\nSELECT count(*) FROM t;\n";
    for args in [
        vec!["psql", "-U", "user", "app_db", "-At", "-f", "-"],
        vec!["psql", "-U", "user", "app_db", "-At"],
    ] {
        let ran = exec_with(&container, &args, script).await;
        assert_eq!(
            (ran.code, ran.out.lines().last()),
            (0, Some("2")),
            "{ran:?}"
        );
        psql(&["-c", "DROP TABLE t"]).await;
    }
    let ran = exec_with(
        &container,
        &["psql", "-U", "user", "-d", "app_db"],
        b"COPY nowhere FROM stdin;\nSELECT 7;",
    )
    .await;
    assert!(
        ran.err.contains("relation \"nowhere\" does not exist") && ran.out.contains('7'),
        "{ran:?}"
    );

    for (args, text) in [
        (
            ["-U", "user", "-d", "nope"],
            "FATAL:  database \"nope\" does not exist\n",
        ),
        (
            ["-U", "bob", "-d", "app_db"],
            "FATAL:  role \"bob\" does not exist\n",
        ),
    ] {
        let command: Vec<&str> = std::iter::once("psql").chain(args).collect();
        let ran = exec(&container, &command).await;
        let start = "psql: error: connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: ";
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (2, format!("{start}{text}").as_str())
        );
    }
    // Another database is another backend; the way back is, too.
    psql(&["-c", "CREATE DATABASE other"]).await;
    let ran = exec(
        &container,
        &[
            "psql",
            "-U",
            "user",
            "-d",
            "other",
            "-Atc",
            "SELECT current_database()",
        ],
    )
    .await;
    assert_eq!(ran.out, "other\n", "{ran:?}");
    assert_eq!(
        psql(&["-Atc", "SELECT current_database()"]).await.out,
        "app_db\n"
    );
    // A role that is no superuser is one, also by its rights.
    psql(&["-c", "CREATE ROLE bob LOGIN; CREATE TABLE mine (a int)"]).await;
    let ran = exec(
        &container,
        &[
            "psql",
            "-U",
            "bob",
            "-d",
            "app_db",
            "-c",
            "SELECT * FROM mine",
        ],
    )
    .await;
    assert_eq!(ran.err, "ERROR:  permission denied for table mine\n");

    container.signal(15);
    assert_eq!(end(&container).await.code, 0);
}
