//! What asks for more than there is, or for what no type holds: refused or done in pieces, and everything else goes on.

use serde_json::{Value, json};

use crate::cluster::{Cluster, names};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";

/// A Pod template whose image there is not: its Pods take room on the node, and no process.
fn template(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": "nowhere:1"}]}})
}

fn workload(name: &str, replicas: i64) -> Value {
    json!({"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name)}})
}

fn stateful_set(name: &str, replicas: i64) -> Value {
    let mut set = workload(name, replicas);
    set["spec"]["serviceName"] = json!(name);
    set["spec"]["podManagementPolicy"] = json!("Parallel");
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_times_that_no_type_holds_are_refused_on_every_way_in() {
    let (_folder, cluster) = Cluster::fresh().await;
    let set = format!("{SETS}/web");
    cluster.post(SETS, stateful_set("web", 0)).await;
    let big = 1i64 << 40;
    let decoder = |field: &str| {
        format!("json: cannot unmarshal number {big} into Go struct field {field} of type int32")
    };
    let replaced = {
        let mut set = cluster.get(&set).await;
        set["spec"]["replicas"] = json!(big);
        set
    };
    for (method, path, kind, body, code, words) in [
        (
            "POST",
            SETS.to_owned(),
            JSON,
            stateful_set("b", big),
            400,
            decoder("StatefulSetSpec.spec.replicas"),
        ),
        ("PUT", set.clone(), JSON, replaced, 400, decoder("StatefulSetSpec.spec.replicas")),
        (
            "PATCH",
            set.clone(),
            MERGE,
            json!({"spec": {"replicas": big}}),
            422,
            decoder("StatefulSetSpec.spec.replicas"),
        ),
        (
            "PATCH",
            set.clone(),
            JSON_PATCH,
            json!([{"op": "replace", "path": "/spec/replicas", "value": big}]),
            422,
            decoder("StatefulSetSpec.spec.replicas"),
        ),
        (
            "PATCH",
            set.clone(),
            "application/strategic-merge-patch+json",
            json!({"spec": {"replicas": big}}),
            422,
            "unrecognized type: int32".to_owned(),
        ),
        (
            "PATCH",
            format!("{set}?fieldManager=test"),
            "application/apply-patch+yaml",
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"}, "spec": {"replicas": big}}),
            400,
            decoder("StatefulSetSpec.spec.replicas"),
        ),
        (
            "PATCH",
            format!("{set}/status"),
            MERGE,
            json!({"status": {"replicas": big}}),
            422,
            decoder("StatefulSetStatus.status.replicas"),
        ),
        (
            "PATCH",
            format!("{set}/scale"),
            MERGE,
            json!({"spec": {"replicas": big}}),
            422,
            decoder("ScaleSpec.spec.replicas"),
        ),
        (
            "PUT",
            format!("{set}/scale"),
            JSON,
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "web"}, "spec": {"replicas": "many"}}),
            400,
            "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32".to_owned(),
        ),
        (
            "DELETE",
            set.clone(),
            JSON,
            json!({"gracePeriodSeconds": "0"}),
            400,
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64".to_owned(),
        ),
        (
            "PATCH",
            format!("{set}/status"),
            MERGE,
            json!({"status": {"conditions": [{"type": "A", "status": "True", "lastTransitionTime": "soon"}]}}),
            422,
            "cannot parse \\\"soon\\\" as \\\"2006\\\"".replace("\\\"", "\""),
        ),
    ] {
        let (got, answer) = cluster.send(method, &path, kind, Some(body)).await;
        let message = answer["message"].as_str().unwrap_or("");
        assert_eq!(got, code, "{method} {path} {kind}: {answer}");
        assert!(message.contains(&words), "{method} {path} {kind}: {message}");
    }
    assert_eq!(cluster.get(&set).await["spec"]["replicas"], 0);
    // Seconds without end are right where the type holds them, and nothing runs over.
    let mut pod = json!({"metadata": {"name": "late"}, "spec": template("late")["spec"]});
    pod["spec"]["terminationGracePeriodSeconds"] = json!(i64::MAX);
    pod["spec"]["activeDeadlineSeconds"] = json!(u32::MAX);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["true"]}, "periodSeconds": i32::MAX, "initialDelaySeconds": i32::MAX});
    cluster.post(PODS, pod).await;
    let late = format!("{PODS}/late");
    cluster
        .until(&late, "a start", |pod| {
            pod["status"]["startTime"].is_string()
        })
        .await;
    assert_eq!(cluster.delete(&late).await["kind"], "Pod");
    let force = json!({"gracePeriodSeconds": -1});
    let (code, answer) = cluster.send("DELETE", &late, JSON, Some(force)).await;
    assert!(code == 200 || code == 404, "{answer}");
    cluster
        .until(&late, "its end", |pod| pod["code"] == 404)
        .await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_many_values_costs_little_and_its_refusal_can_be_read() {
    let (_folder, cluster) = Cluster::fresh().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |name: &str| json!({"metadata": {"name": name}, "data": {"k": "v"}});
    let with = |field: &str, value: Value| {
        let mut map = map("many");
        map["metadata"][field] = value;
        map
    };
    for (body, code) in [
        (
            with("ownerReferences", json!(vec![json!({}); 300_000])),
            413,
        ),
        (with("ownerReferences", json!(vec![json!({}); 50_000])), 422),
        (with("finalizers", json!(vec![""; 150_000])), 422),
    ] {
        let (got, answer) = cluster.send("POST", maps, JSON, Some(body)).await;
        assert_eq!(got, code, "{}", answer["message"]);
        assert!(answer.to_string().len() < 100_000);
    }
    cluster.post(maps, map("few")).await;
    // A patch may bring no more than any other body.
    let patch = with("ownerReferences", json!(vec![json!({}); 300_000]));
    let (code, answer) = cluster
        .send("PATCH", &format!("{maps}/few"), MERGE, Some(patch))
        .await;
    assert_eq!(code, 413, "{answer}");
    // Each unknown field is worth a warning, and an answer has room for some.
    let mut map = map("unknown");
    for index in 0..50_000 {
        map[format!("x{index}")] = json!(0);
    }
    cluster.post(maps, map).await;
    cluster.end().await;
}

