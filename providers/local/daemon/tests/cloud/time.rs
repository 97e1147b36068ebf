//! Operations that take time, and repeated requests.

use hakube_local_client::{Act, FaultRule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{REGION, TestCloud, ZONE, instance};

#[tokio::test]
async fn a_resource_being_created_is_visible_but_not_usable() {
    let cloud = TestCloud::at_scale("0.02").await;
    let network = json!({"name": "n1", "autoCreateSubnetworks": true});
    let operation = cloud.post("global/networks", network).await.unwrap();
    assert_eq!(operation["operationType"], "insert");
    assert!(
        operation["name"]
            .as_str()
            .unwrap()
            .starts_with("operation-")
    );
    assert!(
        operation["targetLink"]
            .as_str()
            .unwrap()
            .ends_with("/global/networks/n1")
    );
    assert_ne!(operation["status"], "DONE");

    assert!(cloud.get("global/networks/n1").await.is_ok());
    let firewall =
        json!({"name": "f", "network": "global/networks/n1", "allowed": [{"IPProtocol": "tcp"}]});
    let early = cloud
        .post("global/firewalls", firewall.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (early.status, early.reason.as_str()),
        (400, "resourceNotReady")
    );
    let busy = cloud.delete("global/networks/n1").await.unwrap_err();
    assert_eq!(busy.reason, "resourceNotReady");

    let operation = cloud.done(operation).await;
    assert_eq!(operation["progress"], 100);
    assert!(operation["endTime"].is_string());
    cloud.make("global/firewalls", firewall).await;
}

#[tokio::test]
async fn a_repeated_request_id_is_the_same_operation() {
    let cloud = TestCloud::start().await;
    let id = "6f1c2b5e-8d0e-4c39-9a53-0d4c5b1b2a10";
    let path = format!("{REGION}/addresses?requestId={id}");
    let first = cloud.make(&path, json!({"name": "a"})).await;
    assert_eq!(first["clientOperationId"], id);
    let second = cloud.make(&path, json!({"name": "a"})).await;
    assert_eq!(second["name"], first["name"]);
    for bad in ["00000000-0000-0000-0000-000000000000", "abc"] {
        let path = format!("{REGION}/addresses?requestId={bad}");
        let refusal = cloud.post(&path, json!({"name": "b"})).await.unwrap_err();
        assert_eq!(refusal.status, 400);
    }
}

#[tokio::test]
async fn a_repeated_request_id_does_not_recreate_a_deleted_resource() {
    let cloud = TestCloud::start().await;
    let id = "6f1c2b5e-8d0e-4c39-9a53-0d4c5b1b2a11";
    let path = format!("{REGION}/addresses?requestId={id}");
    let first = cloud.make(&path, json!({"name": "a"})).await;
    cloud
        .delete(&format!("{REGION}/addresses/a"))
        .await
        .unwrap();
    let again = cloud.make(&path, json!({"name": "a"})).await;
    assert_eq!(again["name"], first["name"]);
    let gone = cloud.get(&format!("{REGION}/addresses/a")).await;
    assert_eq!(gone.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_repeated_request_id_returns_the_failed_operation() {
    let cloud = TestCloud::start().await;
    let act = Act::operation_error("QUOTA_EXCEEDED");
    let rule = FaultRule::on("POST", "/addresses$", act).times(1);
    cloud.local.set_faults(&[rule]).await.unwrap();
    let id = "6f1c2b5e-8d0e-4c39-9a53-0d4c5b1b2a12";
    let path = format!("{REGION}/addresses?requestId={id}");
    for _ in 0..2 {
        let operation = cloud.post(&path, json!({"name": "a"})).await.unwrap();
        let code = &operation["error"]["errors"][0]["code"];
        assert_eq!(code, "QUOTA_EXCEEDED", "{operation}");
    }
    let other = format!("{REGION}/addresses");
    cloud.make(&other, json!({"name": "a"})).await;
}

#[tokio::test]
async fn operations_are_listed_in_their_scope_and_can_be_deleted() {
    let cloud = TestCloud::start().await;
    let operation = cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let name = operation["name"].as_str().unwrap();
    let path = format!("{ZONE}/operations/{name}");
    assert_eq!(cloud.get(&path).await.unwrap()["status"], "DONE");
    let list = cloud.get(&format!("{ZONE}/operations")).await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    cloud
        .send(cloud.request(Method::DELETE, &path))
        .await
        .unwrap();
    let list = cloud.get(&format!("{ZONE}/operations")).await.unwrap();
    assert_eq!(list["items"], Value::Null);
}
