//! The endpoint's address on the replicas, with a check that no two could hold it at once.

use super::World;
use hakube_model::{Arrangement, Endpoint, HoldView, Sharer};
use hakube_provider::MachineRef;

impl World {
    /// The running machines that share the address, with their arrangements.
    fn holders(&self) -> impl Iterator<Item = (&String, &Arrangement)> {
        let running = self.arrangements.iter().filter(|(name, _)| self.runs(name));
        running.filter(|(name, arrangement)| arrangement.sharer(name).is_some())
    }

    fn sharer(&self, name: &str) -> Sharer {
        let machine = self.observed.inventory.machine(name);
        let address = machine.and_then(|machine| machine.internal_address);
        Sharer {
            name: name.to_owned(),
            address: address.unwrap_or_else(|| panic!("{name} has no address to share with")),
        }
    }

    pub(super) fn share_address(&mut self, machine: &MachineRef, among: &[MachineRef]) {
        let name = &machine.name;
        assert!(
            self.runs(name) && self.observed.api_ready(name),
            "{name} would hold the address, but isn't ready"
        );
        let endpoint = self.observed.inventory.address.as_ref();
        let arrangement = Arrangement {
            address: endpoint.expect("an address that isn't reserved").address,
            port: self.intent.spec.api.port,
            sharers: among.iter().map(|one| self.sharer(&one.name)).collect(),
        };
        assert!(
            arrangement.sharer(name).is_some(),
            "{name} isn't among them"
        );
        self.arrangements.insert(name.clone(), arrangement);
        self.check_holders();
    }

    pub(super) fn release_address(&mut self, machine: &MachineRef) {
        self.arrangements.remove(&machine.name);
    }

    /// All machines that may take the address must know each other. Otherwise two could hold it at once.
    pub(super) fn check_holders(&self) {
        for (one, arrangement) in self.holders() {
            for (other, _) in self.holders() {
                assert!(
                    arrangement.sharers.contains(&self.sharer(other)),
                    "{other} may take the address, but {one} doesn't know it: {:#?}",
                    self.arrangements
                );
            }
        }
    }

    /// Whether a machine holds the address and its API server is ready.
    pub(super) fn shared_endpoint_answers(&self) -> bool {
        let mut holders = self.holders();
        holders.any(|(name, _)| self.observed.api_ready(name))
    }

    /// Whether the replica may hold the address.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.holders().any(|(holder, _)| holder == name)
    }

    /// Observes the arrangement of each machine.
    pub(super) fn look_at_holds(&mut self) {
        if self.intent.spec.endpoint != Endpoint::Machines {
            return;
        }
        let machines = self.observed.inventory.machines.iter();
        let running = machines.filter(|machine| self.runs(&machine.name));
        let views = running.map(|machine| {
            let name = &machine.name;
            let view = match self.arrangements.get(name) {
                _ if self.silent.contains(name) => HoldView::Unknown {
                    why: "ssh: no response".to_owned(),
                },
                None => HoldView::Nothing,
                Some(arrangement) => HoldView::Shares(arrangement.clone()),
            };
            (name.clone(), view)
        });
        self.observed.holds = views.collect();
    }
}
