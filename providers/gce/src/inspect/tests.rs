#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use hakube_provider::MachineState;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A resource from its JSON.
fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn instance(name: &str, group: Option<&str>) -> model::Instance {
    let mut labels = json!({"hakube-cluster": "kubernetes"});
    if let Some(group) = group {
        labels[GROUP_LABEL] = json!(group);
    }
    model(json!({
        "name": name,
        "zone": "https://www.googleapis.com/compute/v1/projects/p/zones/z-b",
        "status": "RUNNING",
        "labels": labels,
        "disks": [
            {"boot": true, "autoDelete": true, "source": format!("https://x/zones/z-b/disks/{name}")},
            {"boot": false, "autoDelete": false, "source": format!("https://x/zones/z-b/disks/{name}-pd")},
        ],
        "networkInterfaces": [{
            "name": "nic0",
            "networkIP": "10.0.0.2",
            "accessConfigs": [{"name": "External NAT", "natIP": "34.1.1.1"}],
        }],
    }))
}

fn disk(name: &str, user: Option<&str>) -> model::Disk {
    model(json!({
        "name": name,
        "zone": "https://x/zones/z-b",
        "labels": {"hakube-cluster": "kubernetes"},
        "users": user
            .iter()
            .map(|user| format!("https://x/zones/z-b/instances/{user}"))
            .collect::<Vec<_>>(),
    }))
}

fn names(inventory: &Inventory) -> Vec<String> {
    inventory
        .resources
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_machine_is_listed_with_its_data_disk_only() {
    let found = Found {
        instances: vec![instance("m-1", None)],
        disks: vec![disk("m-1", Some("m-1")), disk("m-1-pd", Some("m-1"))],
        ..Found::default()
    };
    let inventory = found.inventory("r").unwrap();
    let machine = inventory.machine("m-1").unwrap();
    assert_eq!(machine.zone, "z-b");
    assert_eq!(machine.state, MachineState::Running);
    assert_eq!(machine.internal_address.unwrap().to_string(), "10.0.0.2");
    assert_eq!(machine.external_address.unwrap().to_string(), "34.1.1.1");
    assert_eq!(inventory.disks.len(), 1);
    assert_eq!(inventory.disks[0].user.as_deref(), Some("m-1"));
    assert_eq!(
        names(&inventory),
        ["machine m-1 in z-b", "disk m-1-pd in z-b"]
    );
}

#[test]
fn an_orphaned_boot_disk_is_listed() {
    let found = Found {
        disks: vec![disk("m-1", None)],
        ..Found::default()
    };
    assert_eq!(names(&found.inventory("r").unwrap()), ["disk m-1 in z-b"]);
}

#[test]
fn a_groups_machines_are_listed_only_without_the_group() {
    let manager = model(json!({
        "name": "nodes",
        "zone": "https://x/zones/z-b",
        "targetSize": 2,
    }));
    let mut found = Found {
        managers: vec![manager],
        instances: vec![
            instance("node-2", Some("nodes")),
            instance("node-1", Some("nodes")),
        ],
        disks: vec![disk("node-1", Some("node-1"))],
        ..Found::default()
    };
    let inventory = found.inventory("r").unwrap();
    assert_eq!(inventory.machines, []);
    assert_eq!(inventory.node_groups[0].size, 2);
    assert_eq!(inventory.node_groups[0].machines, ["node-1", "node-2"]);
    assert_eq!(names(&inventory), ["node group nodes in z-b"]);

    found.managers.clear();
    let inventory = found.inventory("r").unwrap();
    assert_eq!(inventory.machines, []);
    assert_eq!(
        names(&inventory),
        ["machine node-1 in z-b", "machine node-2 in z-b"]
    );
}

#[test]
fn a_groups_machines_are_listed_with_the_template_they_are_from() {
    let mut created = instance("node-1", Some("nodes"));
    created.metadata = Some(model(json!({"items": [
        {"key": "user-data", "value": "#cloud-config"},
        {"key": "instance-template", "value": "projects/1234/global/instanceTemplates/nodes-7"},
    ]})));
    let found = Found {
        managers: vec![model(
            json!({"name": "nodes", "zone": "https://x/zones/z-b"}),
        )],
        instances: vec![created, instance("node-2", Some("nodes"))],
        ..Found::default()
    };
    let inventory = found.inventory("r").unwrap();
    let origins = &inventory.node_groups[0].origins;
    assert_eq!(
        *origins,
        [("node-1".to_owned(), "nodes-7".to_owned())].into()
    );
}

#[test]
fn the_balancer_is_reported_in_parts() {
    let found = Found {
        rules: vec![model(json!({"name": "rule", "IPAddress": "34.1.1.1"}))],
        services: vec![model(json!({
            "name": "service",
            "backends": [{"group": "https://x/zones/z-b/instanceGroups/service-z-b"}],
        }))],
        checks: vec![model(json!({"name": "check"}))],
        groups: vec![BackendGroup {
            name: "service-z-b".into(),
            zone: "z-b".into(),
            machines: vec!["m-1".into()],
        }],
        ..Found::default()
    };
    let inventory = found.inventory("r").unwrap();
    assert!(inventory.balancer.health_check);
    assert_eq!(
        inventory.balancer.forwarding.unwrap().to_string(),
        "34.1.1.1"
    );
    assert_eq!(inventory.balancer.machines(), ["m-1"]);
    // In an order in which Compute Engine can delete them.
    assert_eq!(
        names(&inventory),
        [
            "forwarding rule rule in r",
            "backend service service in r",
            "health check check in r",
            "backend group service-z-b in z-b",
        ]
    );
}
