//! Instances and their machines.

use hakube_local_client::NewFile;
use serde_json::{Value, json};

use crate::support::{TestCloud, ZONE, instance, until};

#[tokio::test]
async fn what_compute_engine_always_returns_is_there() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m"))
        .await;
    let made = cloud.get(&format!("{ZONE}/instances/m")).await.unwrap();
    assert_eq!(made["scheduling"]["automaticRestart"], true);
    assert_eq!(made["scheduling"]["provisioningModel"], "STANDARD");
    assert_eq!(made["deletionProtection"], false);
    assert_eq!(made["metadata"]["kind"], "compute#metadata");
    assert_eq!(made["disks"][0]["interface"], "SCSI");
    let subnet = cloud.get("regions/europe-west1/subnetworks/default").await;
    let subnet = subnet.unwrap();
    assert_eq!(subnet["privateIpGoogleAccess"], false);
    assert_eq!(subnet["purpose"], "PRIVATE");
    let rule = cloud.get("global/firewalls/default-allow-ssh").await;
    assert_eq!(rule.unwrap()["logConfig"]["enable"], false);
    // In lists as well.
    let listed = cloud.get(&format!("{ZONE}/instances")).await.unwrap();
    assert_eq!(listed["items"][0], made);
}

#[tokio::test]
async fn a_machine_lives_as_long_as_its_instance() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let path = format!("{ZONE}/instances/m1");
    let made = cloud.get(&path).await.unwrap();
    assert_eq!(made["status"], "RUNNING");
    assert_eq!(made["kind"], "compute#instance");
    assert!(
        made["disks"][0]["source"]
            .as_str()
            .unwrap()
            .ends_with("/disks/m1")
    );
    let directory = cloud.home().join("machines/europe-west1-b/m1");
    assert!(directory.is_dir());
    let guest = hakube_local_machine::Guest::at(&directory);
    assert!(guest.is_running().await);

    cloud.make(&format!("{path}/stop"), json!({})).await;
    assert!(!guest.is_running().await);
    assert_eq!(cloud.get(&path).await.unwrap()["status"], "TERMINATED");
    let zone = "europe-west1-b";
    let put = async || {
        let files = [NewFile::new("/etc/x", 0o600, b"x")];
        cloud.local.put_files(zone, "m1", &files).await
    };
    let read = async |path: &str| cloud.local.read_file(zone, "m1", path).await;
    for refused in [put().await.unwrap_err(), read("/etc/x").await.unwrap_err()] {
        assert!(refused.to_string().contains("409"), "{refused}");
    }
    cloud.make(&format!("{path}/start"), json!({})).await;
    assert!(guest.is_running().await);
    put().await.unwrap();
    assert_eq!(read("/etc/x").await.unwrap(), Some(b"x".to_vec()));
    assert_eq!(read("/etc/y").await.unwrap(), None);
    cloud.make(&format!("{path}/reset"), json!({})).await;
    assert!(guest.is_running().await);
    assert_eq!(cloud.get(&path).await.unwrap()["status"], "RUNNING");

    cloud.delete(&path).await.unwrap();
    assert!(!directory.exists());
    assert_eq!(
        cloud
            .get(&format!("{ZONE}/disks/m1"))
            .await
            .unwrap_err()
            .status,
        404
    );
}

#[tokio::test]
async fn data_disks_stay_and_deleted_instances_leave_their_groups() {
    let cloud = TestCloud::start().await;
    cloud
        .make(
            &format!("{ZONE}/disks"),
            json!({"name": "data", "sizeGb": "20"}),
        )
        .await;
    let mut body = instance("m1");
    let data = json!({"source": format!("{ZONE}/disks/data"), "deviceName": "data"});
    body["disks"].as_array_mut().unwrap().push(data);
    cloud.make(&format!("{ZONE}/instances"), body.clone()).await;
    let disk = cloud.get(&format!("{ZONE}/disks/data")).await.unwrap();
    assert!(
        disk["users"][0]
            .as_str()
            .unwrap()
            .ends_with("/instances/m1")
    );
    body["name"] = json!("m2");
    let taken = cloud
        .post(&format!("{ZONE}/instances"), body)
        .await
        .unwrap_err();
    assert_eq!(taken.reason, "resourceInUseByAnotherResource");

    cloud
        .make(&format!("{ZONE}/instanceGroups"), json!({"name": "ig"}))
        .await;
    let group = format!("{ZONE}/instanceGroups/ig");
    let members = json!({"instances": [{"instance": format!("{ZONE}/instances/m1")}]});
    cloud
        .make(&format!("{group}/addInstances"), members.clone())
        .await;
    let again = cloud
        .post(&format!("{group}/addInstances"), members)
        .await
        .unwrap_err();
    assert_eq!(again.reason, "memberAlreadyExists");
    assert_eq!(cloud.get(&group).await.unwrap()["size"], 1);

    cloud.delete(&format!("{ZONE}/instances/m1")).await.unwrap();
    assert_eq!(cloud.get(&group).await.unwrap()["size"], 0);
    assert!(cloud.get(&format!("{ZONE}/disks/data")).await.is_ok());
}

#[tokio::test]
async fn an_instance_whose_machine_crashes_is_terminated_and_can_be_started() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let path = format!("{ZONE}/instances/m1");
    let guest = hakube_local_machine::Guest::at(cloud.home().join("machines/europe-west1-b/m1"));
    guest.kill().await.unwrap();
    until("the instance is TERMINATED", async || {
        cloud.get(&path).await.unwrap()["status"] == "TERMINATED"
    })
    .await;
    cloud.make(&format!("{path}/start"), json!({})).await;
    assert!(guest.is_running().await);
}

#[tokio::test]
async fn names_are_unique_per_zone_and_ambiguous_ones_need_the_zone() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let mut twin = instance("m1");
    twin["machineType"] = json!("zones/europe-west1-c/machineTypes/e2-small");
    cloud.make("zones/europe-west1-c/instances", twin).await;
    let ambiguous = cloud.local.kill("m1").await.unwrap_err().to_string();
    assert!(ambiguous.contains("europe-west1-c/m1"), "{ambiguous}");
    cloud.local.kill("europe-west1-c/m1").await.unwrap();
    let machines = cloud.local.machines().await.unwrap();
    let status: Vec<&str> = machines
        .iter()
        .map(|machine| machine.status.as_str())
        .collect();
    assert_eq!(status, ["RUNNING", "TERMINATED"]);
    assert!(cloud.local.kill("m9").await.is_err());
}

#[tokio::test]
async fn the_console_is_the_serial_port() {
    let cloud = TestCloud::start().await;
    cloud
        .make(&format!("{ZONE}/instances"), instance("m1"))
        .await;
    let path = format!("{ZONE}/instances/m1/serialPort");
    let all = cloud.get(&path).await.unwrap();
    assert!(!all["contents"].as_str().unwrap().is_empty());
    let rest = cloud
        .get(&format!("{path}?start={}", all["next"].as_str().unwrap()))
        .await;
    assert_eq!(rest.unwrap()["start"], all["next"]);
    let console = cloud.local.logs("m1", None).await.unwrap();
    assert!(console.starts_with(all["contents"].as_str().unwrap().as_bytes()));
    assert_ne!(all["contents"], Value::Null);
}
