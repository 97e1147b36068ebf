//! The cases. Their names state what must hold.

use crate::{DELETION, Wanted, World};
use hakube_provider::{
    ErrorKind, Inventory, Machine, MachineRef, MachineState, Provider, ResourceId, ResourceKind,
};

/// Creates everything wanted.
async fn made(provider: &dyn Provider, wanted: &Wanted) -> Machine {
    provider.ensure_network(&wanted.network).await.unwrap();
    provider.ensure_address(&wanted.address).await.unwrap();
    if let Some(firewall) = &wanted.firewall {
        provider.ensure_firewall(firewall).await.unwrap();
    }
    let machine = provider.ensure_machine(&wanted.machine).await.unwrap();
    if let Some(balancer) = &wanted.balancer {
        provider.ensure_balancer(balancer).await.unwrap();
    }
    provider.ensure_node_group(&wanted.group).await.unwrap();
    machine
}

/// The inventory in a canonical order, regardless of which machines are still booting.
async fn seen(provider: &dyn Provider, cluster: &str) -> Inventory {
    let mut inventory = provider.inspect(cluster).await.unwrap();
    for machine in &mut inventory.machines {
        machine.state = MachineState::Running;
    }
    for group in &mut inventory.node_groups {
        group.machines.sort();
    }
    inventory.machines.sort_by(|a, b| a.name.cmp(&b.name));
    inventory.resources.sort();
    inventory
}

/// Asserts that nothing of the cluster exists. An operator's address isn't the cluster's.
async fn assert_nothing(world: &impl World, provider: &dyn Provider, cluster: &str) {
    let mut inventory = seen(provider, cluster).await;
    if world.has_machines_already() {
        inventory.address = None;
    }
    assert_eq!(inventory, Inventory::default(), "{cluster}");
}

fn of_kind(inventory: &Inventory, kind: ResourceKind) -> Vec<ResourceId> {
    let kinds = inventory.resources.iter();
    kinds
        .filter(|resource| resource.kind == kind)
        .cloned()
        .collect()
}

/// Deletes everything of a cluster, in a possible order.
pub async fn delete_all(provider: &dyn Provider, cluster: &str) {
    for kind in DELETION {
        let inventory = provider.inspect(cluster).await.unwrap();
        for resource in of_kind(&inventory, kind) {
            provider.delete(cluster, &resource).await.unwrap();
        }
    }
}

pub async fn an_empty_world_has_nothing(world: &impl World) {
    let provider = world.provider().await;
    let wanted = world.wanted();
    assert_nothing(world, &*provider, wanted.cluster()).await;
    let zones = provider.zones().await.unwrap();
    assert!(zones.is_sorted(), "{zones:?}");
    assert!(zones.contains(&wanted.machine.machine.zone), "{zones:?}");
    let calls = provider.calls();
    provider.inspect(wanted.cluster()).await.unwrap();
    assert!(provider.calls() > calls, "calls are counted");
}

pub async fn created_resources_are_found_by_another_process(world: &impl World) {
    let wanted = world.wanted();
    made(&*world.provider().await, &wanted).await;
    let inventory = seen(&*world.provider().await, wanted.cluster()).await;
    assert_eq!(inventory.unreachable.len(), 0);
    let address = &inventory.address.as_ref().unwrap().name;
    assert!(world.has_machines_already() || *address == wanted.address.name);
    let names: Vec<&str> = inventory
        .machines
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    assert_eq!(names, [wanted.machine.machine.name.as_str()]);
    let disk = wanted.machine.data_disk.as_ref();
    let disks: Vec<(&String, Option<&str>)> = inventory
        .disks
        .iter()
        .map(|disk| (&disk.name, disk.user.as_deref()))
        .collect();
    let expected = disk.iter().map(|disk| (&disk.name, Some(names[0])));
    assert_eq!(disks, expected.collect::<Vec<_>>());
    let group = &inventory.node_groups[0];
    assert_eq!(
        (group.name.as_str(), group.size),
        (wanted.group.name.as_str(), wanted.group.size)
    );
    assert_eq!(group.zone, wanted.group.machine.machine.zone);
    assert_eq!(group.template, wanted.group.template);
    let mut all = vec![
        (ResourceKind::Machine, &wanted.machine.machine.name),
        (ResourceKind::NodeGroup, &wanted.group.name),
    ];
    all.extend(disk.map(|disk| (ResourceKind::Disk, &disk.name)));
    if !world.has_machines_already() {
        all.push((ResourceKind::Address, &wanted.address.name));
    }
    for (kind, name) in all {
        assert!(
            inventory.has(kind, name),
            "{kind} {name}: {:?}",
            inventory.resources
        );
    }
    for member in &group.machines {
        assert!(
            !inventory.has(ResourceKind::Machine, member),
            "a group's machine isn't listed individually"
        );
    }
}

