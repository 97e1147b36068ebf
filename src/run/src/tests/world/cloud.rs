//! The provider's resources and refusals.

use super::machine::{DataDisk, Instance};
use super::{ANOTHER, ENDPOINT, World};
use hakube_provider::{
    Address, ErrorKind, Firewall, MachineSpec, NodeGroup, ProviderError, ResourceId, ResourceKind,
    Result,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything with the cluster's ownership label.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// The endpoint's reservation.
    pub address: Option<Address>,
    /// Whether someone else gets the address once the cluster has lost it.
    pub address_is_taken: bool,
    /// Machines by name.
    pub machines: BTreeMap<String, Instance>,
    /// Data disks by name.
    pub disks: BTreeMap<String, DataDisk>,
    /// Networks created for the cluster. `default` always exists, without a label.
    pub networks: BTreeSet<String>,
    /// Subnetworks created for the cluster.
    pub subnetworks: BTreeSet<String>,
    /// Firewall rules.
    pub firewalls: BTreeMap<String, Firewall>,
    /// The balancer's health check.
    pub health_check: Option<String>,
    /// The balancer's groups: zone and machines.
    pub groups: BTreeMap<String, (String, BTreeSet<String>)>,
    /// The backend service, and its groups.
    pub service: Option<(String, BTreeSet<String>)>,
    /// The forwarding rule with the endpoint's address.
    pub rule: Option<String>,
    /// Templates of node groups.
    pub templates: BTreeSet<String>,
    /// Node groups by name.
    pub node_groups: BTreeMap<String, NodeGroup>,
    /// Versions of kubelets, by machine of a group.
    pub kubelets: BTreeMap<String, String>,
    /// The documents that machines of groups were created with.
    pub documents: BTreeMap<String, String>,
    /// Machines of groups whose kubelet never becomes ready because of its version.
    pub broken_kubelet: Option<String>,
    /// Unreachable zones, with the reason.
    pub unreachable: BTreeMap<String, String>,
    /// The machines' ownership label.
    pub mark: String,
    /// The number of machines created, so that addresses aren't reused.
    pub made: u8,
}

impl Cloud {
    /// The machines behind the balancer.
    pub fn backends(&self) -> BTreeSet<String> {
        let Some((_, in_service)) = &self.service else {
            return BTreeSet::new();
        };
        let groups = self
            .groups
            .iter()
            .filter(|(name, _)| in_service.contains(*name));
        groups
            .flat_map(|(_, (_, machines))| machines.clone())
            .collect()
    }

    /// Refuses a network that doesn't exist.
    pub fn knows(&self, network: &str) -> Result<()> {
        if network == "default" || self.networks.contains(network) {
            return Ok(());
        }
        let message = "there is no such network";
        Err(refusal(ErrorKind::Invalid, "use", network, message))
    }

    /// The machine with the endpoint's address.
    pub fn holder(&self) -> Option<String> {
        let mut holding = self
            .machines
            .iter()
            .filter(|(_, machine)| machine.holds_endpoint);
        holding.next().map(|(name, _)| name.clone())
    }

    /// Releases the endpoint's address from its holder.
    pub fn release_endpoint(&mut self) {
        self.rule = None;
        for machine in self.machines.values_mut() {
            machine.holds_endpoint = false;
        }
    }
}

/// The provider's refusal.
pub fn refusal(
    kind: ErrorKind,
    action: &str,
    resource: impl ToString,
    message: &str,
) -> ProviderError {
    ProviderError::new(kind, action, resource.to_string(), message)
}

impl World {
    pub(super) fn make_disk(&mut self, spec: &MachineSpec) {
        if let Some(disk) = &spec.data_disk {
            let zone = spec.machine.zone.clone();
            self.cloud
                .disks
                .entry(disk.name.clone())
                .or_insert(DataDisk::empty(&zone));
        }
    }

