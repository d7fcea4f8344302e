//! Requests that nobody means: whatever comes in, the API answers, never with a failure of its own, and what it keeps can
//! be read by clients with types.

use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, discovery::v1 as discovery, storage::v1 as storage,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;

const REQUESTS: usize = 3000;
/// Always the same requests.
const SEED: u64 = 0x5eed;

const NAMES: [&str; 3] = ["a", "b", "web-0"];
const CORE: &str = "/api/v1";
const APPS: &str = "/apis/apps/v1";
/// Root, plural name, whether it is in a namespace, and which of the bodies below fits.
const KINDS: [(&str, &str, bool, usize); 18] = [
    (CORE, "pods", true, 2),
    (CORE, "configmaps", true, 1),
    (CORE, "secrets", true, 1),
    (CORE, "services", true, 4),
    (CORE, "events", true, 7),
    (CORE, "nodes", false, 0),
    (CORE, "persistentvolumes", false, 6),
    (CORE, "persistentvolumeclaims", true, 5),
    (CORE, "namespaces", false, 0),
    (CORE, "endpoints", true, 0),
    (CORE, "serviceaccounts", true, 0),
    (APPS, "statefulsets", true, 3),
    (APPS, "deployments", true, 3),
    (APPS, "replicasets", true, 3),
    (APPS, "controllerrevisions", true, 7),
    ("/apis/discovery.k8s.io/v1", "endpointslices", true, 7),
    ("/apis/storage.k8s.io/v1", "storageclasses", false, 7),
    ("/apis/batch/v1", "jobs", true, 0),
];

