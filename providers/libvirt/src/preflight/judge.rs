//! Evaluates what preflight observed. Pure.

use crate::config::{AddressPlan, HostNetwork, LibvirtConfig};
use crate::hypervisor::NetworkSeen;
use crate::mark::{MachineMark, NetworkMark, strange};
use crate::size::Size;
use crate::volumes::GIB;
use crate::xml;
use hakube_provider::{Attempt, ErrorKind, PreflightSpec, ProviderError};
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What will be created on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Demand {
    cluster: String,
    /// Individual machines by name. Existing ones are removed, since they need no more capacity.
    named: BTreeMap<String, Need>,
    /// Machines of groups, by the group's name, and their number.
    groups: BTreeMap<String, (Need, u32)>,
}

/// A machine's requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    size: Size,
    disk: u64,
}

impl Demand {
    /// What the spec requires of these zones. An invalid size is a finding.
    pub(super) fn of(
        spec: &PreflightSpec,
        zones: &[String],
        findings: &mut Vec<ProviderError>,
    ) -> Self {
        let mut demand = Self::default();
        let mut wrong = BTreeSet::new();
        for (machine, group) in spec.all_machines() {
            let reference = &machine.machine;
            if !zones.contains(&reference.zone) {
                continue;
            }
            let size = match machine.machine_type.parse::<Size>() {
                Ok(size) => size,
                Err(words) => {
                    if wrong.insert(machine.machine_type.clone()) {
                        let attempt = Attempt::new("use", format!("size {}", machine.machine_type));
                        findings.push(attempt.error(ErrorKind::Invalid, words));
                    }
                    continue;
                }
            };
            let data = machine.data_disk.as_ref().map_or(0, |disk| disk.size_gb);
            let need = Need {
                size,
                disk: (machine.boot_disk_gb + data) * GIB,
            };
            demand.cluster.clone_from(&machine.cluster);
            match group {
                Some(group) => demand
                    .groups
                    .insert(group.name.clone(), (need, group.size))
                    .map(drop),
                None => demand.named.insert(reference.name.clone(), need).map(drop),
            };
        }
        demand
    }

    /// Accounts for an existing machine: the cluster's own needs no more capacity, any other of
    /// that name is a finding.
    pub(super) fn meet(
        &mut self,
        attempt: &Attempt,
        name: &str,
        mark: Option<&MachineMark>,
    ) -> Option<ProviderError> {
        let owner = mark.map(|mark| mark.cluster.as_str());
        if owner == Some(&self.cluster) {
            self.named.remove(name);
            let group = mark.and_then(|mark| self.groups.get_mut(&mark.group.as_ref()?.name));
            if let Some((_, missing)) = group {
                *missing = missing.saturating_sub(1);
            }
            return None;
        }
        self.named.contains_key(name).then(|| {
            let mut error = strange(attempt, &self.cluster, owner);
            error.message = format!("machine {name}: {}", error.message);
            error
        })
    }

    /// Each kind of missing machine, and how many are missing.
    fn needs(&self) -> impl Iterator<Item = (Need, u32)> {
        let named = self.named.values().map(|need| (*need, 1));
        let missing = self.groups.values().filter(|(_, missing)| *missing > 0);
        named.chain(missing.copied())
    }
}

/// A host's capacity, and what is left of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) cpus: u32,
    pub(super) memory_mib: u64,
    pub(super) memory_in_all_mib: u64,
}

impl Room {
    /// What the host can't provide. CPUs are shared, so only a machine with more CPUs than the host
    /// has is a problem.
    pub(super) fn short_of(
        &self,
        attempt: &Attempt,
        uri: &str,
        demand: &Demand,
    ) -> Vec<ProviderError> {
        let mut findings = Vec::new();
        let largest = demand.needs().map(|(need, _)| need.size.cpus).max();
        if let Some(cpus) = largest.filter(|cpus| *cpus > self.cpus) {
            let message = format!("a machine needs {cpus} CPUs, but {uri} has {}", self.cpus);
            findings.push(attempt.error(ErrorKind::Invalid, message));
        }
        let memory: u64 = demand
            .needs()
            .map(|(need, count)| need.size.memory_mib * u64::from(count))
            .sum();
        if memory > self.memory_mib {
            let message = format!(
                "its machines need {memory} MiB of memory, but {uri} has {} MiB, of which {} MiB are free",
                self.memory_in_all_mib, self.memory_mib
            );
            let error = attempt.error(ErrorKind::NoCapacity, message);
            findings.push(error.with_hint(
                "use smaller or fewer machines, shut off others there, or give the zone another host",
            ));
        }
        findings
    }
}

/// Checks that the pool has enough space. Disks grow as they are written to, so a pool that fills
/// up later would stop running machines.
pub(super) fn short_of_disk(
    attempt: &Attempt,
    pool: &str,
    available: u64,
    demand: &Demand,
) -> Option<ProviderError> {
    let needed: u64 = demand
        .needs()
        .map(|(need, count)| need.disk * u64::from(count))
        .sum();
    (needed > available).then(|| {
        let message = format!(
            "the disks of its machines may grow to {} GiB, but pool {pool} has only {} GiB left",
            needed.div_ceil(GIB),
            available / GIB
        );
        attempt
            .error(ErrorKind::NoCapacity, message)
            .with_hint("use smaller disks, or free some space in the pool")
    })
}

