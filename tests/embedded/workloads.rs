//! Controllers and kubelet together, with containers that really run.

use serde_json::{Value, json};

use crate::cluster::{Cluster, is_ready, names};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";

fn set(replicas: i64) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "c", "image": "busybox", "command": ["sh", "-c", "date >> /data/starts; sleep 1000"], "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
        },
    })
}

/// How often the container of a claim's Pod has started, by its own account. A container counts as running before its
/// first line is done, so this waits until that many are there.
async fn starts(folder: &std::path::Path, claim: &Value, wanted: usize) -> usize {
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    let name = format!(
        "{volume}_default_{}",
        claim["metadata"]["name"].as_str().unwrap()
    );
    let path = folder
        .join("node/var/local-path-provisioner")
        .join(name)
        .join("starts");
    let begun = std::time::Instant::now();
    loop {
        let found = tokio::fs::read_to_string(&path)
            .await
            .map_or(0, |text| text.lines().count());
        if found >= wanted || begun.elapsed().as_secs() >= 30 {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pod_comes_back_to_its_name_and_its_claim() {
    let (folder, cluster) = Cluster::fresh().await;
    cluster.post(SETS, set(2)).await;
    let second = cluster
        .until(&format!("{PODS}/web-1"), "the second Pod", is_ready)
        .await;
    let first = cluster.get(&format!("{PODS}/web-0")).await;
    assert!(first["status"]["startTime"].as_str() <= second["status"]["startTime"].as_str());
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = cluster.get(&format!("{claims}/data-web-0")).await;
    assert_eq!(claim["status"]["phase"], "Bound");
    assert_eq!(starts(folder.path(), &claim, 1).await, 1);
    cluster.delete(&format!("{PODS}/web-0")).await;
    let uid = first["metadata"]["uid"].clone();
    let again = cluster
        .until(&format!("{PODS}/web-0"), "the new Pod", |pod| {
            is_ready(pod) && pod["metadata"]["uid"] != uid
        })
        .await;
    assert_eq!(again["spec"]["volumes"][0], first["spec"]["volumes"][0]);
    let same = cluster.get(&format!("{claims}/data-web-0")).await;
    assert_eq!(
        (&same["metadata"]["uid"], &same["spec"]["volumeName"]),
        (&claim["metadata"]["uid"], &claim["spec"]["volumeName"])
    );
    assert_eq!(
        starts(folder.path(), &claim, 2).await,
        2,
        "both lives wrote to the same volume"
    );

    cluster
        .merge(
            &format!("{SETS}/web/scale"),
            json!({"spec": {"replicas": 0}}),
        )
        .await;
    cluster
        .until(PODS, "an empty set", |pods| names(pods).is_empty())
        .await;
    assert_eq!(
        names(&cluster.get(claims).await),
        ["data-web-0", "data-web-1"],
        "scaling down keeps claims"
    );

    cluster.delete(&format!("{SETS}/web")).await;
    cluster.delete(claims).await;
    cluster
        .until(
            "/api/v1/persistentvolumes",
            "the end of the volumes",
            |volumes| names(volumes).is_empty(),
        )
        .await;
    assert_eq!(
        std::fs::read_dir(folder.path().join("node/var/local-path-provisioner"))
            .unwrap()
            .count(),
        0,
        "their folders are gone too"
    );
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_cluster_brings_its_pods_back() {
    let (folder, cluster) = Cluster::fresh().await;
    cluster.post(SETS, set(1)).await;
    let before = cluster
        .until(&format!("{PODS}/web-0"), "the Pod", is_ready)
        .await;
    let claim = cluster
        .get("/api/v1/namespaces/default/persistentvolumeclaims/data-web-0")
        .await;
    cluster.end().await;
    let cluster = Cluster::start(folder.path()).await;
    let restarted =
        |pod: &Value| is_ready(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let after = cluster
        .until(
            &format!("{PODS}/web-0"),
            "the Pod after the restart",
            restarted,
        )
        .await;
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(starts(folder.path(), &claim, 2).await, 2);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_in_use_waits_for_its_pod() {
    let (_folder, cluster) = Cluster::fresh().await;
    cluster.post(SETS, set(1)).await;
    cluster
        .until(&format!("{PODS}/web-0"), "the Pod", is_ready)
        .await;
    let path = "/api/v1/namespaces/default/persistentvolumeclaims/data-web-0";
    let marked = cluster.delete(path).await;
    assert_eq!(
        marked["metadata"]["finalizers"],
        json!(["kubernetes.io/pvc-protection"])
    );
    cluster
        .merge(
            &format!("{SETS}/web/scale"),
            json!({"spec": {"replicas": 0}}),
        )
        .await;
    cluster
        .until(path, "the end of the claim", |claim| {
            claim["reason"] == "NotFound"
        })
        .await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_as_the_real_kubelet_tells_them() {
    let (_folder, cluster) = Cluster::fresh().await;
    let pod = |name: &str, container: Value| {
        let mut pod = json!({"metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent"}]}});
        for (field, value) in container.as_object().unwrap() {
            pod["spec"]["containers"][0][field] = value.clone();
        }
        pod
    };
    cluster
        .post(PODS, pod("image", json!({"image": "nginx:1"})))
        .await;
    cluster
        .post(
            PODS,
            pod(
                "secret",
                json!({"envFrom": [{"secretRef": {"name": "nope"}}]}),
            ),
        )
        .await;
    cluster
        .post(
            PODS,
            pod("crash", json!({"command": ["sh", "-c", "exit 3"]})),
        )
        .await;
    cluster
        .post(PODS, pod("command", json!({"command": ["foo"]})))
        .await;
    let waiting = |reason: &'static str| {
        move |pod: &Value| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
        }
    };
    cluster
        .until(
            &format!("{PODS}/image"),
            "ErrImagePull",
            waiting("ErrImagePull"),
        )
        .await;
    let secret = cluster
        .until(
            &format!("{PODS}/secret"),
            "CreateContainerConfigError",
            waiting("CreateContainerConfigError"),
        )
        .await;
    assert_eq!(
        secret["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "secret \"nope\" not found"
    );
    let crash = cluster
        .until(
            &format!("{PODS}/crash"),
            "CrashLoopBackOff",
            waiting("CrashLoopBackOff"),
        )
        .await;
    let status = &crash["status"]["containerStatuses"][0];
    assert_eq!(
        (
            &status["restartCount"],
            &status["lastState"]["terminated"]["exitCode"],
            &crash["status"]["phase"]
        ),
        (&json!(1), &json!(3), &json!("Running"))
    );
    let command = cluster
        .until(
            &format!("{PODS}/command"),
            "the back-off",
            waiting("CrashLoopBackOff"),
        )
        .await;
    assert_eq!(
        command["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"],
        "StartError"
    );
    cluster.end().await;
}

/// Guards against a readiness probe that restarts: one that failed three times before its first good answer did.
#[tokio::test(flavor = "multi_thread")]
async fn a_readiness_probe_takes_a_pod_out_of_service_and_never_restarts_it() {
    let (_folder, cluster) = Cluster::fresh().await;
    let pod = json!({"metadata": {"name": "slow"}, "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "c", "image": "busybox",
            "command": ["sh", "-c", "sleep 3; touch /d/up; sleep 6; rm /d/up; sleep 1000"],
            "readinessProbe": {"exec": {"command": ["cat", "/d/up"]}, "periodSeconds": 1, "failureThreshold": 1},
            "volumeMounts": [{"name": "d", "mountPath": "/d"}],
        }],
        "volumes": [{"name": "d", "emptyDir": {}}],
    }});
    cluster.post(PODS, pod).await;
    let path = format!("{PODS}/slow");
    let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
    let up = cluster.until(&path, "the Pod in service", is_ready).await;
    assert_eq!(restarts(&up), 0);
    let down = cluster
        .until(&path, "the Pod out of service", |pod| !is_ready(pod))
        .await;
    assert_eq!(
        (restarts(&down), &down["status"]["phase"]),
        (json!(0), &json!("Running"))
    );
    cluster.end().await;
}

