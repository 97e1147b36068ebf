//! Other changes that kube-up's scripts and common gcloud commands make.

use serde_json::{Value, json};

use crate::support::{PROJECT, REGION, TestCloud, ZONE, instance};

/// The project itself has no path below the project.
async fn project(cloud: &TestCloud) -> Value {
    let url = format!("{}/compute/v1/projects/{PROJECT}", cloud.status.url);
    let request = cloud.http.get(url).bearer_auth(cloud.token());
    cloud.send(request).await.unwrap()
}

#[tokio::test]
async fn the_projects_metadata_is_every_machines() {
    let cloud = TestCloud::start().await;
    let before = project(&cloud).await;
    let set = |fingerprint: &Value| {
        let items = json!([{"key": "enable-guest-attributes", "value": "TRUE"}]);
        json!({"fingerprint": fingerprint, "items": items})
    };
    let fingerprint = &before["commonInstanceMetadata"]["fingerprint"];
    cloud
        .make("setCommonInstanceMetadata", set(fingerprint))
        .await;
    let stale = cloud.post("setCommonInstanceMetadata", set(fingerprint));
    assert_eq!(stale.await.unwrap_err().status, 412);
    let after = project(&cloud).await;
    let items = &after["commonInstanceMetadata"]["items"];
    assert_eq!(items[0]["key"], "enable-guest-attributes");

    cloud
        .make(&format!("{ZONE}/instances"), instance("m"))
        .await;
    let path = format!("{ZONE}/instances/m/getGuestAttributes");
    let asked = cloud.get(&path);
    // No such attribute, but access is allowed.
    assert_eq!(asked.await.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_protected_instance_is_not_deleted() {
    let cloud = TestCloud::start().await;
    let mut body = instance("m");
    body["deletionProtection"] = json!(true);
    cloud.make(&format!("{ZONE}/instances"), body).await;
    let one = format!("{ZONE}/instances/m");
    let refused = cloud.delete(&one).await.unwrap_err();
    assert_eq!((refused.status, refused.reason.as_str()), (400, "invalid"));
    let lift = format!("{one}/setDeletionProtection?deletionProtection=false");
    cloud.make(&lift, json!({})).await;
    cloud.delete(&one).await.unwrap();
}

#[tokio::test]
async fn networks_have_routes_and_grow() {
    let cloud = TestCloud::start().await;
    let routes = cloud.get("global/routes").await.unwrap();
    let routes = routes["items"].as_array().unwrap();
    assert!(routes.iter().any(|route| route["destRange"] == "0.0.0.0/0"));
    let name = routes[0]["name"].as_str().unwrap();
    let one = cloud.get(&format!("global/routes/{name}")).await.unwrap();
    assert_eq!(one, routes[0]);
    let made = cloud.post("global/routes", json!({"name": "r"})).await;
    assert_eq!(made.unwrap_err().reason, "notImplemented");

    cloud
        .make("global/networks/default/switchToCustomMode", json!({}))
        .await;
    let default = cloud.get("global/networks/default").await.unwrap();
    assert_eq!(default["autoCreateSubnetworks"], false);

    let own = format!("{REGION}/subnetworks/default");
    let range = cloud.get(&own).await.unwrap()["ipCidrRange"].clone();
    let octet = range
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap()
        .to_owned();
    let network = json!({"name": "n", "autoCreateSubnetworks": false});
    cloud.make("global/networks", network).await;
    let subnet = json!({"name": "s", "network": "global/networks/n", "ipCidrRange": format!("127.{octet}.128.0/24")});
    cloud.make(&format!("{REGION}/subnetworks"), subnet).await;
    let grow = format!("{REGION}/subnetworks/s/expandIpCidrRange");
    let to = |range: String| json!({"ipCidrRange": range});
    for refused in [
        to(format!("127.{octet}.129.0/24")),
        to(format!("127.{octet}.128.0/24")),
        to("10.0.0.0/8".into()),
    ] {
        assert_eq!(cloud.post(&grow, refused).await.unwrap_err().status, 400);
    }
    cloud.make(&grow, to(format!("127.{octet}.128.0/20"))).await;
    let access = format!("{REGION}/subnetworks/s/setPrivateIpGoogleAccess");
    cloud
        .make(&access, json!({"privateIpGoogleAccess": true}))
        .await;
    let grown = cloud.get(&format!("{REGION}/subnetworks/s")).await.unwrap();
    assert_eq!(grown["ipCidrRange"], format!("127.{octet}.128.0/20"));
    assert_eq!(grown["privateIpGoogleAccess"], true);
}

#[tokio::test]
async fn unsupported_collections_are_empty_and_reject_inserts() {
    let cloud = TestCloud::start().await;
    for path in [
        "global/addresses",
        "global/forwardingRules",
        "regions/europe-west1/routers",
        "zones/europe-west1-b/autoscalers",
    ] {
        let list = cloud.get(path).await.unwrap();
        assert_eq!(list["items"], Value::Null, "{path}");
        assert_eq!(
            cloud.get(&format!("{path}/x")).await.unwrap_err().status,
            404
        );
        let made = cloud.post(path, json!({"name": "x"})).await.unwrap_err();
        assert_eq!(
            (made.status, made.reason.as_str()),
            (400, "notImplemented"),
            "{path}"
        );
    }
    let types = cloud.get("aggregated/diskTypes").await.unwrap();
    assert_eq!(
        types["items"][ZONE]["diskTypes"].as_array().unwrap().len(),
        4
    );
}

#[tokio::test]
async fn a_manager_creates_instances_with_given_names_and_abandons_them() {
    let cloud = TestCloud::start().await;
    let mut properties = instance("ignored");
    properties["machineType"] = json!("e2-small");
    properties.as_object_mut().unwrap().remove("name");
    let template = json!({"name": "tpl", "properties": properties});
    cloud.make("global/instanceTemplates", template).await;
    let manager =
        json!({"name": "g", "targetSize": 1, "instanceTemplate": "global/instanceTemplates/tpl"});
    cloud
        .make(&format!("{ZONE}/instanceGroupManagers"), manager)
        .await;
    let at = |method: &str| format!("{ZONE}/instanceGroupManagers/g/{method}");
    let chosen = json!({"instances": [{"name": "chosen"}]});
    cloud.make(&at("createInstances"), chosen.clone()).await;
    let again = cloud
        .post(&at("createInstances"), chosen)
        .await
        .unwrap_err();
    assert_eq!(again.reason, "alreadyExists");
    let twice = json!({"instances": [{"name": "twin"}, {"name": "twin"}]});
    let twice = cloud.post(&at("createInstances"), twice).await.unwrap_err();
    assert_eq!((twice.status, twice.reason.as_str()), (400, "invalid"));
    let size = async || cloud.get(&at("")[..at("").len() - 1]).await.unwrap()["targetSize"].clone();
    assert_eq!(size().await, 2);
    let leaving = json!({"instances": [format!("{ZONE}/instances/chosen")]});
    cloud.make(&at("abandonInstances"), leaving).await;
    assert_eq!(size().await, 1);
    // It keeps running, and is not recreated after a delete.
    let one = format!("{ZONE}/instances/chosen");
    assert_eq!(cloud.get(&one).await.unwrap()["status"], "RUNNING");
    cloud.delete(&one).await.unwrap();
}

#[tokio::test]
async fn a_project_can_be_filled_with_instances() {
    let cloud = TestCloud::start().await;
    cloud.local.gather_crowd(30).await.unwrap();
    let all = cloud.get("aggregated/instances").await.unwrap();
    let found: Vec<&Value> = all["items"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|scope| scope["instances"].as_array())
        .flatten()
        .collect();
    assert_eq!(found.len(), 30);
    assert!(
        found
            .iter()
            .all(|instance| instance["status"] == "TERMINATED")
    );
}