/// Problems with the addresses that don't depend on the hosts.
pub(super) fn plan(config: &LibvirtConfig) -> Vec<ProviderError> {
    let addresses = &config.addresses;
    let attempt = Attempt::new(
        "use",
        format!("addresses {}-{}", addresses.first, addresses.last),
    );
    let invalid = |words: String| attempt.error(ErrorKind::Invalid, words);
    let mut findings: Vec<ProviderError> = addresses.faults().into_iter().map(invalid).collect();
    let HostNetwork::Nat { range } = &config.network else {
        return findings;
    };
    if addresses
        .range()
        .is_some_and(|planned| planned != range.trunc())
    {
        findings.push(invalid(format!(
            "they don't match the network's range {range}"
        )));
    }
    if addresses.gateway.is_none() {
        findings.push(invalid(
            "the cluster's own network needs a gateway: the host's address in it".to_owned(),
        ));
    }
    let hosts: BTreeSet<&String> = config.zones.values().collect();
    if hosts.len() > 1 {
        let error = attempt.error(
            ErrorKind::Invalid,
            format!(
                "a NAT network is on one host, and can't connect {} hosts",
                hosts.len()
            ),
        );
        findings.push(error.with_hint("attach the machines to a bridge that all hosts share"));
    }
    findings
}

/// Boot disks that are smaller than their image.
pub(super) fn small_disks(
    spec: &PreflightSpec,
    capacities: &BTreeMap<String, u64>,
) -> Vec<ProviderError> {
    let mut findings: Vec<ProviderError> = Vec::new();
    for (machine, _) in spec.all_machines() {
        let capacity = capacities.get(&machine.image).copied().unwrap_or_default();
        if capacity > machine.boot_disk_gb * GIB {
            let attempt = Attempt::new("use", format!("image {}", machine.image));
            let error = attempt.error(
                ErrorKind::Invalid,
                format!(
                    "a boot disk has {} GiB, but the image needs {} GiB",
                    machine.boot_disk_gb,
                    capacity.div_ceil(GIB)
                ),
            );
            if !findings.contains(&error) {
                findings.push(error);
            }
        }
    }
    findings
}

/// The finding for a network of the cluster's name that isn't the cluster's.
pub(super) fn not_ours(
    attempt: &Attempt,
    cluster: &str,
    network: &NetworkSeen,
) -> Option<ProviderError> {
    let mark = NetworkMark::from_xml(&network.xml).ok().flatten();
    let whose = mark.map(|mark| mark.cluster);
    (whose.as_deref() != Some(cluster)).then(|| {
        let mut error = strange(attempt, cluster, whose.as_deref());
        error.message = format!("network {}: {}", network.name, error.message);
        error
    })
}

/// Networks of the host that overlap the range.
pub(super) fn overlaps(
    attempt: &Attempt,
    networks: &[NetworkSeen],
    range: Ipv4Net,
) -> Vec<ProviderError> {
    let overlapping = networks.iter().filter_map(|network| {
        let other = network_range(&network.xml)?;
        let overlap = other.contains(&range) || range.contains(&other);
        overlap.then(|| {
            let message = format!(
                "network {} has {other}, which overlaps the cluster's {range}",
                network.name
            );
            let error = attempt.error(ErrorKind::Conflict, message);
            error.with_hint("choose another range for the cluster's network")
        })
    });
    overlapping.collect()
}

/// The range of a libvirt network.
fn network_range(described: &str) -> Option<Ipv4Net> {
    let document = xml::parse(described).ok()?;
    let ip = xml::child(document.root_element(), "ip")?;
    let address: Ipv4Addr = ip.attribute("address")?.parse().ok()?;
    let length = match (ip.attribute("prefix"), ip.attribute("netmask")) {
        (Some(length), _) => length.parse().ok()?,
        (None, Some(mask)) => ipnet::ipv4_mask_to_prefix(mask.parse().ok()?).ok()?,
        (None, None) => return None,
    };
    Some(Ipv4Net::new(address, length).ok()?.trunc())
}

/// The finding for a network whose DHCP range includes addresses of the plan.
pub(super) fn dhcp_overlap(
    attempt: &Attempt,
    network: &str,
    ranges: &[(Ipv4Addr, Ipv4Addr)],
    plan: &AddressPlan,
) -> Option<ProviderError> {
    let (start, end) = ranges.iter().find(|(start, end)| {
        plan.first <= *end && *start <= plan.last || (*start..=*end).contains(&plan.endpoint())
    })?;
    let message = format!(
        "network {network} assigns {start}-{end} by DHCP, which overlaps the cluster's {}-{}",
        plan.first, plan.last
    );
    let error = attempt.error(ErrorKind::Conflict, message);
    Some(error.with_hint("shorten the network's DHCP range, or give the cluster another range"))
}
