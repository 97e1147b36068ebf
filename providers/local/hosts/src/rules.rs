//! The router's packet filter, as a script for `nft`: a pure function of the wiring.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::net::Ipv4Addr;

use hakube_local_net::{Ingress, IpProtocol, Wire, Wiring};

use crate::fleet::Ports;
use crate::routes::mark;

/// The rules of a wiring. The script replaces all earlier ones at once.
pub(crate) fn of(wiring: &Wiring, ports: &Ports) -> String {
    let mut text = String::from(
        "table bridge cloud\ndelete table bridge cloud\ntable inet cloud\ndelete table inet cloud\n",
    );
    bridge(&mut text, wiring, ports);
    text.push_str("table inet cloud {\n");
    translation(&mut text, wiring);
    balancing(&mut text, wiring);
    firewall(&mut text, wiring);
    text.push_str("}\n");
    text
}

/// Nothing passes between machines but through the router, and nobody uses another's address.
fn bridge(text: &mut String, wiring: &Wiring, ports: &Ports) {
    text.push_str("table bridge cloud {\n");
    text.push_str("chain between { type filter hook forward priority -5; policy drop; }\n");
    text.push_str(
        "chain from_machines {\ntype filter hook prerouting priority -300; policy accept;\n",
    );
    text.push_str("iifname != \"vb-*\" accept\nether type ip6 drop\n");
    for (address, port) in ports {
        let Some(wire) = wiring.machines.get(address) else {
            continue;
        };
        if wire.forwards {
            line(text, format!("iifname \"{port}\" accept"));
            continue;
        }
        let mut own: Vec<String> = vec![address.to_string()];
        own.extend(wire.aliases.iter().map(ToString::to_string));
        let balancers = wiring.balancers.iter().filter(|balancer| {
            let mut backends = balancer.backends.iter();
            backends.any(|(backend, _)| backend == address)
        });
        own.extend(balancers.map(|balancer| balancer.address.to_string()));
        own.sort();
        own.dedup();
        line(
            text,
            format!("iifname \"{port}\" ip saddr {} accept", set(own)),
        );
        line(text, format!("iifname \"{port}\" ether type arp accept"));
    }
    text.push_str("drop\n}\n}\n");
}

/// External addresses: each is a machine's, in both directions.
fn translation(text: &mut String, wiring: &Wiring) {
    let pairs: Vec<(Ipv4Addr, Ipv4Addr)> = wiring
        .machines
        .iter()
        .filter_map(|(internal, wire)| Some((wire.external?, *internal)))
        .collect();
    let inwards = pairs
        .iter()
        .map(|(external, internal)| format!("{external} : {internal}"));
    let outwards = pairs
        .iter()
        .map(|(external, internal)| format!("{internal} : {external}"));
    let (inwards, outwards) = (set(inwards), set(outwards));
    for (chain, hook) in [("arriving", "prerouting"), ("own", "output")] {
        line(
            text,
            format!("chain {chain} {{\ntype nat hook {hook} priority -100;"),
        );
        if !pairs.is_empty() {
            line(text, format!("dnat ip to ip daddr map {inwards}"));
        }
        text.push_str("}\n");
    }
    text.push_str("chain leaving {\ntype nat hook postrouting priority 100;\n");
    if !pairs.is_empty() {
        let external = wiring.external;
        for what in ["ct status dnat".to_owned(), format!("ip daddr {external}")] {
            line(
                text,
                format!("iifname \"br0\" {what} snat ip to ip saddr map {outwards}"),
            );
        }
    }
    text.push_str("}\n");
}

/// A balancer's connections are marked with the backend that they go to. The mark selects a route.
fn balancing(text: &mut String, wiring: &Wiring) {
    text.push_str("chain balance {\n");
    for balancer in &wiring.balancers {
        let backends: BTreeSet<Ipv4Addr> = balancer.chosen.iter().copied().collect();
        if backends.is_empty() {
            continue;
        }
        let marks = backends
            .iter()
            .enumerate()
            .map(|(index, backend)| format!("{index} : {}", mark(*backend)));
        line(
            text,
            format!(
                "ip daddr {} {} ct mark set numgen random mod {} map {}",
                balancer.address,
                ports(IpProtocol::TCP, &balancer.ports),
                backends.len(),
                set(marks)
            ),
        );
    }
    text.push_str("}\n");
    for (chain, kind, hook) in [
        ("balance_arriving", "filter", "prerouting"),
        ("balance_own", "route", "output"),
    ] {
        line(
            text,
            format!("chain {chain} {{\ntype {kind} hook {hook} priority -150;"),
        );
        text.push_str("ct state new jump balance\n");
        text.push_str("ct direction original ct mark != 0 meta mark set ct mark\n}\n");
    }
}

