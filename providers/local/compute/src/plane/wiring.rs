//! The network that a state asks for, of machines that have a kernel's network of their own: a pure function of the
//! state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hakube_local_net::{Balancer, Ingress, IpProtocol, Wire, Wiring};
use hakube_local_resources::types::firewall::Traffic;
use hakube_local_resources::types::instance::{Instance, NetworkInterface, Status};
use hakube_local_resources::types::{Firewall, ForwardingRule};
use hakube_local_resources::{Key, PortRange, State, link};
use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::backends::Backends;
use super::{PROBERS, backend_id, firewalls, is_coming};

/// The network for this state.
pub fn wiring(state: &State) -> Wiring {
    let mut wiring = Wiring {
        external: state.block.external(),
        ..Wiring::default()
    };
    for (_, subnetwork) in state.subnetworks.iter() {
        wiring.gateways.insert(subnetwork.gateway());
        wiring.internal.insert(subnetwork.ip_cidr_range);
        let secondary = subnetwork.secondary_ip_ranges.iter();
        wiring
            .internal
            .extend(secondary.map(|range| range.ip_cidr_range));
    }
    for (key, instance) in state.instances.ready() {
        if let Some((address, wire)) = wire(state, key, instance) {
            wiring.machines.insert(address, wire);
        }
    }
    wiring.routes = routes(state, &wiring);
    for (_, rule) in state.forwarding_rules.ready() {
        balance(state, rule, &mut wiring);
    }
    wiring
}

/// The routes that clients created, to running machines that may forward.
fn routes(state: &State, wiring: &Wiring) -> BTreeMap<Ipv4Net, Ipv4Addr> {
    let mut all: Vec<_> = state.routes.ready().map(|(_, route)| route).collect();
    // The last of those with one range counts.
    all.sort_by_key(|route| Reverse(route.priority));
    let routes = all.into_iter().filter_map(|route| {
        let hop = route.next_hop(state)?;
        let forwards = wiring.machines.get(&hop).is_some_and(|wire| wire.forwards);
        forwards.then_some((route.dest_range?, hop))
    });
    routes.collect()
}

/// The interface of a running instance. A stopped one keeps its address, so that its machine has a network at once
/// when it boots.
fn wire(state: &State, key: &Key, instance: &Instance) -> Option<(Ipv4Addr, Wire)> {
    let nic = instance.network_interfaces.first()?;
    let is_reached = instance.status == Status::Running && !is_coming(state, key);
    let wire = Wire {
        network: path_of(&nic.network),
        external: instance.external_ip().filter(|_| is_reached),
        aliases: nic.alias_ranges().collect(),
        forwards: forwards(instance),
        ingress: firewalls(state, instance)
            .map(|(_, firewall)| ingress(state, nic, firewall))
            .collect(),
    };
    Some((nic.network_ip?, wire))
}

fn path_of(network: &str) -> String {
    link::key_of(network).map_or_else(|| network.to_owned(), |key| key.to_string())
}

fn forwards(instance: &Instance) -> bool {
    let flag = instance.rest.get("canIpForward");
    flag.and_then(Value::as_bool).unwrap_or_default()
}

fn ingress(state: &State, nic: &NetworkInterface, firewall: &Firewall) -> Ingress {
    let ranges = firewall
        .source_ranges
        .iter()
        .filter_map(|range| match range {
            IpNet::V4(range) => Some(*range),
            IpNet::V6(_) => None,
        });
    let sources = state.instances.iter().filter(|(_, other)| {
        let mut nics = other.network_interfaces.iter();
        let same_network = nics.any(|own| link::same(&own.network, &nic.network));
        same_network && is_source(firewall, other)
    });
    Ingress {
        ranges: ranges.collect(),
        machines: sources
            .filter_map(|(_, other)| other.internal_ip())
            .collect(),
        traffic: firewall.allowed.iter().filter_map(traffic).collect(),
    }
}

/// Whether a rule lets in what an instance sends, by its tags or service accounts.
fn is_source(firewall: &Firewall, instance: &Instance) -> bool {
    let mut tags = instance.tags.items.iter();
    let by_account = &firewall.source_service_accounts;
    tags.any(|tag| firewall.source_tags.contains(tag))
        || instance
            .service_accounts()
            .any(|own| by_account.iter().any(|account| account == own))
}

/// `None` for a protocol that this doesn't know.
fn traffic(traffic: &Traffic) -> Option<(IpProtocol, Vec<(u16, u16)>)> {
    let protocol = match traffic.protocol.to_ascii_lowercase().as_str() {
        "all" => IpProtocol::All,
        "tcp" => IpProtocol::TCP,
        "udp" => IpProtocol::UDP,
        "sctp" => IpProtocol::SCTP,
        "icmp" => IpProtocol::Number(1),
        "esp" => IpProtocol::Number(50),
        "ah" => IpProtocol::Number(51),
        "ipip" => IpProtocol::Number(94),
        number => IpProtocol::Number(number.parse().ok()?),
    };
    Some((protocol, ends(&traffic.ports)))
}

fn ends(ports: &[PortRange]) -> Vec<(u16, u16)> {
    let ends = ports.iter().map(|range| range.ports().into_inner());
    ends.collect()
}

fn balance(state: &State, rule: &ForwardingRule, wiring: &mut Wiring) {
    let (Some(address), Some(backends)) = (rule.ip_address, Backends::of(state, rule)) else {
        return;
    };
    let id = |key: &Key| backend_id(state, &backends.of, key);
    let running = backends.running.iter();
    wiring.balancers.push(Balancer {
        address,
        ports: ends(&rule.ranges()),
        backends: running
            .map(|backend| {
                let checked = backends.check.as_ref().map(|_| id(&backend.key));
                (backend.internal, checked)
            })
            .collect(),
        chosen: Vec::new(),
    });
    let Some(check) = &backends.check else {
        return;
    };
    for backend in &backends.running {
        // The machine's own firewall decides about it.
        let mut probe = check.probe(backend.internal, true);
        probe.source = Some(PROBERS);
        wiring.probes.insert(id(&backend.key), probe);
    }
}

/// The addresses of the load balancers in front of an instance, which its guest agent makes local.
pub fn forwarded_addresses(state: &State, key: &Key) -> BTreeSet<Ipv4Addr> {
    let rules = state.forwarding_rules.ready();
    let rules = rules.filter(|(_, rule)| {
        let backends = Backends::of(state, rule);
        backends.is_some_and(|backends| backends.running.iter().any(|own| own.key == *key))
    });
    rules.filter_map(|(_, rule)| rule.ip_address).collect()
}
