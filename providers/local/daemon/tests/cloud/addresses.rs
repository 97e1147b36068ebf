//! The lifecycle of an external address, and its traffic.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{REGION, TestCloud, ZONE, fetch, instance};

const ADDRESS: &str = "regions/europe-west1/addresses/front";

fn add_config(name: &str) -> String {
    format!("{ZONE}/instances/{name}/addAccessConfig?networkInterface=nic0")
}

fn delete_config(name: &str) -> String {
    format!(
        "{ZONE}/instances/{name}/deleteAccessConfig?networkInterface=nic0&accessConfig=External%20NAT"
    )
}

#[tokio::test]
async fn an_address_routes_to_its_only_user() {
    let cloud = TestCloud::start().await;
    cloud.open_port(18100).await;
    let ip = cloud.reserve("front").await;
    let front = format!("{ip}:18100");
    assert_eq!(cloud.get(ADDRESS).await.unwrap()["status"], "RESERVED");
    cloud
        .web_machine(ZONE, "m1", 18100, json!([{"natIP": ip}]))
        .await;
    cloud.web_machine(ZONE, "m2", 18100, json!([])).await;

    assert_eq!(fetch(&front).await.as_deref(), Some("m1"));
    let address = cloud.get(ADDRESS).await.unwrap();
    assert_eq!(address["status"], "IN_USE");
    assert!(
        address["users"][0]
            .as_str()
            .unwrap()
            .ends_with("/instances/m1")
    );
    let conflict = cloud
        .post(&add_config("m2"), json!({"natIP": ip}))
        .await
        .unwrap_err();
    assert_eq!(
        conflict.message,
        "Specified IP address is in-use and would result in a conflict."
    );

    let mut established = TcpStream::connect(&front).await.unwrap();
    cloud.make(&delete_config("m1"), json!({})).await;
    assert_eq!(fetch(&front).await, None, "the address is unused");
    let cut = established.read(&mut [0; 1]).await;
    assert!(matches!(cut, Ok(0) | Err(_)), "the old connection is cut");

    cloud.make(&add_config("m2"), json!({"natIP": ip})).await;
    assert_eq!(fetch(&front).await.as_deref(), Some("m2"));
    let second = cloud.post(&add_config("m2"), json!({})).await.unwrap_err();
    assert_eq!(
        second.message,
        "At most one access config currently supported."
    );
}

#[tokio::test]
async fn an_address_that_is_not_reserved_is_not_found() {
    let cloud = TestCloud::start().await;
    let mut body = instance("m1");
    body["networkInterfaces"][0]["accessConfigs"] = json!([{"natIP": "198.51.100.7"}]);
    let refusal = cloud
        .post(&format!("{ZONE}/instances"), body)
        .await
        .unwrap_err();
    assert_eq!(refusal.status, 400);
    assert_eq!(
        refusal.message,
        "The specified external IP address '198.51.100.7' was not found in region 'europe-west1'."
    );
}

#[tokio::test]
async fn deleting_an_address_in_use_succeeds_and_makes_it_ephemeral() {
    let cloud = TestCloud::start().await;
    let ip = cloud.reserve("front").await;
    let mut body = instance("m1");
    body["networkInterfaces"][0]["accessConfigs"] = json!([{"natIP": ip}]);
    cloud.make(&format!("{ZONE}/instances"), body).await;

    cloud.delete(ADDRESS).await.unwrap();
    let nic =
        |instance: &Value| instance["networkInterfaces"][0]["accessConfigs"][0]["natIP"].clone();
    let path = format!("{ZONE}/instances/m1");
    assert_eq!(nic(&cloud.get(&path).await.unwrap()), ip.as_str());
    cloud.make(&delete_config("m1"), json!({})).await;
    let lost = cloud
        .post(&add_config("m1"), json!({"natIP": ip}))
        .await
        .unwrap_err();
    assert!(lost.message.contains("was not found in region"), "{lost:?}");
}

#[tokio::test]
async fn firewall_rules_open_and_close_ports_by_tag() {
    let cloud = TestCloud::start().await;
    let ip = cloud.reserve("front").await;
    let front = format!("{ip}:18101");
    cloud
        .web_machine(ZONE, "m1", 18101, json!([{"natIP": ip}]))
        .await;
    assert_eq!(fetch(&front).await, None, "no rule, no traffic");
    let mut rule = json!({
        "name": "web",
        "allowed": [{"IPProtocol": "tcp", "ports": ["18101"]}],
        "targetTags": ["other"],
    });
    cloud.make("global/firewalls", rule.clone()).await;
    assert_eq!(fetch(&front).await, None, "the rule has other target tags");

    let patch = cloud.request(reqwest::Method::PATCH, "global/firewalls/web");
    rule["targetTags"] = json!([]);
    let operation = cloud.send(patch.json(&rule)).await.unwrap();
    cloud.done(operation).await;
    assert_eq!(fetch(&front).await.as_deref(), Some("m1"));

    let patch = cloud.request(reqwest::Method::PATCH, "global/firewalls/web");
    let elsewhere = json!({"name": "web", "sourceRanges": ["203.0.113.0/24"]});
    let operation = cloud.send(patch.json(&elsewhere)).await.unwrap();
    cloud.done(operation).await;
    assert_eq!(
        fetch(&front).await,
        None,
        "the rule allows other clients only"
    );
}

#[tokio::test]
async fn a_port_in_use_by_another_program_fails_the_operation_and_rolls_it_back() {
    let cloud = TestCloud::start().await;
    cloud.open_port(18102).await;
    let ip = cloud.reserve("front").await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let _other = TcpListener::bind(format!("{ip}:18102")).await.unwrap();

    let operation = cloud
        .post(&add_config("m1"), json!({"natIP": ip}))
        .await
        .unwrap();
    let operation = cloud.done(operation).await;
    let error = &operation["error"]["errors"][0];
    assert_eq!(error["code"], "ADDRESS_IN_USE");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains(&format!("{ip}:18102")),
        "{error}"
    );
    assert_eq!(operation["httpErrorStatusCode"], 400);
    assert_eq!(cloud.get(ADDRESS).await.unwrap()["status"], "RESERVED");
}

#[tokio::test]
async fn a_stopped_instance_keeps_a_reserved_address_and_releases_an_ephemeral_one() {
    let cloud = TestCloud::start().await;
    let ip = cloud.reserve("front").await;
    for (name, config) in [("kept", json!({"natIP": ip})), ("given-up", json!({}))] {
        let mut body = instance(name);
        body["networkInterfaces"][0]["accessConfigs"] = json!([config]);
        cloud.make(&format!("{ZONE}/instances"), body).await;
        cloud
            .make(&format!("{ZONE}/instances/{name}/stop"), json!({}))
            .await;
    }
    let nat_ip = async |name: &str| {
        let instance = cloud
            .get(&format!("{ZONE}/instances/{name}"))
            .await
            .unwrap();
        instance["networkInterfaces"][0]["accessConfigs"][0]["natIP"].clone()
    };
    assert_eq!(nat_ip("kept").await, ip.as_str());
    assert_eq!(nat_ip("given-up").await, Value::Null);
    cloud
        .make(&format!("{ZONE}/instances/given-up/start"), json!({}))
        .await;
    assert!(nat_ip("given-up").await.is_string());
    assert_eq!(
        cloud.get(&format!("{REGION}/addresses")).await.unwrap()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