/// What reaches a machine: what its firewall lets in, and responses.
fn firewall(text: &mut String, wiring: &Wiring) {
    let mut members: BTreeMap<&str, Vec<Ipv4Addr>> = BTreeMap::new();
    for (address, wire) in &wiring.machines {
        members.entry(&wire.network).or_default().push(*address);
    }
    for (address, wire) in &wiring.machines {
        let network = members.get(wire.network.as_str());
        machine(
            text,
            *address,
            wire,
            network.map_or(&[], Vec::as_slice),
            wiring,
        );
    }
    // After addresses are translated, as a machine sees the packets.
    text.push_str(
        "chain to_machines {\ntype filter hook postrouting priority 200; policy accept;\n",
    );
    text.push_str("oifname != \"br0\" accept\nct state established,related accept\n");
    let from_machines = set(wiring.machines.keys());
    let has_external = wiring
        .machines
        .iter()
        .filter(|(_, wire)| wire.external.is_some());
    let has_external: Vec<&Ipv4Addr> = has_external.map(|(address, _)| address).collect();
    if !wiring.machines.is_empty() {
        // Without an external address, a machine reaches nothing outside its network.
        let others = if has_external.is_empty() {
            String::new()
        } else {
            format!("ct original ip saddr != {}", set(has_external))
        };
        for what in [
            "ct status dnat".to_owned(),
            format!("ip daddr {}", wiring.external),
        ] {
            line(
                text,
                format!("ct original ip saddr {from_machines} {others} {what} drop"),
            );
        }
        let marked = wiring.machines.keys();
        let marked = marked.map(|own| format!("{} : goto {}", mark(*own), chain(*own)));
        line(text, format!("meta mark vmap {}", set(marked)));
        let ranges = wiring.machines.iter().flat_map(|(own, wire)| {
            let aliases = wire.aliases.iter().map(ToString::to_string);
            let all = std::iter::once(own.to_string()).chain(aliases);
            all.map(|range| format!("{range} : goto {}", chain(*own)))
        });
        line(text, format!("ip daddr vmap {}", set(ranges)));
        // The narrowest range counts. A range of all addresses would overlap every other in a set.
        let mut routes: Vec<_> = wiring.routes.iter().collect();
        routes.sort_by_key(|(range, _)| std::cmp::Reverse(range.prefix_len()));
        for (range, hop) in routes {
            line(text, format!("ip daddr {range} goto {}", chain(*hop)));
        }
    }
    text.push_str("drop\n}\n");
}

fn chain(machine: Ipv4Addr) -> String {
    format!("to_{}", machine.to_string().replace('.', "_"))
}

fn machine(
    text: &mut String,
    address: Ipv4Addr,
    wire: &Wire,
    network: &[Ipv4Addr],
    wiring: &Wiring,
) {
    line(text, format!("chain {} {{", chain(address)));
    let internal = wiring.machines.keys();
    let strangers: Vec<&Ipv4Addr> = internal.filter(|other| !network.contains(other)).collect();
    if !strangers.is_empty() {
        line(text, format!("ip saddr {} drop", set(strangers)));
    }
    for ingress in &wire.ingress {
        admit(text, ingress);
    }
    text.push_str("drop\n}\n");
}

fn admit(text: &mut String, ingress: &Ingress) {
    let ranges = ingress.ranges.iter().map(ToString::to_string);
    let sources: BTreeSet<String> = ranges
        .chain(ingress.machines.iter().map(ToString::to_string))
        .collect();
    let everywhere = sources.contains("0.0.0.0/0");
    for (protocol, listed) in &ingress.traffic {
        let what = ports(*protocol, listed);
        if everywhere {
            line(text, format!("{what} accept"));
            continue;
        }
        // One rule for each: ranges of one set must not overlap.
        for source in &sources {
            line(text, format!("ip saddr {source} {what} accept"));
        }
    }
}

