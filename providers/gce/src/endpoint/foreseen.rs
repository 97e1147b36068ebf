//! The swap as it can be foreseen from an inventory.

use super::swap::{AccessConfig, Call, ConfigAddress, Nic, Situation};
use super::{FIRST_INTERFACE, held_as};
use hakube_provider::{
    EndpointSpec, EndpointTarget, ExternalAddress, Inventory, MachineRef, MachineState,
};
use std::net::{IpAddr, Ipv4Addr};

/// The calls of the swap, in order, if all is as the inventory has it, and what isn't there yet is made as it
/// should be.
pub(crate) fn calls(spec: &EndpointSpec, target: &EndpointTarget, there: &Inventory) -> Vec<Call> {
    let reserved = there.address.as_ref().map(|address| address.address);
    let situation = Situation {
        // Nobody has an address that is yet to be reserved.
        address: reserved.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        rule: there.balancer.forwarding,
        machines: there.machines.iter().map(nic).collect(),
        held_as: held_as(&spec.reach),
    };
    // Which address it is makes no other call.
    let released = (spec.released != ExternalAddress::None).then_some(ConfigAddress::Ephemeral);
    let swap = situation.swap(target, released);
    let moved = swap.release.into_iter().chain(swap.hold);
    swap.before
        .into_iter()
        .chain(moved)
        .chain(swap.after)
        .collect()
}

fn nic(machine: &hakube_provider::Machine) -> Nic {
    Nic {
        machine: MachineRef {
            name: machine.name.clone(),
            zone: machine.zone.clone(),
        },
        interface: FIRST_INTERFACE.to_owned(),
        config: machine.external_address.map(|address| AccessConfig {
            name: String::new(),
            address: Some(address),
        }),
        aliases: machine.alias_addresses.clone(),
        leaving: machine.state == MachineState::Stopping,
    }
}
