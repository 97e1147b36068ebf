//! Decides which calls move the endpoint's address to its target. Pure.
//!
//! The address can't be moved in one call. So there are three parts: calls that can be made before,
//! the swap itself (release the address, then assign it, with nothing in between), and calls that
//! can wait. After a crash, the same decision yields the remaining calls.

use hakube_provider::{
    EndpointSpec, EndpointTarget, ExternalAddress, Inventory, Machine, MachineRef, MachineState,
    Reach,
};
use std::net::{IpAddr, Ipv4Addr};

/// An interface's name if it isn't reported.
pub(super) const FIRST_INTERFACE: &str = "nic0";

/// The state that matters for the swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) address: IpAddr,
    /// The forwarding rule's address; `None` without a rule.
    pub(super) rule: Option<IpAddr>,
    /// The cluster's individual machines.
    pub(super) machines: Vec<Nic>,
    /// How a machine holds the address.
    pub(super) held_as: HeldAs,
}

/// How a machine holds the endpoint's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldAs {
    /// As its external address, instead of any other.
    AccessConfig,
    /// As an internal address, in addition to its own.
    Alias,
}

impl HeldAs {
    pub(super) fn of(reach: &Reach) -> Self {
        match reach {
            Reach::Anywhere => Self::AccessConfig,
            Reach::Within { .. } => Self::Alias,
        }
    }
}

/// A machine's network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nic {
    pub(super) machine: MachineRef,
    /// The interface's name: `nic0`.
    pub(super) interface: String,
    pub(super) config: Option<AccessConfig>,
    /// The alias addresses.
    pub(super) aliases: Vec<IpAddr>,
    /// Whether the machine is stopping or being deleted. It may hold the address, but needs no other.
    pub(super) leaving: bool,
}

/// A machine's external address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessConfig {
    /// The name, which is required to delete it.
    pub(super) name: String,
    /// The address; a stopped machine may have none.
    pub(super) address: Option<IpAddr>,
}

/// A call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Delete the forwarding rule.
    DeleteRule,
    /// Create the forwarding rule with the endpoint's address.
    InsertRule,
    /// Change a machine's interface.
    On {
        machine: MachineRef,
        interface: String,
        change: NicChange,
    },
}

/// A change of a machine's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NicChange {
    /// Delete the access config of this name.
    RemoveConfig(String),
    /// Create an access config.
    AddConfig(ConfigAddress),
    /// Remove an address from the alias ranges.
    RemoveAlias(IpAddr),
    /// Add an address to the alias ranges.
    AddAlias(IpAddr),
}

/// The address of a new access config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigAddress {
    /// Any.
    Ephemeral,
    /// This reserved one.
    This(IpAddr),
}

/// The calls, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swap {
    /// Calls to make before the address is released.
    pub(super) before: Vec<Call>,
    /// The call that releases the address, if something holds it.
    pub(super) release: Option<Call>,
    /// The call that assigns the address, unless the target holds it.
    pub(super) hold: Option<Call>,
    /// Calls that can wait.
    pub(super) after: Vec<Call>,
}

impl Situation {
    pub(super) fn holder(&self) -> Option<&Nic> {
        self.machines.iter().find(|nic| nic.holds(self.address))
    }

    pub(super) fn has(&self, machine: &MachineRef) -> bool {
        self.machines.iter().any(|nic| nic.machine == *machine)
    }

    fn rule_holds(&self) -> bool {
        self.rule == Some(self.address)
    }

    /// Whether a part of the cluster holds the address.
    pub(super) fn is_held(&self) -> bool {
        self.rule_holds() || self.holder().is_some()
    }

    /// The calls that move the address to the target. `released` is the new address of a machine
    /// that releases the endpoint's. A machine without any address may have released it before a
    /// crash, and gets one too.
    pub(super) fn swap(&self, target: &EndpointTarget, released: Option<ConfigAddress>) -> Swap {
        let mut swap = match target {
            EndpointTarget::Balancer => self.to_balancer(),
            EndpointTarget::Machine(machine) => self.to_machine(machine),
        };
        let Some(address) = released else {
            return swap;
        };
        let bare = self.machines.iter().filter(|nic| {
            let is_target = matches!(target, EndpointTarget::Machine(to) if *to == nic.machine);
            !is_target && !nic.leaving && (nic.config.is_none() || nic.is_reached_at(self.address))
        });
        swap.after = bare
            .map(|nic| nic.call(NicChange::AddConfig(address)))
            .collect();
        swap
    }

