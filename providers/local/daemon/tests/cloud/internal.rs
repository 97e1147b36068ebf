//! Internal addresses: reserved, as a machine's alias, and for a balancer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{REGION, Refusal, TestCloud, ZONE, fetch};

const PORT: u16 = 18130;

/// Replaces the alias ranges of m1.
async fn alias(cloud: &TestCloud, ranges: Value) -> Result<Value, Refusal> {
    let m1 = format!("{ZONE}/instances/m1");
    let fingerprint = cloud.get(&m1).await.unwrap()["networkInterfaces"][0]["fingerprint"].clone();
    let path = format!("{m1}/updateNetworkInterface?networkInterface=nic0");
    let body = json!({"aliasIpRanges": ranges, "fingerprint": fingerprint});
    let operation = cloud
        .send(cloud.request(Method::PATCH, &path).json(&body))
        .await?;
    Ok(cloud.done(operation).await)
}

#[tokio::test]
async fn an_internal_address_moves_from_a_machine_to_a_balancer_and_back() {
    let cloud = TestCloud::start().await;
    cloud.open_port(PORT).await;
    cloud.web_machine(ZONE, "m1", PORT, json!([])).await;
    let addresses = format!("{REGION}/addresses");
    let body = json!({"name": "front", "addressType": "INTERNAL"});
    cloud.make(&addresses, body).await;
    let reserved = cloud.get(&format!("{addresses}/front")).await.unwrap();
    let ip = reserved["address"].as_str().unwrap().to_owned();
    let front = format!("{ip}:{PORT}");
    let subnet = cloud.get(&format!("{REGION}/subnetworks/default")).await;
    assert_eq!(reserved["subnetwork"], subnet.unwrap()["selfLink"]);
    let status = async || cloud.get(&format!("{addresses}/front")).await.unwrap()["status"].clone();

    alias(&cloud, json!([{"ipCidrRange": format!("{ip}/32")}]))
        .await
        .unwrap();
    assert_eq!(fetch(&front).await.as_deref(), Some("m1"));
    assert_eq!(status().await, "IN_USE");

    let groups = format!("{ZONE}/instanceGroups");
    cloud.make(&groups, json!({"name": "ig"})).await;
    let members = json!({"instances": [{"instance": format!("{ZONE}/instances/m1")}]});
    cloud
        .make(&format!("{groups}/ig/addInstances"), members)
        .await;
    let check = json!({"name": "hc", "type": "TCP", "tcpHealthCheck": {"port": PORT}});
    cloud.make(&format!("{REGION}/healthChecks"), check).await;
    let service = json!({
        "name": "bs",
        "loadBalancingScheme": "INTERNAL",
        "healthChecks": [format!("{REGION}/healthChecks/hc")],
        "backends": [{"group": format!("{ZONE}/instanceGroups/ig")}],
    });
    cloud
        .make(&format!("{REGION}/backendServices"), service)
        .await;
    let rules = format!("{REGION}/forwardingRules");
    let rule = json!({
        "name": "rule",
        "loadBalancingScheme": "INTERNAL",
        "IPAddress": format!("{addresses}/front"),
        "ports": [PORT.to_string()],
        "backendService": format!("{REGION}/backendServices/bs"),
    });
    let taken = cloud.post(&rules, rule.clone()).await.unwrap_err();
    assert_eq!(taken.reason, "ipInUseByAnotherResource");

    alias(&cloud, json!([])).await.unwrap();
    assert_eq!(fetch(&front).await, None, "the address is unused");
    cloud.make(&rules, rule.clone()).await;
    assert_eq!(fetch(&front).await.as_deref(), Some("m1"));
    let range = json!([{"ipCidrRange": ip}]);
    let taken = alias(&cloud, range.clone()).await.unwrap_err();
    assert_eq!(taken.reason, "ipInUseByAnotherResource");

    cloud.delete(&format!("{rules}/rule")).await.unwrap();
    assert_eq!(status().await, "RESERVED");
    alias(&cloud, range).await.unwrap();
    assert_eq!(fetch(&front).await.as_deref(), Some("m1"));

    let mut external = rule;
    external["loadBalancingScheme"] = json!("EXTERNAL");
    let refused = cloud.post(&rules, external).await.unwrap_err();
    assert!(refused.message.contains("INTERNAL"), "{refused:?}");
}

#[tokio::test]
async fn a_reserved_internal_address_is_not_assigned_automatically() {
    let cloud = TestCloud::start().await;
    let addresses = format!("{REGION}/addresses");
    let body = json!({"name": "kept", "addressType": "INTERNAL"});
    cloud.make(&addresses, body).await;
    let kept = cloud.get(&format!("{addresses}/kept")).await.unwrap()["address"].clone();
    let address_of = async |name: &str| {
        let instance = cloud
            .get(&format!("{ZONE}/instances/{name}"))
            .await
            .unwrap();
        instance["networkInterfaces"][0]["networkIP"].clone()
    };
    let instances = format!("{ZONE}/instances");
    cloud
        .make(&instances, crate::support::instance("any"))
        .await;
    assert_ne!(address_of("any").await, kept);
    let mut asks = crate::support::instance("asks");
    asks["networkInterfaces"][0]["networkIP"] = kept.clone();
    cloud.make(&instances, asks).await;
    assert_eq!(address_of("asks").await, kept);
    let far = json!({"name": "far", "addressType": "INTERNAL", "address": "127.1.1.1"});
    assert_eq!(cloud.post(&addresses, far).await.unwrap_err().status, 400);
}
