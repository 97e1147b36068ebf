//! The swap of the endpoint's address, call by call.

use crate::support::{
    CLUSTER, Cloud, MARK, PROJECT, REGION, aggregated, failure, instance, ok, query,
};
use hakube_provider::{
    EndpointSpec, EndpointTarget, ErrorKind, ExternalAddress, MachineRef, Provider, Reach, Result,
};
use serde_json::{Value, json};

const ENDPOINT: &str = "34.1.1.1";
const INSTANCE: &str = "/zones/europe-west1-b/instances/m-1";
const RULES: &str = "/regions/europe-west1/forwardingRules";

fn spec() -> EndpointSpec {
    EndpointSpec {
        cluster: CLUSTER.into(),
        address: "ip".into(),
        reach: Reach::Anywhere,
        rule: "rule".into(),
        balancer: "master".into(),
        port: 6443,
        released: ExternalAddress::Ephemeral,
    }
}

fn machine(name: &str) -> EndpointTarget {
    EndpointTarget::Machine(MachineRef {
        name: name.into(),
        zone: "europe-west1-b".into(),
    })
}

/// A cluster with a reserved address, a balancer and these machines.
async fn cloud(machines: &[Value], users: &[&str]) -> Cloud {
    let cloud = Cloud::start().await;
    let address = json!({"name": "ip", "address": ENDPOINT, "description": MARK, "users": users});
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    let service = json!({"name": "master", "description": MARK});
    cloud
        .has(format!("{REGION}/backendServices/master"), service)
        .await;
    let list = aggregated("instances", json!(machines));
    cloud
        .has(format!("{PROJECT}/aggregated/instances"), list)
        .await;
    cloud
}

async fn promote(cloud: &Cloud) -> Result<()> {
    let (spec, target) = (spec(), EndpointTarget::Balancer);
    cloud.gce.point_endpoint(&spec, &target).await
}

async fn rule(cloud: &Cloud) {
    let rule = json!({"name": "rule", "description": MARK, "IPAddress": ENDPOINT});
    cloud
        .has(format!("{REGION}/forwardingRules/rule"), rule)
        .await;
}

#[tokio::test]
async fn promote_releases_then_creates_the_rule_then_assigns_another_address() {
    let cloud = cloud(&[instance("m-1", Some(ENDPOINT))], &["x/instances/m-1"]).await;
    promote(&cloud).await.unwrap();
    assert_eq!(
        cloud.changes().await,
        [
            format!("POST {INSTANCE}/deleteAccessConfig"),
            format!("POST {RULES}"),
            format!("POST {INSTANCE}/addAccessConfig"),
        ]
    );
    // By its actual name, which isn't the one that hakube gives.
    let release = &cloud.changing().await[0];
    assert_eq!(query(release, "accessConfig").unwrap(), "external-nat");
    assert_eq!(query(release, "networkInterface").unwrap(), "nic0");
    assert_eq!(
        cloud.body(RULES).await,
        json!({
            "name": "rule",
            "description": MARK,
            "IPAddress": ENDPOINT,
            "IPProtocol": "TCP",
            "ports": ["6443"],
            "loadBalancingScheme": "EXTERNAL",
            "backendService": "projects/p/regions/europe-west1/backendServices/master",
        })
    );
    let another = cloud.body("/addAccessConfig").await;
    assert_eq!(
        another,
        json!({"name": "External NAT", "type": "ONE_TO_ONE_NAT"})
    );
}

#[tokio::test]
async fn nothing_is_read_between_the_two_calls_of_the_swap() {
    let cloud = cloud(&[instance("m-1", Some(ENDPOINT))], &["x/instances/m-1"]).await;
    promote(&cloud).await.unwrap();
    let requests = cloud.requests().await;
    let at = |end: &str| {
        let is_it = |request: &wiremock::Request| {
            request.method == "POST" && request.url.path().ends_with(end)
        };
        requests.iter().position(is_it).unwrap()
    };
    assert_eq!(at("/deleteAccessConfig") + 1, at(RULES));
}

