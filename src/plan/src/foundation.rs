//! The foundation: network, firewall rules, and the endpoint's address.

use super::id::Verb;
use super::step::{Action, Draft, Plan};
use hakube_addons::VXLAN_PORT;
use hakube_model::{ClusterSpec, Endpoint, Intent, Observed, PodNetwork};
use hakube_provider::{AddressSpec, Firewall, FirewallSource, FirewallSpec, NetworkSpec, Reach};
use ipnet::IpNet;
use std::net::IpAddr;

/// The plan that reserves a lost address of the endpoint; `None` if it isn't lost. The rest of the plan depends on
/// whether the same address is still available.
pub(super) fn lost_address(intent: &Intent, observed: &Observed) -> Option<Plan> {
    observed.lost_address(intent)?;
    let mut draft = Draft::new(observed.etcd.quorum());
    plan(intent, observed, &mut draft);
    Some(draft.finish())
}

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let inventory = &observed.inventory;
    let spec = &intent.spec;
    let unreserved = inventory.address.is_none() && !matches!(spec.endpoint, Endpoint::External(_));
    let differing: Vec<FirewallSpec> = firewalls(spec)
        .into_iter()
        .filter(|wanted| inventory.firewall(&wanted.name) != Some(&Firewall::from(wanted)))
        .collect();
    // The user's own network has no ownership label, so only the provider's call shows whether it exists.
    let uses_network = if spec.has_firewalls() {
        unreserved && spec.network.private
    } else {
        unreserved || creates_machines(intent, observed)
    };
    if !differing.is_empty() || uses_network {
        draft.add(
            Verb::Network,
            match &spec.network.host_project {
                None => format!("ensure network {}", spec.network.name),
                Some(host) => format!("ensure network {} of project {host}", spec.network.name),
            },
            Action::EnsureNetwork(network(spec)),
            &[],
        );
    }
    if unreserved {
        reserve(spec, observed.lost_address(intent), draft);
    }
    for firewall in differing {
        let says = describe(&firewall);
        draft.add(
            Verb::Firewall.of(&firewall.name),
            match inventory.firewall(&firewall.name) {
                None => says,
                Some(_) => format!("{says}: firewall {} was changed", firewall.name),
            },
            Action::EnsureFirewall(firewall),
            &[Verb::Network.into()],
        );
    }
}

/// Reserves the address. An internal one needs the network.
fn reserve(spec: &ClusterSpec, lost: Option<IpAddr>, draft: &mut Draft) {
    let name = spec.address();
    let needs = match (spec.endpoint, spec.reach()) {
        (Endpoint::Provider, Reach::Anywhere) => None,
        _ => Some(Verb::Network.into()),
    };
    draft.add(
        Verb::ReserveAddress,
        match lost {
            None => format!("reserve the endpoint's address {name}"),
            Some(lost) => format!("reserve the endpoint's address {name} again: {lost}"),
        },
        Action::ReserveAddress(AddressSpec {
            cluster: spec.mark(),
            name,
            reach: spec.reach(),
            wanted: lost,
        }),
        needs.as_slice(),
    );
}

/// Whether the plan creates anything on the network.
fn creates_machines(intent: &Intent, observed: &Observed) -> bool {
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
        cluster: spec.mark(),
        name: spec.network.name.clone(),
        subnetwork: spec.network.custom.then(|| {
            let name = spec.network.subnetwork().to_owned();
            (name, spec.network.node_range)
        }),
    }
}

/// Rules for clients of the API, etcd between replicas, replicas to nodes, and operators' SSH.
fn firewalls(spec: &ClusterSpec) -> Vec<FirewallSpec> {
    if !spec.has_firewalls() {
        return Vec::new();
    }
    let names = &spec.names;
    let rule = |name: String, source, tag: String, ports: &[String]| FirewallSpec {
        cluster: spec.mark(),
        name,
        network: spec.network.name.clone(),
        source,
        target_tag: tag,
        tcp_ports: ports.to_vec(),
        udp_ports: Vec::new(),
    };
    let anywhere = FirewallSource::Ranges(vec![IpNet::V4(ipnet::Ipv4Net::default())]);
    let tags = |tags: &[String]| FirewallSource::Tags(tags.to_vec());
    let master = names.master();
    let api = [spec.api.port.to_string()];
    // API servers and metrics-server reach each kubelet, and pods reach pods on other machines.
    let all = tags(&[master.clone(), names.minion()]);
    let has_flannel =
        spec.programs.pods.is_some() && spec.addons.pod_network == PodNetwork::Flannel;
    let pods: Vec<String> = has_flannel
        .then(|| VXLAN_PORT.to_string())
        .into_iter()
        .collect();
    let node = |name: String, tag: String| FirewallSpec {
        udp_ports: pods.clone(),
        ..rule(name, all.clone(), tag, &["10250".into()])
    };
    let mut rules = vec![
        rule(names.api_firewall(), anywhere, master.clone(), &api),
        rule(
            names.etcd_firewall(),
            tags(std::slice::from_ref(&master)),
            master.clone(),
            &["2379-2380".into()],
        ),
        node(names.internal_firewall(), names.minion()),
    ];
    if spec.replicas_are_nodes() {
        rules.push(node(names.replica_firewall(), master));
    }
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
    let udp = firewall.udp_ports.iter().map(|port| format!("{port}/udp"));
    let ports: Vec<String> = firewall.tcp_ports.iter().cloned().chain(udp).collect();
    let ports = ports.join(", ");
    match &firewall.source {
        FirewallSource::Ranges(ranges) if ranges.iter().all(|range| range.prefix_len() > 0) => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            format!("allow {} to reach {target} on {ports}", ranges.join(", "))
        }
        FirewallSource::Ranges(_) => format!("allow clients to reach {target} on {ports}"),
        FirewallSource::Tags(tags) if tags == std::slice::from_ref(target) => {
            format!("allow machines tagged {target} to reach each other on {ports}")
        }
        FirewallSource::Tags(tags) => {
            format!("allow {} to reach {target} on {ports}", tags.join(" and "))
        }
    }
}
