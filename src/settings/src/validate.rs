//! Checks that involve several settings. Each records its errors with the reader.

use super::parse;
use super::reader::Reader;
use super::table::{self, Setting};
use hakube_model::Lifetimes;
use hakube_model::{Hosts, Zone, node_bits, nodes_at_most, nth_address};
use ipnet::IpNet;
use semver::Version;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The minor versions of Kubernetes 1 that hakube supports.
pub const KUBERNETES_MINORS: std::ops::RangeInclusive<u64> = 31..=36;

/// Compute Engine's limit for a name.
const NAME_LENGTH: usize = 63;

/// The longest suffix of the nodes' prefix: the zone's hundredth group, and the provider's suffix
/// for one of its machines.
fn node_suffix(zone: &Zone) -> String {
    format!("-group-{zone}-99-xxxx")
}

/// Ports that a replica's other components listen on.
const TAKEN_PORTS: &[(u16, &str)] = &[
    (2379, "etcd's clients"),
    (2380, "etcd's peers"),
    (2381, "etcd's metrics"),
    (10257, "the controller manager"),
    (10259, "the scheduler"),
];

/// etcd flags that determine its identity or security, or that hakube's plans depend on.
const ETCD_FLAGS: &[&str] = &[
    "name",
    "data-dir",
    "wal-dir",
    "force-new-cluster",
    "config-file",
    "quota-backend-bytes",
    "client-cert-auth",
    "cert-file",
    "key-file",
    "trusted-ca-file",
    "auto-tls",
];
const ETCD_FLAG_FAMILIES: &[&str] = &["listen-", "advertise-", "initial-", "peer-", "discovery"];

/// Names with the prefix stay within [`NAME_LENGTH`]. A node's name is the longest.
pub fn prefix(read: &mut Reader<'_>, prefix: &str, zone: &Zone) {
    let longest = format!("-minion{}", node_suffix(zone));
    let room = NAME_LENGTH.saturating_sub(longest.len());
    if prefix.len() > room {
        read.object_with_form(
            &table::INSTANCE_PREFIX,
            &format!(
                "names such as <prefix>{longest} would be longer than {NAME_LENGTH} characters"
            ),
            format!("a name of up to {room} characters"),
        );
    }
}

/// The same for nodes, whose prefix can be set separately. A derived one was already checked.
pub fn node_prefix(read: &mut Reader<'_>, prefix: &str, zone: &Zone) {
    let suffix = node_suffix(zone);
    let room = NAME_LENGTH.saturating_sub(suffix.len());
    if read.is_given(&table::NODE_PREFIX) && (parse::name(prefix).is_err() || prefix.len() > room) {
        read.object_with_form(
            &table::NODE_PREFIX,
            &format!("<prefix>{suffix} must be the name of a machine"),
            format!("a name of up to {room} characters"),
        );
    }
}

