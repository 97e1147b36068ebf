//! Failures, and how they are reported.

use super::life::{address_spec, reference};
use super::stage::{CLUSTER, World, ZONE};
use crate::config::AddressPlan;
use crate::error::Fault;
use crate::mark::network_name;
use hakube_provider::{ErrorKind, MachineState, Provider, ResourceId, ResourceKind};
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const OTHER: &str = "<domain type='test'><name>kubernetes-master</name><memory>8192</memory>\
    <os><type>hvm</type></os></domain>";

#[tokio::test]
async fn an_unowned_domain_of_the_same_name_is_not_touched() {
    let world = World::with(&[(ZONE, "host-a")], OTHER);
    let provider = world.provider();
    let refused = provider
        .ensure_machine(&world.machine("kubernetes-master", ZONE))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    let resource = ResourceId::in_zone(ResourceKind::Machine, ZONE, "kubernetes-master");
    let refused = provider.delete(CLUSTER, &resource).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(provider.inspect(CLUSTER).await.unwrap().machines.is_empty());
    assert!(
        world
            .stage()
            .real()
            .domain("kubernetes-master")
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn another_clusters_machine_is_a_conflict() {
    let world = World::new();
    let provider = world.provider();
    let spec = world.machine("kubernetes-master", ZONE);
    provider.ensure_machine(&spec).await.unwrap();
    let other = hakube_provider::MachineSpec {
        cluster: "other".into(),
        ..spec
    };
    let refused = provider.ensure_machine(&other).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(
        refused
            .message
            .contains("it belongs to cluster kubernetes,"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_machine_that_was_shut_off_by_hand_is_started() {
    let world = World::new();
    let provider = world.provider();
    let spec = world.machine("kubernetes-master", ZONE);
    let made = provider.ensure_machine(&spec).await.unwrap();
    world
        .stage()
        .real()
        .destroy_domain("kubernetes-master")
        .unwrap();
    let seen = provider
        .machine(&reference("kubernetes-master"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.state, MachineState::Stopped);
    assert!(
        provider
            .ssh_server(&reference("kubernetes-master"))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(provider.ensure_machine(&spec).await.unwrap(), made);
    let seen = provider
        .machine(&reference("kubernetes-master"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_stopped_machine_is_started_with_its_network() {
    let world = World::new();
    let provider = world.provider();
    let spec = world.machine("kubernetes-master", ZONE);
    provider.ensure_machine(&spec).await.unwrap();
    let name = network_name(CLUSTER);
    let driver = world.stage().real();
    driver.destroy_domain("kubernetes-master").unwrap();
    driver.destroy_network(&name).unwrap();
    provider.ensure_machine(&spec).await.unwrap();
    assert!(driver.network(&name).unwrap().unwrap().active);
    // The network was deleted.
    driver.destroy_domain("kubernetes-master").unwrap();
    driver.destroy_network(&name).unwrap();
    driver.undefine_network(&name).unwrap();
    provider.ensure_machine(&spec).await.unwrap();
    assert!(driver.network(&name).unwrap().unwrap().active);
}

#[tokio::test]
async fn an_upload_that_hangs_does_not_delay_other_hosts() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let provider = Arc::new(world.provider());
    let (reached, release) = world.stages["host-b"].hang("upload");
    let (hung, slow) = (Arc::clone(&provider), world.machine("b", "lan-site1-b"));
    let hung = tokio::spawn(async move { hung.ensure_machine(&slow).await });
    reached.await.unwrap();
    provider
        .ensure_machine(&world.machine("a", "lan-site1-a"))
        .await
        .unwrap();
    assert!(!hung.is_finished());
    drop(release);
    hung.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_that_hangs_does_not_delay_address_assignment() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let provider = Arc::new(world.provider());
    let (reached, release) = world.stages["host-b"].hang("node");
    let (waiting, first) = (Arc::clone(&provider), world.machine("a", "lan-site1-a"));
    let mut waiting = tokio::spawn(async move { waiting.ensure_machine(&first).await });
    tokio::select! {
        asked = reached => asked.unwrap(),
        made = &mut waiting => panic!("host-b wasn't queried: {made:?}"),
    }
    provider
        .ensure_machine(&world.machine("c", "lan-site1-a"))
        .await
        .unwrap();
    assert!(!waiting.is_finished());
    drop(release);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_skipped_or_refused() {
    let world = World::new();
    let provider = world.provider();
    let use_address = |last: u8| {
        let address = Ipv4Addr::new(192, 168, 77, last);
        world
            .in_use
            .0
            .lock()
            .unwrap()
            .insert(address, "52:54:00:ff:ff:ff".into())
    };
    use_address(3);
    let made = provider
        .ensure_machine(&world.machine("a", ZONE))
        .await
        .unwrap();
    assert_eq!(made.internal_address.unwrap().to_string(), "192.168.77.4");
    use_address(2);
    let refused = provider.ensure_address(&address_spec()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("52:54:00:ff:ff:ff"), "{refused}");
}

#[tokio::test]
async fn an_exhausted_plan_names_the_users() {
    let mut world = World::new();
    world.config.addresses = AddressPlan {
        last: Ipv4Addr::new(192, 168, 77, 4),
        ..world.config.addresses
    };
    let taken = Ipv4Addr::new(192, 168, 77, 4);
    world
        .in_use
        .0
        .lock()
        .unwrap()
        .insert(taken, "52:54:00:ff:ff:ff".into());
    let provider = world.provider();
    provider
        .ensure_machine(&world.machine("a", ZONE))
        .await
        .unwrap();
    let refused = provider
        .ensure_machine(&world.machine("b", ZONE))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Quota);
    insta::assert_snapshot!(refused);
}

#[tokio::test]
async fn an_image_with_a_wrong_checksum_is_not_used() {
    let world = World::new();
    let provider = world.provider();
    let mut spec = world.machine("a", ZONE);
    spec.image_sha256 = Some("0".repeat(64));
    let refused = provider.ensure_machine(&spec).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.message.contains("SHA-256"), "{refused}");
    assert_eq!(world.stage().volumes(), [] as [&str; 0]);
    assert!(world.stage().real().domains().unwrap().is_empty());
}

#[tokio::test]
async fn an_uploaded_image_needs_no_source() {
    let world = World::new();
    let mut spec = world.machine("a", ZONE);
    world.provider().ensure_machine(&spec).await.unwrap();
    let found = world.provider().inspect(CLUSTER).await.unwrap();
    let of = world.stage().real().domain("a").unwrap().unwrap().xml;
    let sum = crate::mark::MachineMark::from_xml(&of)
        .unwrap()
        .unwrap()
        .image;
    assert!(
        found
            .resources
            .iter()
            .any(|resource| sum.starts_with(&resource.name))
    );
    spec.machine.name = "b".into();
    spec.data_disk = None;
    spec.image_sha256 = Some(sum);
    spec.image = "/no/such/image".into();
    world.provider().ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn an_image_larger_than_its_disk_is_refused() {
    let mut world = World::new();
    world.image.as_file_mut().set_len(0).unwrap();
    let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
    head.extend([0; 16]);
    head.extend((8_u64 << 30).to_be_bytes());
    std::fs::write(world.image.path(), &head).unwrap();
    world.image.flush().unwrap();
    let refused = world
        .provider()
        .ensure_machine(&world.machine("a", ZONE))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(
        refused.message.contains("4 GiB, but the image needs 8"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_full_pool_is_no_capacity() {
    let world = World::new();
    let fault = Fault::new(
        ErrorKind::NoCapacity,
        "cannot extend file: No space left on device",
    );
    world.stage().faults.lock().unwrap().insert("upload", fault);
    let spec = world.machine("a", ZONE);
    let refused = world.provider().ensure_machine(&spec).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NoCapacity);
    assert!(refused.hint.is_some());
    // A partial upload isn't used.
    world.stage().faults.lock().unwrap().clear();
    world.provider().ensure_machine(&spec).await.unwrap();
}

#[tokio::test]
async fn an_unreachable_host_does_not_prevent_work_on_others() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let provider = world.provider();
    provider.ensure_address(&address_spec()).await.unwrap();
    provider
        .ensure_machine(&world.machine("a", "lan-site1-a"))
        .await
        .unwrap();
    provider
        .ensure_machine(&world.machine("b", "lan-site1-b"))
        .await
        .unwrap();
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 1);
    assert!(inventory.address.is_some());
    assert!(
        inventory.unreachable["lan-site1-b"].contains("host-b"),
        "{:?}",
        inventory.unreachable
    );
    assert_eq!(provider.zones().await.unwrap(), ["lan-site1-a"]);
    provider
        .ensure_machine(&world.machine("c", "lan-site1-a"))
        .await
        .unwrap();
    let refused = provider
        .ensure_machine(&world.machine("d", "lan-site1-b"))
        .await
        .unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    // The host is back, and no dead connection is used.
    world.stages["host-b"]
        .unreachable
        .store(false, Ordering::SeqCst);
    provider
        .ensure_machine(&world.machine("d", "lan-site1-b"))
        .await
        .unwrap();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 4);
    assert!(inventory.unreachable.is_empty());
    let addresses: std::collections::BTreeSet<_> = inventory
        .machines
        .iter()
        .map(|machine| machine.internal_address)
        .collect();
    assert_eq!(addresses.len(), 4);
}

#[tokio::test]
async fn inspect_fails_if_no_host_is_reachable() {
    let world = World::new();
    world.stage().unreachable.store(true, Ordering::SeqCst);
    let refused = world.provider().inspect(CLUSTER).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
}

#[tokio::test]
async fn a_host_unreachable_during_reservation_records_it_with_its_first_machine() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let provider = world.provider();
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    let address = provider.ensure_address(&address_spec()).await.unwrap();
    world.stages["host-b"]
        .unreachable
        .store(false, Ordering::SeqCst);
    provider
        .ensure_machine(&world.machine("b", "lan-site1-b"))
        .await
        .unwrap();
    world.stages["host-a"]
        .unreachable
        .store(true, Ordering::SeqCst);
    assert_eq!(
        provider.inspect(CLUSTER).await.unwrap().address,
        Some(address)
    );
}

#[tokio::test]
async fn a_new_zone_does_not_take_addresses_of_an_unreachable_one() {
    let mut world = World::with(
        &[
            ("lan-site1-b", "host-b"),
            ("lan-site1-c", "host-c"),
            ("lan-site1-a", "host-a"),
        ],
        "",
    );
    // A third zone changes each zone's part of the plan.
    let all = world.config.zones.clone();
    world.config.zones.remove("lan-site1-a");
    let provider = world.provider();
    provider.ensure_address(&address_spec()).await.unwrap();
    let unreachable = provider
        .ensure_machine(&world.machine("b", "lan-site1-b"))
        .await
        .unwrap();
    world.stages["host-b"]
        .unreachable
        .store(true, Ordering::SeqCst);
    world.config.zones = all;
    let provider = world.provider();
    let made = provider
        .ensure_machine(&world.machine("a", "lan-site1-a"))
        .await
        .unwrap();
    assert_ne!(made.internal_address, unreachable.internal_address);
    // The new zone's host knows the address too, even if the other one is unreachable.
    world.stages["host-c"]
        .unreachable
        .store(true, Ordering::SeqCst);
    let another = provider
        .ensure_machine(&world.machine("a2", "lan-site1-a"))
        .await
        .unwrap();
    assert_ne!(another.internal_address, unreachable.internal_address);
}

#[tokio::test]
async fn a_failing_host_does_not_prevent_machines_on_another() {
    let world = World::with(&[("lan-site1-a", "host-a"), ("lan-site1-b", "host-b")], "");
    let fault = Fault::new(ErrorKind::Denied, "authentication failed");
    world.stages["host-b"]
        .faults
        .lock()
        .unwrap()
        .insert("networks", fault);
    let fault = Fault::new(ErrorKind::Invalid, "no such bridge");
    world.stages["host-b"]
        .faults
        .lock()
        .unwrap()
        .insert("define_network", fault);
    let provider = world.provider();
    provider
        .ensure_machine(&world.machine("a", "lan-site1-a"))
        .await
        .unwrap();
    let inventory = provider.inspect(CLUSTER).await.unwrap();
    assert_eq!(inventory.machines.len(), 1);
    assert!(inventory.unreachable.contains_key("lan-site1-b"));
}