pub async fn a_second_call_changes_nothing(world: &impl World) {
    let wanted = world.wanted();
    let first = made(&*world.provider().await, &wanted).await;
    let before = seen(&*world.provider().await, wanted.cluster()).await;
    let again = world.provider().await;
    let second = made(&*again, &wanted).await;
    assert_eq!(first.internal_address, second.internal_address);
    assert_eq!(first.labels, second.labels);
    assert_eq!(seen(&*again, wanted.cluster()).await, before);
    let address = again.ensure_address(&wanted.address).await.unwrap();
    let known = before.address.unwrap();
    assert_eq!(address.address, known.address);
    assert!(world.has_machines_already() || address.name == known.name);
}

pub async fn all_methods_report_a_machine_alike(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    let machine = made(&*provider, &wanted).await;
    let alike = |mut machine: Machine| {
        machine.state = MachineState::Running;
        machine
    };
    assert!(machine.internal_address.is_some());
    assert_eq!(machine.zone, wanted.machine.machine.zone);
    assert_eq!(machine.labels[hakube_provider::MARK], wanted.cluster());
    for (key, value) in &wanted.machine.labels {
        assert_eq!(&machine.labels[key], value);
    }
    let queried = provider
        .machine(&wanted.machine.machine)
        .await
        .unwrap()
        .unwrap();
    let inspected = seen(&*provider, wanted.cluster()).await.machines.remove(0);
    assert_eq!(alike(queried), alike(machine.clone()));
    assert_eq!(inspected, alike(machine));
    provider.console(&wanted.machine.machine).await.unwrap();
}

pub async fn a_missing_resource_is_none_and_deleting_it_succeeds(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    let reference = &wanted.machine.machine;
    assert_eq!(provider.machine(reference).await.unwrap(), None);
    if !world.has_machines_already() {
        assert_eq!(provider.ssh_server(reference).await.unwrap(), None);
    }
    let zonal = [
        ResourceKind::Machine,
        ResourceKind::Disk,
        ResourceKind::NodeGroup,
    ];
    for kind in zonal {
        let resource = ResourceId::in_zone(kind, &reference.zone, "missing");
        provider.delete(wanted.cluster(), &resource).await.unwrap();
    }
    made(&*provider, &wanted).await;
    let elsewhere = MachineRef {
        name: "missing".to_owned(),
        ..reference.clone()
    };
    assert_eq!(provider.machine(&elsewhere).await.unwrap(), None);
}

pub async fn resources_of_another_cluster_are_protected(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    made(&*provider, &wanted).await;
    let before = seen(&*provider, wanted.cluster()).await;
    let other = wanted.clone().of("another");
    let refused = provider.ensure_machine(&other.machine).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    let theirs = [ResourceKind::Machine];
    for resource in before
        .resources
        .iter()
        .filter(|resource| theirs.contains(&resource.kind))
    {
        let refused = provider
            .delete(other.cluster(), resource)
            .await
            .unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    }
    assert_eq!(seen(&*provider, wanted.cluster()).await, before);
}

pub async fn clusters_with_a_common_prefix_are_distinct(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    made(&*provider, &wanted).await;
    let name = wanted.cluster();
    let alike = [
        format!("{name}2"),
        format!("{name}-2"),
        name[..name.len() - 1].to_owned(),
    ];
    for other in alike {
        assert_nothing(world, &*provider, &other).await;
    }
}

