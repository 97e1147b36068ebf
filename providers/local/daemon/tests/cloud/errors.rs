//! Errors have Compute Engine's texts and no side effects.

use serde_json::{Value, json};

use crate::support::{PROJECT, REGION, Refusal, TestCloud, ZONE, instance};

fn refusal(status: u16, reason: &str, message: impl Into<String>) -> Refusal {
    Refusal {
        status,
        reason: reason.into(),
        message: message.into(),
    }
}

#[tokio::test]
async fn existing_and_missing_resources() {
    let cloud = TestCloud::start().await;
    let addresses = format!("{REGION}/addresses");
    let path = format!("projects/{PROJECT}/regions/europe-west1/addresses/a");
    assert_eq!(
        cloud.get(&format!("{addresses}/a")).await.unwrap_err(),
        refusal(
            404,
            "notFound",
            format!("The resource '{path}' was not found")
        )
    );
    cloud.reserve("a").await;
    assert_eq!(
        cloud
            .post(&addresses, json!({"name": "a"}))
            .await
            .unwrap_err(),
        refusal(
            409,
            "alreadyExists",
            format!("The resource '{path}' already exists")
        )
    );
    cloud.delete(&format!("{addresses}/a")).await.unwrap();
    assert_eq!(
        cloud
            .delete(&format!("{addresses}/a"))
            .await
            .unwrap_err()
            .status,
        404
    );
    let nowhere = cloud
        .get("zones/mars-north1-a/instances")
        .await
        .unwrap_err();
    assert_eq!((nowhere.status, nowhere.reason.as_str()), (400, "invalid"));
}

#[tokio::test]
async fn resources_in_use_are_not_deleted() {
    let cloud = TestCloud::start().await;
    let service = balanced_group(&cloud).await;
    cloud
        .make(
            "global/firewalls",
            json!({"name": "fw", "allowed": [{"IPProtocol": "tcp"}]}),
        )
        .await;
    let rule = json!({"name": "rule", "backendService": service, "ports": ["18500"]});
    cloud.make(&format!("{REGION}/forwardingRules"), rule).await;
    cloud
        .make(
            "global/instanceTemplates",
            json!({"name": "tpl", "properties": properties()}),
        )
        .await;
    let manager =
        json!({"name": "mig", "targetSize": 0, "instanceTemplate": "global/instanceTemplates/tpl"});
    cloud
        .make(&format!("{ZONE}/instanceGroupManagers"), manager)
        .await;

    for (what, used, user) in [
        (
            "disk",
            format!("{ZONE}/disks/m1"),
            format!("{ZONE}/instances/m1"),
        ),
        (
            "network",
            "global/networks/default".into(),
            "global/firewalls/default-allow-icmp".into(),
        ),
        (
            "healthCheck",
            format!("{REGION}/healthChecks/hc"),
            format!("{REGION}/backendServices/bs"),
        ),
        (
            "instanceGroup",
            format!("{ZONE}/instanceGroups/ig"),
            format!("{REGION}/backendServices/bs"),
        ),
        (
            "backendService",
            format!("{REGION}/backendServices/bs"),
            format!("{REGION}/forwardingRules/rule"),
        ),
        (
            "instanceTemplate",
            "global/instanceTemplates/tpl".into(),
            format!("{ZONE}/instanceGroupManagers/mig"),
        ),
    ] {
        let message = format!(
            "The {what} resource 'projects/{PROJECT}/{used}' is already being used by \
             'projects/{PROJECT}/{user}'"
        );
        assert_eq!(
            cloud.delete(&used).await.unwrap_err(),
            refusal(400, "resourceInUseByAnotherResource", message)
        );
    }
    let network = cloud.get("global/networks/default").await.unwrap();
    assert_eq!(network["subnetworks"].as_array().unwrap().len(), 3);
}

/// A machine m1 in a group ig behind a service bs with the health check hc.
async fn balanced_group(cloud: &TestCloud) -> String {
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    cloud
        .make(&format!("{ZONE}/instanceGroups"), json!({"name": "ig"}))
        .await;
    let members = json!({"instances": [{"instance": format!("{ZONE}/instances/m1")}]});
    cloud
        .make(&format!("{ZONE}/instanceGroups/ig/addInstances"), members)
        .await;
    let check = json!({"name": "hc", "type": "TCP", "tcpHealthCheck": {"port": 18500}});
    cloud.make(&format!("{REGION}/healthChecks"), check).await;
    let service = json!({
        "name": "bs",
        "healthChecks": [format!("{REGION}/healthChecks/hc")],
        "backends": [{"group": format!("{ZONE}/instanceGroups/ig")}],
    });
    let operation = cloud
        .make(&format!("{REGION}/backendServices"), service)
        .await;
    operation["targetLink"].as_str().unwrap().to_owned()
}

fn properties() -> Value {
    let mut properties = instance("ignored");
    properties["machineType"] = json!("e2-small");
    properties.as_object_mut().unwrap().remove("name");
    properties
}