    fn to_balancer(&self) -> Swap {
        if self.rule_holds() {
            return Swap::default();
        }
        Swap {
            // A rule of that name with another address must be deleted first.
            before: self.rule.map(|_| Call::DeleteRule).into_iter().collect(),
            release: self.release(),
            hold: Some(Call::InsertRule),
            after: Vec::new(),
        }
    }

    fn to_machine(&self, target: &MachineRef) -> Swap {
        let Some(nic) = self.machines.iter().find(|nic| nic.machine == *target) else {
            return Swap::default();
        };
        if nic.holds(self.address) {
            return Swap::default();
        }
        let (before, hold) = match self.held_as {
            // An interface has only one access config: delete the other address first.
            HeldAs::AccessConfig => {
                let this = ConfigAddress::This(self.address);
                (nic.remove(), NicChange::AddConfig(this))
            }
            HeldAs::Alias => (None, NicChange::AddAlias(self.address)),
        };
        Swap {
            before: before.into_iter().collect(),
            release: self.release(),
            hold: Some(nic.call(hold)),
            after: Vec::new(),
        }
    }

    /// The call that releases the address from its holder.
    fn release(&self) -> Option<Call> {
        if self.rule_holds() {
            return Some(Call::DeleteRule);
        }
        let holder = self.holder()?;
        if holder.aliases.contains(&self.address) {
            Some(holder.call(NicChange::RemoveAlias(self.address)))
        } else {
            holder.remove()
        }
    }
}

impl Nic {
    fn holds(&self, address: IpAddr) -> bool {
        self.is_reached_at(address) || self.aliases.contains(&address)
    }

    fn is_reached_at(&self, address: IpAddr) -> bool {
        self.config
            .as_ref()
            .is_some_and(|config| config.address == Some(address))
    }

    fn remove(&self) -> Option<Call> {
        let name = self.config.as_ref()?.name.clone();
        Some(self.call(NicChange::RemoveConfig(name)))
    }

    fn call(&self, change: NicChange) -> Call {
        Call::On {
            machine: self.machine.clone(),
            interface: self.interface.clone(),
            change,
        }
    }
}

impl Call {
    /// The call that reverses this release.
    pub(super) fn undo(&self, address: IpAddr) -> Option<Self> {
        match self {
            Self::DeleteRule => Some(Self::InsertRule),
            Self::InsertRule => None,
            Self::On {
                machine,
                interface,
                change,
            } => Some(Self::On {
                machine: machine.clone(),
                interface: interface.clone(),
                change: match change {
                    NicChange::RemoveConfig(_) => {
                        NicChange::AddConfig(ConfigAddress::This(address))
                    }
                    NicChange::RemoveAlias(address) => NicChange::AddAlias(*address),
                    NicChange::AddConfig(_) | NicChange::AddAlias(_) => return None,
                },
            }),
        }
    }
}

/// The calls of the swap, in order, for plans: assuming that the inventory is current and that missing
/// resources are created as specified.
pub(crate) fn calls(spec: &EndpointSpec, target: &EndpointTarget, there: &Inventory) -> Vec<Call> {
    let reserved = there.address.as_ref().map(|address| address.address);
    let situation = Situation {
        // An address that isn't reserved yet has no holder.
        address: reserved.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        rule: there.balancer.forwarding,
        machines: there.machines.iter().map(nic).collect(),
        held_as: HeldAs::of(&spec.reach),
    };
    // The actual address doesn't change which calls are made.
    let released = (spec.released != ExternalAddress::None).then_some(ConfigAddress::Ephemeral);
    let swap = situation.swap(target, released);
    let moved = swap.release.into_iter().chain(swap.hold);
    swap.before
        .into_iter()
        .chain(moved)
        .chain(swap.after)
        .collect()
}

fn nic(machine: &Machine) -> Nic {
    Nic {
        machine: machine.machine_ref(),
        interface: FIRST_INTERFACE.to_owned(),
        config: machine.external_address.map(|address| AccessConfig {
            name: String::new(),
            address: Some(address),
        }),
        aliases: machine.alias_addresses.clone(),
        leaving: machine.state == MachineState::Stopping,
    }
}

#[cfg(test)]
mod tests;