/// Ranges are large enough and don't overlap. A range that couldn't be parsed is skipped.
pub fn ranges(
    read: &mut Reader<'_>,
    nodes: Option<u32>,
    pods_per_node: Option<u32>,
    ranges: &[(&'static Setting, Option<IpNet>)],
) {
    let known: Vec<(&'static Setting, IpNet)> = ranges
        .iter()
        .filter_map(|(setting, range)| Some((*setting, (*range)?)))
        .collect();
    for (setting, range) in &known {
        let problem = if setting.key == table::CLUSTER_RANGE.key {
            pods_per_node.and_then(|per_node| pods_problem(*range, nodes.unwrap_or(0), per_node))
        } else {
            size_problem(setting, *range, nodes.unwrap_or(0))
        };
        let problem = problem.or_else(|| loopback_problem(*range));
        if let Some(problem) = problem {
            read.object(setting, &problem);
        }
    }
    for (index, (one, range)) in known.iter().enumerate() {
        for (other, other_range) in &known[index + 1..] {
            if range.contains(other_range) || other_range.contains(range) {
                // Report the problem for the setting that the operator changed, not for a default.
                let (culprit, victim) = if read.is_given(one) && !read.is_given(other) {
                    (one, other)
                } else {
                    (other, one)
                };
                let problem = format!("it overlaps {}", read.quote(victim));
                let valid = format!("an address range outside that of {}", victim.key);
                read.object_with_form(culprit, &problem, valid);
            }
        }
    }
    families(read, &known);
}

/// Every host, including the local cloud's machines, uses loopback addresses itself.
fn loopback_problem(range: IpNet) -> Option<String> {
    let loopback = match range {
        IpNet::V4(_) => IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        IpNet::V6(_) => IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    };
    let overlaps = range.contains(&loopback) || loopback.contains(&range);
    overlaps.then(|| format!("it overlaps the loopback addresses, {loopback}"))
}

/// Pods and services communicate, so their ranges must be of the same family.
fn families(read: &mut Reader<'_>, known: &[(&'static Setting, IpNet)]) {
    let family = |key: &str| {
        known
            .iter()
            .find(|(setting, _)| setting.key == key)
            .map(|(_, range)| range.addr().is_ipv6())
    };
    let (pods, services) = (
        family(table::CLUSTER_RANGE.key),
        family(table::SERVICE_RANGE.key),
    );
    if let (Some(pods), Some(services)) = (pods, services)
        && pods != services
    {
        let problem = format!(
            "it isn't of the same address family as {}",
            read.quote(&table::CLUSTER_RANGE)
        );
        read.object(&table::SERVICE_RANGE, &problem);
    }
}

/// The problem with the size of the pod range, if any.
fn pods_problem(range: IpNet, nodes: u32, per_node: u32) -> Option<String> {
    let room = nodes_at_most(range, per_node);
    let prefix = u32::from(range.max_prefix_len()) - node_bits(range, per_node);
    if room < u128::from(nodes.max(1)) {
        let pods = table::MAX_PODS.key;
        return Some(format!(
            "it is too small: {nodes} nodes need a /{prefix} each ({pods} is {per_node}), but it has room for {room}"
        ));
    }
    // The controller manager counts IPv6 ranges in 16 bits, and doesn't start with more.
    let too_large = range.addr().is_ipv6() && room > 1 << 16;
    too_large.then(|| "it is too large: the maximum for IPv6 is a /48".to_owned())
}

/// The problem with the size of another range, if any.
fn size_problem(setting: &Setting, range: IpNet, nodes: u32) -> Option<String> {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len());
    let addresses = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
    if setting.key == table::SERVICE_RANGE.key {
        match bits {
            0..=3 => Some(format!(
                "it is too small: it has {addresses} addresses, but services need 16"
            )),
            4..=20 => None,
            _ => Some(
                "it is too large: the API server allows 20 bits of addresses at most".to_owned(),
            ),
        }
    } else if setting.key == table::NODE_RANGE.key {
        // Three replicas, and the four addresses that Compute Engine reserves in each range.
        let needed = u128::from(nodes) + 3 + 4;
        (addresses < needed).then(|| {
            format!(
                "it is too small: it has {addresses} addresses, but {nodes} nodes, 3 replicas and the \
                 network itself need {needed}"
            )
        })
    } else {
        None
    }
}

/// The cluster DNS service has a free address of the service range.
pub fn dns_address(read: &mut Reader<'_>, address: IpAddr, range: IpNet) {
    let problem = if !range.contains(&address) {
        format!("it is outside {}", read.quote(&table::SERVICE_RANGE))
    } else if address == range.network() {
        "it is the range's network address".to_owned()
    } else if Some(address) == nth_address(range, 1) {
        "it is the range's first address, which is the `kubernetes` service's".to_owned()
    } else if address.is_ipv4() && address == range.broadcast() {
        "it is the range's broadcast address".to_owned()
    } else {
        return;
    };
    let suggestion = nth_address(range, 10).map_or_else(
        || format!("an address in {range}"),
        |tenth| format!("an address in {range} such as {tenth}"),
    );
    read.object_with_form(&table::DNS_ADDRESS, &problem, suggestion);
}