#[tokio::test]
async fn invalid_fields_are_named_and_nothing_is_created() {
    let cloud = TestCloud::start().await;
    let instances = format!("{ZONE}/instances");
    let with = |pointer: &str, value: Value| {
        let mut body = instance("m1");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let large = "x".repeat(262_145);
    let mut metadata = instance("m1");
    metadata["metadata"] = json!({"items": [{"key": "user-data", "value": large}]});
    let mut labels = instance("m1");
    labels["labels"] = json!({"Upper": "x"});
    let disk = format!("{ZONE}/disks/other");
    for (field, status, body) in [
        ("resource.name", 400, with("/name", json!("Upper"))),
        (
            "resource.machineType",
            400,
            with(
                "/machineType",
                json!("zones/europe-west1-b/machineTypes/z9"),
            ),
        ),
        ("resource.disks", 400, with("/disks", json!([]))),
        (
            "The URL is malformed",
            400,
            with("/networkInterfaces/0/network", json!("default")),
        ),
        (
            "global/networks/none",
            404,
            with(
                "/networkInterfaces/0/network",
                json!("global/networks/none"),
            ),
        ),
        ("resource.metadata", 400, metadata),
        ("resource.labels", 400, labels),
        (
            "disks/other",
            404,
            with("/disks", json!([{"boot": true, "source": disk}])),
        ),
        (
            "At most one access config",
            400,
            with(
                "/networkInterfaces",
                json!([{"network": "global/networks/default", "accessConfigs": [{}, {"name": "b"}]}]),
            ),
        ),
    ] {
        let refusal = cloud.post(&instances, body).await.unwrap_err();
        assert_eq!(refusal.status, status, "{field}: {refusal:?}");
        assert!(refusal.message.contains(field), "{field}: {refusal:?}");
    }
    assert_eq!(cloud.get(&instances).await.unwrap()["items"], Value::Null);
    let disks = cloud.get(&format!("{ZONE}/disks")).await.unwrap();
    assert_eq!(disks["items"], Value::Null);
}

#[tokio::test]
async fn stale_fingerprints_are_refused() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let path = format!("{ZONE}/instances/m1");
    let before = cloud.get(&path).await.unwrap();
    let body = json!({"labels": {"a": "b"}, "labelFingerprint": before["labelFingerprint"]});
    cloud.make(&format!("{path}/setLabels"), body.clone()).await;
    assert_eq!(cloud.get(&path).await.unwrap()["labels"]["a"], "b");
    let stale = cloud
        .post(&format!("{path}/setLabels"), body)
        .await
        .unwrap_err();
    assert_eq!(
        (stale.status, stale.reason.as_str()),
        (412, "conditionNotMet")
    );
}

#[tokio::test]
async fn custom_subnetworks_must_be_loopback_addresses_of_this_cloud() {
    let cloud = TestCloud::start().await;
    let network = json!({"name": "custom", "autoCreateSubnetworks": false});
    cloud.make("global/networks", network).await;
    let subnet = |range: &str| json!({"name": "s", "network": "global/networks/custom", "ipCidrRange": range});
    let path = format!("{REGION}/subnetworks");
    let refused = cloud.post(&path, subnet("10.0.0.0/24")).await.unwrap_err();
    assert!(
        refused.message.contains("loopback addresses of 127."),
        "{refused:?}"
    );
    let default = cloud
        .get(&format!("{REGION}/subnetworks/default"))
        .await
        .unwrap();
    let taken = cloud
        .post(&path, subnet(default["ipCidrRange"].as_str().unwrap()))
        .await;
    assert!(
        taken
            .unwrap_err()
            .message
            .contains("conflicts with existing")
    );
    let octet = cloud.status.url.split('.').nth(1).unwrap().to_owned();
    cloud
        .make(&path, subnet(&format!("127.{octet}.200.0/24")))
        .await;
    cloud.delete("global/networks/custom").await.unwrap_err();
    cloud.delete(&format!("{path}/s")).await.unwrap();
    cloud.delete("global/networks/custom").await.unwrap();
}

/// A success that isn't one would be believed.
#[tokio::test]
async fn fields_without_an_emulation_are_refused() {
    let cloud = TestCloud::start().await;
    let with = |fields: Value| {
        let mut body = instance("m");
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        body
    };
    let disks = format!("{ZONE}/disks");
    let instances = format!("{ZONE}/instances");
    for (path, body) in [
        (
            &disks,
            json!({"name": "d", "sourceSnapshot": "global/snapshots/s"}),
        ),
        (
            &disks,
            json!({"name": "d", "sourceDisk": format!("{ZONE}/disks/o")}),
        ),
        (
            &instances,
            with(json!({"resourcePolicies": ["regions/r/resourcePolicies/p"]})),
        ),
        (
            &instances,
            with(
                json!({"reservationAffinity": {"consumeReservationType": "SPECIFIC_RESERVATION"}}),
            ),
        ),
        (
            &instances,
            with(json!({"networkInterfaces": [{"stackType": "IPV4_IPV6"}]})),
        ),
        (
            &instances,
            with(json!({"guestAccelerators": [{"acceleratorCount": 1}]})),
        ),
    ] {
        let refused = cloud.post(path, body.clone()).await.unwrap_err();
        let found = (refused.status, refused.reason.as_str());
        assert_eq!(found, (400, "notImplemented"), "{body}");
    }
    // The image of a disk may be a parameter. What else an insert may be made from is refused.
    let body = json!({"name": "d"});
    let image = "projects/debian-cloud/global/images/family/debian-12";
    cloud
        .make(&format!("{disks}?sourceImage={image}"), body)
        .await;
    let made = cloud.get(&format!("{disks}/d")).await.unwrap();
    assert!(made["sourceImage"].as_str().unwrap().contains("debian-12"));
    let from = format!("{instances}?sourceInstanceTemplate=global/instanceTemplates/t");
    let refused = cloud.post(&from, instance("m")).await.unwrap_err();
    assert_eq!(refused.reason, "notImplemented");
}
