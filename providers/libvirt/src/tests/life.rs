//! Resources are created, found again and deleted.

use super::stage::{CLUSTER, World, ZONE};
use crate::domain::mac;
use hakube_contract::delete_all;
use hakube_provider::{
    AddressSpec, Inventory, MachineRef, MachineState, Provider, ResourceId, ResourceKind,
};
use std::net::{IpAddr, Ipv4Addr};

pub fn address_spec() -> AddressSpec {
    hakube_contract::address_spec(CLUSTER, "kubernetes-master-ip")
}

pub fn reference(name: &str) -> MachineRef {
    MachineRef {
        name: name.into(),
        zone: ZONE.into(),
    }
}

pub fn names(inventory: &Inventory) -> Vec<String> {
    inventory
        .resources
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn last(address: Option<IpAddr>) -> u8 {
    match address {
        Some(IpAddr::V4(address)) => address.octets()[3],
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn resources_are_found_by_their_label_and_deleted_without_a_trace() {
    let world = World::new();
    let provider = world.provider();
    let address = provider.ensure_address(&address_spec()).await.unwrap();
    assert_eq!(address.address, IpAddr::V4(Ipv4Addr::new(192, 168, 77, 2)));
    let made = provider
        .ensure_machine(&world.machine("kubernetes-master", ZONE))
        .await
        .unwrap();
    assert_eq!(made.state, MachineState::Running);
    assert_eq!(made.zone, ZONE);
    assert_eq!(made.labels["role"], "replica");
    assert_eq!(made.labels["hakube-cluster"], CLUSTER);
    provider.ensure_node_group(&world.group(2)).await.unwrap();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    insta::assert_snapshot!(names(&inventory).join("\n"));
    assert_eq!(inventory.address, Some(address));
    assert_eq!(inventory.machines, [made]);
    assert_eq!(inventory.node_groups[0].machines.len(), 2);
    assert_eq!(
        inventory.disks[0].user.as_deref(),
        Some("kubernetes-master")
    );
    let other = provider.inspect("kubernetes2").await.unwrap();
    assert_eq!(other, Inventory::default());
    delete_all(&provider, CLUSTER).await;
    assert_eq!(
        provider.inspect(CLUSTER).await.unwrap(),
        Inventory::default()
    );
    assert_eq!(world.stage().volumes(), [] as [&str; 0]);
    assert!(world.stage().real().networks().unwrap().is_empty());
    assert!(world.stage().real().domains().unwrap().is_empty());
}

#[tokio::test]
async fn a_second_call_changes_nothing() {
    let world = World::new();
    let provider = world.provider();
    let spec = world.machine("kubernetes-master", ZONE);
    let before = provider.ensure_machine(&spec).await.unwrap();
    let described = world
        .stage()
        .real()
        .domain("kubernetes-master")
        .unwrap()
        .unwrap()
        .xml;
    let again = world.provider().ensure_machine(&spec).await.unwrap();
    assert_eq!(before, again);
    let now = world
        .stage()
        .real()
        .domain("kubernetes-master")
        .unwrap()
        .unwrap()
        .xml;
    assert_eq!(described, now);
}

#[tokio::test]
async fn the_provider_reports_the_host_key_and_the_private_half_is_only_on_the_seed() {
    let world = World::new();
    let provider = world.provider();
    let made = provider
        .ensure_machine(&world.machine("kubernetes-master", ZONE))
        .await
        .unwrap();
    let ssh = provider
        .ssh_server(&reference("kubernetes-master"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(Some(ssh.address), made.internal_address);
    assert_eq!(ssh.port, 22);
    assert!(ssh.host_keys[0].starts_with("ssh-ed25519 "), "{ssh:?}");
    let seed = world
        .stage()
        .content(&format!("hakube.{CLUSTER}.{ZONE}.kubernetes-master.seed"));
    let seed = String::from_utf8_lossy(&seed).into_owned();
    assert!(seed.contains("OPENSSH PRIVATE KEY"));
    assert!(seed.contains(&ssh.host_keys[0]));
    let described = world
        .stage()
        .real()
        .domain("kubernetes-master")
        .unwrap()
        .unwrap()
        .xml;
    assert!(!described.contains("PRIVATE"));
    let Some(IpAddr::V4(address)) = made.internal_address else {
        panic!("{made:?}");
    };
    let mac = mac(CLUSTER, "kubernetes-master", address);
    assert!(seed.contains(&mac) && described.contains(&mac), "{mac}");
    assert!(
        provider
            .ssh_server(&reference("missing"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn machines_created_concurrently_have_distinct_addresses() {
    let world = World::new();
    let provider = world.provider();
    provider.ensure_address(&address_spec()).await.unwrap();
    let specs: Vec<_> = (0..5)
        .map(|number| world.machine(&format!("m-{number}"), ZONE))
        .collect();
    let made =
        futures::future::try_join_all(specs.iter().map(|spec| provider.ensure_machine(spec)));
    let mut addresses: Vec<u8> = made
        .await
        .unwrap()
        .iter()
        .map(|machine| last(machine.internal_address))
        .collect();
    addresses.sort_unstable();
    assert_eq!(addresses, [3, 4, 5, 6, 7]);
    let images = world
        .stage()
        .volumes()
        .into_iter()
        .filter(|name| name.ends_with(".image"));
    assert_eq!(images.count(), 1);
}

#[tokio::test]
async fn an_address_is_free_again_once_its_machine_is_deleted() {
    let world = World::new();
    let provider = world.provider();
    for (name, expected) in [("a", 3), ("b", 4)] {
        let made = provider
            .ensure_machine(&world.machine(name, ZONE))
            .await
            .unwrap();
        assert_eq!(last(made.internal_address), expected);
    }
    let resource = ResourceId::in_zone(ResourceKind::Machine, ZONE, "a");
    provider.delete(CLUSTER, &resource).await.unwrap();
    provider.delete(CLUSTER, &resource).await.unwrap();
    let made = provider
        .ensure_machine(&world.machine("c", ZONE))
        .await
        .unwrap();
    assert_eq!(last(made.internal_address), 3);
}

#[tokio::test]
async fn a_group_grows_removes_its_newest_and_restarts_stopped_machines() {
    let world = World::new();
    let provider = world.provider();
    provider.ensure_node_group(&world.group(1)).await.unwrap();
    let members = async || provider.inspect(CLUSTER).await.unwrap().node_groups;
    let oldest = members().await[0].machines[0].clone();
    provider.ensure_node_group(&world.group(3)).await.unwrap();
    let three = members().await;
    assert_eq!((three[0].size, three[0].machines.len()), (3, 3));
    assert_eq!(three[0].template, "minion-template");
    world.stage().real().destroy_domain(&oldest).unwrap();
    assert_eq!(members().await[0].size, 2);
    provider.ensure_node_group(&world.group(3)).await.unwrap();
    assert_eq!(members().await, three);
    provider.ensure_node_group(&world.group(1)).await.unwrap();
    assert_eq!(members().await[0].machines, [oldest]);
    provider.ensure_node_group(&world.group(0)).await.unwrap();
    assert_eq!(members().await, []);
}

#[tokio::test]
async fn the_console_is_the_end_of_the_log() {
    let world = World::new();
    let provider = world.provider();
    provider
        .ensure_machine(&world.machine("kubernetes-master", ZONE))
        .await
        .unwrap();
    assert_eq!(
        provider
            .console(&reference("kubernetes-master"))
            .await
            .unwrap(),
        ""
    );
    let log = format!("hakube.{CLUSTER}.{ZONE}.kubernetes-master.log");
    world
        .stage()
        .write(&log, format!("{}login: ", "x".repeat(10_000)).as_bytes());
    let console = provider
        .console(&reference("kubernetes-master"))
        .await
        .unwrap();
    assert!(console.ends_with("xlogin: ") && console.len() == 8192);
}

#[tokio::test]
async fn each_host_has_its_own_image_and_network() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let provider = world.provider();
    provider.ensure_address(&address_spec()).await.unwrap();
    for (name, zone) in [("a", "lan-site1-a"), ("b", "lan-site1-b")] {
        provider
            .ensure_machine(&world.machine(name, zone))
            .await
            .unwrap();
    }
    assert_eq!(
        provider.zones().await.unwrap(),
        ["lan-site1-a", "lan-site1-b"]
    );
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    let lasts: Vec<u8> = inventory
        .machines
        .iter()
        .map(|machine| last(machine.internal_address))
        .collect();
    // Each zone has its own part of the plan.
    assert_eq!(lasts, [3, 128]);
    let count = |kind| {
        inventory
            .resources
            .iter()
            .filter(|resource| resource.kind == kind)
            .count()
    };
    assert_eq!(
        (
            count(ResourceKind::Network),
            count(ResourceKind::Image),
            count(ResourceKind::Address)
        ),
        (2, 2, 1)
    );
    delete_all(&provider, CLUSTER).await;
    assert_eq!(
        provider.inspect(CLUSTER).await.unwrap(),
        Inventory::default()
    );
}
