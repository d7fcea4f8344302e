//! Where a postgres container's data directory lies, and what it does with what it finds there.
#![cfg(feature = "postgres")]

use std::path::{Path, PathBuf};
use std::process::Command;

use eizoku_containers::{ContainerSpec, Mount};

use crate::pod::{Pod, end, exec, log, ready};

const DEFAULT: &str = "/var/lib/postgresql/18/docker";
const ROW: [&str; 7] = [
    "psql",
    "-U",
    "user",
    "-d",
    "app_db",
    "-Atc",
    "SELECT * FROM t",
];

/// A database with a row, made once and copied: its files.
async fn database() -> &'static Path {
    static MADE: tokio::sync::OnceCell<PathBuf> = tokio::sync::OnceCell::const_new();
    let made = MADE.get_or_init(async || {
        let pod = Pod::new();
        let spec = pod.postgres();
        let container = pod.start(&spec).await;
        ready(&container, &spec).await;
        let sql = "CREATE TABLE t (x text); INSERT INTO t VALUES ('kept')";
        let ran = exec(
            &container,
            &["psql", "-U", "user", "-d", "app_db", "-c", sql],
        )
        .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        container.signal(2);
        assert_eq!(end(&container).await.code, 0, "{}", log(&spec));
        // Where it is the next run that clears up, as nothing is dropped at the end of this one.
        let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join("database");
        let _ = std::fs::remove_dir_all(&files);
        copy(&pod.volume().join("18/docker"), &files);
        files
    });
    made.await
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-R").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// A copy of that database, in this folder.
async fn copy_to(folder: &Path) {
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    copy(database().await, folder);
}

fn with_pgdata(mut spec: ContainerSpec, pgdata: &str) -> ContainerSpec {
    spec.env.push(("PGDATA".to_owned(), pgdata.to_owned()));
    spec
}

