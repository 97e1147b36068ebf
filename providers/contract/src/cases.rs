//! The cases. Their names are what they hold.

use crate::{DELETION, Wanted, World};
use hakube_provider::{
    ErrorKind, Inventory, Machine, MachineRef, MachineState, Provider, ResourceId, ResourceKind,
    Scope,
};

/// All that is wanted, made.
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

/// What is there, in an order of its own: machines that boot meanwhile are alike.
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

/// Nothing of the cluster is there. An address that is the operator's isn't the cluster's.
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

async fn delete_all(provider: &dyn Provider, cluster: &str) {
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

pub async fn what_was_made_is_found_by_another_process(world: &impl World) {
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
            "a group's machine goes with it"
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

pub async fn a_machine_is_told_alike_by_every_method(world: &impl World) {
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
    let asked = provider
        .machine(&wanted.machine.machine)
        .await
        .unwrap()
        .unwrap();
    let inspected = seen(&*provider, wanted.cluster()).await.machines.remove(0);
    assert_eq!(alike(asked), alike(machine.clone()));
    assert_eq!(inspected, alike(machine));
    provider.console(&wanted.machine.machine).await.unwrap();
}

pub async fn what_isnt_there_is_none_and_its_deletion_a_success(world: &impl World) {
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
        let resource = ResourceId {
            kind,
            scope: Scope::Zone(reference.zone.clone()),
            name: "nobody".to_owned(),
        };
        provider.delete(wanted.cluster(), &resource).await.unwrap();
    }
    made(&*provider, &wanted).await;
    let elsewhere = MachineRef {
        name: "nobody".to_owned(),
        ..reference.clone()
    };
    assert_eq!(provider.machine(&elsewhere).await.unwrap(), None);
}

pub async fn another_clusters_mark_protects(world: &impl World) {
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

pub async fn a_cluster_whose_name_begins_alike_is_another(world: &impl World) {
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
    // With its machine gone, nothing else of it is left but that disk.
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

pub async fn a_group_has_as_many_as_it_was_asked_for(world: &impl World) {
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
    // The one that was drained goes, and not the provider's choice.
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
    // Done again, as after a crash, nothing else goes.
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

pub async fn all_is_gone_at_the_end(world: &impl World) {
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
    // And it can be made again.
    made(&*provider, &wanted).await;
}

pub async fn nothing_is_in_the_way_of_what_can_be_made(world: &impl World) {
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
    // It only looks.
    assert_nothing(world, &*provider, wanted.cluster()).await;
    made(&*provider, &wanted).await;
    assert_eq!(provider.preflight(&spec).await.unwrap(), []);
}
