//! The default network's rules, subnetworks in auto mode networks, secondary ranges and the aliases in them.

use serde_json::{Value, json};

use crate::support::{TestCloud, ZONE, instance};

const SUBNETS: &str = "regions/europe-west1/subnetworks";

/// A range of the cloud's own block.
async fn range(cloud: &TestCloud, third: u8) -> String {
    let default = cloud.get(&format!("{SUBNETS}/default")).await.unwrap();
    let own = default["ipCidrRange"].as_str().unwrap();
    let octet = own.split('.').nth(1).unwrap();
    format!("127.{octet}.{third}.0/24")
}

async fn nic(cloud: &TestCloud, name: &str) -> Value {
    let path = format!("{ZONE}/instances/{name}");
    cloud.get(&path).await.unwrap()["networkInterfaces"][0].clone()
}

#[tokio::test]
async fn the_default_network_has_its_rules_from_the_beginning() {
    let cloud = TestCloud::start().await;
    let rules = cloud.get("global/firewalls").await.unwrap();
    let names: Vec<&str> = rules["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    let wanted = ["icmp", "internal", "rdp", "ssh"].map(|name| format!("default-allow-{name}"));
    assert_eq!(names, wanted);
    let ssh = &rules["items"][3];
    assert_eq!(ssh["allowed"][0]["ports"], json!(["22"]));
    assert_eq!(ssh["priority"], 65534);
    assert!(ssh["network"].as_str().unwrap().ends_with("/default"));
    // They keep the network, as any rule does.
    let kept = cloud.delete("global/networks/default").await.unwrap_err();
    assert_eq!(kept.reason, "resourceInUseByAnotherResource");
    for name in wanted {
        cloud
            .delete(&format!("global/firewalls/{name}"))
            .await
            .unwrap();
    }
    cloud.delete("global/networks/default").await.unwrap();
}

#[tokio::test]
async fn an_auto_mode_network_takes_a_subnetwork_of_its_users() {
    let cloud = TestCloud::start().await;
    let body = json!({
        "name": "own",
        "network": "global/networks/default",
        "ipCidrRange": range(&cloud, 130).await,
        "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.64.0.0/14"}],
    });
    cloud.make(SUBNETS, body).await;
    let own = cloud.get(&format!("{SUBNETS}/own")).await.unwrap();
    assert_eq!(own["secondaryIpRanges"][0]["rangeName"], "pods");
    // Without a subnetwork, an instance is in the network's own one of the region.
    cloud
        .make(&format!("{ZONE}/instances"), instance("m"))
        .await;
    let subnet = nic(&cloud, "m").await["subnetwork"].clone();
    assert!(subnet.as_str().unwrap().ends_with("/subnetworks/default"));
    cloud.delete(&format!("{ZONE}/instances/m")).await.unwrap();
    // The network's own ones can't be deleted, those of users keep the network.
    let auto = cloud.delete(&format!("{SUBNETS}/default")).await;
    assert_eq!(auto.unwrap_err().reason, "invalid");
    let network = json!({"name": "n", "autoCreateSubnetworks": true});
    cloud.make("global/networks", network).await;
    let body = json!({
        "name": "of-n",
        "network": "global/networks/n",
        "ipCidrRange": range(&cloud, 131).await,
    });
    cloud.make(SUBNETS, body).await;
    let kept = cloud.delete("global/networks/n").await.unwrap_err();
    assert_eq!(kept.reason, "resourceInUseByAnotherResource");
    cloud.delete(&format!("{SUBNETS}/of-n")).await.unwrap();
    cloud.delete("global/networks/n").await.unwrap();
}