#[tokio::test]
async fn demote_frees_the_machine_then_deletes_the_rule_then_adds_the_address() {
    let cloud = cloud(
        &[instance("m-1", Some("35.2.2.2"))],
        &["x/forwardingRules/rule"],
    )
    .await;
    rule(&cloud).await;
    cloud
        .gce
        .point_endpoint(&spec(), &machine("m-1"))
        .await
        .unwrap();
    assert_eq!(
        cloud.changes().await,
        [
            format!("POST {INSTANCE}/deleteAccessConfig"),
            format!("DELETE {RULES}/rule"),
            format!("POST {INSTANCE}/addAccessConfig"),
        ]
    );
    let config = cloud.body("/addAccessConfig").await;
    assert_eq!(config["natIP"], ENDPOINT);
}

#[tokio::test]
async fn a_target_that_holds_the_address_is_not_changed() {
    let on_machine = cloud(&[instance("m-1", Some(ENDPOINT))], &["x/instances/m-1"]).await;
    on_machine
        .gce
        .point_endpoint(&spec(), &machine("m-1"))
        .await
        .unwrap();
    on_machine.is_untouched().await;

    let on_balancer = cloud(
        &[instance("m-1", Some("35.2.2.2"))],
        &["x/forwardingRules/rule"],
    )
    .await;
    rule(&on_balancer).await;
    let target = EndpointTarget::Balancer;
    on_balancer
        .gce
        .point_endpoint(&spec(), &target)
        .await
        .unwrap();
    on_balancer.is_untouched().await;
}

#[tokio::test]
async fn without_a_balancer_the_address_is_not_released() {
    let cloud = cloud(&[instance("m-1", Some(ENDPOINT))], &["x/instances/m-1"]).await;
    let mut spec = spec();
    spec.balancer = "other".into();
    let promote = cloud.gce.point_endpoint(&spec, &EndpointTarget::Balancer);
    let error = promote.await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.to_string().contains("backend service other"),
        "{error}"
    );
    cloud.is_untouched().await;
}

#[tokio::test]
async fn an_address_in_use_elsewhere_is_not_taken() {
    let cloud = cloud(&[instance("m-1", Some("35.2.2.2"))], &["x/instances/other"]).await;
    let error = promote(&cloud).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("in use by other"), "{error}");
    cloud.is_untouched().await;
}

#[tokio::test]
async fn if_the_rule_fails_permanently_the_address_is_put_back() {
    let cloud = cloud(&[instance("m-1", Some(ENDPOINT))], &["x/instances/m-1"]).await;
    let quota = failure(403, "quotaExceeded", "Quota 'FORWARDING_RULES' exceeded.");
    cloud
        .answers("POST", format!("{REGION}/forwardingRules"), quota, 1)
        .await;
    let error = promote(&cloud).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Quota);
    assert!(
        error.message.contains("the address was put back"),
        "{error}"
    );
    let back = cloud.body("/addAccessConfig").await;
    assert_eq!(back["natIP"], ENDPOINT);
}

#[tokio::test]
async fn an_address_still_marked_as_in_use_is_transient() {
    let cloud = cloud(&[instance("m-1", None)], &["x/instances/m-1"]).await;
    let error = promote(&cloud).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn if_the_rule_fails_temporarily_the_same_call_finishes() {
    let cloud = cloud(&[instance("m-1", Some(ENDPOINT))], &[]).await;
    let words = "Specified IP address is in-use and would result in a conflict.";
    let in_use = failure(400, "invalid", words);
    cloud
        .answers("POST", format!("{REGION}/forwardingRules"), in_use, 1)
        .await;
    let error = promote(&cloud).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let list = format!("{PROJECT}/aggregated/instances");
    let bare = aggregated("instances", json!([instance("m-1", None)]));
    cloud.answers("GET", list, ok(bare), 2).await;
    // The repeated call's response may be the first call's, so it proves nothing.
    let error = promote(&cloud).await.unwrap_err();
    assert!(error.message.contains("checked again"), "{error}");
    rule(&cloud).await;
    promote(&cloud).await.unwrap();
    let changes = cloud.changes().await;
    let again = [
        format!("POST {RULES}"),
        format!("POST {INSTANCE}/addAccessConfig"),
    ];
    assert_eq!(changes[2..], again);
}
