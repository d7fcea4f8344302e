//! What typed clients send beside JSON: protobuf bodies, and connections to a container's port.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A field that holds bytes; everything here is short.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    field.extend(content);
    field
}

fn envelope(version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let names = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &names), field(2, object)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_from_protobuf_as_from_json() {
    let (_folder, cluster) = Cluster::fresh().await;
    let send = async |path: &str, body: Vec<u8>| {
        let answer = reqwest::Client::new()
            .post(format!("{}{path}", cluster.url))
            .header("content-type", PROTOBUF)
            .header("accept", "application/vnd.kubernetes.protobuf, */*")
            .body(body)
            .send()
            .await
            .unwrap();
        let code = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (
            code,
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        )
    };
    let entry = [field(1, b"password"), field(2, b"secret")].concat();
    let secret = [field(1, &field(1, b"s")), field(2, &entry)].concat();
    let secrets = "/api/v1/namespaces/default/secrets";
    let (code, made) = send(secrets, envelope("v1", "Secret", &secret)).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["data"], json!({"password": "c2VjcmV0"}));
    assert_eq!(made["type"], "Opaque", "defaults are set as for JSON");
    let (code, _) = send(secrets, envelope("v1", "Secret", &secret)).await;
    assert_eq!(code, 409);
    let (code, refusal) = send(secrets, envelope("v1", "ConfigMap", &secret)).await;
    assert_eq!((code, &refusal["reason"]), (400, &json!("BadRequest")));
    let (code, refusal) = send(secrets, b"k8s\0\x0a\xff".to_vec()).await;
    assert_eq!((code, &refusal["reason"]), (400, &json!("BadRequest")));

    let asked = field(
        2,
        &field(1, &[field(2, b"delete"), field(5, b"pods")].concat()),
    );
    let review = envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", &asked);
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (code, answer) = send(path, review).await;
    assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(true)));
    let (code, refusal) = send(
        "/apis/batch/v1/namespaces/default/jobs",
        envelope("batch/v1", "Job", b""),
    )
    .await;
    assert_eq!(code, 501);
    assert_eq!(refusal["message"], "the embedded cluster has no Jobs");
    cluster.end().await;
}

/// A frame of SPDY: what stands first in it, flags, length, body.
fn frame(first: u32, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = first.to_be_bytes().to_vec();
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame[4] = flags;
    frame.extend(body);
    frame
}

/// Opens a stream. The headers go into a block that is not compressed, which compressors are free to do.
fn open(id: u32, is_first: bool, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = u32::try_from(headers.len()).unwrap().to_be_bytes().to_vec();
    for word in headers.iter().flat_map(|(name, value)| [name, value]) {
        text.extend(u32::try_from(word.len()).unwrap().to_be_bytes());
        text.extend(word.bytes());
    }
    let mut body = id.to_be_bytes().to_vec();
    body.extend([0; 6]);
    if is_first {
        body.extend([0x78, 0x01]);
    }
    let length = u16::try_from(text.len()).unwrap();
    body.push(0);
    body.extend(length.to_le_bytes());
    body.extend((!length).to_le_bytes());
    body.extend(text);
    frame(0x8003_0001, 0, &body)
}

/// What comes on a stream until its end.
async fn said(from: &mut TcpStream, id: u32, enough: usize) -> Vec<u8> {
    let mut said = Vec::new();
    loop {
        let mut head = [0; 8];
        from.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
        let mut body = vec![0; length as usize];
        from.read_exact(&mut body).await.unwrap();
        if head[..4] == id.to_be_bytes() {
            said.extend(body);
            if head[4] & 1 == 1 || said.len() >= enough {
                return said;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ports_connections_are_carried_and_refused() {
    let (_folder, cluster) = Cluster::fresh().await;
    let image = if cfg!(feature = "postgres") {
        "postgres:18"
    } else {
        "busybox"
    };
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [
        {"name": "first", "image": "busybox", "command": ["sleep", "1000"]},
        {"name": "c", "image": image, "env": [{"name": "POSTGRES_PASSWORD", "value": "x"}]},
    ]}});
    cluster.post(pods, pod).await;
    let path = format!("{pods}/p");
    cluster
        .until(&path, "running containers", |pod| {
            pod["status"]["phase"] == "Running"
        })
        .await;
    let (code, refusal) = cluster
        .send("GET", &format!("{path}/portforward"), "", None)
        .await;
    assert_eq!((code, &refusal["reason"]), (400, &json!("BadRequest")));

    let url = cluster.url.strip_prefix("http://").unwrap();
    let (host, prefix) = url.split_once('/').unwrap();
    let mut client = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST /{prefix}{path}/portforward HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(
        head.contains("x-stream-protocol-version: portforward.k8s.io"),
        "{head}"
    );

    let pair = |first: u32, port: &str, request: &str| {
        let headers = |kind: &'static str| {
            [("streamtype", kind), ("port", port), ("requestid", request)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        [("error", 0), ("data", 2)]
            .map(|(kind, more)| {
                let headers = headers(kind);
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                open(first + more, first + more == 1, &headers)
            })
            .concat()
    };
    client.write_all(&pair(1, "5433", "0")).await.unwrap();
    let why = String::from_utf8(said(&mut client, 1, usize::MAX).await).unwrap();
    assert!(
        why.contains("dial tcp4 127.0.0.1:5433: connect: connection refused"),
        "{why}"
    );

    if cfg!(feature = "postgres") {
        // "May this be encrypted?" is answered while the database is still being made, too; the socket has to be there.
        let mut at = 5;
        let answer = loop {
            client
                .write_all(&pair(at, "5432", &at.to_string()))
                .await
                .unwrap();
            let ask = [0, 0, 0, 8, 4, 210, 22, 47];
            client.write_all(&frame(at + 2, 0, &ask)).await.unwrap();
            let answer = said(&mut client, at + 2, 1).await;
            if !answer.is_empty() || at > 400 {
                break answer;
            }
            at += 4;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!(answer, b"N");
    }
    cluster.end().await;
}
