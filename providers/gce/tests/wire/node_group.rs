//! Node groups are created and resized.

use crate::support::{CLUSTER, Cloud, GLOBAL, MARK, ZONE, machine_spec, query};
use hakube_provider::{ErrorKind, ExternalAddress, NodeGroupSpec, Provider};
use serde_json::json;

fn nodes() -> NodeGroupSpec {
    let mut machine = machine_spec();
    machine.machine.name = "node".into();
    machine.data_disk = None;
    machine.subnetwork = None;
    machine.external = ExternalAddress::Ephemeral;
    NodeGroupSpec {
        name: "nodes".into(),
        template: "nodes-1a2b".into(),
        size: 2,
        leaving: Vec::new(),
        machine,
    }
}

#[tokio::test]
async fn a_node_group_is_a_template_and_a_manager() {
    let cloud = Cloud::start().await;
    cloud.gce.ensure_node_group(&nodes()).await.unwrap();
    let template = cloud.body("/global/instanceTemplates").await;
    assert_eq!(template["description"], MARK);
    let properties = &template["properties"];
    assert_eq!(properties["machineType"], "e2-standard-2");
    assert_eq!(properties["labels"]["hakube-cluster"], CLUSTER);
    assert_eq!(properties["labels"]["hakube-node-group"], "nodes");
    assert_eq!(
        properties["metadata"]["items"][0]["value"],
        "#cloud-config\n"
    );
    let nat = &properties["networkInterfaces"][0]["accessConfigs"][0];
    assert_eq!(
        *nat,
        json!({"name": "External NAT", "type": "ONE_TO_ONE_NAT"})
    );
    assert_eq!(
        cloud.body("/instanceGroupManagers").await,
        json!({
            "name": "nodes",
            "description": MARK,
            "baseInstanceName": "node",
            "instanceTemplate": "projects/p/global/instanceTemplates/nodes-1a2b",
            "targetSize": 2,
        })
    );
}

#[tokio::test]
async fn a_node_group_of_another_size_is_resized() {
    let cloud = Cloud::start().await;
    let template = json!({"name": "nodes-1a2b", "description": MARK});
    cloud
        .has(format!("{GLOBAL}/instanceTemplates/nodes-1a2b"), template)
        .await;
    let manager = json!({
        "name": "nodes",
        "description": MARK,
        "instanceTemplate": "https://x/global/instanceTemplates/nodes-1a2b",
        "targetSize": 2,
    });
    cloud
        .has(format!("{ZONE}/instanceGroupManagers/nodes"), manager)
        .await;
    let mut spec = nodes();
    cloud.gce.ensure_node_group(&spec).await.unwrap();
    cloud.is_untouched().await;

    spec.size = 5;
    cloud.gce.ensure_node_group(&spec).await.unwrap();
    let requests = cloud.changing().await;
    assert!(
        requests[0]
            .url
            .path()
            .ends_with("/instanceGroupManagers/nodes/resize")
    );
    assert_eq!(query(&requests[0], "size").unwrap(), "5");
}

#[tokio::test]
async fn a_node_groups_template_is_updated_for_new_machines() {
    let cloud = Cloud::start().await;
    let manager = json!({
        "name": "nodes",
        "description": MARK,
        "instanceTemplate": "https://x/global/instanceTemplates/nodes-0000",
        "targetSize": 2,
    });
    cloud
        .has(format!("{ZONE}/instanceGroupManagers/nodes"), manager)
        .await;
    cloud.gce.ensure_node_group(&nodes()).await.unwrap();
    let body = cloud
        .body("/instanceGroupManagers/nodes/setInstanceTemplate")
        .await;
    assert_eq!(
        body["instanceTemplate"],
        "projects/p/global/instanceTemplates/nodes-1a2b"
    );
}

#[tokio::test]
async fn a_node_group_cannot_have_a_reserved_address() {
    let cloud = Cloud::start().await;
    let mut spec = nodes();
    spec.machine.external = ExternalAddress::Reserved("ip".into());
    let error = cloud.gce.ensure_node_group(&spec).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    cloud.is_untouched().await;
}