pub async fn clusters_of_the_same_name_are_distinct(world: &impl World) {
    let [one, two] = ["twin_aaaaaaaaa1", "twin_aaaaaaaaa2"].map(|mark| world.wanted().of(mark));
    let provider = world.provider().await;
    assert_eq!(provider.namesakes("twin").await.unwrap(), []);
    let machine = made(&*provider, &one).await;
    let found = provider.namesakes("twin").await.unwrap();
    let owners: Vec<String> = found.iter().map(|one| one.owner.mark()).collect();
    assert_eq!(owners, [one.cluster()]);
    for other in ["twi", "twin2", "twin_aaaaaaaaa1"] {
        assert_eq!(provider.namesakes(other).await.unwrap(), [], "{other}");
    }

    assert_nothing(world, &*provider, two.cluster()).await;
    let refused = provider.ensure_machine(&two.machine).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    assert!(refused.message.contains("aaaaaaaaa1"), "{refused}");
    let id = ResourceId::in_zone(ResourceKind::Machine, &machine.zone, &machine.name);
    let refused = provider.delete(two.cluster(), &id).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    assert_eq!(
        seen(&*provider, one.cluster()).await.machines[0].name,
        machine.name
    );
}

pub async fn a_data_disk_outlives_its_machine(world: &impl World) {
    let wanted = world.wanted();
    let Some(disk) = wanted.machine.data_disk.clone() else {
        return;
    };
    let provider = world.provider().await;
    made(&*provider, &wanted).await;
    let machine = of_kind(
        &seen(&*provider, wanted.cluster()).await,
        ResourceKind::Machine,
    );
    for _ in 0..2 {
        provider
            .delete(wanted.cluster(), &machine[0])
            .await
            .unwrap();
    }
    let left = seen(&*provider, wanted.cluster()).await;
    assert_eq!(left.machines, []);
    assert_eq!(left.disks.len(), 1);
    assert_eq!(
        (&left.disks[0].name, &left.disks[0].user),
        (&disk.name, &None)
    );
    // Without its machine, that disk is the only one left.
    assert_eq!(
        of_kind(&left, ResourceKind::Disk).len(),
        1,
        "{:?}",
        left.resources
    );
    provider.ensure_machine(&wanted.machine).await.unwrap();
    let again = seen(&*provider, wanted.cluster()).await;
    assert_eq!(
        again.disks[0].user.as_ref(),
        Some(&wanted.machine.machine.name)
    );
}

pub async fn a_stopped_machine_is_reported_and_restarted_unchanged(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    let before = made(&*provider, &wanted).await;
    let reference = &wanted.machine.machine;
    let there = seen(&*provider, wanted.cluster()).await;
    if !world.switch_off(reference).await {
        return;
    }
    let again = world.provider().await;
    let off = again.inspect(wanted.cluster()).await.unwrap();
    assert_eq!(off.machines[0].state, MachineState::Stopped);
    let started = again.ensure_machine(&wanted.machine).await.unwrap();
    let runs = [MachineState::Starting, MachineState::Running];
    assert!(runs.contains(&started.state), "{:?}", started.state);
    assert_eq!(started.internal_address, before.internal_address);
    let after = seen(&*again, wanted.cluster()).await;
    assert_eq!(
        (after.disks, after.resources),
        (there.disks, there.resources)
    );
}

