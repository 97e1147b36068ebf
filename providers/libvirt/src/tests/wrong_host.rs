//! A zone's URI leads to a host other than the one with its machines.

use super::life::address_spec;
use super::stage::{CLUSTER, World};
use hakube_contract::delete_all;
use hakube_provider::{ErrorKind, Inventory, Provider, ResourceId, ResourceKind};
use std::sync::atomic::Ordering;

const A: &str = "lan-site1-a";
const B: &str = "lan-site1-b";

/// A cluster with a machine on host-a and one on host-b. host-c exists, but the cluster doesn't use it.
async fn world() -> World {
    let mut world = World::with(&[(A, "host-a"), (B, "host-b"), ("other", "host-c")], "");
    world.config.zones.remove("other");
    let provider = world.provider();
    provider.ensure_address(&address_spec()).await.unwrap();
    for (name, zone) in [("a", A), ("b", B)] {
        let spec = world.machine(name, zone);
        provider.ensure_machine(&spec).await.unwrap();
    }
    world
}

fn set_host(world: &mut World, zone: &str, host: &str) {
    world.config.zones.insert(zone.into(), host.into());
}

fn is_untouched(world: &World, host: &str) -> bool {
    let driver = world.stages[host].real();
    driver.networks().unwrap().is_empty() && driver.domains().unwrap().is_empty()
}

#[tokio::test]
async fn machines_are_not_lost_if_a_uri_leads_to_another_host() {
    let mut world = world().await;
    set_host(&mut world, B, "host-c");
    let provider = world.provider();
    let network = hakube_contract::network_spec(CLUSTER, "default");
    // Repeated inspections and changes lose no records.
    for _ in 0..2 {
        let inventory = provider.inspect(CLUSTER).await.unwrap();
        assert_eq!(
            inventory.unreachable[B],
            "it has nothing of this zone of cluster kubernetes: the zone's machines are on host uuid-of-host-b, but \
             this is host uuid-of-host-c. Check that host-c in HAKUBE_LIBVIRT_ZONES is the right host and wasn't reinstalled"
        );
        assert_eq!(inventory.unreachable.len(), 1);
        assert_eq!(inventory.machines.len(), 1);
        provider.ensure_network(&network).await.unwrap();
        let spec = world.machine("a2", A);
        provider.ensure_machine(&spec).await.unwrap();
        let spec = world.machine("b2", B);
        let refused = provider.ensure_machine(&spec).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        let machine = ResourceId::in_zone(ResourceKind::Machine, A, "a2");
        provider.delete(CLUSTER, &machine).await.unwrap();
        assert!(is_untouched(&world, "host-c"));
    }
    set_host(&mut world, B, "host-b");
    let inventory = world.provider().inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 2);
    assert!(inventory.unreachable.is_empty());
}

#[tokio::test]
async fn a_zone_without_machines_is_new() {
    let mut world = world().await;
    set_host(&mut world, "lan-site1-c", "host-c");
    let provider = world.provider();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    let spec = world.machine("c", "lan-site1-c");
    provider.ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn without_records_the_inventory_is_empty() {
    let mut world = world().await;
    world.config.zones.remove(A);
    set_host(&mut world, B, "host-c");
    let inventory = world.provider().inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory, Inventory::default());
}

#[tokio::test]
async fn a_host_with_the_clusters_network_is_right_whatever_its_uuid() {
    let world = world().await;
    *world.stages["host-b"].uuid.lock().unwrap() = "another".into();
    let provider = world.provider();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    let spec = world.machine("b2", B);
    provider.ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn a_host_emptied_while_another_was_unreachable_is_right() {
    let world = world().await;
    let provider = world.provider();
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    let there = provider.inspect(CLUSTER).await.unwrap();
    for resource in there.resources.iter().rev() {
        // Resources that may be in use on the other host can't be deleted.
        let _ = provider.delete(CLUSTER, resource).await;
    }
    assert!(is_untouched(&world, "host-a"));
    world.stages["host-b"]
        .unreachable
        .store(false, Ordering::SeqCst);
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    assert_eq!(inventory.machines.len(), 1);
    delete_all(&provider, CLUSTER).await;
    let nothing = provider.inspect(CLUSTER).await.unwrap();
    assert_eq!(nothing, Inventory::default());
}
