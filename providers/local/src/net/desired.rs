//! Who should listen where: a pure function of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ipnet::IpNet;

use super::backends::{Backend, Backends};
use crate::compute::firewall::Firewall;
use crate::compute::forwarding_rule::ForwardingRule;
use crate::compute::health_check::Protocol;
use crate::compute::instance::{Instance, Status};
use crate::compute::link;
use crate::compute::ports::PortRange;
use crate::compute::resource::Target;
use crate::compute::scope::Key;
use crate::operation::Work;
use crate::store::State;

/// Where Google's health checks come from. A firewall that doesn't let them in makes every
/// backend unhealthy: in reality, and here.
const PROBERS: Ipv4Addr = Ipv4Addr::new(35, 191, 0, 1);

/// All that the data plane should do.
#[derive(Debug, Default, PartialEq)]
pub struct Desired {
    /// Listeners.
    pub routes: BTreeMap<SocketAddrV4, Route>,
    /// Health checks.
    pub probes: BTreeMap<BackendId, Probe>,
    /// What is not emulated here, for the log.
    pub notes: BTreeSet<String>,
}

/// What a listener is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The instance or forwarding rule whose address it is.
    pub owner: Target,
    /// Where connections may go: one machine, or the backends of a service.
    pub upstreams: Vec<Upstream>,
}

/// One machine behind a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its internal address and port.
    pub address: SocketAddrV4,
    /// Whom its firewall lets in.
    pub sources: Vec<IpNet>,
    /// Whose health decides whether it gets connections; none in front of a single machine.
    pub backend: Option<BackendId>,
}

impl Upstream {
    /// Whether the firewall lets this client in.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.sources.iter().any(|range| range.contains(&client))
    }
}

/// An instance, as the backend of a service or a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The service or the pool.
    pub of: Target,
    /// The instance.
    pub instance: Key,
}

/// How a backend's health is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Probe {
    pub address: SocketAddrV4,
    pub protocol: Protocol,
    pub path: String,
    pub host: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_after: u32,
    pub unhealthy_after: u32,
    /// Whether the firewall lets Google's probers in.
    pub admitted: bool,
}

/// What the data plane should do in this state. Ports below `lowest` can't be bound without
/// privilege.
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

/// The listeners of an instance's other addresses, external and alias: one per port that its firewall opens.
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

/// The listeners of one of them.
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
                 privilege",
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
            owner: Target::of::<Instance>(key),
            upstreams: vec![upstream],
        };
        desired
            .routes
            .insert(SocketAddrV4::new(external, port), route);
    }
}

/// Whether an instance's access config is being added, and not in force yet.
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
    let id = |backend: &Backend<'_>| BackendId {
        of: backends.of.clone(),
        instance: backend.key.clone(),
    };
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
            owner: Target::of::<ForwardingRule>(key),
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
                "instance {} of {} {} is unhealthy: no firewall rule lets the health checks' range \
                 35.191.0.0/16 in on port {}",
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

/// The firewall rules that are about an instance.
fn firewalls<'a>(
    state: &'a State,
    instance: &'a Instance,
) -> impl Iterator<Item = (&'a Key, &'a Firewall)> {
    state.firewalls.ready().filter(move |(_, firewall)| {
        let mut nics = instance.network_interfaces.iter();
        let same_network = nics.any(|nic| link::same(&nic.network, &firewall.network));
        let targets = &firewall.target_tags;
        let targeted =
            targets.is_empty() || targets.iter().any(|tag| instance.tags.items.contains(tag));
        !firewall.disabled && same_network && targeted
    })
}

/// Who may connect to a port of an instance.
fn sources(state: &State, instance: &Instance, port: u16) -> Vec<IpNet> {
    let mut ranges: Vec<IpNet> = firewalls(state, instance)
        .filter(|(_, firewall)| firewall.tcp_ports().any(|range| range.contains(port)))
        .flat_map(|(_, firewall)| firewall.source_ranges.iter().copied())
        .collect();
    ranges.sort();
    ranges.dedup();
    ranges
}

/// The ports of an instance that are open to some address.
fn open_ports(state: &State, instance: &Instance, notes: &mut BTreeSet<String>) -> BTreeSet<u16> {
    let mut open = BTreeSet::new();
    for (key, firewall) in firewalls(state, instance) {
        // Rules for tags alone are about internal traffic, which nothing here holds back.
        if firewall.source_ranges.is_empty() {
            continue;
        }
        for range in firewall.tcp_ports() {
            if range.size() > PortRange::MOST_SERVED {
                notes.insert(format!(
                    "ports {range} of firewall rule {} are not served at external addresses: more \
                     than {} at a time are not emulated",
                    key.name,
                    PortRange::MOST_SERVED
                ));
            } else {
                open.extend(range.ports());
            }
        }
    }
    open
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
