//! A postgres container's life.
#![cfg(feature = "postgres")]

use std::time::{Duration, Instant};

use crate::pod::{Pod, end, exec, log};

const SELECT: [&str; 7] = ["psql", "-U", "user", "-d", "app_db", "-c", "SELECT * FROM inventory;"];
const ROWS: &str = " id |  name  \n----+--------\n  1 | apple\n  2 | orange\n(2 rows)\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn needs_postgres_feature_rows_outlive_containers() {
    let pod = Pod::new();
    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    let until = Instant::now() + crate::pod::PATIENCE;
    while exec(&container, &["pg_isready"]).await.code != 0 {
        assert!(Instant::now() < until, "{}", log(&spec));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for sql in [
        "CREATE TABLE inventory (id serial PRIMARY KEY, name VARCHAR(50));",
        "INSERT INTO inventory (name) VALUES ('apple'), ('orange');",
    ] {
        let ran = exec(&container, &["psql", "-U", "user", "-d", "app_db", "-c", sql]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = exec(&container, &SELECT).await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, ROWS, ""));
    container.signal(2);
    assert_eq!(end(&container).await.code, 0, "{}", log(&spec));

    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    while exec(&container, &["pg_isready"]).await.code != 0 {
        assert!(Instant::now() < until, "{}", log(&spec));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(log(&spec).contains("database system was shut down at"), "{}", log(&spec));
    assert_eq!(exec(&container, &SELECT).await.out, ROWS);
    container.signal(9);
    let exit = end(&container).await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));

    let spec = pod.postgres();
    let container = pod.start(&spec).await;
    while exec(&container, &["pg_isready"]).await.code != 0 {
        assert!(Instant::now() < until, "{}", log(&spec));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(log(&spec).contains("automatic recovery in progress"), "{}", log(&spec));
    assert_eq!(exec(&container, &SELECT).await.out, ROWS);
    println!("{}", log(&spec));
}
