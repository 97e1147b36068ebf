//! Networks of another project, for machines of the cloud's own.

use serde_json::{Value, json};

use crate::support::{PROJECT, REGION, TestCloud, ZONE, fetch, instance};

const NETWORK: &str = "projects/host/global/networks/shared";
const SUBNETWORK: &str = "projects/host/regions/europe-west1/subnetworks/shared";

/// A cloud whose project may use the network `shared` of the project `host`, but nothing of `other`.
async fn cloud() -> TestCloud {
    let cloud = TestCloud::beside(&["host", "other"]).await;
    for project in ["host", "other"] {
        let network = json!({"name": "shared", "autoCreateSubnetworks": true});
        let at = format!("projects/{project}/global/networks");
        cloud.make(&at, network).await;
    }
    cloud.make("projects/host/enableXpnHost", json!({})).await;
    cloud
        .make("projects/host/enableXpnResource", own_project())
        .await;
    cloud
}

fn own_project() -> Value {
    json!({"xpnResource": {"id": PROJECT, "type": "PROJECT"}})
}

fn machine(network: &str, subnetwork: &str) -> Value {
    let mut machine = instance("m1");
    machine["networkInterfaces"] = json!([{"network": network, "subnetwork": subnetwork}]);
    machine
}

fn open(project: &str, port: u16) -> Value {
    json!({
        "name": "open",
        "network": format!("projects/{project}/global/networks/shared"),
        "allowed": [{"IPProtocol": "tcp", "ports": [port.to_string()]}],
    })
}

#[tokio::test]
async fn a_machine_uses_the_hosts_network_and_firewall_rules() {
    let cloud = cloud().await;
    let instances = format!("{ZONE}/instances");
    let rule = open("other", 18110);
    cloud.make("projects/other/global/firewalls", rule).await;
    let mut body = machine(NETWORK, SUBNETWORK);
    body["networkInterfaces"][0]["accessConfigs"] = json!([{}]);
    cloud.make(&instances, body).await;
    let made = cloud.get(&format!("{instances}/m1")).await.unwrap();
    let nic = &made["networkInterfaces"][0];
    for (field, path) in [("network", NETWORK), ("subnetwork", SUBNETWORK)] {
        let link = format!("{}/compute/v1/{path}", cloud.status.url);
        assert_eq!(nic[field], link);
    }
    let subnetwork = cloud.get(SUBNETWORK).await.unwrap();
    let range: ipnet::Ipv4Net = subnetwork["ipCidrRange"].as_str().unwrap().parse().unwrap();
    let address: std::net::Ipv4Addr = nic["networkIP"].as_str().unwrap().parse().unwrap();
    assert!(range.contains(&address), "{range}: {address}");

    // Its external address is open where the host's rules allow it, not those of the network with the same
    // name in another project.
    let zone = ZONE.trim_start_matches("zones/");
    let external = nic["accessConfigs"][0]["natIP"].as_str().unwrap();
    let server = tokio::net::TcpListener::bind((address, 18110))
        .await
        .unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            use tokio::io::AsyncWriteExt as _;
            let answer = b"HTTP/1.0 200 OK\r\n\r\nm1";
            stream.write_all(answer).await.ok();
        }
    });
    let at = format!("{external}:18110");
    assert_eq!(fetch(&at).await, None, "{zone}");
    cloud
        .make("projects/host/global/firewalls", open("host", 18110))
        .await;
    assert_eq!(fetch(&at).await.as_deref(), Some("m1"));

    let busy = cloud.delete(NETWORK).await.unwrap_err();
    assert_eq!(busy.reason, "resourceInUseByAnotherResource");
    let busy = cloud
        .post("projects/host/disableXpnResource", own_project())
        .await
        .unwrap_err();
    assert!(busy.message.contains("/instances/m1"), "{busy:?}");
}

#[tokio::test]
async fn a_balancer_uses_the_hosts_network_too() {
    let cloud = cloud().await;
    let internal = json!({"name": "ip", "addressType": "INTERNAL", "subnetwork": SUBNETWORK});
    cloud.make(&format!("{REGION}/addresses"), internal).await;
    let address = cloud.get(&format!("{REGION}/addresses/ip")).await.unwrap();
    assert!(
        address["subnetwork"]
            .as_str()
            .unwrap()
            .ends_with(SUBNETWORK),
        "{address}"
    );
    let check = json!({"name": "hc", "type": "TCP", "tcpHealthCheck": {"port": 80}});
    cloud.make(&format!("{REGION}/healthChecks"), check).await;
    let service = json!({
        "name": "bs",
        "loadBalancingScheme": "INTERNAL",
        "protocol": "TCP",
        "healthChecks": [format!("{REGION}/healthChecks/hc")],
    });
    cloud
        .make(&format!("{REGION}/backendServices"), service)
        .await;
    let rule = json!({
        "name": "rule",
        "loadBalancingScheme": "INTERNAL",
        "IPProtocol": "TCP",
        "IPAddress": address["address"],
        "ports": ["6443"],
        "network": NETWORK,
        "subnetwork": SUBNETWORK,
        "backendService": format!("{REGION}/backendServices/bs"),
    });
    cloud.make(&format!("{REGION}/forwardingRules"), rule).await;
    let rule = cloud.get(&format!("{REGION}/forwardingRules/rule")).await;
    let network = rule.unwrap()["network"].as_str().unwrap().to_owned();
    assert!(network.ends_with(NETWORK), "{network}");
}

