//! Creation of missing resources. Existing ones are kept.

use crate::support::{
    CLUSTER, Cloud, GLOBAL, MARK, REGION, ZONE, instance, machine_spec, missing, ok,
};
use hakube_provider::{ErrorKind, ExternalAddress, FirewallSource, FirewallSpec, Provider};
use serde_json::{Value, json};

fn labels() -> Value {
    json!({"hakube-cluster": CLUSTER, "role": "replica"})
}

#[tokio::test]
async fn a_machine_is_created_after_its_data_disk_with_the_reserved_address() {
    let cloud = Cloud::start().await;
    let address = json!({"name": "ip", "address": "34.1.1.1", "description": MARK});
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    cloud
        .answers("GET", format!("{ZONE}/instances/m-1"), missing(), 1)
        .await;
    cloud
        .has(
            format!("{ZONE}/instances/m-1"),
            instance("m-1", Some("34.1.1.1")),
        )
        .await;
    let made = cloud.gce.ensure_machine(&machine_spec()).await.unwrap();
    assert_eq!(made.internal_address.unwrap().to_string(), "10.0.0.2");
    assert_eq!(made.external_address.unwrap().to_string(), "34.1.1.1");
    assert_eq!(
        cloud.changes().await,
        [
            "POST /zones/europe-west1-b/disks",
            "POST /zones/europe-west1-b/instances",
        ]
    );
    assert_eq!(
        cloud.body("/disks").await,
        json!({
            "name": "m-1-pd",
            "labels": labels(),
            "sizeGb": "20",
            "type": "projects/p/zones/europe-west1-b/diskTypes/pd-ssd",
        })
    );
    assert_eq!(
        cloud.body("/instances").await,
        json!({
            "name": "m-1",
            "machineType": "projects/p/zones/europe-west1-b/machineTypes/e2-standard-2",
            "labels": labels(),
            "tags": {"items": ["kubernetes-master"]},
            "disks": [
                {
                    "boot": true,
                    "autoDelete": true,
                    "initializeParams": {
                        "sourceImage": "projects/debian-cloud/global/images/family/debian-12",
                        "diskSizeGb": "20", "diskType": "projects/p/zones/europe-west1-b/diskTypes/pd-standard",
                        "labels": labels(),
                    },
                },
                {
                    "source": "projects/p/zones/europe-west1-b/disks/m-1-pd",
                    "deviceName": "master-pd",
                    "autoDelete": false,
                },
            ],
            "networkInterfaces": [{
                "network": "projects/p/global/networks/default",
                "subnetwork": "projects/p/regions/europe-west1/subnetworks/sub",
                "accessConfigs": [{
                    "name": "External NAT",
                    "type": "ONE_TO_ONE_NAT",
                    "natIP": "34.1.1.1",
                }],
            }],
            "metadata": {"items": [{"key": "user-data", "value": "#cloud-config\n"}]},
            "scheduling": {
                "preemptible": false,
                "automaticRestart": true,
                "onHostMaintenance": "MIGRATE",
            },
            "serviceAccounts": [{
                "email": "default",
                "scopes": [
                    "https://www.googleapis.com/auth/devstorage.read_only",
                    "https://www.googleapis.com/auth/logging.write",
                    "https://www.googleapis.com/auth/monitoring.write",
                ],
            }],
            "shieldedInstanceConfig": {
                "enableSecureBoot": true,
                "enableVtpm": true,
                "enableIntegrityMonitoring": true,
            },
        })
    );
}

#[tokio::test]
async fn a_running_machine_is_not_changed_and_a_stopped_one_is_started() {
    let cloud = Cloud::start().await;
    let at = format!("{ZONE}/instances/m-1");
    let mut stopped = instance("m-1", None);
    stopped["status"] = json!("TERMINATED");
    cloud.answers("GET", &at, ok(stopped), 1).await;
    cloud.has(&at, instance("m-1", Some("35.2.2.2"))).await;
    let started = cloud.gce.ensure_machine(&machine_spec()).await.unwrap();
    assert_eq!(started.external_address.unwrap().to_string(), "35.2.2.2");
    let start = "POST /zones/europe-west1-b/instances/m-1/start";
    assert_eq!(cloud.changes().await, [start]);

    cloud.gce.ensure_machine(&machine_spec()).await.unwrap();
    assert_eq!(cloud.changes().await, [start], "it runs now");
}