/// hakube supports the versions, and they have the features that it needs.
pub fn versions(read: &mut Reader<'_>, kubernetes: Option<&Version>, etcd: Option<&Version>) {
    let (first, last) = (KUBERNETES_MINORS.start(), KUBERNETES_MINORS.end());
    if kubernetes.is_some_and(|version| (version.major, version.minor) < (1, *first)) {
        read.object_with_form(
            &table::KUBE_VERSION,
            &format!("it is older than the supported range 1.{first}–1.{last}"),
            format!("v1.{first}.0 or later"),
        );
    }
    if etcd.is_some_and(|version| (version.major, version.minor) < (3, 4)) {
        read.object_with_form(
            &table::ETCD_VERSION,
            "it doesn't support learners, which are required to add replicas safely",
            "3.4.0 or later".to_owned(),
        );
    }
}

/// The API server's port isn't used by another component.
pub fn api_port(read: &mut Reader<'_>, port: u16) {
    if let Some((_, owner)) = TAKEN_PORTS.iter().find(|(taken, _)| *taken == port) {
        let problem = format!("replicas use that port for {owner}");
        read.object_with_form(
            &table::API_PORT,
            &problem,
            "443, 6443, or any other free port".to_owned(),
        );
    }
}

/// Arguments don't override what hakube sets.
pub fn etcd_arguments(read: &mut Reader<'_>, arguments: &[String]) {
    for flag in flags(arguments) {
        let is_ours = ETCD_FLAGS.contains(&flag)
            || ETCD_FLAG_FAMILIES
                .iter()
                .any(|family| flag.starts_with(family));
        if is_ours {
            read.object_with_form(
                &table::ETCD_ARGS,
                &format!("hakube sets --{flag} itself"),
                "arguments other than etcd's name, directories, addresses, certificates, membership and quota"
                    .to_owned(),
            );
        }
    }
}

/// Returns the names of the flags in arguments.
pub fn flags(arguments: &[String]) -> impl Iterator<Item = &str> {
    arguments.iter().map(|argument| {
        let flag = argument.trim_start_matches('-');
        flag.split_once('=').map_or(flag, |(flag, _)| flag)
    })
}

/// Certificates aren't valid for longer than their CA.
pub fn lifetimes(read: &mut Reader<'_>, lifetimes: Lifetimes) {
    if lifetimes.leaf_days > lifetimes.ca_days {
        let problem = format!("it is longer than {}", read.quote(&table::CA_DAYS));
        let valid = format!("a whole number up to {}", lifetimes.ca_days);
        read.object_with_form(&table::CERT_DAYS, &problem, valid);
    }
}

/// `up` adds a replica or nodes, not both at once.
pub fn one_mode(read: &mut Reader<'_>) {
    let problem = format!(
        "{} is also true, but `up` adds either a replica or nodes",
        read.quote(&table::REPLICATE_EXISTING)
    );
    let valid = "true for only one of the two".to_owned();
    read.object_with_form(&table::USE_EXISTING, &problem, valid);
}

/// Clients of a cluster on hosts reach it at an address that replicas share, or through the
/// operator's own load balancer.
pub fn hosts_endpoint(read: &mut Reader<'_>, hosts: &Hosts, balancer: Option<SocketAddr>) {
    match (hosts.endpoint, balancer) {
        (None, None) => read.object_with_form(
            &table::HOSTS,
            "it has no endpoint, and no load balancer is set",
            "endpoint: ADDRESS in it, with an unused address of the hosts' network; or --endpoint ADDRESS:PORT"
                .to_owned(),
        ),
        (Some(_), Some(_)) => read.object_with_form(
            &table::HOSTS,
            "it has an endpoint, but a load balancer is set too",
            "only one of the two".to_owned(),
        ),
        _ => {}
    }
}