#[tokio::test]
async fn a_network_that_is_not_shared_is_refused() {
    let cloud = cloud().await;
    let instances = format!("{ZONE}/instances");
    let of_other = SUBNETWORK.replace("/host/", "/other/");
    let nowhere = SUBNETWORK.replace("/host/", "/nowhere/");
    for (body, status, part) in [
        (
            machine("", &of_other),
            400,
            "Cross project referencing is not allowed",
        ),
        (
            machine("", &nowhere),
            404,
            "'projects/nowhere' was not found",
        ),
        (
            machine("", &format!("{SUBNETWORK}-2")),
            404,
            "was not found",
        ),
        // A plain name refers to a network of the own project.
        (
            machine("global/networks/default", SUBNETWORK),
            400,
            "not one of the network",
        ),
        (machine(NETWORK, ""), 400, "must be specified"),
    ] {
        let refused = cloud.post(&instances, body).await.unwrap_err();
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.message.contains(part), "{refused:?}");
    }
    // Firewall rules and subnetworks can't use another project's network, either.
    let refused = cloud
        .post("projects/other/global/firewalls", open("host", 80))
        .await
        .unwrap_err();
    assert!(refused.message.contains("Cross project"), "{refused:?}");
}

#[tokio::test]
async fn each_project_has_its_own_names_and_lists() {
    let cloud = cloud().await;
    for project in ["host", "other"] {
        let at = format!("projects/{project}/global/firewalls");
        cloud.make(&at, open(project, 80)).await;
    }
    let names = async |list: &str| -> Vec<String> {
        let list = cloud.get(list).await.unwrap();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let links = items.iter().map(|item| item["selfLink"].as_str().unwrap());
        links
            .map(|link| link.split_once("/compute/v1/").unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(
        names("projects/host/global/firewalls").await,
        ["projects/host/global/firewalls/open"]
    );
    // Only those of its own default network.
    let own = names("global/firewalls").await;
    let of_default = format!("projects/{PROJECT}/global/firewalls/default-allow-");
    assert_eq!(own.len(), 4);
    assert!(
        own.iter().all(|name| name.starts_with(&of_default)),
        "{own:?}"
    );
    assert_eq!(
        names("global/networks").await,
        [format!("projects/{PROJECT}/global/networks/default")]
    );
    let aggregated = cloud
        .get("projects/host/aggregated/subnetworks")
        .await
        .unwrap();
    let here = &aggregated["items"][REGION]["subnetworks"];
    assert_eq!(here.as_array().unwrap().len(), 1, "{here}");
    // An operation belongs to the project that it works in.
    let done = cloud.delete("projects/other/global/firewalls/open").await;
    let link = done.unwrap()["selfLink"].as_str().unwrap().to_owned();
    assert!(
        link.contains("/projects/other/global/operations/"),
        "{link}"
    );
    assert_eq!(names("projects/host/global/firewalls").await.len(), 1);
    let host = cloud.get("projects/host").await.unwrap();
    let quotas = host["quotas"].as_array().unwrap();
    let rules = quotas
        .iter()
        .find(|it| it["metric"] == "FIREWALLS")
        .unwrap();
    assert_eq!(rules["usage"], 1.0);
    cloud
        .delete("projects/other/global/networks/shared")
        .await
        .unwrap();
    assert!(
        cloud.get(SUBNETWORK).await.is_ok(),
        "it belongs to another project"
    );
}

#[tokio::test]
async fn sharing_can_be_listed_and_disabled() {
    let cloud = cloud().await;
    assert_eq!(cloud.get("getXpnHost").await.unwrap()["name"], "host");
    let resources = cloud.get("projects/host/getXpnResources").await.unwrap();
    let own = json!([{"id": PROJECT, "type": "PROJECT"}]);
    assert_eq!(resources["resources"], own);
    let shared = cloud
        .post("projects/host/disableXpnHost", json!({}))
        .await
        .unwrap_err();
    assert_eq!(shared.reason, "resourceInUseByAnotherResource");
    let disabled = cloud
        .post("projects/other/enableXpnResource", own_project())
        .await
        .unwrap_err();
    assert!(disabled.message.contains("not enabled"), "{disabled:?}");
    cloud
        .make("projects/host/disableXpnResource", own_project())
        .await;
    assert_eq!(cloud.get("getXpnHost").await.unwrap()["name"], Value::Null);
    cloud.make("projects/host/disableXpnHost", json!({})).await;
}

#[tokio::test]
async fn other_projects_have_networks_and_nothing_else() {
    let cloud = cloud().await;
    for path in [
        "zones/europe-west1-b/instances",
        "regions/europe-west1/addresses",
        "global/routes",
    ] {
        let refused = cloud.get(&format!("projects/host/{path}")).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.status, refused.reason.as_str()),
            (400, "notImplemented"),
            "{path}"
        );
    }
    let unknown = cloud.get("projects/nowhere/global/networks").await;
    assert_eq!(unknown.unwrap_err().status, 404);
}
