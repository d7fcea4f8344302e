//! Who is let in, and how errors sound.

use serde_json::json;

use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_the_secret_from_a_page_or_under_another_name() {
    let (_folder, cluster) = Cluster::fresh().await;
    let client = reqwest::Client::new();
    let base = cluster.url.split("/k/").next().unwrap();
    let code = |request: reqwest::RequestBuilder| async {
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(code(client.get(format!("{base}/api"))).await, 401);
    assert_eq!(
        code(client.get(format!("{base}/k/00000000000000000000000000000000/api"))).await,
        401
    );
    assert_eq!(code(client.get(format!("{}x/api", cluster.url))).await, 401);
    let path = format!("{}/api", cluster.url);
    assert_eq!(code(client.get(&path)).await, 200);
    assert_eq!(code(client.get(&path).header("origin", base)).await, 403);
    assert_eq!(
        code(client.get(&path).header("host", "evil.example")).await,
        403
    );
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(cluster.kubeconfig())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cluster_on_the_folder_says_so() {
    let (folder, cluster) = Cluster::fresh().await;
    let second = eizoku_embedded::Embedded::start(
        folder.path(),
        false,
        tokio_util::sync::CancellationToken::new(),
    )
    .await;
    assert!(
        second
            .unwrap_err()
            .to_string()
            .contains("another eizoku is running")
    );
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_statuses_with_the_real_words() {
    let (_folder, cluster) = Cluster::fresh().await;
    let pods = "/api/v1/namespaces/default/pods";
    for (method, path, kind, body, code, message) in [
        (
            "GET",
            "/api/v1/namespaces/default/pods/x",
            "",
            None,
            404,
            "pods \"x\" not found",
        ),
        (
            "GET",
            "/api/v1/foos",
            "",
            None,
            404,
            "the server could not find the requested resource",
        ),
        (
            "GET",
            "/apis/apps/v1/daemonsets",
            "",
            None,
            501,
            "the embedded cluster has no DaemonSets",
        ),
        (
            "POST",
            pods,
            "application/json",
            Some(json!({"metadata": {"name": "x"}, "spec": {"containers": []}})),
            422,
            "Pod \"x\" is invalid: spec.containers: Required value",
        ),
        (
            "POST",
            pods,
            "application/json",
            Some(json!({"metadata": {"name": "x"}, "spec": {
                "containers": [{"name": "c", "image": "busybox", "volumeMounts": [{"name": "e", "mountPath": "/../.."}]}],
                "volumes": [{"name": "e", "emptyDir": {}}]}})),
            422,
            "Pod \"x\" is invalid: spec.containers[0].volumeMounts[0].mountPath: Invalid value: \"/../..\": must not contain '..'",
        ),
        (
            "POST",
            "/api/v1/namespaces/nowhere/configmaps",
            "application/json",
            Some(json!({"metadata": {"name": "x"}})),
            404,
            "namespaces \"nowhere\" not found",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default",
            "application/json",
            Some(json!({})),
            403,
            "namespaces \"default\" is forbidden: this namespace may not be deleted",
        ),
    ] {
        let (found, status) = cluster.send(method, path, kind, body).await;
        assert_eq!(
            (found, status["message"].as_str()),
            (code, Some(message)),
            "{method} {path}"
        );
        assert_eq!(
            (&status["kind"], &status["code"]),
            (&json!("Status"), &json!(code))
        );
    }
    let strict = format!("{pods}?fieldValidation=Strict");
    let (code, status) = cluster.send("POST", &strict, "application/json", Some(json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a", "imagee": "b"}]}}))).await;
    assert_eq!(code, 400);
    assert_eq!(
        status["message"],
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].imagee\""
    );
    for (kind, refusal) in [
        ("application/vnd.kubernetes.protobuf", 400),
        ("application/yaml", 415),
    ] {
        let (code, _) = cluster.send("POST", pods, kind, Some(json!({}))).await;
        assert_eq!(code, refusal, "{kind}");
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_on_an_old_state_are_conflicts() {
    let (_folder, cluster) = Cluster::fresh().await;
    let made = cluster
        .post(
            "/api/v1/namespaces/default/configmaps",
            json!({"metadata": {"name": "c"}, "data": {"a": "1"}}),
        )
        .await;
    cluster
        .merge(
            "/api/v1/namespaces/default/configmaps/c",
            json!({"data": {"a": "2"}}),
        )
        .await;
    let (code, status) = cluster
        .send(
            "PUT",
            "/api/v1/namespaces/default/configmaps/c",
            "application/json",
            Some(made),
        )
        .await;
    assert_eq!(code, 409);
    assert_eq!(status["reason"], "Conflict");
    let dry = cluster
        .send(
            "PATCH",
            "/api/v1/namespaces/default/configmaps/c?dryRun=All",
            "application/merge-patch+json",
            Some(json!({"data": {"a": "3"}})),
        )
        .await;
    assert_eq!(dry.1["data"]["a"], "3");
    assert_eq!(
        cluster.get("/api/v1/namespaces/default/configmaps/c").await["data"]["a"],
        "2"
    );
    cluster.end().await;
}
