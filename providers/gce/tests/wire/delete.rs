//! Deletion of the cluster's resources, and nothing else.

use crate::support::{CLUSTER, Cloud, GLOBAL, MARK, REGION, ZONE, failure, instance, missing};
use hakube_provider::{ErrorKind, Provider, ResourceId, ResourceKind, Scope};
use serde_json::json;

fn zone() -> Scope {
    Scope::Zone("europe-west1-b".into())
}

fn region() -> Scope {
    Scope::Region("europe-west1".into())
}

#[tokio::test]
async fn each_kind_is_deleted_in_its_scope() {
    use ResourceKind as Kind;
    for (kind, scope, at) in [
        (
            Kind::ForwardingRule,
            region(),
            "/regions/europe-west1/forwardingRules/x",
        ),
        (
            Kind::BackendService,
            region(),
            "/regions/europe-west1/backendServices/x",
        ),
        (
            Kind::HealthCheck,
            region(),
            "/regions/europe-west1/healthChecks/x",
        ),
        (
            Kind::BackendGroup,
            zone(),
            "/zones/europe-west1-b/instanceGroups/x",
        ),
        (
            Kind::NodeGroup,
            zone(),
            "/zones/europe-west1-b/instanceGroupManagers/x",
        ),
        (
            Kind::MachineTemplate,
            Scope::Global,
            "/global/instanceTemplates/x",
        ),
        (Kind::Machine, zone(), "/zones/europe-west1-b/instances/x"),
        (Kind::Disk, zone(), "/zones/europe-west1-b/disks/x"),
        (Kind::Address, region(), "/regions/europe-west1/addresses/x"),
        (Kind::Firewall, Scope::Global, "/global/firewalls/x"),
        (
            Kind::Subnetwork,
            region(),
            "/regions/europe-west1/subnetworks/x",
        ),
        (Kind::Network, Scope::Global, "/global/networks/x"),
    ] {
        let cloud = Cloud::start().await;
        let resource = ResourceId::new(kind, scope, "x");
        cloud.gce.delete(CLUSTER, &resource).await.unwrap();
        cloud.is_untouched().await;

        let labels = json!({"hakube-cluster": CLUSTER});
        let mut found = json!({"name": "x", "description": MARK});
        if matches!(kind, Kind::Machine | Kind::Disk) {
            found = json!({"name": "x", "labels": labels});
        }
        cloud
            .has(format!("/compute/v1/projects/p{at}"), found)
            .await;
        cloud.gce.delete(CLUSTER, &resource).await.unwrap();
        assert_eq!(cloud.changes().await, [format!("DELETE {at}")]);
    }
}

#[tokio::test]
async fn a_resource_without_the_label_is_not_deleted() {
    let cloud = Cloud::start().await;
    let firewall = json!({"name": "x", "description": format!("{MARK}-2")});
    cloud.has(format!("{GLOBAL}/firewalls/x"), firewall).await;
    let resource = ResourceId::new(ResourceKind::Firewall, Scope::Global, "x");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    cloud.is_untouched().await;
}

#[tokio::test]
async fn a_resource_that_vanishes_before_the_delete_is_gone() {
    let cloud = Cloud::start().await;
    let at = format!("{ZONE}/instances/m-1");
    cloud.has(&at, instance("m-1", None)).await;
    cloud.answers("DELETE", &at, missing(), 1).await;
    let resource = ResourceId::new(ResourceKind::Machine, zone(), "m-1");
    cloud.gce.delete(CLUSTER, &resource).await.unwrap();
}

#[tokio::test]
async fn a_resource_in_use_is_transient() {
    let cloud = Cloud::start().await;
    let at = format!("{REGION}/healthChecks/hc");
    cloud
        .has(&at, json!({"name": "hc", "description": MARK}))
        .await;
    let words = "The health_check resource 'hc' is already being used by 'service'";
    let in_use = failure(400, "resourceInUseByAnotherResource", words);
    cloud.answers("DELETE", &at, in_use, 1).await;
    let resource = ResourceId::new(ResourceKind::HealthCheck, region(), "hc");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_not_deleted() {
    let cloud = Cloud::start().await;
    let address = json!({
        "name": "ip",
        "description": MARK,
        "status": "IN_USE",
        "users": ["https://x/zones/z/instances/m-1"],
    });
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    let resource = ResourceId::new(ResourceKind::Address, region(), "ip");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains("m-1"), "{error}");
    cloud.is_untouched().await;
}

#[tokio::test]
async fn a_kind_in_a_wrong_scope_is_refused() {
    let cloud = Cloud::start().await;
    let resource = ResourceId::new(ResourceKind::Machine, Scope::Global, "m-1");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}
