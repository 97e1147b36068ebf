//! Managed groups make real instances.

use serde_json::json;

use crate::support::{TestCloud, ZONE, instance};

#[tokio::test]
async fn a_manager_keeps_as_many_instances_as_it_was_told() {
    let cloud = TestCloud::start().await;
    let mut properties = instance("ignored");
    properties["machineType"] = json!("e2-small");
    properties["labels"] = json!({"group": "nodes"});
    properties.as_object_mut().unwrap().remove("name");
    let template = json!({"name": "tpl", "properties": properties});
    cloud.make("global/instanceTemplates", template).await;
    let manager = json!({
        "name": "nodes",
        "baseInstanceName": "node",
        "targetSize": 2,
        "instanceTemplate": "global/instanceTemplates/tpl",
    });
    cloud
        .make(&format!("{ZONE}/instanceGroupManagers"), manager)
        .await;
    let path = format!("{ZONE}/instanceGroupManagers/nodes");
    let size = async || {
        let answer = cloud
            .post(&format!("{path}/listManagedInstances"), json!({}))
            .await
            .unwrap();
        let running = cloud
            .get(&format!("{ZONE}/instances?filter=labels.group%3Dnodes"))
            .await
            .unwrap();
        let running = running["items"].as_array().map_or(0, Vec::len);
        let managed = answer["managedInstances"].as_array().unwrap();
        assert_eq!(managed.len(), running);
        assert!(
            managed
                .iter()
                .all(|member| member["instanceStatus"] == "RUNNING")
        );
        assert!(
            managed
                .iter()
                .all(|m| m["instance"].as_str().unwrap().contains("/instances/node-"))
        );
        running
    };
    assert_eq!(size().await, 2);
    // Beside it is a group of its name, with the same members, for balancers.
    let beside = format!("{ZONE}/instanceGroups/nodes");
    let group = cloud.get(&beside).await.unwrap();
    assert_eq!(group["size"], 2);
    assert_eq!(
        cloud.get(&path).await.unwrap()["instanceGroup"],
        group["selfLink"]
    );
    let listed = format!("{beside}/listInstances");
    let listed = cloud.post(&listed, json!({})).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let member = json!({"instances": [{"instance": listed["items"][0]["instance"]}]});
    let change = format!("{beside}/removeInstances");
    assert_eq!(cloud.post(&change, member).await.unwrap_err().status, 400);
    let in_use = cloud.delete(&beside).await.unwrap_err();
    assert_eq!(in_use.reason, "resourceInUseByAnotherResource");
    cloud
        .make(&format!("{path}/resize?size=3"), json!({}))
        .await;
    assert_eq!(size().await, 3);
    cloud
        .make(&format!("{path}/resize?size=1"), json!({}))
        .await;
    assert_eq!(size().await, 1);
    cloud
        .delete("global/instanceTemplates/tpl")
        .await
        .unwrap_err();
    cloud.delete(&path).await.unwrap();
    assert!(cloud.local.machines().await.unwrap().is_empty());
    assert_eq!(cloud.get(&beside).await.unwrap_err().status, 404);
    cloud.delete("global/instanceTemplates/tpl").await.unwrap();
}
