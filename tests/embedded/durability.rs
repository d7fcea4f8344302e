//! What was acknowledged stays, whatever happens.

use serde_json::json;

use crate::cluster::{Cluster, names};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again_and_old_watches_are_told_to_list() {
    let (folder, cluster) = Cluster::fresh().await;
    for index in 0..20 {
        cluster
            .post(
                "/api/v1/namespaces/default/configmaps",
                json!({"metadata": {"name": format!("c-{index:02}")}}),
            )
            .await;
    }
    let before = cluster.get("/api/v1/namespaces/default/configmaps").await;
    cluster.end().await;
    let cluster = Cluster::start(folder.path()).await;
    let after = cluster.get("/api/v1/namespaces/default/configmaps").await;
    assert_eq!(names(&before), names(&after));
    assert_eq!(
        before["items"][3], after["items"][3],
        "the object is the same, its uid and version too"
    );
    let (code, event) = cluster
        .send(
            "GET",
            "/api/v1/configmaps?watch=true&resourceVersion=3&timeoutSeconds=2",
            "",
            None,
        )
        .await;
    assert_eq!(code, 200);
    assert_eq!(
        (
            &event["type"],
            &event["object"]["code"],
            &event["object"]["reason"]
        ),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_list_show_one_moment() {
    let (_folder, cluster) = Cluster::fresh().await;
    for index in 0..5 {
        cluster
            .post(
                "/api/v1/namespaces/default/secrets",
                json!({"metadata": {"name": format!("s-{index}")}}),
            )
            .await;
    }
    let first = cluster
        .get("/api/v1/namespaces/default/secrets?limit=2")
        .await;
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["s-0", "s-1"], &json!(3))
    );
    cluster
        .delete("/api/v1/namespaces/default/secrets/s-3")
        .await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = cluster
        .get(&format!(
            "/api/v1/namespaces/default/secrets?limit=10&continue={token}"
        ))
        .await;
    assert_eq!(
        names(&second),
        ["s-2", "s-3", "s-4"],
        "the second page is as of the first"
    );
    assert_eq!(
        first["metadata"]["resourceVersion"],
        second["metadata"]["resourceVersion"]
    );
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_with_what_is_there_and_marks_the_end_of_it() {
    let (_folder, cluster) = Cluster::fresh().await;
    cluster
        .post(
            "/api/v1/namespaces/default/secrets",
            json!({"metadata": {"name": "s"}}),
        )
        .await;
    let path = "/api/v1/namespaces/default/secrets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1";
    let (_, text) = cluster.send("GET", path, "", None).await;
    let lines: Vec<serde_json::Value> = text
        .as_str()
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["type"], &lines[0]["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("s"))
    );
    assert_eq!(lines[1]["type"], "BOOKMARK");
    assert_eq!(
        lines[1]["object"]["metadata"]["annotations"],
        json!({"k8s.io/initial-events-end": "true"})
    );
    cluster.end().await;
}
