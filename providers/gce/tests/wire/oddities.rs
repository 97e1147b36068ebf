//! Rare behaviour of Compute Engine and of proxies.

use crate::support::{
    CLUSTER, Cloud, GLOBAL, PROJECT, REGION, aggregated, connect, done, instance, ok,
};
use hakube_gce::Patience;
use hakube_provider::{MachineState, NetworkSpec, Provider};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wiremock::ResponseTemplate;

fn network() -> NetworkSpec {
    hakube_contract::network_spec(CLUSTER, "net")
}

#[tokio::test]
async fn a_proxys_page_is_not_a_response() {
    let cloud = Cloud::start().await;
    let page = |status| {
        let html = "<html><head><title>502 Bad Gateway</title></head></html>";
        ResponseTemplate::new(status).set_body_raw(html, "text/html")
    };
    for (verb, at, status) in [
        ("GET", format!("{GLOBAL}/networks/net"), 502),
        ("POST", format!("{GLOBAL}/networks"), 502),
        ("POST", format!("{GLOBAL}/networks"), 200),
    ] {
        cloud.answers(verb, at, page(status), 1).await;
    }
    cloud.gce.ensure_network(&network()).await.unwrap();
    let changes = cloud.changing().await;
    let ids: Vec<_> = changes
        .iter()
        .map(|request| crate::support::query(request, "requestId"))
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "one change: {ids:?}");
}

/// Sends only half of the first response, then hangs. Later connections get all of it.
async fn halting(listener: TcpListener) {
    const BODY: &str = r#"{"items": [{"name": "europe-west1-b", "region": "regions/europe-west1", "status": "UP"}]}"#;
    let mut silent = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if silent.is_empty() {
            stream.write_all(&BODY.as_bytes()[..20]).await.unwrap();
            silent.push(stream);
        } else {
            stream.write_all(BODY.as_bytes()).await.unwrap();
        }
    }
}

async fn request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        read.push(byte[0]);
    }
}

#[tokio::test]
async fn a_response_that_stalls_is_retried() {
    let cloud = Cloud::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(halting(listener));
    let patience = Patience {
        attempt: Duration::from_millis(200),
        ..Patience::default()
    };
    let gce = connect(&endpoint, cloud.token.clone(), patience)
        .await
        .unwrap();
    assert_eq!(gce.zones().await.unwrap(), ["europe-west1-b"]);
    server.abort();
}

#[tokio::test]
async fn a_machine_on_two_pages_is_listed_once() {
    let cloud = Cloud::start().await;
    let list = format!("{PROJECT}/aggregated/instances");
    let machine = |name, id| {
        let mut machine = instance(name, None);
        machine["id"] = json!(id);
        machine
    };
    // A machine was created while the list was read, which shifted the others.
    let mut first = aggregated(
        "instances",
        json!([machine("m-1", "1"), machine("m-2", "2")]),
    );
    first["nextPageToken"] = json!("2");
    // A page may be empty without being the last.
    let empty = json!({"items": {}, "nextPageToken": "3"});
    let last = aggregated(
        "instances",
        json!([machine("m-2", "2"), machine("m-3", "3")]),
    );
    for page in [first, empty, last] {
        cloud.answers("GET", &list, ok(page), 1).await;
    }
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    let names: Vec<&str> = inventory.machines.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["m-1", "m-2", "m-3"]);
    assert_eq!(inventory.resources.len(), 3);
}

#[tokio::test]
async fn unknown_values_are_not_errors() {
    let cloud = Cloud::start().await;
    let mut odd = instance("m-1", None);
    odd["status"] = json!("TELEPORTING");
    odd["networkInterfaces"][0]["nicType"] = json!("TACHYON");
    odd["aFieldOfTomorrow"] = json!({"x": [1]});
    let list = aggregated("instances", json!([odd]));
    cloud
        .has(format!("{PROJECT}/aggregated/instances"), list)
        .await;
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines[0].state, MachineState::Starting);

    // An operation in an unknown state isn't done.
    let odd =
        json!({"name": "operation-1", "status": "CONTEMPLATING", "region": "regions/europe-west1"});
    cloud
        .answers("POST", format!("{REGION}/addresses"), ok(odd), 1)
        .await;
    let wait = format!("{REGION}/operations/operation-1/wait");
    cloud.answers("POST", wait, done(), 1).await;
    let spec = hakube_contract::address_spec(CLUSTER, "ip");
    // The mock doesn't store the address. Only the wait matters here.
    assert!(
        cloud
            .gce
            .ensure_address(&spec)
            .await
            .unwrap_err()
            .is_transient()
    );
    let requests = cloud.requests().await;
    assert!(requests.iter().any(|it| it.url.path().ends_with("/wait")));

    let zones = json!({"items": [
        {"name": "europe-west1-b", "region": "regions/europe-west1", "status": "WOBBLING"},
        {"name": "europe-west1-c", "region": "regions/europe-west1", "status": "UP"},
    ]});
    cloud.has(format!("{PROJECT}/zones"), zones).await;
    assert_eq!(cloud.gce.zones().await.unwrap(), ["europe-west1-c"]);
}
