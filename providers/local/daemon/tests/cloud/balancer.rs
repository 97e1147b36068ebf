//! Forwarding rules, backend services and health checks, with real backends.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{REGION, TestCloud, ZONE, fetch, until};

const OTHER_ZONE: &str = "zones/europe-west1-c";
const SERVICE: &str = "regions/europe-west1/backendServices/bs";

/// m1 and m2 in two zones, a service over both with an HTTP check of `/name`, and no forwarding rule.
async fn two_backends(cloud: &TestCloud, port: u16) {
    cloud.open_port(port).await;
    let mut backends = Vec::new();
    for (zone, name) in [(ZONE, "m1"), (OTHER_ZONE, "m2")] {
        cloud.web_machine(zone, name, port, json!([])).await;
        let groups = format!("{zone}/instanceGroups");
        cloud.make(&groups, json!({"name": "ig"})).await;
        let members = json!({"instances": [{"instance": format!("{zone}/instances/{name}")}]});
        cloud
            .make(&format!("{groups}/ig/addInstances"), members)
            .await;
        backends.push(json!({"group": format!("{zone}/instanceGroups/ig")}));
    }
    let check = json!({
        "name": "hc",
        "type": "HTTP",
        "checkIntervalSec": 1,
        "timeoutSec": 1,
        "healthyThreshold": 1,
        "unhealthyThreshold": 1,
        "httpHealthCheck": {"port": port, "requestPath": "/name"},
    });
    cloud.make(&format!("{REGION}/healthChecks"), check).await;
    let service = json!({
        "name": "bs",
        "healthChecks": [format!("{REGION}/healthChecks/hc")],
        "backends": backends,
    });
    cloud
        .make(&format!("{REGION}/backendServices"), service)
        .await;
}

async fn health(cloud: &TestCloud, zone: &str) -> Value {
    let body = json!({"group": format!("{zone}/instanceGroups/ig")});
    let answer = cloud
        .post(&format!("{SERVICE}/getHealth"), body)
        .await
        .unwrap();
    answer["healthStatus"][0]["healthState"].clone()
}

/// The backends that respond, in eight tries.
async fn answers(address: &str) -> BTreeSet<Option<String>> {
    let mut answers = BTreeSet::new();
    for _ in 0..8 {
        answers.insert(fetch(address).await);
    }
    answers
}

fn names(names: &[&str]) -> BTreeSet<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}

#[tokio::test]
async fn traffic_goes_to_healthy_backends_and_to_all_when_none_is() {
    let cloud = TestCloud::start().await;
    two_backends(&cloud, 18200).await;
    let ip = cloud.reserve("front").await;
    let rule =
        json!({"name": "rule", "IPAddress": ip, "ports": ["18200"], "backendService": SERVICE});
    cloud.make(&format!("{REGION}/forwardingRules"), rule).await;
    let front = format!("{ip}:18200");

    assert_eq!(health(&cloud, ZONE).await, "HEALTHY");
    assert_eq!(answers(&front).await, names(&["m1", "m2"]));

    cloud.local.kill("m1").await.unwrap();
    until("m1 is not used", async || {
        answers(&front).await == names(&["m2"])
    })
    .await;
    until("m1 is unhealthy", async || {
        health(&cloud, ZONE).await == "UNHEALTHY"
    })
    .await;

    // The check's path is gone but the server runs: unhealthy, yet used as the last resort.
    cloud.local.pause("m2").await.unwrap();
    until("m2 is unhealthy", async || {
        health(&cloud, OTHER_ZONE).await == "UNHEALTHY"
    })
    .await;
    cloud.local.resume("m2").await.unwrap();
    until("m2 answers again", async || {
        answers(&front).await == names(&["m2"])
    })
    .await;

    cloud
        .make(&format!("{ZONE}/instances/m1/start"), json!({}))
        .await;
    until("both answer", async || {
        answers(&front).await == names(&["m1", "m2"])
    })
    .await;
}

