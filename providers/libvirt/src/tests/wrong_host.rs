//! A zone's URI leads to another host than the one that has its machines.

use super::life::{address_spec, delete_all};
use super::stage::{CLUSTER, World};
use hakube_provider::{
    ErrorKind, Inventory, NetworkSpec, Provider, ResourceId, ResourceKind, Scope,
};
use std::sync::atomic::Ordering;

const A: &str = "lan-site1-a";
const B: &str = "lan-site1-b";

/// A cluster with a machine on host-a and one on host-b. There is a host-c, of which it knows nothing.
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

fn lead(world: &mut World, zone: &str, host: &str) {
    world.config.zones.insert(zone.into(), host.into());
}

fn is_untouched(world: &World, host: &str) -> bool {
    let driver = world.stages[host].real();
    driver.networks().unwrap().is_empty() && driver.domains().unwrap().is_empty()
}

#[tokio::test]
async fn a_zones_machines_arent_gone_because_another_host_has_none() {
    let mut world = world().await;
    lead(&mut world, B, "host-c");
    let provider = world.provider();
    let network = NetworkSpec {
        cluster: CLUSTER.into(),
        name: "default".into(),
        subnetwork: None,
    };
    // However often it is looked at, and whatever is done meanwhile: nothing of it is forgotten.
    for _ in 0..2 {
        let inventory = provider.inspect(CLUSTER).await.unwrap();
        assert_eq!(
            inventory.unreachable[B],
            "it has nothing of this zone of cluster kubernetes, whose machines are on host uuid-of-host-b; \
             this is host uuid-of-host-c: another host, or made anew? HAKUBE_LIBVIRT_ZONES says host-c"
        );
        assert_eq!(inventory.unreachable.len(), 1);
        assert_eq!(inventory.machines.len(), 1);
        provider.ensure_network(&network).await.unwrap();
        let spec = world.machine("a2", A);
        provider.ensure_machine(&spec).await.unwrap();
        let spec = world.machine("b2", B);
        let refused = provider.ensure_machine(&spec).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        let machine = ResourceId {
            kind: ResourceKind::Machine,
            scope: Scope::Zone(A.into()),
            name: "a2".into(),
        };
        provider.delete(CLUSTER, &machine).await.unwrap();
        assert!(is_untouched(&world, "host-c"));
    }
    lead(&mut world, B, "host-b");
    let inventory = world.provider().inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 2);
    assert!(inventory.unreachable.is_empty());
}

#[tokio::test]
async fn a_zone_that_never_had_a_machine_is_new() {
    let mut world = world().await;
    lead(&mut world, "lan-site1-c", "host-c");
    let provider = world.provider();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    let spec = world.machine("c", "lan-site1-c");
    provider.ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn when_no_host_has_anything_there_is_nothing() {
    let mut world = world().await;
    world.config.zones.remove(A);
    lead(&mut world, B, "host-c");
    let inventory = world.provider().inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory, Inventory::default());
}

#[tokio::test]
async fn a_host_that_has_the_clusters_network_is_believed_whatever_its_uuid() {
    let world = world().await;
    *world.stages["host-b"].uuid.lock().unwrap() = "another".into();
    let provider = world.provider();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    let spec = world.machine("b2", B);
    provider.ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn a_host_that_was_emptied_while_another_was_away_is_believed() {
    let world = world().await;
    let provider = world.provider();
    world.stages["host-b"].away.store(true, Ordering::SeqCst);
    let there = provider.inspect(CLUSTER).await.unwrap();
    for resource in there.resources.iter().rev() {
        // What may be in use on the other host stays.
        let _ = provider.delete(CLUSTER, resource).await;
    }
    assert!(is_untouched(&world, "host-a"));
    world.stages["host-b"].away.store(false, Ordering::SeqCst);
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert!(inventory.unreachable.is_empty(), "{inventory:?}");
    assert_eq!(inventory.machines.len(), 1);
    delete_all(&provider).await;
    let nothing = provider.inspect(CLUSTER).await.unwrap();
    assert_eq!(nothing, Inventory::default());
}
