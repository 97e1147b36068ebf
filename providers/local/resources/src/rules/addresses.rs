//! The allocation of addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::state::State;

const SUBNETS: std::ops::RangeInclusive<u8> = 1..=223;
/// The first usable host of a subnetwork; .1 is the gateway, as in Compute Engine.
const FIRST_HOST: u32 = 2;

/// The next free range for a subnetwork; `None` when all 223 are taken.
pub fn next_subnet(state: &State) -> Option<Ipv4Net> {
    let taken: Vec<Ipv4Net> = state
        .subnetworks
        .iter()
        .map(|(_, subnet)| subnet.ip_cidr_range)
        .collect();
    SUBNETS
        .filter_map(|n| Ipv4Net::new(state.block.first(n).into(), 24).ok())
        .find(|range| !taken.iter().any(|t| t.contains(range) || range.contains(t)))
}

/// The next free address of a subnetwork for a machine; `None` when it is full.
pub fn next_internal(state: &State, range: Ipv4Net) -> Option<Ipv4Addr> {
    let taken: BTreeSet<Ipv4Addr> = internal(state).collect();
    let last = u32::from(range.broadcast()).checked_sub(1)?;
    (u32::from(range.network()) + FIRST_HOST..=last)
        .map(Ipv4Addr::from)
        .find(|address| !taken.contains(address))
}

/// Internal addresses that are in use or reserved. Includes external ones, which are never in a subnetwork.
pub fn internal(state: &State) -> impl Iterator<Item = Ipv4Addr> {
    let reserved = state.addresses.iter();
    let reserved = reserved.filter_map(|(_, address)| address.address);
    users(state).map(|(address, _)| address).chain(reserved)
}

/// Allocates the next free external address; `None` when all 4094 are taken.
pub fn take_external(state: &mut State) -> Option<Ipv4Addr> {
    let mut taken: BTreeSet<Ipv4Addr> = state
        .addresses
        .iter()
        .filter_map(|(_, address)| address.address)
        .collect();
    taken.extend(users(state).map(|(address, _)| address));
    let range = state.block.external();
    // Without the network and broadcast addresses.
    let usable = (1u32 << (32 - range.prefix_len())) - 2;
    let offset = (0..usable)
        .map(|n| (state.block.next_external + n) % usable)
        .find(|offset| !taken.contains(&nth(range, *offset)))?;
    state.block.next_external = (offset + 1) % usable;
    Some(nth(range, offset))
}

fn nth(range: Ipv4Net, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()) + 1 + offset)
}

/// Every address in use, with the URL of the instance or rule that uses it.
pub fn users(state: &State) -> impl Iterator<Item = (Ipv4Addr, &str)> {
    let instances = state.instances.iter().flat_map(|(_, instance)| {
        let nat = instance.access_configs().filter_map(|config| config.nat_ip);
        let own = instance.network_interfaces.iter();
        let own = own.flat_map(|nic| nic.network_ip.into_iter().chain(nic.aliases()));
        let addresses = nat.chain(own);
        addresses.map(|address| (address, instance.meta.self_link.as_str()))
    });
    let rules = state
        .forwarding_rules
        .iter()
        .filter_map(|(_, rule)| Some((rule.ip_address?, rule.meta.self_link.as_str())));
    instances.chain(rules)
}
