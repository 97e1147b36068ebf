//! What can't work, found before anything is made.
//!
//! Each host that machines are to be made on is looked at by itself, all at once, and judged by pure functions. One
//! that can't be asked is a finding like any other. What is wrong with the others is in nobody's way.

mod judge;

use crate::Libvirt;
use crate::config::{Firmware, HostNetwork};
use crate::error::Answer;
use crate::host::Host;
use crate::hypervisor::{DomainState, NetworkSeen, Node};
use crate::machine::read;
use crate::machinery::{Machinery, has_uefi};
use crate::mark::network_name;
use crate::network::{bridge_of, dhcp_ranges};
use crate::xml;
use futures::future::join_all;
use hakube_provider::{
    Attempt, ErrorKind, MachineSpec, NodeGroupSpec, PreflightSpec, ProviderError, Result,
};
use judge::{Demand, Room};
use std::collections::{BTreeMap, BTreeSet};

impl Libvirt {
    /// See [`hakube_provider::Provider::preflight`].
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        let mut findings = judge::plan(&self.config);
        findings.extend(self.zones_without_a_host(spec));
        let is_needed = |host: &&Host| {
            machines(spec).any(|(machine, _)| host.zones.contains(&machine.machine.zone))
        };
        let needed: Vec<&Host> = self.hosts.iter().filter(is_needed).collect();
        let (images, hosts) = futures::join!(
            self.images(spec, &needed),
            join_all(needed.iter().map(|host| self.host_findings(host, spec)))
        );
        let mut missing = BTreeMap::new();
        for (source, image) in images {
            match image {
                Ok(capacity) => {
                    missing.insert(source, capacity);
                }
                Err(error) => findings.push(error),
            }
        }
        findings.extend(judge::small_disks(spec, &missing));
        findings.extend(hosts.into_iter().flatten());
        Ok(findings)
    }

    fn zones_without_a_host(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        let zones: BTreeSet<&str> = machines(spec)
            .map(|(machine, _)| machine.machine.zone.as_str())
            .collect();
        let attempt = Attempt::new("place", "machines");
        zones
            .into_iter()
            .filter_map(|zone| self.host_of(&attempt, zone).err())
            .collect()
    }

    /// The images that will be read, with the sizes of their disks. Those that these hosts have are read no more.
    async fn images(&self, spec: &PreflightSpec, hosts: &[&Host]) -> Vec<(String, Result<u64>)> {
        let wanted: BTreeSet<_> = machines(spec)
            .map(|(machine, _)| {
                let sum = machine.image_sha256.as_deref();
                (machine.image.as_str(), sum, machine.cluster.as_str())
            })
            .collect();
        let mut images = Vec::new();
        for (source, sum, cluster) in wanted {
            let there = match sum {
                Some(sum) => self.image_on_all(hosts, cluster, sum).await,
                None => None,
            };
            let capacity = match there {
                Some(capacity) => Ok(capacity),
                None => self
                    .images
                    .get(source, sum)
                    .await
                    .map(|image| image.capacity),
            };
            images.push((source.to_owned(), capacity));
        }
        images
    }

    /// The size of an image's disk, if all of these hosts have it already.
    async fn image_on_all(&self, hosts: &[&Host], cluster: &str, sum: &str) -> Option<u64> {
        let attempt = Attempt::new("look for", format!("image {sum}"));
        let there = hosts
            .iter()
            .map(|host| self.verified_image(host, &attempt, cluster, sum));
        let there: Option<Vec<_>> = join_all(there)
            .await
            .into_iter()
            .map(|there| there.ok()?)
            .collect();
        there?.first().map(|volume| volume.capacity)
    }

    async fn host_findings(&self, host: &Host, spec: &PreflightSpec) -> Vec<ProviderError> {
        let attempt = Attempt::new("use", format!("the host of {}", host.zones.join(", ")));
        // If it can't be asked for this, it can't for the rest, in the same words.
        let node = match host.ask(&attempt, |hypervisor| hypervisor.node()).await {
            Ok(node) => node,
            Err(error) => return vec![error],
        };
        let mut findings = Vec::new();
        let demand = Demand::of(spec, &host.zones, &mut findings);
        findings.extend(self.virtualization_findings(host, &attempt).await);
        match self.network_findings(host, &attempt, spec).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(error),
        }
        match self.room_findings(host, &attempt, node, demand).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(error),
        }
        findings
    }

    async fn virtualization_findings(
        &self,
        host: &Host,
        attempt: &Attempt,
    ) -> Option<ProviderError> {
        let machinery = match self.machinery_of(host, attempt).await {
            Ok(machinery) => machinery,
            Err(error) => return Some(error),
        };
        if !matches!(self.config.firmware, Firmware::Uefi | Firmware::SecureUefi) {
            return None;
        }
        let Machinery { kind, arch } = machinery;
        let asked = host.ask(attempt, move |hypervisor| {
            hypervisor.domain_capabilities(&arch, &kind)
        });
        let says = match asked.await {
            Ok(says) => says?,
            Err(error) => return Some(error),
        };
        match has_uefi(&says) {
            Ok(true) => None,
            Ok(false) => {
                let message = format!("{} has no UEFI firmware for guests", host.uri);
                let error = attempt.error(ErrorKind::Invalid, message);
                Some(error.with_hint(
                    "install it there (Debian's package is called ovmf), or boot by BIOS",
                ))
            }
            Err(fault) => Some(attempt.failed(&fault)),
        }
    }

    /// The network to be attached to is there, and gives out none of the plan's addresses; names aren't taken.
    async fn network_findings(
        &self,
        host: &Host,
        attempt: &Attempt,
        spec: &PreflightSpec,
    ) -> Result<Vec<ProviderError>> {
        let networks = host
            .ask(attempt, |hypervisor| hypervisor.networks())
            .await?;
        let clusters: BTreeSet<&str> = machines(spec)
            .map(|(machine, _)| machine.cluster.as_str())
            .chain(
                spec.addresses
                    .iter()
                    .map(|address| address.cluster.as_str()),
            )
            .collect();
        let mut findings = Vec::new();
        for cluster in clusters {
            let name = network_name(cluster);
            let ours = networks.iter().find(|network| network.name == name);
            findings.extend(ours.and_then(|network| judge::stranger(attempt, cluster, network)));
            // Else it is taken care of already.
            if ours.is_none()
                && let HostNetwork::Nat { range } = &self.config.network
            {
                findings.extend(judge::overlaps(attempt, &networks, *range));
            }
        }
        let HostNetwork::Network(name) = &self.config.network else {
            return Ok(findings);
        };
        let Some(network) = networks.iter().find(|network| network.name == *name) else {
            let message = format!("there is no network {name} on {}", host.uri);
            let error = attempt.error(ErrorKind::Invalid, message);
            findings.push(error.with_hint("`virsh net-list --all` lists them"));
            return Ok(findings);
        };
        findings.extend(self.users_network(attempt, network)?);
        Ok(findings)
    }

    fn users_network(
        &self,
        attempt: &Attempt,
        network: &NetworkSeen,
    ) -> Result<Vec<ProviderError>> {
        let name = &network.name;
        let failed = |fault| attempt.failed(&fault);
        let mut findings = Vec::new();
        if let Err(words) = bridge_of(&network.xml).map_err(failed)? {
            findings.push(attempt.error(ErrorKind::Invalid, format!("network {name}: {words}")));
        }
        if !network.active {
            let error = attempt.error(ErrorKind::Invalid, format!("network {name} isn't up"));
            findings.push(error.with_hint(format!(
                "`virsh net-start {name}`, and `virsh net-autostart {name}`"
            )));
        }
        let given_out = dhcp_ranges(&network.xml).map_err(failed)?;
        findings.extend(judge::given_out(
            attempt,
            name,
            &given_out,
            &self.config.addresses,
        ));
        Ok(findings)
    }

    /// The pool and the host have room for what will be made, and nobody else has a name of it.
    async fn room_findings(
        &self,
        host: &Host,
        attempt: &Attempt,
        node: Node,
        mut demand: Demand,
    ) -> Result<Vec<ProviderError>> {
        let mut findings = Vec::new();
        let domains = host.ask(attempt, |hypervisor| hypervisor.domains()).await?;
        let mut used_mib = 0;
        for domain in domains {
            if domain.state != DomainState::Off {
                used_mib += memory_mib(&domain.xml).map_err(|fault| attempt.failed(&fault))?;
            }
            let name = domain.name.clone();
            let mark = read(attempt, domain)?;
            findings.extend(demand.meet(attempt, &name, mark.as_ref().map(|found| &found.mark)));
        }
        let room = Room {
            cpus: node.cpus,
            memory_mib: node.memory_mib.saturating_sub(used_mib),
            memory_in_all_mib: node.memory_mib,
        };
        findings.extend(room.short_of(attempt, &host.uri, &demand));
        match self.pool_of(host, attempt).await {
            Err(error) => findings.push(error),
            Ok(pool) => {
                let short =
                    judge::short_of_disk(attempt, &self.config.pool, pool.available, &demand);
                findings.extend(short);
            }
        }
        Ok(findings)
    }
}

/// All machines that will be made; those of a group once, with the group.
fn machines(spec: &PreflightSpec) -> impl Iterator<Item = (&MachineSpec, Option<&NodeGroupSpec>)> {
    let single = spec.machines.iter().map(|machine| (machine, None));
    let groups = spec.node_groups.iter();
    single.chain(groups.map(|group| (&group.machine, Some(group))))
}

/// The memory of a domain, in MiB.
fn memory_mib(described: &str) -> Answer<u64> {
    let document = xml::parse(described)?;
    let memory = xml::child(document.root_element(), "memory");
    // libvirt always writes KiB.
    let kib = memory.and_then(|memory| memory.text()?.trim().parse::<u64>().ok());
    Ok(kib.unwrap_or_default() / 1024)
}
