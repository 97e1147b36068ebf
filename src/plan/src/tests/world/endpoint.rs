//! The balancer and the endpoint's address.

use super::{ELSEWHERE, ENDPOINT, World};
use hakube_provider::{
    BackendGroup, BalancerSpec, EndpointTarget, ExternalAddress, Machine, MachineRef, ResourceKind,
    Scope,
};
use std::collections::BTreeMap;

impl World {
    pub(super) fn ensure_balancer(&mut self, spec: &BalancerSpec) {
        let live = self.observed.inventory.balancer.forwarding.is_some();
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for MachineRef { name, zone } in &spec.backends {
            assert!(
                self.observed.inventory.machine(name).is_some(),
                "backend {name} doesn't exist"
            );
            assert!(
                !live || self.observed.api_ready(name),
                "clients are sent to {name}, which isn't ready"
            );
            groups.entry(zone).or_default().push(name.clone());
        }
        let groups: Vec<BackendGroup> = groups
            .into_iter()
            .map(|(zone, machines)| BackendGroup {
                name: format!("{}-{zone}", spec.name),
                zone: zone.to_owned(),
                machines,
            })
            .collect();
        self.observed
            .inventory
            .resources
            .retain(|resource| resource.kind != ResourceKind::BackendGroup);
        for group in &groups {
            self.make(
                ResourceKind::BackendGroup,
                Scope::Zone(group.zone.clone()),
                &group.name,
            );
        }
        self.make(ResourceKind::HealthCheck, self.region(), &spec.name);
        self.make(ResourceKind::BackendService, self.region(), &spec.name);
        let balancer = &mut self.observed.inventory.balancer;
        balancer.health_check = true;
        balancer.backends = Some(groups.iter().map(|group| group.name.clone()).collect());
        balancer.groups = groups;
    }

    /// The machine with the endpoint's address.
    pub(super) fn holder(&self) -> Option<&Machine> {
        self.observed
            .inventory
            .machines
            .iter()
            .find(|machine| machine.holds(ENDPOINT))
    }

    pub(super) fn endpoint_answers(&self) -> bool {
        let inventory = &self.observed.inventory;
        let ready = |name: &str| self.runs(name) && self.observed.api_ready(name);
        let balanced = inventory.balancer.forwarding.is_some()
            && inventory.balancer.machines().into_iter().any(ready);
        balanced
            || self.shared_endpoint_answers()
            || self.holder().is_some_and(|machine| ready(&machine.name))
    }

    pub(super) fn release_endpoint(&mut self) {
        let rule = self.intent.spec.names.forwarding_rule();
        let inventory = &mut self.observed.inventory;
        inventory.resources.retain(|resource| resource.name != rule);
        inventory.balancer.forwarding = None;
        for machine in &mut inventory.machines {
            machine.external_address = machine
                .external_address
                .filter(|address| *address != ENDPOINT);
            machine.alias_addresses.clear();
        }
    }

    pub(super) fn point_endpoint(&mut self, target: &EndpointTarget) {
        assert!(
            self.observed.inventory.address.is_some(),
            "an address that isn't reserved"
        );
        self.release_endpoint();
        match target {
            EndpointTarget::Machine(machine) => {
                assert!(
                    self.observed.api_ready(&machine.name),
                    "clients are sent to {machine:?}"
                );
                let private = self.intent.spec.network.private;
                let machine = self.machine_mut(&machine.name).unwrap();
                if private {
                    machine.alias_addresses.push(ENDPOINT);
                } else {
                    machine.external_address = Some(ENDPOINT);
                }
            }
            EndpointTarget::Balancer => {
                let backends = self.observed.inventory.balancer.machines();
                assert!(backends.iter().any(|name| self.observed.api_ready(name)),);
                self.make(
                    ResourceKind::ForwardingRule,
                    self.region(),
                    &self.intent.spec.names.forwarding_rule(),
                );
                self.observed.inventory.balancer.forwarding = Some(ENDPOINT);
                self.restore_external_addresses();
            }
        }
    }

    /// Machines that gave the endpoint's address away get another.
    pub(super) fn restore_external_addresses(&mut self) {
        if self.intent.spec.external_address() != ExternalAddress::Ephemeral {
            return;
        }
        for machine in &mut self.observed.inventory.machines {
            machine.external_address.get_or_insert(ELSEWHERE);
        }
    }
}