pub async fn a_lost_address_is_reserved_again_or_none_is(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    provider.ensure_network(&wanted.network).await.unwrap();
    let first = provider.ensure_address(&wanted.address).await.unwrap();
    let same = hakube_provider::AddressSpec {
        wanted: Some(first.address),
        ..wanted.address.clone()
    };
    // An existing reservation is used as it is.
    let again = provider.ensure_address(&same).await.unwrap();
    assert_eq!(again.address, first.address);
    let there = seen(&*provider, wanted.cluster()).await;
    for resource in of_kind(&there, ResourceKind::Address) {
        provider.delete(wanted.cluster(), &resource).await.unwrap();
    }
    match provider.ensure_address(&same).await {
        Ok(back) => assert_eq!(back.address, first.address),
        Err(refused) => {
            assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
            let left = provider.inspect(wanted.cluster()).await.unwrap();
            assert_eq!(left.address, None);
        }
    }
    let left = seen(&*provider, wanted.cluster()).await;
    for resource in of_kind(&left, ResourceKind::Address) {
        provider.delete(wanted.cluster(), &resource).await.unwrap();
    }
    // Certainly not available: https://www.rfc-editor.org/rfc/rfc5737
    let unavailable = hakube_provider::AddressSpec {
        wanted: Some(std::net::IpAddr::from([192, 0, 2, 77])),
        ..wanted.address.clone()
    };
    let refused = provider.ensure_address(&unavailable).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
}

pub async fn a_group_has_the_requested_size(world: &impl World) {
    let mut wanted = world.wanted();
    let provider = world.provider().await;
    made(&*provider, &wanted).await;
    for size in [1, 3, 2] {
        wanted.group.size = size;
        provider.ensure_node_group(&wanted.group).await.unwrap();
        let inventory = seen(&*provider, wanted.cluster()).await;
        let group = &inventory.node_groups[0];
        assert_eq!(group.size, size);
        assert_eq!(group.machines.len(), usize::try_from(size).unwrap());
        let stem = &wanted.group.machine.machine.name;
        for machine in &group.machines {
            let is_named_so = machine.starts_with(&format!("{stem}-"));
            assert!(is_named_so || world.has_machines_already(), "{machine}");
        }
    }
    // The drained machine is removed, not one of the provider's choice.
    let members = async || {
        let inventory = seen(&*provider, wanted.cluster()).await;
        inventory.node_groups[0].machines.clone()
    };
    let before = members().await;
    let mut smaller = wanted.group.clone();
    smaller.size = 1;
    smaller.leaving = vec![before[0].clone()];
    provider.ensure_node_group(&smaller).await.unwrap();
    assert_eq!(members().await, before[1..]);
    // A repetition, as after a crash, removes nothing else.
    provider.ensure_node_group(&smaller).await.unwrap();
    assert_eq!(members().await, before[1..]);
    wanted.group.template.push_str("-2");
    wanted.group.size = 2;
    provider.ensure_node_group(&wanted.group).await.unwrap();
    wanted.group.size = 3;
    provider.ensure_node_group(&wanted.group).await.unwrap();
    let inventory = seen(&*provider, wanted.cluster()).await;
    assert_eq!(inventory.node_groups[0].template, wanted.group.template);
}

pub async fn everything_can_be_deleted_and_recreated(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    made(&*provider, &wanted).await;
    let before = seen(&*provider, wanted.cluster()).await;
    delete_all(&*provider, wanted.cluster()).await;
    assert_nothing(world, &*provider, wanted.cluster()).await;
    for kind in DELETION {
        for resource in of_kind(&before, kind) {
            provider.delete(wanted.cluster(), &resource).await.unwrap();
        }
    }
    made(&*provider, &wanted).await;
}

pub async fn preflight_passes_if_creation_would(world: &impl World) {
    let wanted = world.wanted();
    let provider = world.provider().await;
    let spec = hakube_provider::PreflightSpec {
        networks: vec![wanted.network.clone()],
        firewalls: wanted.firewall.iter().cloned().collect(),
        addresses: vec![wanted.address.clone()],
        machines: vec![wanted.machine.clone()],
        node_groups: vec![wanted.group.clone()],
        balancers: wanted.balancer.iter().cloned().collect(),
        rules: Vec::new(),
    };
    assert_eq!(provider.preflight(&spec).await.unwrap(), []);
    // Preflight creates nothing.
    assert_nothing(world, &*provider, wanted.cluster()).await;
    made(&*provider, &wanted).await;
    assert_eq!(provider.preflight(&spec).await.unwrap(), []);
}
