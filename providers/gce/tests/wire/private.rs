//! A cluster whose endpoint has an internal address: there are no external addresses.

use crate::support::{
    CLUSTER, Cloud, MARK, PROJECT, REGION, ZONE, aggregated, failure, instance, machine_spec,
    missing, ok, query,
};
use hakube_provider::{
    AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind, ExternalAddress,
    MachineRef, Provider, Reach, Result,
};
use serde_json::{Value, json};

const ENDPOINT: &str = "10.0.0.9";
const UPDATE: &str = "/zones/europe-west1-b/instances/m-1/updateNetworkInterface";
const RULES: &str = "/regions/europe-west1/forwardingRules";

fn within() -> Reach {
    Reach::Within {
        network: "default".into(),
        subnetwork: "sub".into(),
    }
}

pub fn endpoint() -> EndpointSpec {
    EndpointSpec {
        cluster: CLUSTER.into(),
        address: "ip".into(),
        reach: within(),
        rule: "rule".into(),
        balancer: "master".into(),
        port: 6443,
        released: ExternalAddress::None,
    }
}

fn m1() -> EndpointTarget {
    EndpointTarget::Machine(MachineRef {
        name: "m-1".into(),
        zone: "europe-west1-b".into(),
    })
}

/// A machine with these alias ranges.
fn machine(ranges: &[&str]) -> Value {
    let ranges = ranges.iter().map(|range| json!({"ipCidrRange": range}));
    with_ranges(ranges.collect())
}

fn with_ranges(ranges: Value) -> Value {
    let mut machine = instance("m-1", None);
    machine["networkInterfaces"][0]["aliasIpRanges"] = ranges;
    machine["networkInterfaces"][0]["fingerprint"] = json!("bmlj");
    machine
}

/// A cluster with an internal address, a balancer and this machine.
async fn cloud(machine: Value, users: &[&str]) -> Cloud {
    let cloud = Cloud::start().await;
    let address = json!({"name": "ip", "address": ENDPOINT, "description": MARK, "users": users});
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    let service = json!({"name": "master", "description": MARK});
    cloud
        .has(format!("{REGION}/backendServices/master"), service)
        .await;
    let list = aggregated("instances", json!([machine.clone()]));
    cloud
        .has(format!("{PROJECT}/aggregated/instances"), list)
        .await;
    cloud.has(format!("{ZONE}/instances/m-1"), machine).await;
    cloud
}

async fn rule(cloud: &Cloud) {
    let rule = json!({"name": "rule", "description": MARK, "IPAddress": ENDPOINT});
    cloud
        .has(format!("{REGION}/forwardingRules/rule"), rule)
        .await;
}

async fn promote(cloud: &Cloud) -> Result<()> {
    let (spec, target) = (endpoint(), EndpointTarget::Balancer);
    cloud.gce.point_endpoint(&spec, &target).await
}

#[tokio::test]
async fn the_address_is_reserved_in_the_subnetwork() {
    let cloud = Cloud::start().await;
    let spec = AddressSpec {
        cluster: CLUSTER.into(),
        name: "ip".into(),
        reach: within(),
        wanted: None,
    };
    cloud.gce.ensure_address(&spec).await.unwrap_err();
    assert_eq!(
        cloud.body("/addresses").await,
        json!({
            "name": "ip",
            "description": MARK,
            "addressType": "INTERNAL",
            "subnetwork": "projects/p/regions/europe-west1/subnetworks/sub",
        })
    );
}

#[tokio::test]
async fn a_lost_address_is_requested_explicitly() {
    let cloud = Cloud::start().await;
    let spec = AddressSpec {
        cluster: CLUSTER.into(),
        name: "ip".into(),
        reach: within(),
        wanted: Some("10.0.0.7".parse().unwrap()),
    };
    cloud.gce.ensure_address(&spec).await.unwrap_err();
    assert_eq!(cloud.body("/addresses").await["address"], "10.0.0.7");
}

#[tokio::test]
async fn a_machine_is_created_with_the_alias_and_without_an_external_address() {
    let cloud = cloud(json!({}), &[]).await;
    let at = format!("{ZONE}/instances/m-1");
    cloud.answers("GET", &at, missing(), 1).await;
    cloud
        .answers("GET", &at, ok(machine(&["10.0.0.9/32"])), 1)
        .await;
    let mut spec = machine_spec();
    spec.external = ExternalAddress::None;
    spec.alias = Some("ip".into());
    let made = cloud.gce.ensure_machine(&spec).await.unwrap();
    assert!(made.holds(ENDPOINT.parse().unwrap()), "{made:?}");
    assert_eq!(made.external_address, None);
    assert_eq!(
        cloud.body("/instances").await["networkInterfaces"],
        json!([{
            "network": "projects/p/global/networks/default",
            "subnetwork": "projects/p/regions/europe-west1/subnetworks/sub",
            "aliasIpRanges": [{"ipCidrRange": "10.0.0.9/32"}],
        }])
    );
}

#[tokio::test]
async fn the_balancer_is_internal() {
    let cloud = Cloud::start().await;
    let spec = BalancerSpec {
        cluster: CLUSTER.into(),
        name: "master".into(),
        network: "default".into(),
        reach: within(),
        port: 6443,
        health_path: "/readyz".into(),
        backends: Vec::new(),
    };
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    let service = cloud.body("/backendServices").await;
    assert_eq!(service["loadBalancingScheme"], "INTERNAL");
}