    pub(super) fn make_machine(&mut self, spec: &MachineSpec) -> Result<()> {
        use hakube_provider::ExternalAddress as External;
        let name = &spec.machine.name;
        let boots = self.now + super::machine::BOOT;
        if let Some(machine) = self.cloud.machines.get_mut(name) {
            machine.start(boots);
            return Ok(());
        }
        let holds_endpoint = matches!(spec.external, External::Reserved(_)) || spec.alias.is_some();
        if holds_endpoint && self.cloud.address.is_none() {
            return Err(refusal(
                ErrorKind::Invalid,
                "create",
                name,
                "the address isn't reserved",
            ));
        }
        if holds_endpoint && (self.cloud.holder().is_some() || self.cloud.rule.is_some()) {
            return Err(refusal(
                ErrorKind::Conflict,
                "create",
                name,
                "Specified IP address is in-use",
            ));
        }
        self.cloud.made += 1;
        self.cloud.mark.clone_from(&spec.cluster);
        let disk = spec.data_disk.as_ref().map(|disk| disk.name.clone());
        let mut machine = Instance::new(&spec.machine.zone, self.cloud.made, disk, boots);
        machine.private = spec.external == External::None;
        machine.holds_endpoint = holds_endpoint;
        let release = super::upgrade::booted(&spec.user_data);
        let release = release.map(|mark| (super::upgrade::RELEASE.to_owned(), mark));
        machine.files.extend(release);
        self.cloud.machines.insert(name.clone(), machine);
        Ok(())
    }

    /// The machine and its boot disk are lost. The data disk stays.
    pub fn lose_machine(&mut self, name: &str) {
        self.cloud.machines.remove(name);
        for (_, machines) in self.cloud.groups.values_mut() {
            machines.remove(name);
        }
    }

    /// Deletes a resource that nothing uses.
    pub(super) fn delete(&mut self, resource: &ResourceId) -> Result<()> {
        use ResourceKind as K;
        let name = &resource.name;
        if let Some(user) = self.user_of(resource) {
            let message = format!("resourceInUseByAnotherResource: it is used by {user}");
            return Err(refusal(ErrorKind::Invalid, "delete", resource, &message));
        }
        let cloud = &mut self.cloud;
        match resource.kind {
            K::ForwardingRule => cloud.rule = None,
            K::BackendService => cloud.service = None,
            K::HealthCheck => cloud.health_check = None,
            K::BackendGroup => drop(cloud.groups.remove(name)),
            K::NodeGroup => drop(cloud.node_groups.remove(name)),
            K::MachineTemplate => drop(cloud.templates.remove(name)),
            K::Machine => self.lose_machine(name),
            K::Disk => drop(cloud.disks.remove(name)),
            // This cloud's images never belong to a cluster.
            K::Image => {}
            K::Address => self.unreserve(),
            K::Firewall => drop(cloud.firewalls.remove(name)),
            K::Subnetwork => drop(cloud.subnetworks.remove(name)),
            K::Network => drop(cloud.networks.remove(name)),
        }
        Ok(())
    }

    /// Compute Engine silently deletes an address that is in use, so here it is a violation.
    fn unreserve(&mut self) {
        let in_use = self.cloud.rule.is_some() || self.cloud.holder().is_some();
        self.forbid(in_use, || {
            "the endpoint's address was deleted while it was in use".to_owned()
        });
        self.cloud.address = None;
    }

    fn user_of(&self, resource: &ResourceId) -> Option<String> {
        use ResourceKind as K;
        let cloud = &self.cloud;
        let name = &resource.name;
        let service = || cloud.service.as_ref();
        let machine = || cloud.machines.keys().next().cloned();
        match resource.kind {
            K::BackendService => cloud.rule.clone(),
            K::HealthCheck => service().map(|(service, _)| service.clone()),
            K::BackendGroup => service()
                .filter(|(_, groups)| groups.contains(name))
                .map(|(service, _)| service.clone()),
            K::Disk => {
                let uses = |machine: &Instance| machine.disk.as_ref() == Some(name);
                cloud
                    .machines
                    .iter()
                    .find(|(_, machine)| uses(machine))
                    .map(|(name, _)| name.clone())
            }
            K::MachineTemplate => {
                let mut groups = cloud.node_groups.values();
                groups
                    .find(|group| group.template == *name)
                    .map(|group| group.name.clone())
            }
            K::Subnetwork => machine(),
            K::Network => machine().or_else(|| {
                cloud
                    .firewalls
                    .keys()
                    .chain(&cloud.subnetworks)
                    .next()
                    .cloned()
            }),
            K::ForwardingRule | K::NodeGroup | K::Machine | K::Image | K::Address | K::Firewall => {
                None
            }
        }
    }

    pub(super) fn reserve(&mut self, name: &str) -> Address {
        self.cloud
            .address
            .get_or_insert(Address {
                name: name.to_owned(),
                address: match self.cloud.address_is_taken {
                    false => ENDPOINT,
                    true => ANOTHER,
                },
            })
            .clone()
    }
}
