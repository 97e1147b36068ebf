//! The listeners and health checks that a state asks for: a pure function of the state.

mod backends;
mod wiring;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use hakube_local_net::{BackendId, Desired, Route, Upstream};
use hakube_local_resources::types::instance::{Instance, Status};
use hakube_local_resources::types::{Firewall, ForwardingRule, Work};
use hakube_local_resources::{Key, PortRange, State, Target, link};
use ipnet::IpNet;

use backends::{Backend, Backends};
pub use wiring::{forwarded_addresses, wiring};

/// The source address of Google's health checks. As in the real cloud, a firewall that blocks it makes every
/// backend unhealthy.
const PROBERS: Ipv4Addr = Ipv4Addr::new(35, 191, 0, 1);

/// The desired data plane for this state. Ports below `lowest` can't be bound without privileges.
pub fn desired(state: &State, lowest: u16) -> Desired {
    let mut desired = Desired::default();
    for (key, instance) in state.instances.ready() {
        nat(state, key, instance, lowest, &mut desired);
    }
    for (key, rule) in state.forwarding_rules.ready() {
        balance(state, key, rule, &mut desired);
    }
    desired
}

/// The listeners of an instance's external and alias addresses: one per port that its firewall opens.
fn nat(state: &State, key: &Key, instance: &Instance, lowest: u16, desired: &mut Desired) {
    let Some(internal) = instance.internal_ip() else {
        return;
    };
    if instance.status != Status::Running || is_coming(state, key) {
        return;
    }
    let aliases = instance.network_interfaces.iter();
    let aliases = aliases.flat_map(|nic| nic.aliases());
    for address in instance.external_ip().into_iter().chain(aliases) {
        listen(state, key, instance, (address, internal), lowest, desired);
    }
}

/// The listeners of one address.
fn listen(
    state: &State,
    key: &Key,
    instance: &Instance,
    (external, internal): (Ipv4Addr, Ipv4Addr),
    lowest: u16,
    desired: &mut Desired,
) {
    for port in open_ports(state, instance, &mut desired.notes) {
        if port < lowest {
            desired.notes.insert(format!(
                "port {port} of instance {} is not served at {external}: ports below {lowest} need \
                 privileges",
                key.name
            ));
            continue;
        }
        let upstream = Upstream {
            address: SocketAddrV4::new(internal, port),
            sources: sources(state, instance, port),
            backend: None,
        };
        let route = Route {
            owner: state.path_of::<Instance>(key),
            upstreams: vec![upstream],
        };
        desired
            .routes
            .insert(SocketAddrV4::new(external, port), route);
    }
}

/// Whether an instance's access config is still being added.
fn is_coming(state: &State, key: &Key) -> bool {
    let target = Target::of::<Instance>(key);
    state
        .jobs
        .values()
        .any(|job| job.target == target && job.work == Work::AddAccessConfig && !job.in_force)
}

/// The listeners and probes of a forwarding rule.
fn balance(state: &State, key: &Key, rule: &ForwardingRule, desired: &mut Desired) {
    let (Some(address), Some(backends)) = (rule.ip_address, Backends::of(state, rule)) else {
        return;
    };
    let id = |backend: &Backend<'_>| backend_id(state, &backends.of, &backend.key);
    let ports: BTreeSet<u16> = if rule.is_for_all_ports() {
        let open = backends
            .running
            .iter()
            .flat_map(|backend| open_ports(state, backend.instance, &mut desired.notes));
        open.collect()
    } else {
        rule.ranges()
            .into_iter()
            .flat_map(PortRange::ports)
            .collect()
    };
    for port in ports {
        let upstreams = backends.running.iter().map(|backend| Upstream {
            address: SocketAddrV4::new(backend.internal, port),
            sources: sources(state, backend.instance, port),
            backend: backends.check.as_ref().map(|_| id(backend)),
        });
        let route = Route {
            owner: state.path_of::<ForwardingRule>(key),
            upstreams: upstreams.collect(),
        };
        desired
            .routes
            .insert(SocketAddrV4::new(address, port), route);
    }
    let Some(check) = &backends.check else {
        return;
    };
    for backend in &backends.running {
        let probers = IpAddr::V4(PROBERS);
        let admitted = sources(state, backend.instance, check.port)
            .iter()
            .any(|range| range.contains(&probers));
        if !admitted {
            desired.notes.insert(format!(
                "instance {} of {} {} is unhealthy: no firewall rule allows the health checks' range \
                 35.191.0.0/16 to port {}",
                backend.key.name,
                backends.of.kind.noun(),
                backends.of.key.name,
                check.port
            ));
        }
        let probe = check.probe(backend.internal, admitted);
        desired.probes.insert(id(backend), probe);
    }
}

/// An instance as a backend of a service or a pool.
fn backend_id(state: &State, of: &Target, instance: &Key) -> BackendId {
    BackendId {
        of: state.path(of),
        instance: state.path_of::<Instance>(instance),
    }
}

/// The firewall rules that apply to an instance.
fn firewalls<'a>(
    state: &'a State,
    instance: &'a Instance,
) -> impl Iterator<Item = (&'a Key, &'a Firewall)> {
    state.firewalls.ready().filter(move |(_, firewall)| {
        let mut nics = instance.network_interfaces.iter();
        let same_network = nics.any(|nic| link::same(&nic.network, &firewall.network));
        let targeted = firewall.targets(&instance.tags.items, instance.service_accounts());
        !firewall.disabled && same_network && targeted
    })
}

/// The allowed sources of a port of an instance.
fn sources(state: &State, instance: &Instance, port: u16) -> Vec<IpNet> {
    let mut ranges: Vec<IpNet> = firewalls(state, instance)
        .filter(|(_, firewall)| firewall.tcp_ports().any(|range| range.contains(port)))
        .flat_map(|(_, firewall)| firewall.source_ranges.iter().copied())
        .collect();
    ranges.sort();
    ranges.dedup();
    ranges
}

/// The ports of an instance that some address may reach.
fn open_ports(state: &State, instance: &Instance, notes: &mut BTreeSet<String>) -> BTreeSet<u16> {
    let mut open = BTreeSet::new();
    for (key, firewall) in firewalls(state, instance) {
        // Rules with only source tags or source accounts concern internal traffic, which isn't filtered here.
        if firewall.source_ranges.is_empty() {
            continue;
        }
        for range in firewall.tcp_ports() {
            if range.size() <= PortRange::MOST_SERVED {
                open.extend(range.ports());
            } else if !is_internal(state, firewall) {
                notes.insert(format!(
                    "ports {range} of firewall rule {} are not served at external addresses: ranges of more \
                     than {} ports are not emulated",
                    key.name,
                    PortRange::MOST_SERVED
                ));
            }
        }
    }
    open
}

/// Whether a rule is for machines only, as `default-allow-internal` is.
fn is_internal(state: &State, firewall: &Firewall) -> bool {
    let own = IpNet::V4(state.block.range());
    let mut sources = firewall.source_ranges.iter();
    sources.all(|source| own.contains(source))
}

#[cfg(test)]
mod tests;