#[tokio::test]
async fn promote_removes_the_alias_and_creates_an_internal_rule() {
    let cloud = cloud(machine(&["10.0.0.9/32"]), &["x/instances/m-1"]).await;
    promote(&cloud).await.unwrap();
    assert_eq!(
        cloud.changes().await,
        [format!("PATCH {UPDATE}"), format!("POST {RULES}")]
    );
    // An empty list, not an omitted one: what is omitted isn't changed.
    let update = cloud.body(UPDATE).await;
    assert_eq!(update, json!({"aliasIpRanges": [], "fingerprint": "bmlj"}));
    let update = &cloud.changing().await[0];
    assert_eq!(query(update, "networkInterface").unwrap(), "nic0");
    assert!(query(update, "requestId").is_some());
    assert_eq!(
        cloud.body(RULES).await,
        json!({
            "name": "rule",
            "description": MARK,
            "IPAddress": ENDPOINT,
            "IPProtocol": "TCP",
            "ports": ["6443"],
            "loadBalancingScheme": "INTERNAL",
            "network": "projects/p/global/networks/default",
            "subnetwork": "projects/p/regions/europe-west1/subnetworks/sub",
            "allowGlobalAccess": true,
            "backendService": "projects/p/regions/europe-west1/backendServices/master",
        })
    );
}

/// Other alias ranges: one of several addresses, and two of a single address. Without its range
/// name, the last would be looked up in the subnetwork's primary range, where it isn't.
fn of_others() -> [Value; 3] {
    [
        json!({"ipCidrRange": "10.4.0.0/24", "subnetworkRangeName": "pods"}),
        json!({"ipCidrRange": "10.0.0.8"}),
        json!({"ipCidrRange": "10.5.0.8/32", "subnetworkRangeName": "services"}),
    ]
}

#[tokio::test]
async fn promote_keeps_other_alias_ranges() {
    let [pods, own, services] = of_others();
    let ranges = json!([pods, {"ipCidrRange": "10.0.0.9/32"}, own, services]);
    let cloud = cloud(with_ranges(ranges), &["x/instances/m-1"]).await;
    promote(&cloud).await.unwrap();
    assert_eq!(
        cloud.body(UPDATE).await["aliasIpRanges"],
        json!(of_others())
    );
}

#[tokio::test]
async fn demote_deletes_the_rule_and_adds_the_alias_to_the_existing_ones() {
    let cloud = cloud(with_ranges(json!(of_others())), &["x/forwardingRules/rule"]).await;
    rule(&cloud).await;
    cloud.gce.point_endpoint(&endpoint(), &m1()).await.unwrap();
    assert_eq!(
        cloud.changes().await,
        [format!("DELETE {RULES}/rule"), format!("PATCH {UPDATE}")]
    );
    let mut ranges = of_others().to_vec();
    ranges.push(json!({"ipCidrRange": "10.0.0.9/32"}));
    assert_eq!(cloud.body(UPDATE).await["aliasIpRanges"], json!(ranges));
}

#[tokio::test]
async fn a_target_that_holds_the_address_is_not_changed() {
    let cloud = cloud(machine(&["10.0.0.9/32"]), &["x/instances/m-1"]).await;
    cloud.gce.point_endpoint(&endpoint(), &m1()).await.unwrap();
    cloud.is_untouched().await;
}

#[tokio::test]
async fn if_the_rule_fails_permanently_the_alias_is_put_back() {
    let cloud = cloud(machine(&["10.0.0.9/32"]), &["x/instances/m-1"]).await;
    // The machine's state before and after the alias is removed.
    let at = format!("{ZONE}/instances/m-1");
    let with = ok(machine(&["10.0.0.9/32"]));
    let without = ok(machine(&[]));
    cloud.answers("GET", &at, with, 1).await;
    cloud.answers("GET", &at, without, 1).await;
    let quota = failure(403, "quotaExceeded", "Quota 'X' exceeded.");
    cloud
        .answers("POST", format!("{REGION}/forwardingRules"), quota, 1)
        .await;
    let error = promote(&cloud).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Quota);
    assert!(
        error.message.contains("the address was put back"),
        "{error}"
    );
    let changes = cloud.changing().await;
    let last: Value = changes.last().unwrap().body_json().unwrap();
    assert_eq!(
        last["aliasIpRanges"],
        json!([{"ipCidrRange": "10.0.0.9/32"}])
    );
}

/// hakube's own request is retried like those of Google's clients, with the same id.
#[tokio::test]
async fn refused_tokens_and_transient_failures_are_retried_with_the_same_id() {
    let cloud = cloud(machine(&["10.0.0.9/32"]), &["x/instances/m-1"]).await;
    let at = format!("{ZONE}/instances/m-1/updateNetworkInterface");
    for status in [401, 503] {
        let answer = failure(status, "", "not now");
        cloud.answers("PATCH", &at, answer, 1).await;
    }
    promote(&cloud).await.unwrap();
    let sent: Vec<String> = cloud
        .changing()
        .await
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| query(request, "requestId").unwrap())
        .collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|id| *id == sent[0]), "{sent:?}");
}

/// The list is replaced as a whole. Concurrent changes to it must not be lost.
#[tokio::test]
async fn a_concurrent_change_to_the_list_is_transient() {
    let words = "Invalid fingerprint.";
    let operation = json!({
        "name": "operation-1",
        "status": "DONE",
        "httpErrorStatusCode": 412,
        "httpErrorMessage": "PRECONDITION FAILED",
        "error": {"errors": [{"code": "INVALID_FINGERPRINT", "message": words}]},
    });
    for changed in [
        failure(412, "conditionNotMet", words),
        failure(412, "", words),
        ok(operation),
    ] {
        let cloud = cloud(machine(&["10.0.0.9/32"]), &["x/instances/m-1"]).await;
        let at = format!("{ZONE}/instances/m-1/updateNetworkInterface");
        cloud.answers("PATCH", &at, changed, 1).await;
        let error = promote(&cloud).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(cloud.changes().await.len(), 1);
    }
}