#[tokio::test]
async fn secondary_ranges_are_checked_and_give_aliases() {
    let cloud = TestCloud::start().await;
    cloud
        .make(
            "global/networks",
            json!({"name": "n", "autoCreateSubnetworks": false}),
        )
        .await;
    let primary = range(&cloud, 132).await;
    let body = |ranges: Value| json!({"name": "s", "network": "global/networks/n", "ipCidrRange": primary, "secondaryIpRanges": ranges});
    let secondary = |name: &str, range: &str| json!({"rangeName": name, "ipCidrRange": range});
    for refused in [
        json!([secondary("pods", "10.64.0.1/22")]),
        json!([
            secondary("pods", "10.64.0.0/22"),
            secondary("pods", "10.65.0.0/22")
        ]),
        json!([
            secondary("pods", "10.64.0.0/22"),
            secondary("services", "10.64.1.0/24")
        ]),
        json!([secondary("pods", &primary)]),
        json!([secondary("Pods", "10.64.0.0/22")]),
    ] {
        let said = cloud.post(SUBNETS, body(refused.clone())).await;
        assert_eq!(said.unwrap_err().status, 400, "{refused}");
    }
    cloud
        .make(SUBNETS, body(json!([secondary("pods", "10.64.0.0/23")])))
        .await;

    let with = |name: &str, alias: Value| {
        let mut body = instance(name);
        body["networkInterfaces"] = json!([{"network": "global/networks/n", "subnetwork": format!("{SUBNETS}/s"), "aliasIpRanges": [alias]}]);
        body
    };
    let alias = |range: &str| json!({"ipCidrRange": range, "subnetworkRangeName": "pods"});
    let instances = format!("{ZONE}/instances");
    for (name, wanted, given) in [
        ("m1", alias("/24"), "10.64.0.0/24"),
        ("m2", alias("10.64.1.128/25"), "10.64.1.128/25"),
        ("m3", alias("/25"), "10.64.1.0/25"),
    ] {
        cloud.make(&instances, with(name, wanted)).await;
        let ranges = &nic(&cloud, name).await["aliasIpRanges"];
        assert_eq!(ranges[0]["ipCidrRange"], given, "{name}");
        assert_eq!(ranges[0]["subnetworkRangeName"], "pods");
    }
    for (alias, reason) in [
        (alias("/24"), "ipSpaceExhausted"),
        (alias("10.64.0.128/25"), "ipInUseByAnotherResource"),
        (alias("10.70.0.0/24"), "invalid"),
        (alias("/16"), "invalid"),
        (alias("pods"), "invalid"),
        (
            json!({"ipCidrRange": "/24", "subnetworkRangeName": "none"}),
            "invalid",
        ),
        (json!({"ipCidrRange": "/28"}), "notImplemented"),
    ] {
        let refused = cloud.post(&instances, with("m4", alias.clone())).await;
        assert_eq!(refused.unwrap_err().reason, reason, "{alias}");
    }
    // One address of the primary range.
    cloud
        .make(&instances, with("m4", json!({"ipCidrRange": "/32"})))
        .await;
    let own = nic(&cloud, "m4").await;
    let given = own["aliasIpRanges"][0]["ipCidrRange"].as_str().unwrap();
    assert!(given.starts_with(primary.trim_end_matches("0/24")), "{own}");
    assert_ne!(given, format!("{}/32", own["networkIP"].as_str().unwrap()));

    // A range in use stays, a free one can go.
    let path = format!("{SUBNETS}/s");
    let change = async |ranges: Value| {
        let fingerprint = cloud.get(&path).await.unwrap()["fingerprint"].clone();
        let body = json!({"fingerprint": fingerprint, "secondaryIpRanges": ranges});
        let request = cloud.request(reqwest::Method::PATCH, &path).json(&body);
        cloud.send(request).await
    };
    let pods = secondary("pods", "10.64.0.0/23");
    change(json!([pods, secondary("services", "10.0.0.0/20")]))
        .await
        .unwrap();
    change(json!([pods])).await.unwrap();
    let in_use = change(json!([])).await.unwrap_err();
    assert_eq!(in_use.reason, "resourceInUseByAnotherResource");
}

#[tokio::test]
async fn a_rule_for_service_accounts_is_for_them_only() {
    let cloud = TestCloud::start().await;
    let rule = |fields: Value| {
        let mut body = json!({"name": "r", "allowed": [{"IPProtocol": "tcp", "ports": ["18310"]}]});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    for refused in [
        json!({"targetServiceAccounts": ["a@p.test"], "targetTags": ["web"]}),
        json!({"sourceServiceAccounts": ["a@p.test"], "sourceTags": ["web"]}),
        json!({"sourceServiceAccounts": ["plain-name"]}),
    ] {
        let said = cloud.post("global/firewalls", rule(refused.clone())).await;
        assert_eq!(said.unwrap_err().status, 400, "{refused}");
    }
    let from = json!({"sourceServiceAccounts": ["a@p.test"]});
    cloud.make("global/firewalls", rule(from)).await;
    let made = cloud.get("global/firewalls/r").await.unwrap();
    assert_eq!(made["sourceRanges"], Value::Null, "{made}");
}

#[tokio::test]
async fn the_default_service_account_has_an_address() {
    let cloud = TestCloud::start().await;
    let instances = format!("{ZONE}/instances");
    let with = |name: &str, accounts: Value| {
        let mut body = instance(name);
        body["serviceAccounts"] = accounts;
        body
    };
    let scopes = json!(["storage-ro"]);
    let default = json!([{"email": "default", "scopes": scopes}]);
    cloud.make(&instances, with("m", default)).await;
    let project = format!("projects/{}", crate::support::PROJECT);
    let project = cloud.get(&project).await.unwrap();
    let address = project["defaultServiceAccount"].clone();
    let account = async || {
        let path = format!("{instances}/m");
        cloud.get(&path).await.unwrap()["serviceAccounts"].clone()
    };
    assert_eq!(account().await[0]["email"], address);
    assert_eq!(account().await[0]["scopes"], scopes);
    for refused in [
        json!([{"email": "plain-name"}]),
        json!([{"email": "a@p.test"}, {"email": "b@p.test"}]),
    ] {
        let said = cloud.post(&instances, with("n", refused.clone())).await;
        assert_eq!(said.unwrap_err().status, 400, "{refused}");
    }
    cloud.make(&format!("{instances}/m/stop"), json!({})).await;
    let set = format!("{instances}/m/setServiceAccount");
    cloud
        .make(&set, json!({"email": "a@p.test", "scopes": scopes}))
        .await;
    assert_eq!(account().await[0]["email"], "a@p.test");
    cloud.make(&set, json!({"email": "default"})).await;
    assert_eq!(account().await[0]["email"], address);
}
