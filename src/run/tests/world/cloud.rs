//! What the provider has, and what it refuses.

use super::machine::{DataDisk, Instance};
use super::{ENDPOINT, World};
use hakube_provider::{
    Address, ErrorKind, Firewall, MachineSpec, NodeGroup, ProviderError, ResourceId, ResourceKind,
    Result,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that bears the cluster's mark.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// The endpoint's reservation.
    pub address: Option<Address>,
    /// Machines by name.
    pub machines: BTreeMap<String, Instance>,
    /// Data disks by name.
    pub disks: BTreeMap<String, DataDisk>,
    /// Networks that were made for the cluster; `default` is there without a mark.
    pub networks: BTreeSet<String>,
    /// Subnetworks that were.
    pub subnetworks: BTreeSet<String>,
    /// Firewall rules.
    pub firewalls: BTreeMap<String, Firewall>,
    /// The balancer's health check.
    pub health_check: Option<String>,
    /// The balancer's groups: zone and machines.
    pub groups: BTreeMap<String, (String, BTreeSet<String>)>,
    /// The backend service, and the groups that it has.
    pub service: Option<(String, BTreeSet<String>)>,
    /// The rule that holds the endpoint's address.
    pub rule: Option<String>,
    /// What node groups are made from.
    pub templates: BTreeSet<String>,
    /// Node groups by name.
    pub node_groups: BTreeMap<String, NodeGroup>,
    /// Zones that can't be asked, and why not.
    pub unreachable: BTreeMap<String, String>,
    /// Machines made so far: addresses aren't used twice.
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

    /// Refuses what is to be made in a network that isn't there.
    pub fn knows(&self, network: &str) -> Result<()> {
        if network == "default" || self.networks.contains(network) {
            return Ok(());
        }
        let message = "there is no such network";
        Err(refusal(ErrorKind::Invalid, "use", network, message))
    }

    /// The machine that the endpoint's address is on.
    pub fn holder(&self) -> Option<String> {
        let mut holding = self
            .machines
            .iter()
            .filter(|(_, machine)| machine.holds_endpoint);
        holding.next().map(|(name, _)| name.clone())
    }

    /// Takes the endpoint's address off whatever has it.
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
        let disk = spec.data_disk.as_ref().map(|disk| disk.name.clone());
        let mut machine = Instance::new(&spec.machine.zone, self.cloud.made, disk, boots);
        machine.private = spec.external == External::None;
        machine.holds_endpoint = holds_endpoint;
        self.cloud.machines.insert(name.clone(), machine);
        Ok(())
    }

    /// The machine and its boot disk are gone, for whatever reason. The data disk stays.
    pub fn lose_machine(&mut self, name: &str) {
        self.cloud.machines.remove(name);
        for (_, machines) in self.cloud.groups.values_mut() {
            machines.remove(name);
        }
    }

    /// Deletes what nothing else uses.
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
            // A cloud that keeps its images itself never has one that is a cluster's.
            K::Image => {}
            K::Address => self.unreserve(),
            K::Firewall => drop(cloud.firewalls.remove(name)),
            K::Subnetwork => drop(cloud.subnetworks.remove(name)),
            K::Network => drop(cloud.networks.remove(name)),
        }
        Ok(())
    }

    /// Compute Engine deletes an address that is in use without a word: nobody else may rely on that.
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
                address: ENDPOINT,
            })
            .clone()
    }
}
