//! Making what is missing and leaving what is there.

use crate::support::{
    CLUSTER, Cloud, GLOBAL, MARK, PROJECT, REGION, ZONE, aggregated, instance, ok,
};
use hakube_provider::{
    BalancerSpec, DiskSpec, ErrorKind, ExternalAddress, FirewallSource, FirewallSpec, MachineRef,
    MachineSpec, NetworkSpec, NodeGroupSpec, PreflightSpec, Provider,
};
use serde_json::{Value, json};

fn machine() -> MachineSpec {
    MachineSpec {
        cluster: CLUSTER.into(),
        machine: MachineRef {
            name: "m-1".into(),
            zone: "europe-west1-b".into(),
        },
        machine_type: "e2-standard-2".into(),
        image: "projects/debian-cloud/global/images/family/debian-12".into(),
        boot_disk_gb: 20,
        data_disk: Some(DiskSpec {
            name: "m-1-pd".into(),
            device: "master-pd".into(),
            size_gb: 20,
            kind: "pd-ssd".into(),
        }),
        network: "default".into(),
        subnetwork: Some("sub".into()),
        external: ExternalAddress::Reserved("ip".into()),
        tags: vec!["kubernetes-master".into()],
        labels: [("role".to_owned(), "replica".to_owned())].into(),
        preemptible: false,
        user_data: "#cloud-config\n".into(),
    }
}

fn labels() -> Value {
    json!({"hakube-cluster": CLUSTER, "role": "replica"})
}

