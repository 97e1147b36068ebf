//! Preflight on libvirt's test driver.

use super::stage::{World, ZONE};
use crate::config::{AddressPlan, HostNetwork, Virtualization};
use hakube_provider::{ErrorKind, PreflightSpec, Provider};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

const DEFAULT: &str = "<network><name>home</name><forward mode='nat'/><bridge name='virbr0'/>\
    <ip address='192.168.77.1' netmask='255.255.255.0'><dhcp>\
    <range start='192.168.77.100' end='192.168.77.254'/></dhcp></ip></network>";

fn spec(world: &World) -> PreflightSpec {
    PreflightSpec {
        addresses: vec![hakube_contract::address_spec(
            "kubernetes",
            "kubernetes-master-ip",
        )],
        machines: vec![world.machine("kubernetes-master", ZONE)],
        node_groups: vec![world.group(2)],
        ..PreflightSpec::default()
    }
}

async fn findings(world: &World, spec: &PreflightSpec) -> String {
    let findings = world.provider().preflight(spec).await.unwrap();
    let lines = findings
        .iter()
        .map(|finding| format!("{:?}: {finding}\n", finding.kind));
    let image = world.image.path().display().to_string();
    lines.collect::<String>().replace(&image, "IMAGE")
}

#[tokio::test]
async fn a_sound_spec_passes_before_and_after_creation() {
    let world = World::new();
    let spec = spec(&world);
    assert_eq!(findings(&world, &spec).await, "");
    let provider = world.provider();
    provider.ensure_address(&spec.addresses[0]).await.unwrap();
    provider.ensure_machine(&spec.machines[0]).await.unwrap();
    assert_eq!(findings(&world, &spec).await, "");
}

#[tokio::test]
async fn all_obstacles_are_reported_at_once() {
    let other = "<domain type='test'><name>kubernetes-master</name><memory unit='MiB'>1024</memory>\
        <os><type>hvm</type></os></domain>";
    let mut world = World::with(&[(ZONE, "host-a"), ("lan-site1-b", "host-b")], other);
    world.config.virtualization = Virtualization::Kvm;
    world.config.pool = "fast".into();
    world.config.addresses.gateway = None;
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    let mut spec = spec(&world);
    spec.machines[0].image_sha256 = Some("0".repeat(64));
    spec.machines
        .push(world.machine("elsewhere", "lan-site9-z"));
    spec.machines.push(world.machine("b", "lan-site1-b"));
    let mut huge = world.machine("huge", ZONE);
    huge.machine_type = "64x900GiB".into();
    spec.machines.push(huge);
    spec.node_groups[0].machine.machine_type = "e2-standard-2".into();
    insta::assert_snapshot!(findings(&world, &spec).await);
}

#[tokio::test]
async fn an_existing_network_must_not_assign_the_plans_addresses() {
    let mut world = World::with(&[(ZONE, "host-a")], DEFAULT);
    world.config.network = HostNetwork::Network("home".into());
    world.config.addresses = AddressPlan {
        first: Ipv4Addr::new(192, 168, 77, 10),
        last: Ipv4Addr::new(192, 168, 77, 99),
        ..world.config.addresses
    };
    assert_eq!(findings(&world, &spec(&world)).await, "");
    world.config.addresses.last = Ipv4Addr::new(192, 168, 77, 100);
    insta::assert_snapshot!(findings(&world, &spec(&world)).await);
    world.config.network = HostNetwork::Network("office".into());
    assert!(
        findings(&world, &spec(&world))
            .await
            .contains("no network office")
    );
}

#[tokio::test]
async fn the_clusters_own_network_must_not_overlap_another() {
    let world = World::with(&[(ZONE, "host-a")], DEFAULT);
    let found = findings(&world, &spec(&world)).await;
    assert!(
        found.starts_with("Conflict: ") && found.contains("network home has 192.168.77.0/24"),
        "{found}"
    );
}

#[tokio::test]
async fn disks_larger_than_the_pool_are_refused() {
    let world = World::new();
    let mut spec = spec(&world);
    spec.machines[0].boot_disk_gb = 2000;
    let found = world.provider().preflight(&spec).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, ErrorKind::NoCapacity);
    assert!(
        found[0].message.contains("may grow to 2014 GiB"),
        "{}",
        found[0]
    );
}

#[tokio::test]
async fn a_growing_group_needs_capacity_only_for_missing_machines() {
    let world = World::new();
    let mut group = world.group(3);
    group.machine.machine_type = "1x700MiB".into();
    world.provider().ensure_node_group(&group).await.unwrap();
    // The test driver's host has 3 GiB.
    let mut spec = PreflightSpec {
        node_groups: vec![group],
        ..PreflightSpec::default()
    };
    spec.node_groups[0].size = 4;
    assert_eq!(findings(&world, &spec).await, "");
    spec.node_groups[0].size = 5;
    let found = findings(&world, &spec).await;
    assert!(found.contains("need 1400 MiB of memory"), "{found}");
}

#[tokio::test]
async fn an_unneeded_host_may_be_unreachable() {
    let mut world = World::with(&[(ZONE, "host-a"), ("lan-site1-b", "host-b")], "");
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    world.config.network = HostNetwork::Bridge("br0".into());
    assert_eq!(findings(&world, &spec(&world)).await, "");
}
