//! Which calls bring the endpoint's address to its target: a pure decision.
//!
//! The address can't be moved in one call. So the calls come in three parts: what can be done before, the
//! swap itself (release it where it is, put it where it should be, nothing in between), and what can wait.
//! Whatever was done of them before a crash is found done, and what remains is the same plan's rest.

use hakube_provider::{EndpointTarget, MachineRef};
use std::net::IpAddr;

/// What is there, as far as the swap is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Situation {
    /// The endpoint's address.
    pub(super) address: IpAddr,
    /// The address that the forwarding rule of the endpoint's name holds; `None` when there is no rule.
    pub(super) rule: Option<IpAddr>,
    /// The cluster's machines that were made one by one.
    pub(super) machines: Vec<Nic>,
    /// How a machine is to hold it.
    pub(super) held_as: HeldAs,
}

/// How a machine holds the endpoint's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldAs {
    /// An external one, in place of any other.
    AccessConfig,
    /// An internal one, besides its own.
    Alias,
}

/// A machine's network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nic {
    pub(super) machine: MachineRef,
    /// The interface's name: `nic0`.
    pub(super) interface: String,
    /// Its access config, if it has one.
    pub(super) config: Option<AccessConfig>,
    /// The addresses that it answers to besides its own.
    pub(super) aliases: Vec<IpAddr>,
    /// Whether the machine is being stopped or deleted: it may hold the address, and needs no other.
    pub(super) leaving: bool,
}

/// How a machine is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessConfig {
    /// Its name, by which alone it can be deleted.
    pub(super) name: String,
    /// Its address; a stopped machine has none.
    pub(super) address: Option<IpAddr>,
}

/// One call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Delete the forwarding rule.
    DeleteRule,
    /// Make the forwarding rule, with the endpoint's address.
    InsertRule,
    /// Delete an access config.
    RemoveConfig {
        machine: MachineRef,
        interface: String,
        config: String,
    },
    /// Make an access config.
    AddConfig {
        machine: MachineRef,
        interface: String,
        address: ConfigAddress,
    },
    /// Take an address from an interface's alias ranges.
    RemoveAlias {
        machine: MachineRef,
        interface: String,
        address: IpAddr,
    },
    /// Put it among them.
    AddAlias {
        machine: MachineRef,
        interface: String,
        address: IpAddr,
    },
}

/// The address of an access config that is made.
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
    /// What can be done before the address is released.
    pub(super) before: Vec<Call>,
    /// Where the address is released, if anything holds it.
    pub(super) release: Option<Call>,
    /// Where the address is put, unless it is there.
    pub(super) hold: Option<Call>,
    /// What can wait.
    pub(super) after: Vec<Call>,
}

impl Situation {
    /// The machine that holds the address.
    pub(super) fn holder(&self) -> Option<&Nic> {
        self.machines.iter().find(|nic| nic.holds(self.address))
    }

    /// Whether the machine is the cluster's.
    pub(super) fn has(&self, machine: &MachineRef) -> bool {
        self.machines.iter().any(|nic| nic.machine == *machine)
    }

    fn rule_holds(&self) -> bool {
        self.rule == Some(self.address)
    }

    /// Whether one of the cluster's own parts holds the address.
    pub(super) fn is_held(&self) -> bool {
        self.rule_holds() || self.holder().is_some()
    }

    /// The calls that bring the address to the target. `released` is what a machine gets that had to give
    /// its address away; one that has none at all may have given it away before a crash, and gets it too.
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
        swap.after = bare.map(|nic| nic.add(address)).collect();
        swap
    }

    fn to_balancer(&self) -> Swap {
        if self.rule_holds() {
            return Swap::default();
        }
        Swap {
            // A rule of that name with another address can only be in the way.
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
            // One access config for each interface: the other address must go first.
            HeldAs::AccessConfig => (nic.remove(), nic.add(ConfigAddress::This(self.address))),
            HeldAs::Alias => (None, nic.add_alias(self.address)),
        };
        Swap {
            before: before.into_iter().collect(),
            release: self.release(),
            hold: Some(hold),
            after: Vec::new(),
        }
    }

    /// What takes the address from where it is.
    fn release(&self) -> Option<Call> {
        if self.rule_holds() {
            return Some(Call::DeleteRule);
        }
        let holder = self.holder()?;
        if holder.aliases.contains(&self.address) {
            Some(holder.remove_alias(self.address))
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
        let config = self.config.as_ref()?;
        Some(Call::RemoveConfig {
            machine: self.machine.clone(),
            interface: self.interface.clone(),
            config: config.name.clone(),
        })
    }

    fn add(&self, address: ConfigAddress) -> Call {
        Call::AddConfig {
            machine: self.machine.clone(),
            interface: self.interface.clone(),
            address,
        }
    }

    fn remove_alias(&self, address: IpAddr) -> Call {
        Call::RemoveAlias {
            machine: self.machine.clone(),
            interface: self.interface.clone(),
            address,
        }
    }

    fn add_alias(&self, address: IpAddr) -> Call {
        Call::AddAlias {
            machine: self.machine.clone(),
            interface: self.interface.clone(),
            address,
        }
    }
}

impl Call {
    /// The call that puts the address back where this one released it.
    pub(super) fn undo(&self, address: IpAddr) -> Option<Self> {
        match self {
            Self::DeleteRule => Some(Self::InsertRule),
            Self::RemoveConfig {
                machine, interface, ..
            } => Some(Self::AddConfig {
                machine: machine.clone(),
                interface: interface.clone(),
                address: ConfigAddress::This(address),
            }),
            Self::RemoveAlias {
                machine,
                interface,
                address,
            } => Some(Self::AddAlias {
                machine: machine.clone(),
                interface: interface.clone(),
                address: *address,
            }),
            Self::InsertRule | Self::AddConfig { .. } | Self::AddAlias { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