#[tokio::test]
async fn a_machine_is_made_after_its_data_disk_and_with_the_reserved_address() {
    let cloud = Cloud::start().await;
    let address = json!({"name": "ip", "address": "34.1.1.1", "description": MARK});
    cloud.has(format!("{REGION}/addresses/ip"), address).await;
    let missing = crate::support::missing();
    cloud
        .answers("GET", format!("{ZONE}/instances/m-1"), missing, 1)
        .await;
    cloud
        .has(
            format!("{ZONE}/instances/m-1"),
            instance("m-1", Some("34.1.1.1")),
        )
        .await;
    let made = cloud.gce.ensure_machine(&machine()).await.unwrap();
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
                        "diskSizeGb": "20",
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
async fn a_machine_that_runs_is_left_alone_and_one_that_stopped_is_started() {
    let cloud = Cloud::start().await;
    let at = format!("{ZONE}/instances/m-1");
    let mut stopped = instance("m-1", None);
    stopped["status"] = json!("TERMINATED");
    cloud.answers("GET", &at, ok(stopped), 1).await;
    cloud.has(&at, instance("m-1", Some("35.2.2.2"))).await;
    let started = cloud.gce.ensure_machine(&machine()).await.unwrap();
    assert_eq!(started.external_address.unwrap().to_string(), "35.2.2.2");
    let start = "POST /zones/europe-west1-b/instances/m-1/start";
    assert_eq!(cloud.changes().await, [start]);

    cloud.gce.ensure_machine(&machine()).await.unwrap();
    assert_eq!(cloud.changes().await, [start], "it runs by now");
}

#[tokio::test]
async fn a_machine_of_someone_else_is_a_conflict() {
    let cloud = Cloud::start().await;
    let mut stranger = instance("m-1", None);
    stranger["labels"] = json!({});
    cloud.has(format!("{ZONE}/instances/m-1"), stranger).await;
    let error = cloud.gce.ensure_machine(&machine()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(cloud.changes().await, [""; 0]);
}

#[tokio::test]
async fn a_network_that_is_there_is_used_and_a_missing_subnetwork_made() {
    let cloud = Cloud::start().await;
    cloud
        .has(
            format!("{GLOBAL}/networks/default"),
            json!({"name": "default"}),
        )
        .await;
    let mut spec = NetworkSpec {
        cluster: CLUSTER.into(),
        name: "default".into(),
        subnetwork: None,
    };
    cloud.gce.ensure_network(&spec).await.unwrap();
    assert_eq!(cloud.changes().await, [""; 0]);

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
async fn a_firewall_rule_that_differs_is_put_right() {
    let cloud = Cloud::start().await;
    let spec = FirewallSpec {
        cluster: CLUSTER.into(),
        name: "fw".into(),
        network: "default".into(),
        source: FirewallSource::Ranges(vec!["0.0.0.0/0".parse().unwrap()]),
        target_tag: "master".into(),
        tcp_ports: vec!["6443".into()],
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
        "the same rule is left alone"
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

fn balancer(backends: &[(&str, &str)]) -> BalancerSpec {
    let backend = |(name, zone): &(&str, &str)| MachineRef {
        name: (*name).into(),
        zone: (*zone).into(),
    };
    BalancerSpec {
        cluster: CLUSTER.into(),
        name: "master".into(),
        network: "default".into(),
        port: 6443,
        health_path: "/readyz".into(),
        backends: backends.iter().map(backend).collect(),
    }
}

#[tokio::test]
async fn a_balancer_is_made_from_the_inside_out() {
    let cloud = Cloud::start().await;
    let spec = balancer(&[("m-1", "europe-west1-b"), ("m-2", "europe-west1-c")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    let changes = cloud.changes().await;
    assert_eq!(changes.len(), 6, "{changes:?}");
    assert_eq!(changes[0], "POST /regions/europe-west1/healthChecks");
    assert_eq!(changes[5], "POST /regions/europe-west1/backendServices");
    let add = "/zones/europe-west1-c/instanceGroups/master-europe-west1-c/addInstances";
    assert_eq!(
        cloud.body(add).await,
        json!({"instances": [{"instance": "projects/p/zones/europe-west1-c/instances/m-2"}]})
    );
    assert_eq!(
        cloud.body("/healthChecks").await,
        json!({
            "name": "master",
            "description": MARK,
            "type": "HTTPS",
            "checkIntervalSec": 1,
            "timeoutSec": 1,
            "healthyThreshold": 1,
            "unhealthyThreshold": 2,
            "httpsHealthCheck": {"port": 6443, "requestPath": "/readyz"},
        })
    );
    let group = |zone| {
        json!({
            "group": format!("projects/p/zones/{zone}/instanceGroups/master-{zone}"),
            "balancingMode": "CONNECTION",
        })
    };
    assert_eq!(
        cloud.body("/backendServices").await,
        json!({
            "name": "master",
            "description": MARK,
            "loadBalancingScheme": "EXTERNAL",
            "protocol": "TCP",
            "sessionAffinity": "NONE",
            "connectionDraining": {"drainingTimeoutSec": 10},
            "healthChecks": ["projects/p/regions/europe-west1/healthChecks/master"],
            "backends": [group("europe-west1-b"), group("europe-west1-c")],
        })
    );
}

/// A balancer that has a backend in each of two zones.
async fn balanced() -> Cloud {
    let cloud = Cloud::start().await;
    let check = json!({
        "name": "master",
        "description": MARK,
        "type": "HTTPS",
        "httpsHealthCheck": {"port": 6443, "requestPath": "/readyz"},
    });
    cloud
        .has(format!("{REGION}/healthChecks/master"), check)
        .await;
    let mut groups = Vec::new();
    let mut backends = Vec::new();
    for (machine, zone) in [("m-1", "europe-west1-b"), ("m-2", "europe-west1-c")] {
        let group = format!("{PROJECT}/zones/{zone}/instanceGroups/master-{zone}");
        let resource = json!({
            "name": format!("master-{zone}"),
            "zone": format!("https://www.googleapis.com{PROJECT}/zones/{zone}"),
            "description": MARK,
        });
        cloud.has(&group, resource.clone()).await;
        groups.push(resource);
        backends.push(json!({"group": format!("https://www.googleapis.com{group}")}));
        let member = format!("https://x/zones/{zone}/instances/{machine}");
        let members = ok(json!({"items": [{"instance": member}]}));
        cloud
            .answers("POST", format!("{group}/listInstances"), members, 9)
            .await;
    }
    let list = aggregated("instanceGroups", json!(groups));
    cloud
        .has(format!("{PROJECT}/aggregated/instanceGroups"), list)
        .await;
    let service = json!({
        "name": "master",
        "description": MARK,
        "fingerprint": "Zm9v",
        "backends": backends,
    });
    cloud
        .has(format!("{REGION}/backendServices/master"), service)
        .await;
    cloud
}

#[tokio::test]
async fn a_balancer_as_it_should_be_is_left_alone() {
    let cloud = balanced().await;
    let spec = balancer(&[("m-2", "europe-west1-c"), ("m-1", "europe-west1-b")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    assert_eq!(cloud.changes().await, [""; 0]);
}

#[tokio::test]
async fn a_zone_without_backends_leaves_the_service_before_its_group_is_deleted() {
    let cloud = balanced().await;
    let spec = balancer(&[("m-1", "europe-west1-b")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    let group = "/zones/europe-west1-c/instanceGroups/master-europe-west1-c";
    assert_eq!(
        cloud.changes().await,
        [
            format!("POST {group}/removeInstances"),
            "PATCH /regions/europe-west1/backendServices/master".to_owned(),
            format!("DELETE {group}"),
        ]
    );
    let patch = cloud.body("/backendServices/master").await;
    assert_eq!(patch["fingerprint"], "Zm9v");
    assert_eq!(patch["backends"].as_array().unwrap().len(), 1);
}

fn nodes() -> NodeGroupSpec {
    let mut machine = machine();
    machine.machine.name = "node".into();
    machine.data_disk = None;
    machine.subnetwork = None;
    machine.external = ExternalAddress::Ephemeral;
    NodeGroupSpec {
        name: "nodes".into(),
        template: "nodes-1a2b".into(),
        size: 2,
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
    assert_eq!(cloud.changes().await, [""; 0]);

    spec.size = 5;
    cloud.gce.ensure_node_group(&spec).await.unwrap();
    let requests = cloud.changing().await;
    assert!(
        requests[0]
            .url
            .path()
            .ends_with("/instanceGroupManagers/nodes/resize")
    );
    assert_eq!(crate::support::query(&requests[0], "size").unwrap(), "5");
}

#[tokio::test]
async fn preflight_finds_everything_at_once() {
    let cloud = Cloud::start().await;
    let url = "https://www.googleapis.com/compute/v1/projects/p/regions";
    for (zone, region, status) in [
        ("europe-west1-b", "europe-west1", "UP"),
        ("europe-west1-c", "europe-west1", "DOWN"),
        ("us-central1-a", "us-central1", "UP"),
    ] {
        let resource = json!({"name": zone, "region": format!("{url}/{region}"), "status": status});
        cloud.has(format!("{PROJECT}/zones/{zone}"), resource).await;
    }
    let good = json!({"name": "e2-standard-2"});
    cloud
        .has(format!("{ZONE}/machineTypes/e2-standard-2"), good)
        .await;
    let spec = |zones: &[&str], types: &[&str]| PreflightSpec {
        zones: zones.iter().map(ToString::to_string).collect(),
        machine_types: types.iter().map(ToString::to_string).collect(),
    };
    let fine = spec(&["europe-west1-b"], &["e2-standard-2"]);
    assert_eq!(cloud.gce.preflight(&fine).await.unwrap(), []);

    let zones = [
        "europe-west1-b",
        "europe-west1-c",
        "us-central1-a",
        "mars-1",
    ];
    let findings = cloud
        .gce
        .preflight(&spec(&zones, &["e2-giant"]))
        .await
        .unwrap();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "could not use zone europe-west1-c: Compute Engine says that it is down",
            "could not use zone us-central1-a: it is in region us-central1, and the cluster is in europe-west1",
            "could not use zone mars-1: there is no such zone",
            "could not use machine type e2-giant in europe-west1-b: the zone has no such machine type",
        ]
    );
}