/// A small generator of numbers (xorshift64*); which ones they are does not matter.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits")
    }

    fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = self.next() % list.len();
        &list[index]
    }

    fn word(&mut self, list: &[&'static str]) -> &'static str {
        list[self.next() % list.len()]
    }

    fn is(&mut self, of_hundred: usize) -> bool {
        self.next() % 100 < of_hundred
    }

    /// A path below the prefix, mostly one that there is, and which sort of body fits it.
    fn path(&mut self, method: &str) -> (String, usize) {
        let (root, plural, is_namespaced, body) = *self.one(&KINDS);
        let odd = [
            "%00",
            "..",
            "%2e%2e",
            "a%2Fb",
            "%ff%fe",
            "%E3%81%82",
            "%",
            "%zz",
            "-",
            "A",
            "a.b",
            "*",
            "~",
            "%0d%0a",
        ];
        let parts = [
            "status",
            "scale",
            "log",
            "exec",
            "eviction",
            "portforward",
            "finalize",
            "binding",
            "x",
            "%73cale",
        ];
        let mut path = if self.is(5) { "/apis/none/v9" } else { root }.to_owned();
        if is_namespaced != self.is(5) {
            path += "/namespaces/";
            path += if self.is(95) {
                "default"
            } else {
                self.word(&odd)
            };
        }
        path += "/";
        path += plural;
        let named = match method {
            "POST" => 15,
            "GET" => 50,
            _ => 95,
        };
        if self.is(named) {
            path += "/";
            path += if self.is(85) {
                self.word(&NAMES)
            } else {
                self.word(&odd)
            };
            if self.is(20) {
                path += "/";
                path += self.word(&parts);
            }
        }
        let queries = [
            "labelSelector=a%20in%20(((",
            "labelSelector=%21,,,%3D",
            "labelSelector=a%20notin%20()%20,b",
            "fieldSelector=metadata.name%3D%3D%3D",
            "fieldSelector=%2C%21%3D",
            "limit=-1",
            "limit=99999999999999999999",
            "limit=1",
            "continue=AAAA",
            "continue=eyJydiI6MTg0NDY3NDQwNzM3MDk1NTE2MTUsInN0YXJ0IjoiIn0",
            "resourceVersion=18446744073709551615",
            "resourceVersion=-1",
            "resourceVersion=99999999999999999999999",
            "resourceVersionMatch=Exact",
            "resourceVersion=3",
            "timeoutSeconds=9223372036854775807",
            "timeoutSeconds=-9",
            "watch=1",
            "allowWatchBookmarks=true",
            "sendInitialEvents=true",
            "dryRun=All",
            "dryRun=Some",
            "fieldManager=a",
            "fieldManager=%00",
            "force=true",
            "fieldValidation=Strict",
            "gracePeriodSeconds=-9223372036854775808",
            "gracePeriodSeconds=9223372036854775807",
            "propagationPolicy=Foreground",
            "propagationPolicy=x",
            "sinceSeconds=9223372036854775807",
            "sinceSeconds=-9223372036854775808",
            "tailLines=-1",
            "tailLines=9223372036854775807",
            "limitBytes=0",
            "sinceTime=9999-12-31T23:59:59Z",
            "container=%00",
            "command=%00",
            "stdout=1",
            "previous=1",
            "follow=1",
            "%",
            "=",
            "&&&",
            "a=b=c",
        ];
        let count = *self.one(&[0, 0, 0, 1, 1, 2, 200]);
        let query: Vec<&str> = (0..count).map(|_| *self.one(&queries)).collect();
        if !query.is_empty() {
            path += "?";
            path += &query.join("&");
        }
        (path, body)
    }

    /// A value of any kind and, now and then, of a wild size.
    fn value(&mut self, depth: usize) -> Value {
        let plain = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(i32::MAX),
            json!(1i64 << 31),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(0.5),
            json!(1e300),
            json!(""),
            json!("a"),
            json!("x\0y"),
            json!("あ"),
            json!("50%"),
            json!("-5%"),
            json!("99999999999999999999%"),
            json!("1Gi"),
            json!("1e2147483647"),
            json!("9999-12-31T23:59:59Z"),
            json!("0000-01-01T00:00:00Z"),
            json!("2026-01-01T00:00:00.000001Z"),
            json!("a".repeat(70)),
            json!("a".repeat(300)),
            json!("/"),
            json!(".."),
            json!("a=b,c"),
        ];
        match self.next() % 8 {
            0 if depth < 4 => (0..self.next() % 3)
                .map(|_| self.value(depth + 1))
                .collect(),
            1 if depth < 4 => self.map(depth + 1),
            _ => self.one(&plain).clone(),
        }
    }

    fn map(&mut self, depth: usize) -> Value {
        let keys = [
            "metadata",
            "spec",
            "status",
            "data",
            "name",
            "namespace",
            "labels",
            "annotations",
            "finalizers",
            "ownerReferences",
            "managedFields",
            "resourceVersion",
            "uid",
            "generateName",
            "replicas",
            "selector",
            "matchLabels",
            "template",
            "containers",
            "image",
            "env",
            "ports",
            "port",
            "nodePort",
            "volumes",
            "volumeMounts",
            "resources",
            "requests",
            "strategy",
            "rollingUpdate",
            "maxSurge",
            "partition",
            "updateStrategy",
            "ordinals",
            "start",
            "volumeClaimTemplates",
            "terminationGracePeriodSeconds",
            "conditions",
            "type",
            "capacity",
            "storage",
            "accessModes",
            "type",
            "a b",
            "",
            "/",
            "deletionTimestamp",
            "nodeName",
            "op",
            "path",
            "value",
            "from",
            "$setElementOrder/containers",
            "$retainKeys",
            "$deleteFromPrimitiveList/finalizers",
            "stringData",
            "revision",
            "involvedObject",
            "count",
            "lastTimestamp",
            "subsets",
            "addresses",
            "endpoints",
        ];
        let entries =
            (0..self.next() % 5).map(|_| ((*self.one(&keys)).to_owned(), self.value(depth)));
        Value::Object(entries.collect::<Vec<_>>().into_iter().collect())
    }

    /// An object that is almost right, or anything.
    fn body(&mut self, sort: usize) -> String {
        let name = self.word(&NAMES);
        let pod = json!({"containers": [{"name": "c", "image": "nowhere:1"}]});
        let right = [
            json!({"metadata": {"name": name}}),
            json!({"metadata": {"name": name}, "data": {"a": "YQ=="}}),
            json!({"metadata": {"name": name}, "spec": pod}),
            json!({"metadata": {"name": name}, "spec": {"replicas": 1, "serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}}),
            json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
            json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}),
            json!({"metadata": {"name": name}, "spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
            json!({"metadata": {"name": name}, "provisioner": "p", "addressType": "IPv4", "endpoints": [], "revision": 1, "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}, "reason": "R", "message": "m", "count": 1}),
            json!([{"op": "copy", "from": "", "path": "/a"}, {"op": "move", "from": "/metadata", "path": "/spec"}, {"op": "test", "path": "/x", "value": 1}]),
            json!([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}, {"op": "remove", "path": "/metadata/uid"}]),
            json!({"spec": null, "metadata": null, "status": null}),
            json!({"deleteOptions": {"gracePeriodSeconds": -1}, "metadata": {"name": name}}),
        ];
        let mut body = if self.is(85) {
            right[sort].clone()
        } else {
            self.one(&right).clone()
        };
        for _ in 0..*self.one(&[0, 1, 1, 2]) {
            let odd = self.value(0);
            let place = self.place(&body);
            *body.pointer_mut(&place).expect("a place of it") = odd;
        }
        match self.next() % 20 {
            0 => String::new(),
            1 => format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
            2 => body.to_string()[1..].to_owned(),
            3 => self.value(0).to_string(),
            4 => self.map(0).to_string(),
            _ => body.to_string(),
        }
    }

    /// A place inside a value.
    fn place(&mut self, value: &Value) -> String {
        let mut pointer = String::new();
        let mut at = value;
        while self.is(85) {
            let (key, inner) = match at {
                Value::Object(map) if !map.is_empty() => {
                    let keys: Vec<&String> = map.keys().collect();
                    let key = *self.one(&keys);
                    (key.replace('~', "~0").replace('/', "~1"), &map[key])
                }
                Value::Array(list) if !list.is_empty() => {
                    let index = self.next() % list.len();
                    (index.to_string(), &list[index])
                }
                _ => break,
            };
            pointer += &format!("/{key}");
            at = inner;
        }
        pointer
    }
}

/// Sends the bytes as they are, and reads the answer's beginning: a watch has no end.
async fn answer(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("an open door");
    stream.write_all(request).await.expect("it reads");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|it| it == b"\r\n\r\n") && answer.len() < 65_536 {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn readable<T: DeserializeOwned>(cluster: &Cluster, path: &str) {
    let (code, list) = cluster.send("GET", path, "", None).await;
    assert_eq!(code, 200, "{path}: {list}");
    for item in list["items"].as_array().expect("items") {
        if let Err(error) = serde_json::from_value::<T>(item.clone()) {
            panic!("{path}: {error}: {item}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_in_the_api_goes_on() {
    let (_folder, cluster) = Cluster::fresh().await;
    let (address, prefix) = {
        let rest = cluster.url.strip_prefix("http://").expect("a URL");
        rest.split_once('/').expect("a prefix")
    };
    let mut dice = Dice(SEED);
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..REQUESTS {
        let method = *dice.one(&[
            "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW",
        ]);
        let kind = *dice.one(&[
            "application/json",
            "application/json",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
            "application/vnd.kubernetes.protobuf",
            "application/yaml",
            "text/plain",
            "",
            "a/b; c=\"",
        ]);
        let kind = match method {
            "PATCH" => kind,
            _ if dice.is(90) => "application/json",
            _ => kind,
        };
        let (path, sort) = dice.path(method);
        let body = dice.body(sort);
        let accept = *dice.one(&[
            "*/*",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "application/json",
            "text/html",
            "",
        ]);
        let request = format!(
            "{method} /{prefix}{path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {kind}\r\nAccept: {accept}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let said = answer(address, request.as_bytes()).await;
        let code = said.split(' ').nth(1).unwrap_or("none").to_owned();
        assert!(
            code != "none" && code != "500",
            "request {number}: {method} {path} {kind}\n{body}\nwas answered with {said}"
        );
        *codes.entry(code).or_default() += 1;
    }
    // Enough of them went through that something was tried.
    assert!(
        codes.get("201") > Some(&30) && codes.get("200") > Some(&100),
        "{codes:?}"
    );
    readable::<core::ConfigMap>(&cluster, "/api/v1/configmaps").await;
    readable::<core::Endpoints>(&cluster, "/api/v1/endpoints").await;
    readable::<core::Event>(&cluster, "/api/v1/events").await;
    readable::<core::Namespace>(&cluster, "/api/v1/namespaces").await;
    readable::<core::Node>(&cluster, "/api/v1/nodes").await;
    readable::<core::PersistentVolumeClaim>(&cluster, "/api/v1/persistentvolumeclaims").await;
    readable::<core::PersistentVolume>(&cluster, "/api/v1/persistentvolumes").await;
    readable::<core::Pod>(&cluster, "/api/v1/pods").await;
    readable::<core::Secret>(&cluster, "/api/v1/secrets").await;
    readable::<core::ServiceAccount>(&cluster, "/api/v1/serviceaccounts").await;
    readable::<core::Service>(&cluster, "/api/v1/services").await;
    readable::<apps::ControllerRevision>(&cluster, "/apis/apps/v1/controllerrevisions").await;
    readable::<apps::Deployment>(&cluster, "/apis/apps/v1/deployments").await;
    readable::<apps::ReplicaSet>(&cluster, "/apis/apps/v1/replicasets").await;
    readable::<apps::StatefulSet>(&cluster, "/apis/apps/v1/statefulsets").await;
    readable::<discovery::EndpointSlice>(&cluster, "/apis/discovery.k8s.io/v1/endpointslices")
        .await;
    readable::<storage::StorageClass>(&cluster, "/apis/storage.k8s.io/v1/storageclasses").await;
    // The controllers are all there, too: a Pod is made, and the scheduler has looked at it. The node may be gone.
    let pod = json!({"containers": [{"name": "c", "image": "nowhere:1"}]});
    let made = json!({"metadata": {"name": "after"}, "spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}, "spec": pod}}});
    cluster
        .post("/apis/apps/v1/namespaces/default/deployments", made)
        .await;
    let pods = "/api/v1/namespaces/default/pods?labelSelector=x%3Dy";
    cluster
        .until(pods, "a Pod that was looked at", |list| {
            list["items"][0]["status"]["conditions"].is_array()
        })
        .await;
    cluster.end().await;
}