#[tokio::test]
async fn spot_cpu_platform_and_service_account_are_set() {
    let cloud = Cloud::start().await;
    let mut spec = machine_spec();
    spec.external = ExternalAddress::None;
    spec.preemptible = true;
    spec.min_cpu_platform = Some("Intel Ice Lake".into());
    spec.service_account = Some("robot@p.iam.gserviceaccount.com".into());
    spec.scopes = vec![
        "cloud-platform".into(),
        "https://www.googleapis.com/auth/pubsub".into(),
    ];
    // The mock doesn't store the machine. That doesn't matter here.
    cloud.gce.ensure_machine(&spec).await.unwrap_err();
    let body = cloud.body("/instances").await;
    assert_eq!(
        body["scheduling"],
        json!({
            "preemptible": true,
            "provisioningModel": "SPOT",
            "instanceTerminationAction": "STOP",
            "automaticRestart": false,
            "onHostMaintenance": "TERMINATE",
        })
    );
    assert_eq!(body["minCpuPlatform"], "Intel Ice Lake");
    let scopes =
        ["cloud-platform", "pubsub"].map(|last| format!("https://www.googleapis.com/auth/{last}"));
    assert_eq!(
        body["serviceAccounts"],
        json!([{"email": "robot@p.iam.gserviceaccount.com", "scopes": scopes}])
    );
}

#[tokio::test]
async fn an_unowned_machine_is_a_conflict() {
    let cloud = Cloud::start().await;
    let mut other = instance("m-1", None);
    other["labels"] = json!({});
    cloud.has(format!("{ZONE}/instances/m-1"), other).await;
    let error = cloud.gce.ensure_machine(&machine_spec()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    cloud.is_untouched().await;
}

#[tokio::test]
async fn an_existing_network_is_used_and_a_missing_subnetwork_created() {
    let cloud = Cloud::start().await;
    cloud
        .has(
            format!("{GLOBAL}/networks/default"),
            json!({"name": "default"}),
        )
        .await;
    let mut spec = hakube_contract::network_spec(CLUSTER, "default");
    cloud.gce.ensure_network(&spec).await.unwrap();
    cloud.is_untouched().await;

    spec.subnetwork = Some(("sub".into(), "10.40.0.0/22".parse().unwrap()));
    cloud.gce.ensure_network(&spec).await.unwrap();
    assert_eq!(
        cloud.body("/subnetworks").await,
        json!({
            "name": "sub",
            "description": MARK,
            "network": "projects/p/global/networks/default",
            "ipCidrRange": "10.40.0.0/22",
        })
    );
}

#[tokio::test]
async fn a_firewall_rule_that_differs_is_fixed() {
    let cloud = Cloud::start().await;
    let spec = FirewallSpec {
        cluster: CLUSTER.into(),
        name: "fw".into(),
        network: "default".into(),
        source: FirewallSource::Ranges(vec!["0.0.0.0/0".parse().unwrap()]),
        target_tag: "master".into(),
        tcp_ports: vec!["6443".into()],
        udp_ports: Vec::new(),
    };
    cloud.gce.ensure_firewall(&spec).await.unwrap();
    let mut made = cloud.body("/global/firewalls").await;
    let expected = json!({
        "name": "fw",
        "description": MARK,
        "network": "projects/p/global/networks/default",
        "direction": "INGRESS",
        "sourceRanges": ["0.0.0.0/0"],
        "targetTags": ["master"],
        "allowed": [{"IPProtocol": "tcp", "ports": ["6443"]}],
    });
    assert_eq!(made, expected);

    cloud
        .answers("GET", format!("{GLOBAL}/firewalls/fw"), ok(made.clone()), 1)
        .await;
    cloud.gce.ensure_firewall(&spec).await.unwrap();
    assert_eq!(
        cloud.changes().await.len(),
        1,
        "the same rule isn't changed"
    );

    made["sourceTags"] = json!(["anyone"]);
    cloud
        .answers("GET", format!("{GLOBAL}/firewalls/fw"), ok(made.clone()), 1)
        .await;
    cloud.gce.ensure_firewall(&spec).await.unwrap();
    assert_eq!(cloud.body("/firewalls/fw").await, expected);

    made["description"] = json!("mine");
    cloud.has(format!("{GLOBAL}/firewalls/fw"), made).await;
    let error = cloud.gce.ensure_firewall(&spec).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}
