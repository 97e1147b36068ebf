//! Access checks, restarts and crashes of the daemon.

use std::os::unix::fs::PermissionsExt as _;

use hakube_local_client::LocalCloud;
use reqwest::Method;
use serde_json::json;

use crate::support::{PROJECT, REGION, TestCloud, ZONE, fetch, instance, options, until};

#[tokio::test]
async fn a_client_that_disconnects_leaves_no_half_made_change() {
    use tokio::io::AsyncWriteExt as _;
    let cloud = TestCloud::start().await;
    let host = cloud.status.url.trim_start_matches("http://").to_owned();
    for number in 0..20 {
        let body = format!("{{\"name\": \"a{number}\"}}");
        let head = format!(
            "POST /compute/v1/projects/{PROJECT}/{REGION}/addresses HTTP/1.1\r\nHost: {host}\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            cloud.token(),
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
    }
    until("the started change is complete", async || {
        let operations = cloud.get(&format!("{REGION}/operations")).await.unwrap();
        let mut operations = operations["items"].as_array().into_iter().flatten();
        operations.all(|operation| operation["status"] == "DONE")
    })
    .await;
}

#[tokio::test]
async fn the_api_needs_the_token_and_rejects_web_pages() {
    let cloud = TestCloud::start().await;
    let url = format!("{}/compute/v1/projects/{PROJECT}/zones", cloud.status.url);
    let plain = || cloud.http.get(&url);
    let mode = std::fs::metadata(&cloud.status.token_file)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let none = cloud.send(plain()).await.unwrap_err();
    assert_eq!((none.status, none.reason.as_str()), (401, "authError"));
    let wrong = cloud
        .send(plain().bearer_auth("0".repeat(64)))
        .await
        .unwrap_err();
    assert_eq!(wrong.status, 401);
    let page = plain()
        .bearer_auth(cloud.token())
        .header("Origin", "http://evil.example");
    assert_eq!(cloud.send(page).await.unwrap_err().status, 401);
    let rebound = plain()
        .bearer_auth(cloud.token())
        .header("Host", "evil.example:8780");
    assert_eq!(cloud.send(rebound).await.unwrap_err().status, 401);
    // Google's Rust client sends the host without the port.
    let host = cloud
        .status
        .url
        .trim_start_matches("http://")
        .split(':')
        .next()
        .unwrap();
    let portless = plain().bearer_auth(cloud.token()).header("Host", host);
    assert!(cloud.send(portless).await.is_ok());
    let admin = cloud
        .http
        .post(format!("{}/local/v1/stop", cloud.status.url));
    assert_eq!(cloud.send(admin).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn a_home_has_one_daemon() {
    let cloud = TestCloud::start().await;
    let again = cloud
        .local
        .ensure_started(&options(cloud.home(), "0"))
        .await
        .unwrap();
    assert_eq!(again.pid, cloud.status.pid);

    let command = options(cloud.home(), "0").command;
    let second = std::process::Command::new(&command[0])
        .args(&command[1..])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(words.contains(&cloud.status.pid.to_string()), "{words}");
}

#[tokio::test]
async fn calls_without_a_daemon_report_that_it_is_not_running() {
    let home = tempfile::tempdir().unwrap();
    let local = LocalCloud::at(home.path().join("none"));
    assert_eq!(local.status().await.unwrap(), None);
    assert!(!local.stop().await.unwrap());
}

#[tokio::test]
async fn a_daemon_that_fails_to_start_shows_its_log() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("state.json"), r#"{"version": 99}"#).unwrap();
    let local = LocalCloud::at(home.path());
    let error = local
        .ensure_started(&options(home.path(), "0"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has version 99"), "{error}");
}

#[tokio::test]
async fn resources_and_machines_survive_a_sigkill_of_the_daemon() {
    let cloud = TestCloud::start().await;
    cloud.open_port(18080).await;
    let ip = cloud.reserve("front").await;
    let config = json!([{"natIP": ip}]);
    cloud.web_machine(ZONE, "m1", 18080, config).await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m2"))
        .await;
    let unit_pid = async || {
        let machines = cloud.local.machines().await.unwrap();
        let units = machines.into_iter().find(|m| m.name == "m1").unwrap().units;
        units
            .iter()
            .find(|unit| unit.name == "web.service")
            .unwrap()
            .pid
    };
    let before = unit_pid().await;

    kill(cloud.status.pid);
    // While it dies, it may still take a connection, and not answer.
    until("the daemon is gone", async || {
        matches!(cloud.local.status().await, Ok(None))
    })
    .await;
    hakube_local_machine::Guest::at(cloud.home().join("machines/europe-west1-b/m2"))
        .kill()
        .await
        .unwrap();
    let status = cloud
        .local
        .ensure_started(&options(cloud.home(), "0"))
        .await
        .unwrap();

    assert_eq!(status.url, cloud.status.url);
    assert_eq!(fetch(&format!("{ip}:18080")).await.as_deref(), Some("m1"));
    assert_eq!(unit_pid().await, before);
    let m2 = cloud.get(&format!("{ZONE}/instances/m2")).await.unwrap();
    assert_eq!(m2["status"], "TERMINATED");
}

#[tokio::test]
async fn a_restart_boots_the_machines_that_were_running() {
    let cloud = TestCloud::start().await;
    cloud.open_port(18081).await;
    let internal = cloud.web_machine(ZONE, "m1", 18081, json!([])).await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m2"))
        .await;
    cloud
        .make(&format!("{ZONE}/instances/m2/stop"), json!({}))
        .await;

    assert!(cloud.local.stop().await.unwrap());
    assert_eq!(fetch(&format!("{internal}:18081")).await, None);
    cloud
        .local
        .ensure_started(&options(cloud.home(), "0"))
        .await
        .unwrap();

    let address = format!("{internal}:18081");
    until("the machine serves again", async || {
        fetch(&address).await.is_some()
    })
    .await;
    let m2 = cloud.get(&format!("{ZONE}/instances/m2")).await.unwrap();
    assert_eq!(m2["status"], "TERMINATED");
}

#[tokio::test]
async fn the_next_daemon_finishes_an_operation_interrupted_by_sigkill() {
    let cloud = TestCloud::at_scale("0.1").await;
    let operation = cloud.post(
        "global/networks",
        json!({"name": "n1", "autoCreateSubnetworks": true}),
    );
    let operation = operation.await.unwrap();
    assert_ne!(operation["status"], "DONE");

    kill(cloud.status.pid);
    until("the daemon is gone", async || {
        cloud.local.status().await.unwrap().is_none()
    })
    .await;
    cloud
        .local
        .ensure_started(&options(cloud.home(), "0"))
        .await
        .unwrap();

    let operation = cloud.done(operation).await;
    assert_eq!(operation["error"], serde_json::Value::Null);
    let firewall =
        json!({"name": "f1", "network": "global/networks/n1", "allowed": [{"IPProtocol": "tcp"}]});
    cloud.make("global/firewalls", firewall).await;
}

#[tokio::test]
async fn a_change_fails_until_the_state_can_be_written() {
    let cloud = TestCloud::start().await;
    let addresses = format!("{REGION}/addresses");
    let path = format!("{addresses}?requestId=6f1c2b5e-8d0e-4c39-9a53-0d4c5b1b2a11");
    // A rename onto a directory fails, even for root.
    let file = cloud.home().join("state.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let refusal = cloud.post(&path, json!({"name": "a"})).await.unwrap_err();
    assert_eq!(refusal.status, 503);
    assert!(refusal.message.contains("state.json"), "{refusal:?}");

    std::fs::remove_dir(&file).unwrap();
    cloud.make(&path, json!({"name": "a"})).await;
    let address = cloud.get(&format!("{addresses}/a")).await.unwrap();
    assert_eq!(address["status"], "RESERVED");
}

#[tokio::test]
async fn unsupported_calls_are_reported_as_not_emulated() {
    let cloud = TestCloud::start().await;
    for (method, path) in [
        (Method::GET, "global/snapshots"),
        (Method::POST, "zones/europe-west1-b/instances/i/suspend"),
        (Method::PUT, "regions/europe-west1/addresses/a"),
        (Method::POST, "regions/europe-west1/targetPools/p/setBackup"),
    ] {
        let refusal = cloud.send(cloud.request(method, path)).await.unwrap_err();
        assert_eq!(refusal.status, 400, "{path}");
        assert!(refusal.message.contains("does not emulate"), "{refusal:?}");
    }
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