/// Each variable is the one before it twice: forty lines are a terabyte.
#[tokio::test(flavor = "multi_thread")]
async fn variables_that_grow_by_naming_each_other_are_told_and_harm_nobody() {
    let (_folder, cluster) = Cluster::fresh().await;
    let mut env = vec![json!({"name": "V0", "value": "x".repeat(64)})];
    for index in 1..40 {
        let before = index - 1;
        env.push(
            json!({"name": format!("V{index}"), "value": format!("$(V{before})$(V{before})")}),
        );
    }
    let container =
        json!({"name": "c", "image": "busybox", "command": ["sleep", "300"], "env": env});
    let pod = json!({"metadata": {"name": "grows"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}});
    cluster.post(PODS, pod).await;
    let grows = format!("{PODS}/grows");
    let waiting = "/status/containerStatuses/0/state/waiting";
    cluster
        .until(&grows, "what is wrong", |pod| {
            pod.pointer(waiting).is_some_and(|it| {
                it["reason"] == "CreateContainerConfigError"
                    && it["message"] == "argument list too long"
            })
        })
        .await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_cannot_be_applied_leaves_everything_as_it_was() {
    let (_folder, cluster) = Cluster::fresh().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = format!("{maps}/c");
    let made = cluster
        .post(
            maps,
            json!({"metadata": {"name": "c"}, "data": {"k": "v".repeat(500)}}),
        )
        .await;
    let double = |index| json!({"op": "copy", "from": "", "path": format!("/x{index}")});
    for (operations, code) in [
        (
            json!([{"op": "move", "from": "/data/k", "path": "/data"}, {"op": "remove", "path": "/nope"}]),
            422,
        ),
        (json!((0..20).map(double).collect::<Vec<_>>()), 422),
        (
            json!(vec![
                json!({"op": "test", "path": "/nope", "value": 1});
                10_001
            ]),
            413,
        ),
    ] {
        let (got, answer) = cluster
            .send("PATCH", &map, JSON_PATCH, Some(operations))
            .await;
        assert_eq!(got, code, "{answer}");
        assert_eq!(cluster.get(&map).await, made);
    }
    // Owners that nobody can read are passed over; what grows beyond every store is refused.
    let forged = json!({"metadata": {"managedFields": [{"manager": "m", "operation": "Guess", "fieldsV1": {"x": 1}}]}});
    let kept = cluster.merge(&map, forged).await;
    assert_eq!(
        kept["metadata"]["managedFields"],
        made["metadata"]["managedFields"]
    );
    let (code, answer) = cluster
        .send(
            "PATCH",
            &map,
            MERGE,
            Some(json!({"data": {"k": "v".repeat(1_100_000)}})),
        )
        .await;
    assert_eq!(
        (code, &answer["reason"]),
        (422, &json!("Invalid")),
        "{answer}"
    );
    let revisions = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let deep = (0..110).fold(json!({}), |inner, _| json!({"a": inner}));
    for (data, code) in [(deep, 400), (json!({"a": "x".repeat(1_600_000)}), 413)] {
        let revision = json!({"metadata": {"name": "r"}, "revision": 1, "data": data});
        let (got, answer) = cluster.send("POST", revisions, JSON, Some(revision)).await;
        assert_eq!(got, code, "{answer}");
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_million_pods_stop_nobody() {
    let (_folder, cluster) = Cluster::fresh().await;
    let most = i64::from(i32::MAX);
    let mut set = stateful_set("set", most);
    set["spec"]["ordinals"] = json!({"start": most});
    set["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": most}});
    cluster.post(SETS, set).await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    cluster.post(deployments, workload("web", most)).await;
    let count = |app: &'static str| {
        move |list: &Value| {
            let all = names(list);
            all.iter().filter(|name| name.starts_with(app)).count() >= 20
        }
    };
    cluster.until(PODS, "Pods of the set", count("set-")).await;
    cluster
        .until(PODS, "Pods of the Deployment", count("web-"))
        .await;
    // It ends in the middle of it.
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_its_number_of_pods_and_no_more() {
    let (_folder, cluster) = Cluster::fresh().await;
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    cluster.post(sets, workload("web", 113)).await;
    let placed = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        let has_node = |pod: &&Value| pod["spec"]["nodeName"].is_string();
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        items.iter().filter(has_node).map(name).collect()
    };
    let waiting = |list: &Value| {
        let words = "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
        let items = list["items"].as_array().unwrap();
        let is_told = |pod: &&Value| pod["status"]["conditions"][0]["message"] == words;
        items.iter().filter(is_told).count()
    };
    let full = cluster
        .until(PODS, "a full node", |list| waiting(list) == 3)
        .await;
    let before = placed(&full);
    assert_eq!(before.len(), 110);
    // Room that becomes free is taken, by one.
    cluster
        .merge(&format!("{sets}/web"), json!({"spec": {"replicas": 112}}))
        .await;
    cluster
        .delete(&format!("{PODS}/{}?gracePeriodSeconds=0", before[0]))
        .await;
    cluster
        .until(PODS, "a new one on the node", |list| {
            let now = placed(list);
            now.len() == 110 && !now.contains(&before[0])
        })
        .await;
    // Who goes past the scheduler is turned away by the kubelet.
    let mut pod = json!({"metadata": {"name": "direct"}, "spec": template("direct")["spec"]});
    pod["spec"]["nodeName"] = json!("eizoku-control-plane");
    cluster.post(PODS, pod).await;
    let direct = cluster
        .until(&format!("{PODS}/direct"), "its end", |pod| {
            pod["status"]["phase"] == "Failed"
        })
        .await;
    assert_eq!(direct["status"]["reason"], "OutOfpods");
    assert_eq!(
        direct["status"]["message"],
        "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110"
    );
    cluster.end().await;
}
