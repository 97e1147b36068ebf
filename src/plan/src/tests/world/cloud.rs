//! The provider's resources, with checks on the order of deletions.

use super::{ELSEWHERE, ENDPOINT, World};
use hakube_model::{Endpoint, EtcdView, NodeView, Phase};
use hakube_provider::{
    Disk, ExternalAddress, Machine, MachineRef, MachineSpec, MachineState, NodeGroup,
    NodeGroupSpec, ResourceId, ResourceKind, Scope,
};
use std::collections::BTreeMap;

impl World {
    pub(super) fn region(&self) -> Scope {
        Scope::Region(self.intent.spec.zone.region().to_owned())
    }

    pub(super) fn make(&mut self, kind: ResourceKind, scope: Scope, name: &str) {
        let resource = ResourceId {
            kind,
            scope,
            name: name.to_owned(),
        };
        let resources = &mut self.observed.inventory.resources;
        if !resources.contains(&resource) {
            resources.push(resource);
        }
    }

    pub(super) fn runs(&self, name: &str) -> bool {
        self.observed
            .inventory
            .machine(name)
            .is_some_and(|machine| machine.state == MachineState::Running)
    }

    pub(super) fn machine_mut(&mut self, name: &str) -> Option<&mut Machine> {
        self.observed
            .inventory
            .machines
            .iter_mut()
            .find(|machine| machine.name == name)
    }

    pub(super) fn make_disk(&mut self, spec: &MachineSpec) {
        let Some(disk) = &spec.data_disk else { return };
        let disks = &mut self.observed.inventory.disks;
        if !disks.iter().any(|found| found.name == disk.name) {
            disks.push(Disk {
                name: disk.name.clone(),
                zone: spec.machine.zone.clone(),
                user: None,
            });
        }
        self.make(
            ResourceKind::Disk,
            Scope::Zone(spec.machine.zone.clone()),
            &disk.name,
        );
    }

    pub(super) fn ensure_machine(&mut self, spec: &MachineSpec) {
        let MachineRef { name, zone } = &spec.machine;
        self.make_disk(spec);
        let inventory = &self.observed.inventory;
        let (external, reserved) = match &spec.external {
            ExternalAddress::None => (None, None),
            ExternalAddress::Ephemeral => (Some(ELSEWHERE), None),
            ExternalAddress::Reserved(address) => (Some(ENDPOINT), Some(address)),
        };
        let cluster = &self.intent.spec;
        let is_inside = cluster.network.private || cluster.endpoint != Endpoint::Provider;
        assert_eq!(external.is_none(), is_inside);
        if let Some(address) = reserved.or(spec.alias.as_ref()) {
            assert!(
                inventory.has(ResourceKind::Address, address),
                "{name} needs {address}, which doesn't exist"
            );
            assert!(
                self.holder().is_none(),
                "{name} needs an address that another machine has"
            );
        }
        if let Some(machine) = self.machine_mut(name) {
            machine.state = MachineState::Running;
            // It boots with its data, and etcd starts.
            self.set_health(name, true);
            return;
        }
        self.machines_made += 1;
        self.observed.inventory.machines.push(Machine {
            name: name.clone(),
            zone: zone.clone(),
            state: MachineState::Running,
            internal_address: Some([10, 40, 0, self.machines_made].into()),
            external_address: external,
            alias_addresses: spec.alias.iter().map(|_| ENDPOINT).collect(),
            labels: BTreeMap::new(),
        });
        self.make(ResourceKind::Machine, Scope::Zone(zone.clone()), name);
        if self.observed.etcd == EtcdView::Absent {
            self.observed.etcd = EtcdView::Unknown {
                why: "no response".to_owned(),
            };
        }
    }

    pub(super) fn ensure_node_group(&mut self, spec: &NodeGroupSpec) {
        self.make(ResourceKind::MachineTemplate, Scope::Global, &spec.template);
        self.make(
            ResourceKind::NodeGroup,
            Scope::Zone(spec.machine.machine.zone.clone()),
            &spec.name,
        );
        let groups = &mut self.observed.inventory.node_groups;
        let place = groups.iter().position(|group| group.name == spec.name);
        let (machines, origins) = place
            .map(|place| groups.remove(place))
            .map_or_else(Default::default, |group| (group.machines, group.origins));
        let stays = |name: &String| !spec.leaving.contains(name);
        groups.push(NodeGroup {
            name: spec.name.clone(),
            zone: spec.machine.machine.zone.clone(),
            size: spec.size,
            template: spec.template.clone(),
            machines: machines.into_iter().filter(stays).collect(),
            origins,
        });
    }

    /// The groups get machines that register as nodes, with a kubelet of this version.
    pub fn nodes_register(&mut self, kubelet: &str) {
        for group in &mut self.observed.inventory.node_groups {
            group.machines = (0..group.size)
                .map(|number| format!("{}-{number}", group.name))
                .collect();
            let nodes = group
                .machines
                .iter()
                .map(|name| node(name, &group.zone, kubelet));
            self.nodes.extend(nodes);
        }
        self.look();
    }