fn ports(protocol: IpProtocol, ports: &[(u16, u16)]) -> String {
    let name = match protocol {
        IpProtocol::All => return String::new(),
        IpProtocol::TCP => "tcp",
        IpProtocol::UDP => "udp",
        IpProtocol::SCTP => "sctp",
        IpProtocol::Number(number) => return format!("meta l4proto {number}"),
    };
    if ports.is_empty() {
        return format!("meta l4proto {name}");
    }
    let merged = merged(ports);
    let ranges = merged.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    format!("{name} dport {}", set(ranges))
}

/// Ranges without overlaps, which a set doesn't allow.
fn merged(ports: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (first, last) in sorted {
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn set<T: Display>(elements: impl IntoIterator<Item = T>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|own| own.to_string()).collect();
    format!("{{ {} }}", elements.join(", "))
}

fn line(text: &mut String, line: String) {
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hakube_local_net::Balancer;

    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 128, 1, 2);
    const TWO: Ipv4Addr = Ipv4Addr::new(10, 128, 1, 3);
    const FRONT: Ipv4Addr = Ipv4Addr::new(198, 18, 240, 9);

    fn wire(network: &str, ingress: Vec<Ingress>) -> Wire {
        Wire {
            network: network.into(),
            external: None,
            aliases: Vec::new(),
            forwards: false,
            ingress,
        }
    }

    fn tcp(ranges: &[&str], machines: &[Ipv4Addr], ports: &[(u16, u16)]) -> Ingress {
        Ingress {
            ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            machines: machines.to_vec(),
            traffic: vec![(IpProtocol::TCP, ports.to_vec())],
        }
    }

    fn rules(machines: [(Ipv4Addr, Wire); 2], balancers: Vec<Balancer>) -> String {
        let wiring = Wiring {
            external: "198.18.240.0/20".parse().unwrap(),
            machines: machines.into(),
            balancers,
            ..Wiring::default()
        };
        let ports = [(ONE, "vb-h11".to_owned()), (TWO, "vb-h12".to_owned())];
        of(&wiring, &ports.into())
    }

    /// The lines of a chain.
    fn chain_of<'a>(rules: &'a str, name: &str) -> Vec<&'a str> {
        let mut lines = rules.lines();
        let head = format!("chain {name} {{");
        assert!(lines.any(|line| line == head), "no {name} in {rules}");
        lines.take_while(|line| *line != "}").collect()
    }

    #[test]
    fn a_machine_gets_what_its_firewall_lets_in_from_its_own_network() {
        let open = vec![
            tcp(
                &["10.0.0.0/8", "10.1.0.0/16"],
                &[],
                &[(443, 443), (440, 450)],
            ),
            tcp(&[], &[TWO], &[]),
            tcp(&["0.0.0.0/0"], &[], &[(22, 22)]),
            tcp(&[], &[], &[(1, 65535)]),
        ];
        let rules = rules(
            [(ONE, wire("a", open)), (TWO, wire("b", Vec::new()))],
            Vec::new(),
        );
        let expected = [
            "ip saddr { 10.128.1.3 } drop",
            "ip saddr 10.0.0.0/8 tcp dport { 440-450 } accept",
            "ip saddr 10.1.0.0/16 tcp dport { 440-450 } accept",
            "ip saddr 10.128.1.3 meta l4proto tcp accept",
            "tcp dport { 22 } accept",
            "drop",
        ];
        assert_eq!(chain_of(&rules, "to_10_128_1_2"), expected);
        assert_eq!(
            chain_of(&rules, "to_10_128_1_3"),
            ["ip saddr { 10.128.1.2 } drop", "drop"]
        );
    }

    #[test]
    fn an_unhealthy_backend_gets_no_new_connections_and_still_responds() {
        let balancer = Balancer {
            address: FRONT,
            ports: vec![(443, 443)],
            backends: vec![(ONE, None), (TWO, None)],
            chosen: vec![TWO],
        };
        let wires = [(ONE, wire("a", Vec::new())), (TWO, wire("a", Vec::new()))];
        let rules = rules(wires, vec![balancer]);
        assert_eq!(
            chain_of(&rules, "balance"),
            [
                "ip daddr 198.18.240.9 tcp dport { 443 } ct mark set numgen random mod 1 map { 0 : 176161027 }"
            ]
        );
        let own = chain_of(&rules, "from_machines");
        let responds = "iifname \"vb-h11\" ip saddr { 10.128.1.2, 198.18.240.9 } accept";
        assert!(own.contains(&responds), "{own:?}");
        assert_eq!(own.last(), Some(&"drop"));
    }
}
