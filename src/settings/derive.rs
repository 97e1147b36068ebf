//! Defaults that depend on other settings. kube-up's arithmetic, as pure functions.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The machine type of replicas for a cluster of so many nodes.
pub fn replica_machine_type(nodes: u32) -> String {
    let cpus = match nodes {
        0..=10 => 2,
        11..=50 => 4,
        51..=100 => 8,
        101..=500 => 16,
        _ => 32,
    };
    format!("e2-standard-{cpus}")
}

/// Pods' addresses for so many nodes.
pub fn cluster_range(nodes: u32) -> String {
    let prefix = match nodes {
        0..=1000 => 14,
        1001..=2000 => 13,
        2001..=4000 => 12,
        _ => 11,
    };
    format!("10.64.0.0/{prefix}")
}

/// Machines' addresses for so many nodes.
pub fn node_range(nodes: u32) -> String {
    let prefix = match nodes {
        0..=1000 => 22,
        1001..=2000 => 21,
        2001..=4000 => 20,
        _ => 19,
    };
    format!("10.40.0.0/{prefix}")
}

/// The address at a distance from the start of a range; `None` beyond its end.
pub fn nth_address(range: IpNet, n: u32) -> Option<IpAddr> {
    let address = match range.network() {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).checked_add(n)?)),
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(
            u128::from(first).checked_add(u128::from(n))?,
        )),
    };
    range.contains(&address).then_some(address)
}

/// The size in bits of the range that each node has of a range of pods' addresses: room for twice the pods that it
/// runs at most, so that an address isn't given anew the moment that it is free; of IPv6 a /64.
/// Source: kube-up's `get-alias-range-size`.
pub fn node_bits(pods: IpNet, per_node: u32) -> u32 {
    if pods.addr().is_ipv6() {
        return 64;
    }
    per_node.saturating_mul(2).next_power_of_two().ilog2()
}

/// The number of nodes that have such a range of their own.
pub fn nodes_at_most(pods: IpNet, per_node: u32) -> u128 {
    let bits = u32::from(pods.max_prefix_len() - pods.prefix_len());
    let of_nodes = bits.checked_sub(node_bits(pods, per_node));
    of_nodes.map_or(0, |bits| 1u128.checked_shl(bits).unwrap_or(u128::MAX))
}
