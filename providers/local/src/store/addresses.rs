//! Which loopback addresses are whose.
//!
//! A cloud owns one block 127.B.0.0/16. Of it, 127.B.0.1 serves the API, 127.B.0.254 the metadata, 127.B.N.0/24 is the Nth
//! subnetwork's, and 127.B.240.0/20 are the external addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::state::State;

/// The first and last second octet that a cloud may own. Below 64 live resolvers (127.0.0.53) and
/// other people's habits.
pub const OCTETS: std::ops::RangeInclusive<u8> = 64..=250;
const SUBNETS: std::ops::RangeInclusive<u8> = 1..=223;
/// First usable host of a subnetwork; .1 is the gateway, as in Compute Engine.
const FIRST_HOST: u32 = 2;

/// One block 127.B.0.0/16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// B.
    pub octet: u8,
    /// Where the search for the next external address starts: one that was just given up isn't
    /// handed out again at once, so that a stale user of it is noticed.
    #[serde(default)]
    next_external: u32,
}

impl Block {
    /// The block 127.`octet`.0.0/16.
    pub const fn new(octet: u8) -> Self {
        Self {
            octet,
            next_external: 0,
        }
    }

    /// Where the API is served.
    pub const fn api(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 0, 1)
    }

    /// Where the metadata server is.
    pub const fn metadata(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 0, 254)
    }

    /// All of it.
    pub fn range(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(127, self.octet, 0, 0), 16)
    }

    /// The external addresses.
    pub fn external(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(127, self.octet, 240, 0), 20)
    }

    /// What custom subnetworks must keep clear of: the API's own /24.
    pub fn reserved(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(127, self.octet, 0, 0), 24)
    }
}

/// The next range that no subnetwork has; `None` when all 223 are taken.
pub fn next_subnet(state: &State) -> Option<Ipv4Net> {
    let taken: Vec<Ipv4Net> = state
        .subnetworks
        .iter()
        .map(|(_, subnet)| subnet.ip_cidr_range)
        .collect();
    SUBNETS
        .filter_map(|n| Ipv4Net::new(Ipv4Addr::new(127, state.block.octet, n, 0), 24).ok())
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

/// The internal addresses that are in use or reserved; and external ones, which are never in a subnetwork.
pub fn internal(state: &State) -> impl Iterator<Item = Ipv4Addr> {
    let reserved = state.addresses.iter();
    let reserved = reserved.filter_map(|(_, address)| address.address);
    users(state).map(|(address, _)| address).chain(reserved)
}

/// Takes the next free external address; `None` when all 4094 are taken.
pub fn take_external(state: &mut State) -> Option<Ipv4Addr> {
    let mut taken: BTreeSet<Ipv4Addr> = state
        .addresses
        .iter()
        .filter_map(|(_, address)| address.address)
        .collect();
    taken.extend(users(state).map(|(address, _)| address));
    let range = state.block.external();
    // Network and broadcast address are left out, as everywhere.
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
