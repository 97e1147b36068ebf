//! Inspection finds everything with the ownership label.

use crate::support::{CLUSTER, Cloud, GLOBAL, MARK, PROJECT, aggregated, instance, ok, query};
use hakube_provider::{Inventory, Provider, ResourceKind};
use serde_json::json;

#[tokio::test]
async fn an_empty_project_has_an_empty_inventory() {
    let cloud = Cloud::start().await;
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory, Inventory::default());
    assert!(inventory.balancer.is_absent());
}

#[tokio::test]
async fn each_list_is_filtered_by_the_label() {
    let cloud = Cloud::start().await;
    cloud.gce.inspect(CLUSTER).await.unwrap();
    let requests = cloud.requests().await;
    assert_eq!(requests.len(), 12, "one list for each kind");
    for request in requests {
        let filter = query(&request, "filter").unwrap();
        let by_label = ["/instances", "/disks"]
            .iter()
            .any(|kind| request.url.path().ends_with(kind));
        let expected = if by_label {
            r#"labels.hakube-cluster="kubernetes""#
        } else {
            r#"description="hakube-cluster=kubernetes""#
        };
        assert_eq!(filter, expected, "{}", request.url.path());
    }
}

#[tokio::test]
async fn unowned_resources_in_an_unfiltered_list_are_ignored() {
    let cloud = Cloud::start().await;
    let mut other = instance("other", None);
    other["labels"]["hakube-cluster"] = json!("kubernetes2");
    let list = aggregated("instances", json!([other, instance("m-1", None)]));
    cloud
        .has(format!("{PROJECT}/aggregated/instances"), list)
        .await;
    let firewalls = json!({"items": [
        {"name": "ours", "description": MARK},
        {"name": "theirs", "description": format!("{MARK}2")},
        {"name": "unowned"},
    ]});
    cloud.has(format!("{GLOBAL}/firewalls"), firewalls).await;
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 1);
    assert!(inventory.has(ResourceKind::Firewall, "ours"));
    assert_eq!(inventory.resources.len(), 2, "{:?}", inventory.resources);
}

#[tokio::test]
async fn every_page_is_read() {
    let cloud = Cloud::start().await;
    let list = format!("{PROJECT}/aggregated/instances");
    let mut first = aggregated("instances", json!([instance("m-1", None)]));
    first["nextPageToken"] = json!("more");
    cloud.answers("GET", &list, ok(first), 1).await;
    cloud
        .has(
            &list,
            aggregated("instances", json!([instance("m-2", None)])),
        )
        .await;
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    let names: Vec<_> = inventory
        .machines
        .iter()
        .map(|machine| &machine.name)
        .collect();
    assert_eq!(names, ["m-1", "m-2"]);
    let requests = cloud.requests().await;
    let mut tokens = requests
        .iter()
        .filter(|request| request.url.path() == list)
        .map(|request| query(request, "pageToken").unwrap_or_default());
    assert_eq!(tokens.next_back().as_deref(), Some("more"));
}

#[tokio::test]
async fn backend_groups_machines_are_read_per_group() {
    let cloud = Cloud::start().await;
    let group = json!({
        "name": "master-europe-west1-b",
        "zone": "https://x/zones/europe-west1-b",
        "description": MARK,
    });
    let list = aggregated("instanceGroups", json!([group]));
    cloud
        .has(format!("{PROJECT}/aggregated/instanceGroups"), list)
        .await;
    let members =
        json!({"items": [{"instance": "https://x/zones/z/instances/m-1", "status": "RUNNING"}]});
    let at = format!(
        "{PROJECT}/zones/europe-west1-b/instanceGroups/master-europe-west1-b/listInstances"
    );
    cloud.answers("POST", at, ok(members), 1).await;
    let inventory = cloud.gce.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.balancer.groups[0].machines, ["m-1"]);
}
