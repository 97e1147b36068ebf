//! Deleting what is the cluster's, and nothing else.

use crate::support::{CLUSTER, Cloud, GLOBAL, MARK, REGION, ZONE, failure, instance, missing};
use hakube_provider::{ErrorKind, Provider, ResourceId, ResourceKind, Scope};
use serde_json::json;

fn id(kind: ResourceKind, scope: Scope, name: &str) -> ResourceId {
    ResourceId {
        kind,
        scope,
        name: name.into(),
    }
}

fn zone() -> Scope {
    Scope::Zone("europe-west1-b".into())
}

fn region() -> Scope {
    Scope::Region("europe-west1".into())
}

#[tokio::test]
async fn each_kind_is_deleted_where_it_lives() {
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
        let resource = id(kind, scope, "x");
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
async fn what_does_not_bear_the_mark_stays() {
    let cloud = Cloud::start().await;
    let firewall = json!({"name": "x", "description": format!("{MARK}-2")});
    cloud.has(format!("{GLOBAL}/firewalls/x"), firewall).await;
    let resource = id(ResourceKind::Firewall, Scope::Global, "x");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    cloud.is_untouched().await;
}

#[tokio::test]
async fn what_vanishes_between_look_and_delete_is_gone() {
    let cloud = Cloud::start().await;
    let at = format!("{ZONE}/instances/m-1");
    cloud.has(&at, instance("m-1", None)).await;
    cloud.answers("DELETE", &at, missing(), 1).await;
    let resource = id(ResourceKind::Machine, zone(), "m-1");
    cloud.gce.delete(CLUSTER, &resource).await.unwrap();
}

#[tokio::test]
async fn what_is_in_use_may_be_deleted_later() {
    let cloud = Cloud::start().await;
    let at = format!("{REGION}/healthChecks/hc");
    cloud
        .has(&at, json!({"name": "hc", "description": MARK}))
        .await;
    let words = "The health_check resource 'hc' is already being used by 'service'";
    let in_use = failure(400, "resourceInUseByAnotherResource", words);
    cloud.answers("DELETE", &at, in_use, 1).await;
    let resource = id(ResourceKind::HealthCheck, region(), "hc");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_not_given_away() {
    let cloud = Cloud::start().await;
    let address = json!({
        "name": "ip",
        "description": MARK,
        "status": "IN_USE",
        "users": ["https://x/zones/z/instances/m-1"],
    });
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    let resource = id(ResourceKind::Address, region(), "ip");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains("m-1"), "{error}");
    cloud.is_untouched().await;
}

#[tokio::test]
async fn a_kind_in_a_place_where_it_cannot_be_is_refused() {
    let cloud = Cloud::start().await;
    let resource = id(ResourceKind::Machine, Scope::Global, "m-1");
    let error = cloud.gce.delete(CLUSTER, &resource).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}
