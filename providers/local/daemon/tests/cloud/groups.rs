//! Managed groups create real instances.

use serde_json::{Value, json};

use crate::support::{TestCloud, ZONE, instance};

#[tokio::test]
async fn a_manager_keeps_its_target_size() {
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
    // Its instance group has the same name and members, for balancers.
    let group_path = format!("{ZONE}/instanceGroups/nodes");
    let group = cloud.get(&group_path).await.unwrap();
    assert_eq!(group["size"], 2);
    assert_eq!(
        cloud.get(&path).await.unwrap()["instanceGroup"],
        group["selfLink"]
    );
    let listed = format!("{group_path}/listInstances");
    let listed = cloud.post(&listed, json!({})).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let member = json!({"instances": [{"instance": listed["items"][0]["instance"]}]});
    let change = format!("{group_path}/removeInstances");
    assert_eq!(cloud.post(&change, member).await.unwrap_err().status, 400);
    let in_use = cloud.delete(&group_path).await.unwrap_err();
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
    assert_eq!(cloud.get(&group_path).await.unwrap_err().status, 404);
    cloud.delete("global/instanceTemplates/tpl").await.unwrap();
}

async fn template(cloud: &TestCloud, name: &str, machine_type: &str) {
    let mut properties = instance("ignored");
    properties["machineType"] = json!(machine_type);
    properties.as_object_mut().unwrap().remove("name");
    let template = json!({"name": name, "properties": properties});
    cloud.make("global/instanceTemplates", template).await;
}

async fn managed(cloud: &TestCloud, path: &str) -> Vec<Value> {
    let listed = format!("{path}/listManagedInstances");
    let listed = cloud.post(&listed, json!({})).await.unwrap();
    listed["managedInstances"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_new_template_reaches_instances_as_the_policy_says() {
    let cloud = TestCloud::start().await;
    for (name, of) in [("one", "e2-small"), ("two", "e2-medium")] {
        template(&cloud, name, of).await;
    }
    let link = |name: &str| format!("global/instanceTemplates/{name}");
    let manager =
        json!({"name": "g", "targetSize": 1, "versions": [{"instanceTemplate": link("one")}]});
    let managers = format!("{ZONE}/instanceGroupManagers");
    cloud.make(&managers, manager).await;
    let path = format!("{managers}/g");
    let change = async |body: Value| {
        let request = cloud.request(reqwest::Method::PATCH, &path).json(&body);
        let operation = cloud.send(request).await?;
        let operation = cloud.done(operation).await;
        assert_eq!(operation["error"], Value::Null);
        Ok::<_, crate::support::Refusal>(cloud.get(&path).await.unwrap())
    };
    let first = managed(&cloud, &path).await.remove(0);
    let name = first["name"].as_str().unwrap().to_owned();
    assert!(first["instance"].as_str().unwrap().ends_with(&name));
    let template_of = |member: &Value| {
        let link = member["version"]["instanceTemplate"].as_str().unwrap();
        link.rsplit('/').next().unwrap().to_owned()
    };

    // An instance's metadata says which template it is from.
    let origin = async |name: &str| {
        let instance = cloud
            .get(&format!("{ZONE}/instances/{name}"))
            .await
            .unwrap();
        let mut items = instance["metadata"]["items"].as_array().unwrap().iter();
        let item = items.find(|item| item["key"] == "instance-template");
        item.unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert!(
        origin(&name)
            .await
            .ends_with("/global/instanceTemplates/one")
    );

    // An opportunistic update waits for the next time that an instance is made.
    let group = change(json!({"instanceTemplate": link("two")}))
        .await
        .unwrap();
    assert_eq!(group["versions"].as_array().unwrap().len(), 1);
    assert!(
        group["instanceTemplate"]
            .as_str()
            .unwrap()
            .ends_with("/two")
    );
    assert_eq!(group["status"]["versionTarget"]["isReached"], false);
    let kept = managed(&cloud, &path).await.remove(0);
    assert_eq!(
        (&kept["id"], template_of(&kept)),
        (&first["id"], "one".into())
    );
    // A group uses its current template, not those that its existing instances were made from.
    let in_use = cloud.delete(&link("two")).await.unwrap_err();
    assert_eq!(in_use.reason, "resourceInUseByAnotherResource");
    let deleted = cloud.delete(&link("one")).await.unwrap();
    assert_eq!(cloud.done(deleted).await["error"], Value::Null);
    cloud
        .make(
            &format!("{path}/applyUpdatesToInstances"),
            json!({"allInstances": true}),
        )
        .await;
    let updated = managed(&cloud, &path).await.remove(0);
    assert_eq!(updated["name"], name.as_str());
    assert_ne!(updated["id"], first["id"]);
    assert_eq!(template_of(&updated), "two");
    assert!(
        origin(&name)
            .await
            .ends_with("/global/instanceTemplates/two")
    );

    // A proactive one makes others at once, for another name of the same template too.
    let group = change(json!({
        "updatePolicy": {"type": "PROACTIVE"},
        "versions": [{"name": "again", "instanceTemplate": link("two")}],
    }));
    let group = group.await.unwrap();
    assert_eq!(group["status"]["versionTarget"]["isReached"], true);
    let replaced = managed(&cloud, &path).await.remove(0);
    assert_ne!(replaced["name"], name.as_str());
    assert_eq!(replaced["version"]["name"], "again");
    // A restart keeps the instance.
    let versions = json!([{"name": "later", "instanceTemplate": link("two")}]);
    change(json!({"updatePolicy": {"minimalAction": "RESTART"}, "versions": versions}))
        .await
        .unwrap();
    let restarted = managed(&cloud, &path).await.remove(0);
    assert_eq!(restarted["id"], replaced["id"]);
    assert_eq!(restarted["version"]["name"], "later");
    assert_eq!(restarted["instanceStatus"], "RUNNING");

    for (body, reason) in [
        (json!({"targetSize": 5}), "notImplemented"),
        (
            json!({"autoHealingPolicies": [{"initialDelaySec": 10}]}),
            "notImplemented",
        ),
        (json!({"instanceTemplate": link("none")}), "notFound"),
        (
            json!({"description": "d", "fingerprint": "AAAA"}),
            "conditionNotMet",
        ),
    ] {
        assert_eq!(
            change(body.clone()).await.unwrap_err().reason,
            reason,
            "{body}"
        );
    }
    cloud.delete(&path).await.unwrap();
    cloud.delete(&link("two")).await.unwrap();
}
