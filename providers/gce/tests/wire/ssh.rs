//! Login to machines, and authentication of their ssh servers.

use crate::support::{Cloud, ZONE, failure, instance, machine_spec, missing, ok, query};
use hakube_provider::{ErrorKind, Login, MachineRef, Provider, SshServer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ATTRIBUTES: &str = "instances/m-1/getGuestAttributes";

fn machine() -> MachineRef {
    machine_spec().machine
}

/// Host keys as Google's guest agent publishes them.
fn host_keys() -> Value {
    let entry = |namespace: &str, key: &str, value: &str| json!({"namespace": namespace, "key": key, "value": value});
    json!({"kind": "compute#guestAttributes", "queryPath": "hostkeys/", "queryValue": {"items": [
        entry("hostkeys", "ecdsa-sha2-nistp256", "AAAAE2Vj"),
        entry("hostkeys", "ssh-ed25519", "AAAAC3Nz"),
        entry("guestInventory", "Hostname", "m-1"),
    ]}})
}

#[tokio::test]
async fn metadata_lets_only_one_user_log_in() {
    let cloud = Cloud::start().await;
    let address = json!({"name": "ip", "address": "34.1.1.1", "description": crate::support::MARK});
    cloud
        .has(format!("{}/addresses/ip", crate::support::REGION), address)
        .await;
    cloud
        .answers("GET", format!("{ZONE}/instances/m-1"), missing(), 1)
        .await;
    cloud
        .has(format!("{ZONE}/instances/m-1"), instance("m-1", None))
        .await;
    let mut spec = machine_spec();
    spec.login = Some(Login {
        user: "hakube".into(),
        public_key: "ssh-ed25519 AAAA".into(),
    });
    cloud.gce.ensure_machine(&spec).await.unwrap();
    let body = cloud.body("/instances").await;
    let items = body["metadata"]["items"].as_array().unwrap().iter();
    let items: BTreeMap<&str, &str> = items
        .map(|item| {
            (
                item["key"].as_str().unwrap(),
                item["value"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        items,
        BTreeMap::from([
            ("user-data", "#cloud-config\n"),
            ("ssh-keys", "hakube:ssh-ed25519 AAAA hakube"),
            ("enable-guest-attributes", "TRUE"),
            ("block-project-ssh-keys", "TRUE"),
            ("enable-oslogin", "FALSE"),
        ])
    );
}

#[tokio::test]
async fn a_servers_host_keys_are_read_from_guest_attributes() {
    let cloud = Cloud::start().await;
    cloud
        .has(
            format!("{ZONE}/instances/m-1"),
            instance("m-1", Some("34.1.1.1")),
        )
        .await;
    cloud.has(format!("{ZONE}/{ATTRIBUTES}"), host_keys()).await;
    assert_eq!(
        cloud.gce.ssh_server(&machine()).await.unwrap(),
        Some(SshServer {
            address: [34, 1, 1, 1].into(),
            port: 22,
            host_keys: vec![
                "ecdsa-sha2-nistp256 AAAAE2Vj".into(),
                "ssh-ed25519 AAAAC3Nz".into()
            ],
        })
    );
    let requests = cloud.requests().await;
    let query_request = requests
        .iter()
        .find(|request| request.url.path().ends_with(ATTRIBUTES))
        .unwrap();
    assert_eq!(
        query(query_request, "queryPath").as_deref(),
        Some("hostkeys/")
    );
}

#[tokio::test]
async fn a_machine_without_external_address_has_its_internal_one() {
    let cloud = Cloud::start().await;
    cloud
        .has(format!("{ZONE}/instances/m-1"), instance("m-1", None))
        .await;
    cloud.has(format!("{ZONE}/{ATTRIBUTES}"), host_keys()).await;
    let server = cloud.gce.ssh_server(&machine()).await.unwrap().unwrap();
    assert_eq!(server.address.to_string(), "10.0.0.2");
}

/// Before the agent has started; with another namespace only; while the machine is off; without a machine.
#[tokio::test]
async fn without_published_keys_there_is_no_server_yet() {
    for (machine_answer, attributes) in [
        (ok(instance("m-1", None)), missing()),
        (
            ok(instance("m-1", None)),
            ok(json!({"queryValue": {"items": []}})),
        ),
        (missing(), ok(host_keys())),
        (
            {
                let mut off = instance("m-1", None);
                off["status"] = "TERMINATED".into();
                ok(off)
            },
            ok(host_keys()),
        ),
    ] {
        let cloud = Cloud::start().await;
        cloud
            .answers("GET", format!("{ZONE}/instances/m-1"), machine_answer, 1)
            .await;
        cloud
            .answers("GET", format!("{ZONE}/{ATTRIBUTES}"), attributes, 1)
            .await;
        assert_eq!(cloud.gce.ssh_server(&machine()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_missing_permission_to_read_host_keys_is_reported() {
    let cloud = Cloud::start().await;
    cloud
        .has(format!("{ZONE}/instances/m-1"), instance("m-1", None))
        .await;
    let message = "Required 'compute.instances.getGuestAttributes' permission for 'm-1'";
    cloud
        .answers(
            "GET",
            format!("{ZONE}/{ATTRIBUTES}"),
            failure(403, "forbidden", message),
            1,
        )
        .await;
    let error = cloud.gce.ssh_server(&machine()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.to_string().contains(message), "{error}");
}