/// What `kubectl delete --cascade=orphan` leaves behind is taken in by the Deployment that is applied again.
#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_taken_in_again() {
    let (_folder, cluster) = Cluster::fresh().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    let deployment = json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
            "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "busybox", "command": ["sleep", "1000"]}],
        }},
    }});
    cluster.post(deployments, deployment.clone()).await;
    let before = cluster
        .until(sets, "a ReplicaSet", |list| names(list).len() == 1)
        .await;
    let body = json!({"propagationPolicy": "Orphan"});
    cluster
        .send(
            "DELETE",
            &format!("{deployments}/d"),
            "application/json",
            Some(body),
        )
        .await;
    cluster
        .until(deployments, "no Deployment", |list| names(list).is_empty())
        .await;
    let again = cluster.post(deployments, deployment).await;
    let after = cluster
        .until(sets, "an owner", |list| {
            list["items"][0]["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]
        })
        .await;
    assert_eq!(names(&after), names(&before), "the same one, not another");
    cluster.end().await;
}

/// A sidecar is up before the others start, counts as ready, and ends after them; a Pod may not be active for ever.
#[tokio::test(flavor = "multi_thread")]
async fn sidecars_hooks_and_deadlines() {
    let (_folder, cluster) = Cluster::fresh().await;
    let container = |name: &str, command: &str| json!({"name": name, "image": "busybox", "command": ["sh", "-c", command]});
    let mut sidecar = container("side", "sleep 1000");
    sidecar["restartPolicy"] = json!("Always");
    let mut hooked = container("c", "sleep 1000");
    hooked["lifecycle"] = json!({"postStart": {"exec": {"command": ["ls", "/nowhere"]}}});
    let pod = |name: &str, spec: Value| {
        let mut pod = json!({"metadata": {"name": name}, "spec": spec});
        pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
        pod
    };
    let one = [container("c", "echo done; sleep 1")];
    for made in [
        pod(
            "side",
            json!({"restartPolicy": "Never", "initContainers": [sidecar], "containers": one}),
        ),
        pod(
            "late",
            json!({"activeDeadlineSeconds": 1, "containers": [container("c", "sleep 1000")]}),
        ),
        pod("hook", json!({"containers": [hooked]})),
    ] {
        cluster.post(PODS, made).await;
    }
    let side = cluster
        .until(&format!("{PODS}/side"), "the end", |pod| {
            pod["status"]["phase"] == "Succeeded"
        })
        .await;
    let state = &side["status"]["initContainerStatuses"][0]["state"];
    assert!(
        state["terminated"].is_object(),
        "the sidecar ended, too: {state}"
    );
    let late = cluster
        .until(&format!("{PODS}/late"), "the deadline", |pod| {
            pod["status"]["phase"] == "Failed"
        })
        .await;
    assert_eq!(late["status"]["reason"], "DeadlineExceeded");
    cluster
        .until(&format!("{PODS}/hook"), "a restart", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0)
        })
        .await;
    let events = cluster.get("/api/v1/namespaces/default/events").await;
    let reasons: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["reason"].as_str())
        .collect();
    assert!(reasons.contains(&"FailedPostStartHook"), "{reasons:?}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_pod_says_why_and_is_replaced() {
    let (_folder, cluster) = Cluster::fresh().await;
    cluster.post(SETS, set(1)).await;
    let path = format!("{PODS}/web-0");
    let first = cluster.until(&path, "the Pod", is_ready).await;
    let uid = &first["metadata"]["uid"];
    let evict = async |name: &str, options: Value| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}, "deleteOptions": options});
        cluster
            .send(
                "POST",
                &format!("{path}/eviction"),
                "application/json",
                Some(eviction),
            )
            .await
    };
    let (code, answer) = evict("web-0", json!({"dryRun": ["All"]})).await;
    assert_eq!((code, &answer["status"]), (201, &json!("Success")));
    let (code, _) = evict("web-1", json!({})).await;
    assert_eq!(code, 400);
    let (code, _) = evict("web-0", json!({"preconditions": {"uid": "another"}})).await;
    assert_eq!(code, 409);
    let same = cluster.get(&path).await;
    assert_eq!(&same["metadata"]["uid"], uid);
    assert!(same["metadata"].get("deletionTimestamp").is_none());
    let reason = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        let target = conditions
            .iter()
            .find(|it| it["type"] == "DisruptionTarget");
        target.map(|it| it["reason"].clone())
    };
    assert_eq!(reason(&same), None);

    let (code, _) = evict("web-0", json!({})).await;
    assert_eq!(code, 201);
    // Its only process has no handler for SIGTERM, so that it stays for its grace.
    let going = cluster.get(&path).await;
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(reason(&going), Some(json!("EvictionByEvictionAPI")));
    cluster
        .until(&path, "the next Pod", |pod| {
            is_ready(pod) && pod["metadata"]["uid"] != *uid
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_over_its_memory_is_oomkilled() {
    let (_folder, cluster) = Cluster::fresh().await;
    cluster
        .post(
            PODS,
            json!({"metadata": {"name": "greedy"}, "spec": {"containers": [{
                "name": "c", "image": "busybox", "command": ["tail", "/dev/zero"], "resources": {"limits": {"memory": "32Mi"}},
            }]}}),
        )
        .await;
    let pod = cluster
        .until(&format!("{PODS}/greedy"), "the second death", |pod| {
            pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]
                == "OOMKilled"
        })
        .await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 137);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_from_their_end_and_followed_over_rotations() {
    let (folder, cluster) = Cluster::fresh().await;
    cluster
        .post(
            PODS,
            json!({"metadata": {"name": "loud"}, "spec": {"restartPolicy": "Never", "containers": [{
                "name": "c", "image": "busybox", "command": ["sh", "-c", "seq 1 600000; echo end"],
            }]}}),
        )
        .await;
    cluster
        .until(&format!("{PODS}/loud"), "its end", |pod| {
            pod["status"]["phase"] == "Succeeded"
        })
        .await;
    let log = format!("{PODS}/loud/log");
    assert_eq!(
        cluster.get(&format!("{log}?tailLines=2")).await,
        "600000\nend\n"
    );
    assert_eq!(
        cluster
            .get(&format!("{log}?tailLines=1&limitBytes=2"))
            .await,
        "en"
    );
    let all = cluster
        .get(&format!("{log}?sinceSeconds=9223372036854775807"))
        .await;
    let all = all.as_str().unwrap();
    assert!(all.ends_with("\n600000\nend\n") && all.len() < 10 << 20);
    let pods = std::fs::read_dir(folder.path().join("pods")).unwrap();
    let files: usize = pods
        .map(|pod| {
            std::fs::read_dir(pod.unwrap().path().join("logs/c"))
                .unwrap()
                .count()
        })
        .sum();
    assert!(files > 1, "the log was rotated");
    cluster.end().await;
}