#[tokio::test]
async fn an_address_moves_from_a_machine_to_a_balancer_and_back() {
    let cloud = TestCloud::start().await;
    two_backends(&cloud, 18201).await;
    let ip = cloud.reserve("front").await;
    let front = format!("{ip}:18201");
    let add = format!("{ZONE}/instances/m1/addAccessConfig?networkInterface=nic0");
    let config = json!({"natIP": ip, "name": "External NAT", "type": "ONE_TO_ONE_NAT"});
    cloud.make(&add, config.clone()).await;
    assert_eq!(answers(&front).await, names(&["m1"]));

    let rule =
        json!({"name": "rule", "IPAddress": ip, "ports": ["18201"], "backendService": SERVICE});
    let rules = format!("{REGION}/forwardingRules");
    let early = cloud.post(&rules, rule.clone()).await.unwrap_err();
    assert_eq!(
        early.message,
        "Specified IP address is in-use and would result in a conflict."
    );
    let delete = format!(
        "{ZONE}/instances/m1/deleteAccessConfig?networkInterface=nic0&accessConfig=External%20NAT"
    );
    cloud.make(&delete, json!({})).await;
    cloud.make(&rules, rule).await;
    assert_eq!(answers(&front).await, names(&["m1", "m2"]));

    cloud.delete(&format!("{rules}/rule")).await.unwrap();
    assert_eq!(fetch(&front).await, None);
    cloud.make(&add, config).await;
    assert_eq!(answers(&front).await, names(&["m1"]));
}

/// A client must not believe that it has a feature that the local cloud doesn't emulate.
#[tokio::test]
async fn unsupported_settings_are_rejected_on_insert_and_patch() {
    let cloud = TestCloud::start().await;
    two_backends(&cloud, 18205).await;
    let services = format!("{REGION}/backendServices");
    let made = cloud.get(SERVICE).await.unwrap();
    let group = &made["backends"][0]["group"];
    for (status, said, fields) in [
        (400, "CLIENT_IP", json!({"sessionAffinity": "CLIENT_IP"})),
        (
            400,
            "failover",
            json!({"failoverPolicy": {"failoverRatio": 0.5}}),
        ),
        (
            400,
            "failover",
            json!({"backends": [{"group": group, "failover": true}]}),
        ),
        (
            400,
            "connection tracking",
            json!({"connectionTrackingPolicy": {"trackingMode": "PER_SESSION"}}),
        ),
        (
            400,
            "subsetting",
            json!({"subsetting": {"policy": "CONSISTENT_HASH_SUBSETTING"}}),
        ),
        (
            400,
            "backends[0].balancingMode",
            json!({"backends": [{"group": group, "balancingMode": "UTILIZATION"}]}),
        ),
    ] {
        let with = |other: Value| {
            let mut body = fields.clone();
            let other = other.as_object().unwrap().clone();
            body.as_object_mut().unwrap().extend(other);
            body
        };
        let new = with(json!({"name": "new", "healthChecks": made["healthChecks"]}));
        let patch = with(json!({"fingerprint": made["fingerprint"]}));
        let patch = cloud.request(reqwest::Method::PATCH, SERVICE).json(&patch);
        for answer in [cloud.post(&services, new).await, cloud.send(patch).await] {
            let refused = answer.unwrap_err();
            assert_eq!(refused.status, status, "{fields}");
            assert!(refused.message.contains(said), "{}", refused.message);
        }
    }
    assert_eq!(cloud.get(SERVICE).await.unwrap(), made);
}

#[tokio::test]
async fn a_patched_service_uses_its_new_groups() {
    let cloud = TestCloud::start().await;
    two_backends(&cloud, 18202).await;
    let rule = json!({"name": "rule", "allPorts": true, "backendService": SERVICE});
    cloud.make(&format!("{REGION}/forwardingRules"), rule).await;
    let rule = cloud
        .get(&format!("{REGION}/forwardingRules/rule"))
        .await
        .unwrap();
    let front = format!("{}:18202", rule["IPAddress"].as_str().unwrap());
    assert_eq!(answers(&front).await, names(&["m1", "m2"]));

    let service = cloud.get(SERVICE).await.unwrap();
    let one = json!({"backends": [service["backends"][1]], "fingerprint": service["fingerprint"]});
    let patch = || cloud.request(reqwest::Method::PATCH, SERVICE).json(&one);
    let operation = cloud.send(patch()).await.unwrap();
    cloud.done(operation).await;
    assert_eq!(answers(&front).await, names(&["m2"]));
    assert_eq!(cloud.send(patch()).await.unwrap_err().status, 412);
}
