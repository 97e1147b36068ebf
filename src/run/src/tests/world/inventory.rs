//! The provider's inventory.

use super::machine::Instance;
use super::{Cloud, ENDPOINT};
use hakube_provider::{
    BackendGroup, Balancer, Disk, Inventory, Machine, MachineState, ResourceId, ResourceKind, Scope,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// An ephemeral address.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const REGION: &str = "europe-west1";

impl Cloud {
    /// Everything with the ownership label.
    pub fn inventory(&self) -> Inventory {
        let mut all = self.everything();
        let unreachable = self.unreachable.clone();
        all.machines
            .retain(|machine| !unreachable.contains_key(&machine.zone));
        all.disks
            .retain(|disk| !unreachable.contains_key(&disk.zone));
        all.node_groups
            .retain(|group| !unreachable.contains_key(&group.zone));
        all.resources.retain(|resource| match &resource.scope {
            Scope::Zone(zone) => !unreachable.contains_key(zone),
            Scope::Global | Scope::Region(_) => true,
        });
        Inventory { unreachable, ..all }
    }

    fn everything(&self) -> Inventory {
        Inventory {
            unreachable_machines: BTreeMap::new(),
            address: self.address.clone(),
            machines: self
                .machines
                .iter()
                .map(|(name, machine)| machine.report(name))
                .collect(),
            disks: self
                .disks
                .iter()
                .map(|(name, disk)| self.disk(name, &disk.zone))
                .collect(),
            balancer: self.balancer(),
            node_groups: self.node_groups.values().cloned().collect(),
            firewalls: self.firewalls.values().cloned().collect(),
            resources: self.resources(),
            unreachable: BTreeMap::new(),
        }
    }

    fn disk(&self, name: &str, zone: &str) -> Disk {
        let uses = |machine: &Instance| machine.disk.as_deref() == Some(name);
        let user = self
            .machines
            .iter()
            .find(|(_, machine)| uses(machine))
            .map(|(name, _)| name.clone());
        Disk {
            name: name.to_owned(),
            zone: zone.to_owned(),
            user,
        }
    }

    fn balancer(&self) -> Balancer {
        let group = |(name, (zone, machines)): (&String, &(String, _))| {
            let machines: &std::collections::BTreeSet<String> = machines;
            BackendGroup {
                name: name.clone(),
                zone: zone.clone(),
                machines: machines.iter().cloned().collect(),
            }
        };
        Balancer {
            health_check: self.health_check.is_some(),
            groups: self.groups.iter().map(group).collect(),
            backends: self
                .service
                .as_ref()
                .map(|(_, groups)| groups.iter().cloned().collect()),
            forwarding: self.rule.as_ref().map(|_| {
                let address = self.address.as_ref();
                address.map_or(ENDPOINT, |address| address.address)
            }),
        }
    }

    fn resources(&self) -> Vec<ResourceId> {
        use ResourceKind as K;
        let region = || Scope::Region(REGION.to_owned());
        let id = |kind, scope, name: &String| ResourceId {
            kind,
            scope,
            name: name.clone(),
        };
        let mut all = Vec::new();
        all.extend(
            self.rule
                .iter()
                .map(|name| id(K::ForwardingRule, region(), name)),
        );
        all.extend(
            self.service
                .iter()
                .map(|(name, _)| id(K::BackendService, region(), name)),
        );
        all.extend(
            self.health_check
                .iter()
                .map(|name| id(K::HealthCheck, region(), name)),
        );
        all.extend(
            self.groups
                .iter()
                .map(|(name, (zone, _))| id(K::BackendGroup, Scope::Zone(zone.clone()), name)),
        );
        let groups = self.node_groups.values();
        all.extend(
            groups.map(|group| id(K::NodeGroup, Scope::Zone(group.zone.clone()), &group.name)),
        );
        all.extend(
            self.templates
                .iter()
                .map(|name| id(K::MachineTemplate, Scope::Global, name)),
        );
        all.extend(
            self.machines
                .iter()
                .map(|(name, m)| id(K::Machine, Scope::Zone(m.zone.clone()), name)),
        );
        all.extend(
            self.disks
                .iter()
                .map(|(name, d)| id(K::Disk, Scope::Zone(d.zone.clone()), name)),
        );
        all.extend(
            self.address
                .iter()
                .map(|address| id(K::Address, region(), &address.name)),
        );
        all.extend(
            self.firewalls
                .keys()
                .map(|name| id(K::Firewall, Scope::Global, name)),
        );
        all.extend(
            self.subnetworks
                .iter()
                .map(|name| id(K::Subnetwork, region(), name)),
        );
        all.extend(
            self.networks
                .iter()
                .map(|name| id(K::Network, Scope::Global, name)),
        );
        all
    }
}

impl Instance {
    /// The provider's description.
    pub fn report(&self, name: &str) -> Machine {
        let (external, alias) = match (self.private, self.holds_endpoint) {
            (false, false) => (Some(ELSEWHERE), None),
            (false, true) => (Some(ENDPOINT), None),
            (true, holds) => (None, holds.then_some(ENDPOINT)),
        };
        Machine {
            name: name.to_owned(),
            zone: self.zone.clone(),
            state: if self.boots.is_some() {
                MachineState::Running
            } else {
                MachineState::Stopped
            },
            internal_address: Some(self.address),
            external_address: external,
            alias_addresses: alias.into_iter().collect(),
            labels: BTreeMap::new(),
        }
    }
}
