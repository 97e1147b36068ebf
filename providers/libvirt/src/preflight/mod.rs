//! Finds what would fail before anything is created.
//!
//! All hosts that machines will be created on are inspected concurrently, and pure functions evaluate the
//! results. An unreachable one is a finding like any other. Problems with other hosts don't matter.

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
use hakube_provider::{Attempt, ErrorKind, PreflightSpec, ProviderError, Result};
use judge::{Demand, Room};
use std::collections::{BTreeMap, BTreeSet};

impl Libvirt {
    /// See [`hakube_provider::Provider::preflight`].
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        let mut findings = judge::plan(&self.config);
        findings.extend(self.zones_without_a_host(spec));
        let is_needed = |host: &&Host| {
            spec.all_machines()
                .any(|(machine, _)| host.zones.contains(&machine.machine.zone))
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
        let zones: BTreeSet<&str> = spec
            .all_machines()
            .map(|(machine, _)| machine.machine.zone.as_str())
            .collect();
        let attempt = Attempt::new("place", "machines");
        zones
            .into_iter()
            .filter_map(|zone| self.host_of(&attempt, zone).err())
            .collect()
    }

    /// The images that will be used, with their disks' sizes. Those that all these hosts have
    /// aren't read again.
    async fn images(&self, spec: &PreflightSpec, hosts: &[&Host]) -> Vec<(String, Result<u64>)> {
        let wanted: BTreeSet<_> = spec
            .all_machines()
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

    /// The size of an image's disk, if all these hosts have the image.
    async fn image_on_all(&self, hosts: &[&Host], cluster: &str, sum: &str) -> Option<u64> {
        let attempt = Attempt::new("find", format!("image {sum}"));
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
        // If this fails, the other calls would fail with the same error.
        let node = match host.node(&attempt).await {
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
        let capabilities = host.domain_capabilities(attempt, &arch, &kind);
        let capabilities = match capabilities.await {
            Ok(capabilities) => capabilities?,
            Err(error) => return Some(error),
        };
        match has_uefi(&capabilities) {
            Ok(true) => None,
            Ok(false) => {
                let message = format!("{} has no UEFI firmware for guests", host.uri);
                let error = attempt.error(ErrorKind::Invalid, message);
                Some(
                    error.with_hint(
                        "install it there (Debian's package is ovmf), or boot with BIOS",
                    ),
                )
            }
            Err(fault) => Some(attempt.failed(&fault)),
        }
    }

    /// Checks that the network to attach to exists and doesn't assign the plan's addresses, and
    /// that names are unused.
    async fn network_findings(
        &self,
        host: &Host,
        attempt: &Attempt,
        spec: &PreflightSpec,
    ) -> Result<Vec<ProviderError>> {
        let networks = host.networks(attempt).await?;
        let clusters: BTreeSet<&str> = spec
            .all_machines()
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
            findings.extend(ours.and_then(|network| judge::not_ours(attempt, cluster, network)));
            // An existing network of the cluster has been checked before.
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
            let message = format!("no network {name} on {}", host.uri);
            let error = attempt.error(ErrorKind::Invalid, message);
            findings.push(error.with_hint("run `virsh net-list --all` to list the networks"));
            return Ok(findings);
        };
        findings.extend(self.existing_network(attempt, network)?);
        Ok(findings)
    }

    fn existing_network(
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
            let error = attempt.error(ErrorKind::Invalid, format!("network {name} isn't active"));
            findings.push(error.with_hint(format!(
                "run `virsh net-start {name}` and `virsh net-autostart {name}`"
            )));
        }
        let ranges = dhcp_ranges(&network.xml).map_err(failed)?;
        findings.extend(judge::dhcp_overlap(
            attempt,
            name,
            &ranges,
            &self.config.addresses,
        ));
        Ok(findings)
    }

    /// Checks that the pool and the host have enough capacity, and that machine names are unused.
    async fn room_findings(
        &self,
        host: &Host,
        attempt: &Attempt,
        node: Node,
        mut demand: Demand,
    ) -> Result<Vec<ProviderError>> {
        let mut findings = Vec::new();
        let domains = host.domains(attempt).await?;
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

/// A domain's memory in MiB.
fn memory_mib(described: &str) -> Answer<u64> {
    let document = xml::parse(described)?;
    let memory = xml::child(document.root_element(), "memory");
    // libvirt always reports KiB.
    let kib = memory.and_then(|memory| memory.text()?.trim().parse::<u64>().ok());
    Ok(kib.unwrap_or_default() / 1024)
}
