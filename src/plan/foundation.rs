//! What everything else stands on: network, firewalls, the endpoint's address.

use super::step::{Action, Draft, key};
use crate::cluster::{ClusterSpec, Endpoint, Intent, Observed};
use hakube_provider::{AddressSpec, Firewall, FirewallSource, FirewallSpec, NetworkSpec, Reach};
use ipnet::IpNet;

const NETWORK: &str = "network";

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let inventory = &observed.inventory;
    let spec = &intent.spec;
    let unreserved = inventory.address.is_none() && !matches!(spec.endpoint, Endpoint::External(_));
    let differing: Vec<FirewallSpec> = firewalls(spec)
        .into_iter()
        .filter(|wanted| inventory.firewall(&wanted.name) != Some(&Firewall::from(wanted)))
        .collect();
    // A network of the user's own bears no mark: whether it exists shows only when it is asked for.
    let uses_network = if spec.has_firewalls() {
        unreserved && spec.network.private
    } else {
        unreserved || makes_something(intent, observed)
    };
    if !differing.is_empty() || uses_network {
        draft.add(
            NETWORK,
            match &spec.network.host_project {
                None => format!("make sure of network {}", spec.network.name),
                Some(host) => format!(
                    "make sure of network {} of project {host}",
                    spec.network.name
                ),
            },
            Action::EnsureNetwork(network(spec)),
            &[],
        );
    }
    if unreserved {
        reserve(spec, draft);
    }
    for firewall in differing {
        let says = describe(&firewall);
        draft.add(
            key("firewall", &firewall.name),
            match inventory.firewall(&firewall.name) {
                None => says,
                Some(_) => format!("{says}: firewall {} was changed", firewall.name),
            },
            Action::EnsureFirewall(firewall),
            &[NETWORK.to_owned()],
        );
    }
}

/// An internal address is one of the network's.
fn reserve(spec: &ClusterSpec, draft: &mut Draft) {
    let name = spec.address();
    let needs = match (spec.endpoint, spec.reach()) {
        (Endpoint::Provider, Reach::Anywhere) => None,
        _ => Some(NETWORK.to_owned()),
    };
    draft.add(
        "reserve-address",
        format!("reserve the endpoint's address {name}"),
        Action::ReserveAddress(AddressSpec {
            cluster: spec.cluster.clone(),
            name,
            reach: spec.reach(),
        }),
        needs.as_slice(),
    );
}

/// Whether anything will be made that is on the network.
fn makes_something(intent: &Intent, observed: &Observed) -> bool {
    let inventory = &observed.inventory;
    let is_missing =
        |name: &str| inventory.machine(name).is_none() && !observed.is_hidden(intent, name);
    let has_group = |name: &str| {
        inventory
            .node_groups
            .iter()
            .any(|group| group.name == *name)
    };
    let mut replicas = intent.replicas.iter();
    let mut groups = intent.node_groups().into_iter();
    replicas.any(|replica| is_missing(&replica.name))
        || groups.any(|group| {
            !has_group(&group.name) && !inventory.unreachable.contains_key(&group.zone)
        })
}

fn network(spec: &ClusterSpec) -> NetworkSpec {
    NetworkSpec {
        cluster: spec.cluster.clone(),
        name: spec.network.name.clone(),
        subnetwork: spec.network.custom.then(|| {
            let name = spec.network.subnetwork().to_owned();
            (name, spec.network.node_range)
        }),
    }
}

/// Clients reach the API, replicas each other's etcd, nodes the replicas, and operators what they asked for.
fn firewalls(spec: &ClusterSpec) -> Vec<FirewallSpec> {
    if !spec.has_firewalls() {
        return Vec::new();
    }
    let names = &spec.names;
    let rule = |name: String, source, tag: String, ports: &[String]| FirewallSpec {
        cluster: spec.cluster.clone(),
        name,
        network: spec.network.name.clone(),
        source,
        target_tag: tag,
        tcp_ports: ports.to_vec(),
    };
    let anywhere = FirewallSource::Ranges(vec![IpNet::V4(ipnet::Ipv4Net::default())]);
    let tags = |tags: &[String]| FirewallSource::Tags(tags.to_vec());
    let master = names.master();
    let api = [spec.api.port.to_string()];
    let mut rules = vec![
        rule(names.api_firewall(), anywhere, master.clone(), &api),
        rule(
            names.etcd_firewall(),
            tags(std::slice::from_ref(&master)),
            master.clone(),
            &["2379-2380".into()],
        ),
        rule(
            names.internal_firewall(),
            tags(&[master, names.minion()]),
            names.minion(),
            &["10250".into()],
        ),
    ];
    if let Some(sources) = &spec.network.ssh_sources
        && !sources.is_empty()
    {
        let operators = FirewallSource::Ranges(sources.clone());
        let ssh = ["22".to_owned()];
        rules.push(rule(names.ssh_firewall(), operators, names.master(), &ssh));
    }
    rules
}

fn describe(firewall: &FirewallSpec) -> String {
    let target = &firewall.target_tag;
    let ports = firewall.tcp_ports.join(", ");
    match &firewall.source {
        FirewallSource::Ranges(ranges) if ranges.iter().all(|range| range.prefix_len() > 0) => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            format!("let {} reach {target} on {ports}", ranges.join(", "))
        }
        FirewallSource::Ranges(_) => format!("let clients reach {target} on {ports}"),
        FirewallSource::Tags(tags) if tags == std::slice::from_ref(target) => {
            format!("let machines tagged {target} reach each other on {ports}")
        }
        FirewallSource::Tags(tags) => {
            format!("let {} reach {target} on {ports}", tags.join(" and "))
        }
    }
}