    /// The first group has one machine more, which registers with this kubelet. Returns its name.
    pub fn grow_group(&mut self, kubelet: &str) -> String {
        let group = &mut self.observed.inventory.node_groups[0];
        group.size += 1;
        let name = format!("{}-surge", group.name);
        group.machines.push(name.clone());
        self.nodes.push(node(&name, &group.zone, kubelet));
        self.look();
        name
    }

    pub(super) fn recreate_node(&mut self, spec: &NodeGroupSpec, name: &str) {
        assert!(self.endpoint_answers(), "no endpoint to drain {name}");
        let mut groups = self.observed.inventory.node_groups.iter_mut();
        let group = groups.find(|group| group.name == spec.name).unwrap();
        assert_eq!(
            group.template, spec.template,
            "the group's template is another"
        );
        let machine = group.machines.iter_mut().find(|machine| *machine == name);
        let new = format!("{name}-new");
        new.clone_into(machine.unwrap());
        self.nodes.retain(|known| known.name != name);
        let kubelet = format!("v{}", self.intent.spec.versions.kubernetes);
        self.nodes.push(node(&new, &group.zone, &kubelet));
    }

    /// The machine and its local data are lost.
    pub(super) fn lose_machine(&mut self, name: &str) {
        let inventory = &mut self.observed.inventory;
        inventory.machines.retain(|machine| machine.name != name);
        inventory
            .resources
            .retain(|found| found.kind != ResourceKind::Machine || found.name != name);
        for group in &mut inventory.balancer.groups {
            group.machines.retain(|machine| machine != name);
        }
        self.equipped.remove(name);
        self.arrangements.remove(name);
        self.silent.remove(name);
        self.observed.apis.remove(name);
        if self.observed.inventory.machines.is_empty() {
            self.observed.etcd = EtcdView::Absent;
        }
    }

    pub(super) fn delete(&mut self, resource: &ResourceId) {
        let teardown = self.intent.phase == Phase::Absent;
        let name = &resource.name;
        let inventory = &self.observed.inventory;
        let any = |kinds: &[ResourceKind]| {
            inventory
                .resources
                .iter()
                .any(|found| kinds.contains(&found.kind))
        };
        use ResourceKind as K;
        match resource.kind {
            K::Machine => {
                let holds = |machine: &Machine| machine.holds(ENDPOINT);
                let holds = inventory.machine(name).is_some_and(holds);
                assert!(teardown || !holds, "{name} has the endpoint");
                // It is unknown whether an unreachable one has released it.
                assert!(
                    teardown || self.silent.contains(name) || !self.may_hold(name),
                    "{name} may have the endpoint"
                );
                assert!(
                    teardown || self.observed.etcd.member(name).is_none(),
                    "{name} is a member of etcd"
                );
                return self.lose_machine(name);
            }
            K::Address => assert!(
                teardown && !any(&[K::Machine, K::ForwardingRule]),
                "the endpoint's address"
            ),
            K::BackendService => assert!(!any(&[K::ForwardingRule]), "in use"),
            K::HealthCheck | K::BackendGroup => assert!(!any(&[K::BackendService]), "in use"),
            K::MachineTemplate => {
                let mut groups = inventory.node_groups.iter();
                assert!(groups.all(|group| group.template != *name), "in use");
            }
            K::Disk => {
                let owner = name.strip_suffix("-pd").unwrap();
                assert!(inventory.machine(owner).is_none(), "in use");
            }
            K::Image => assert!(!any(&[K::Machine, K::NodeGroup, K::Disk]), "in use"),
            K::Firewall => assert!(!any(&[K::Machine, K::NodeGroup]), "closed while in use"),
            K::Subnetwork | K::Network => {
                assert!(!any(&[K::Machine, K::NodeGroup, K::Firewall]), "in use");
                let is_of_it = self.intent.spec.network.private && any(&[K::Address]);
                assert!(!is_of_it, "in use");
            }
            K::ForwardingRule | K::NodeGroup => {}
        }
        let inventory = &mut self.observed.inventory;
        inventory.resources.retain(|found| found != resource);
        let balancer = &mut inventory.balancer;
        match resource.kind {
            K::Address => inventory.address = None,
            K::Disk => inventory.disks.retain(|disk| disk.name != *name),
            K::HealthCheck => balancer.health_check = false,
            K::BackendService => balancer.backends = None,
            K::BackendGroup => balancer.groups.retain(|group| group.name != *name),
            K::ForwardingRule => balancer.forwarding = None,
            K::Firewall => inventory.firewalls.retain(|rule| rule.name != *name),
            K::NodeGroup => inventory.node_groups.retain(|group| group.name != *name),
            _ => {}
        }
    }
}

fn node(name: &str, zone: &str, kubelet: &str) -> NodeView {
    NodeView {
        name: name.to_owned(),
        zone: zone.to_owned(),
        ready: true,
        kubelet: Some(kubelet.to_owned()),
        ..NodeView::default()
    }
}