fn at_mount(pod: &Pod) -> ContainerSpec {
    let mut spec = with_pgdata(pod.postgres(), "/var/lib/postgresql/data");
    spec.mounts[0].path = "/var/lib/postgresql/data".to_owned();
    spec
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// No line of a log names a place of the host.
fn names_no_host(pod: &Pod, text: &str) {
    let host = pod.folder.path().to_str().unwrap();
    assert!(
        !text.contains(host) && !text.contains("/proc/self"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_files_that_are_no_database_are_refused_and_kept() {
    let detail = |what: &str| {
        format!(
            "initdb: detail: It contains {what}, perhaps due to it being a mount point.\n\
             initdb: hint: Using a mount point directly as the data directory is not recommended.\n\
             Create a subdirectory under the mount point.\n"
        )
    };
    let other = format!(
        "initdb: hint: If you want to create a new database system, either remove or empty the directory \"{DEFAULT}\" or run initdb with an argument other than \"{DEFAULT}\".\n"
    );
    for (files, more) in [
        (vec!["base/1/2", "my-file"], other.clone()),
        (vec!["PG_VERSION"], other.clone()),
        (vec!["lost+found/x", "my-file"], other),
        (
            vec!["lost+found/x", ".hidden"],
            detail("a lost+found directory"),
        ),
        (vec![".hidden"], detail("a dot-prefixed/invisible file")),
    ] {
        let pod = Pod::new();
        let data = pod.volume().join("18/docker");
        for file in &files {
            std::fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
            std::fs::write(data.join(file), "").unwrap();
        }
        let before = names(&data);
        let (exit, text) = pod.run(&pod.postgres()).await;
        let said =
            format!("initdb: error: directory \"{DEFAULT}\" exists but is not empty\n{more}");
        assert_eq!((exit.code, text.as_str()), (1, said.as_str()));
        assert_eq!(names(&data), before);
        for file in &files {
            assert!(data.join(file).is_file(), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_database_lives_at_the_mount_itself() {
    let pod = Pod::new();
    let beside = pod.folder.path().join("other-volume");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("precious"), "").unwrap();
    // Cut off while it is made, again and again: only what that made goes.
    for n in 1..=3 {
        let spec = at_mount(&pod);
        let container = pod.start(&spec).await;
        while names(&pod.volume()).len() < n.min(2) && !log(&spec).contains("ready to accept") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        container.signal(9);
        end(&container).await;
    }
    let spec = at_mount(&pod);
    let container = pod.start(&spec).await;
    ready(&container, &spec).await;
    let sql = "CREATE TABLE t (x text); INSERT INTO t VALUES ('kept')";
    let ran = exec(
        &container,
        &["psql", "-U", "user", "-d", "app_db", "-c", sql],
    )
    .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    // Container and host see the same files, at the same place.
    let script = "ls -A $PGDATA; echo mine > $PGDATA/mine; rm $PGDATA/pg_ident.conf; mount";
    let ran = exec(&container, &["sh", "-c", script]).await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[..3] == ["PG_VERSION", "base", "global"], "{ran:?}");
    assert!(!ran.out.contains("eizoku"), "{ran:?}");
    assert!(
        ran.out
            .ends_with("on /var/lib/postgresql/data type ext4 (rw,relatime)\n"),
        "{ran:?}"
    );
    assert_eq!(
        std::fs::read_to_string(pod.volume().join("mine")).unwrap(),
        "mine\n"
    );
    assert!(!pod.volume().join("pg_ident.conf").exists());

    let rival = at_mount(&pod);
    let (exit, text) = pod.run(&rival).await;
    let said = "lock file \"postmaster.pid\" already exists\nHINT:  Is another postmaster (PID 1) running in data directory \"/var/lib/postgresql/data\"?\n";
    assert_eq!(exit.code, 1, "{text}");
    let words: String = text
        .lines()
        .map(|line| line.split_once("] ").map_or(line, |it| it.1).to_owned() + "\n")
        .collect();
    assert_eq!(words, format!("FATAL:  {said}"));

    container.signal(9);
    end(&container).await;
    let again = at_mount(&pod);
    let container = pod.start(&again).await;
    ready(&container, &again).await;
    assert_eq!(exec(&container, &ROW).await.out, "kept\n");
    assert_eq!(names(&beside), ["precious"]);
    for name in names(pod.folder.path()) {
        assert!(!name.starts_with('.'), "{name} beside the volume");
    }
    for spec in [&spec, &rival, &again] {
        names_no_host(&pod, &log(spec));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_the_data_directory_may_lie_anywhere() {
    // PGDATA, the working directory, and where the host has it.
    for (pgdata, directory, host) in [
        (DEFAULT, "/", "volume/18/docker"),
        ("/var/lib/postgresql", "/", "volume"),
        ("/var/lib/postgresql/a/b/../c//", "/", "volume/a/c"),
        ("/var/lib/postgresql/link/x", "/", "volume/real/x"),
        ("a/pgdata", "/var/lib/postgresql", "volume/a/pgdata"),
        ("/srv/pgdata", "/", "scratch/root/srv/pgdata"),
    ] {
        let pod = Pod::new();
        let mut spec = with_pgdata(pod.postgres(), pgdata);
        spec.working_dir = Some(directory.to_owned());
        spec.scratch = pod.folder.path().join("scratch");
        std::os::unix::fs::symlink("/var/lib/postgresql/real", pod.volume().join("link")).unwrap();
        if host == "volume" {
            std::fs::remove_file(pod.volume().join("link")).unwrap();
            std::fs::remove_dir(pod.volume()).unwrap();
        }
        std::fs::create_dir_all(pod.volume().join("a/b")).unwrap();
        if host == "volume" {
            std::fs::remove_dir_all(pod.volume()).unwrap();
        }
        copy_to(&pod.folder.path().join(host)).await;
        let container = pod.start(&spec).await;
        ready(&container, &spec).await;
        let ran = exec(&container, &ROW).await;
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, "kept\n"),
            "{pgdata}: {ran:?}"
        );
        let ran = exec(&container, &["sh", "-c", "ls $PGDATA | grep -c PG_VERSION"]).await;
        assert_eq!(ran.out, "1\n", "{pgdata}");
        names_no_host(&pod, &log(&spec));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_database_of_an_earlier_version_goes_on() {
    let pod = Pod::new();
    let folder = pod.volume().join("18/docker");
    copy_to(&folder.join("pgdata")).await;
    let description = r#"{"schema":"oliphaunt-database-root-v1","engineFamily":"wasix","pgdata":"pgdata","postgresMajor":18,"physicalFormat":"wasix-pg18-v1"}"#;
    std::fs::write(folder.join(".oliphaunt.json"), description).unwrap();
    std::fs::write(folder.with_file_name(".docker.postmaster.lock"), "").unwrap();
    for _ in 0..2 {
        let spec = pod.postgres();
        let container = pod.start(&spec).await;
        ready(&container, &spec).await;
        assert_eq!(exec(&container, &ROW).await.out, "kept\n");
        assert!(folder.join("PG_VERSION").is_file());
        assert!(!folder.join("pgdata").exists() && !folder.join(".oliphaunt.json").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_what_stands_in_the_way_is_told_in_their_words() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm, i32, &[&str]); 8] = [
        (
            "of another version",
            |data| std::fs::write(data.join("PG_VERSION"), "17\n").unwrap(),
            1,
            &[
                "FATAL:  database files are incompatible with server\n",
                "DETAIL:  The data directory was initialized by PostgreSQL version 17, which is not compatible with this version 18.4.\n",
            ],
        ),
        (
            "with words for a version",
            |data| std::fs::write(data.join("PG_VERSION"), "words\n").unwrap(),
            1,
            &["FATAL:  \"/var/lib/postgresql/18/docker\" is not a valid data directory\n"],
        ),
        (
            "without its control file",
            |data| std::fs::remove_file(data.join("global/pg_control")).unwrap(),
            2,
            &[
                "postgres: could not find the database system\nExpected to find it in the directory \"/var/lib/postgresql/18/docker\",\nbut could not open file \"/var/lib/postgresql/18/docker/global/pg_control\": No such file or directory\n",
            ],
        ),
        (
            "with half a control file",
            |data| truncate(&data.join("global/pg_control"), 100),
            1,
            &["PANIC:  could not read file \"global/pg_control\": read 100 of 296\n"],
        ),
        (
            "with a control file of noughts",
            |data| std::fs::write(data.join("global/pg_control"), [0; 8192]).unwrap(),
            1,
            &[
                "FATAL:  database files are incompatible with server\n",
                "DETAIL:  The database cluster was initialized with PG_CONTROL_VERSION 0, but the server was compiled with PG_CONTROL_VERSION 1800.\n",
            ],
        ),
        (
            "without its log",
            |data| {
                std::fs::remove_dir_all(data.join("pg_wal")).unwrap();
                std::fs::create_dir(data.join("pg_wal")).unwrap();
            },
            1,
            &["could not locate a valid checkpoint record"],
        ),
        (
            "with a catalog of noughts",
            |data| std::fs::write(data.join("global/pg_filenode.map"), [0; 524]).unwrap(),
            1,
            &["FATAL:  relation mapping file \"global/pg_filenode.map\" contains invalid data\n"],
        ),
        (
            "that is a file",
            |data| {
                std::fs::remove_dir_all(data).unwrap();
                std::fs::write(data, "mine").unwrap();
            },
            1,
            &["mkdir: cannot create directory ‘/var/lib/postgresql/18/docker’: File exists\n"],
        ),
    ];
    for (what, harm, code, words) in harms {
        let pod = Pod::new();
        let data = pod.volume().join("18/docker");
        copy_to(&data).await;
        harm(&data);
        let spec = pod.postgres();
        let (exit, text) = pod.run(&spec).await;
        assert_eq!(exit.code, code, "{what}: {text}");
        for words in words {
            assert!(text.contains(words), "{what}: {words:?} in {text}");
        }
        names_no_host(&pod, &text);
        assert!(
            !text.contains("/base\"") && !text.contains("\"/base/"),
            "{what}: {text}"
        );
        assert!(!text.contains("client connection"), "{what}: {text}");
        assert!(data.is_file() || data.join("base").is_dir(), "{what}");
    }
}

fn truncate(file: &Path, length: u64) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(length).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_mount_that_is_read_only_is_refused() {
    let pod = Pod::new();
    let mut spec = pod.postgres();
    spec.mounts[0].read_only = true;
    let (exit, text) = pod.run(&spec).await;
    assert_eq!(
        (exit.code, text.as_str()),
        (
            1,
            "mkdir: cannot create directory ‘/var/lib/postgresql/18/docker’: Read-only file system\n"
        )
    );
    let mut spec = at_mount(&pod);
    spec.mounts[0].read_only = true;
    let (exit, text) = pod.run(&spec).await;
    assert!(
        exit.code == 1 && text.contains("Read-only file system"),
        "{text}"
    );
    let again = Pod::new();
    copy_to(&again.volume().join("18/docker")).await;
    let mut spec = again.postgres();
    spec.mounts[0].read_only = true;
    let (exit, text) = again.run(&spec).await;
    assert!(
        exit.code == 1
            && text.contains(
                "FATAL:  could not create lock file \"postmaster.pid\": Read-only file system"
            ),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_mount_below_the_data_directory_makes_it_not_empty() {
    let pod = Pod::new();
    let mut spec = pod.postgres();
    let other = pod.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    spec.mounts.push(Mount {
        host: other,
        below: String::new(),
        path: format!("{DEFAULT}/pg_wal"),
        read_only: false,
    });
    let (exit, text) = pod.run(&spec).await;
    assert!(
        exit.code == 1 && text.contains("exists but is not empty"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_a_fast_shutdown_leaves_nothing_to_recover() {
    let pod = Pod::new();
    copy_to(&pod.volume().join("18/docker")).await;
    // With nothing to do, and in the middle of a statement that would go on for long, with a transaction open.
    for statement in [
        None,
        Some("BEGIN; INSERT INTO t VALUES ('undone'); SELECT pg_sleep(600)"),
    ] {
        let spec = pod.postgres();
        let container = pod.start(&spec).await;
        ready(&container, &spec).await;
        let busy = statement.map(|sql| {
            let container = container.clone();
            tokio::spawn(async move {
                exec(
                    &container,
                    &["psql", "-U", "user", "-d", "app_db", "-c", sql],
                )
                .await
            })
        });
        if busy.is_some() {
            // The row is written, though nobody sees it, once the backend no longer answers.
            while exec(
                &container,
                &["psql", "-U", "user", "-d", "app_db", "-c", "SELECT 1"],
            )
            .await
            .code
                == 0
            {}
        }
        container.signal(2);
        assert_eq!(end(&container).await.code, 0, "{}", log(&spec));
        let text = log(&spec);
        let words: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once("] LOG:  ")?.1))
            .collect();
        let last = &words[words.len() - 5..];
        let expected = [
            "received fast shutdown request",
            "aborting any active transactions",
            "shutting down",
            "checkpoint starting: shutdown immediate",
            "database system is shut down",
        ];
        assert_eq!(last, expected, "{text}");
        if let Some(busy) = busy {
            let ran = busy.await.unwrap();
            assert!(ran.code != 0, "{ran:?}");
        }
        let spec = pod.postgres();
        let container = pod.start(&spec).await;
        ready(&container, &spec).await;
        let text = log(&spec);
        assert!(
            text.contains("database system was shut down at") && !text.contains("recovery"),
            "{text}"
        );
        assert_eq!(exec(&container, &ROW).await.out, "kept\n");
        container.signal(2);
        end(&container).await;
    }
}
