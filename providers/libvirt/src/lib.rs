//! The libvirt provider: machines on your own hypervisors.
//!
//! A zone is a host; several zones may be the same host. The provider creates machines, networks
//! and disks there, and knows nothing of what runs on them. Where the subtle cases are handled:
//!
//! - an unreachable host doesn't prevent work on the others: `inspect.rs`, `of_those_that_answer`;
//! - the addresses of an unreachable host's machines are in use, but can't be queried: `addresses.rs`;
//! - a URI may lead to the wrong host, which has nothing of the cluster: `memory.rs`;
//! - a call into libvirt blocks, forever if its connection hangs: `host.rs`;
//! - volumes have no metadata, so their whole name is the ownership label: `volumes.rs`;
//! - an interrupted upload looks like a complete one: `image.rs`, `machine.rs`;
//! - machines hold the endpoint's address themselves: it is reserved, but never pointed at anything.

mod addresses;
mod config;
mod delete;
mod domain;
mod error;
mod host;
mod hypervisor;
mod image;
mod inspect;
mod machine;
mod machinery;
mod mark;
mod memory;
mod neighbours;
mod network;
mod node_group;
mod pool;
mod preflight;
mod reserve;
mod seed;
mod size;
#[cfg(test)]
mod tests;
mod volumes;
mod xml;

pub use config::{AddressPlan, Firmware, HostNetwork, LibvirtConfig, Patience, Virtualization};
pub use size::Size;

use crate::host::{Host, Opener};
use crate::hypervisor::Hypervisor;
use crate::image::Images;
use crate::neighbours::{KernelNeighbours, Neighbours};
use async_trait::async_trait;
use hakube_provider::{
    Address, AddressSpec, Attempt, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind,
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, Namesake, NetworkSpec,
    NodeGroupSpec, PreflightSpec, Provider, ProviderError, ResourceId, Result, SshServer,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// The provider.
pub struct Libvirt {
    config: LibvirtConfig,
    hosts: Vec<Host>,
    neighbours: Arc<dyn Neighbours>,
    images: Images,
    /// Held from reading the hosts' records of a cluster's network until all hosts have the same
    /// record. An address is chosen in between.
    agreeing: Mutex<()>,
    calls: Arc<AtomicU64>,
}

impl Libvirt {
    /// Creates a provider for these hosts. Doesn't connect yet: an unreachable host fails the calls
    /// that need it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there are no zones.
    pub fn connect(config: LibvirtConfig) -> Result<Self> {
        let opener: Arc<Opener> = Arc::new(|uri| {
            let connection = hypervisor::connection::open(uri)?;
            Ok(Arc::new(connection) as Arc<dyn Hypervisor>)
        });
        Self::over(config, opener, Arc::new(KernelNeighbours))
    }

    fn over(
        config: LibvirtConfig,
        opener: Arc<Opener>,
        neighbours: Arc<dyn Neighbours>,
    ) -> Result<Self> {
        if config.zones.is_empty() {
            return Err(Attempt::new("use", "libvirt").error(
                ErrorKind::Invalid,
                "no zone has a hypervisor: set at least one, such as lan-site1-a=qemu:///system",
            ));
        }
        let calls = Arc::new(AtomicU64::new(0));
        let mut zones_of: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (zone, uri) in &config.zones {
            zones_of.entry(uri).or_default().push(zone.clone());
        }
        let host = |(uri, zones): (&String, Vec<String>)| {
            Host::new(
                uri.clone(),
                zones,
                config.patience,
                Arc::clone(&opener),
                Arc::clone(&calls),
            )
        };
        Ok(Self {
            hosts: zones_of.into_iter().map(host).collect(),
            images: Images::new(config.patience),
            config,
            neighbours,
            agreeing: Mutex::new(()),
            calls,
        })
    }

    fn host_of(&self, attempt: &Attempt, zone: &str) -> Result<&Host> {
        let is_its = |host: &&Host| host.zones.iter().any(|other| other == zone);
        self.hosts.iter().find(is_its).ok_or_else(|| {
            let message = format!(
                "zone {zone} has no hypervisor; known zones: {}",
                self.zone_names().join(", ")
            );
            attempt.error(ErrorKind::Invalid, message)
        })
    }

    fn zone_names(&self) -> Vec<&str> {
        self.config.zones.keys().map(String::as_str).collect()
    }
}

/// The results of the reachable hosts. Fails with the first error of a reachable host; if no host
/// is reachable, with the last one's error.
fn of_those_that_answer<T>(answers: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::new();
    let mut unreachable = None;
    for answer in answers {
        match answer {
            Ok(value) => done.push(value),
            Err(error) if error.is_transient() || error.kind == ErrorKind::Denied => {
                unreachable = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match unreachable {
        Some(error) if done.is_empty() => Err(error),
        _ => Ok(done),
    }
}

/// The error for a resource that libvirt doesn't have and that machines replace themselves.
fn not_ours(attempt: &Attempt, instead: &str) -> ProviderError {
    attempt.error(
        ErrorKind::Invalid,
        format!("libvirt doesn't support this: {instead}"),
    )
}

#[async_trait]
impl Provider for Libvirt {
    async fn preflight(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        self.findings(spec).await
    }

    async fn zones(&self) -> Result<Vec<String>> {
        self.zones_up().await
    }

    async fn inspect(&self, cluster: &str) -> Result<Inventory> {
        self.inventory(cluster).await
    }

    async fn namesakes(&self, name: &str) -> Result<Vec<Namesake>> {
        self.clusters_named(name).await
    }

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.ensure_networks(&spec.cluster).await
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let attempt = Attempt::new("create", format!("firewall {}", spec.name));
        Err(not_ours(
            &attempt,
            "hakube doesn't manage the network's firewalls",
        ))
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        self.put_address(spec).await
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        self.put_machine(spec, None).await
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        let attempt = Attempt::new("create", format!("balancer {}", spec.name));
        Err(not_ours(&attempt, "the machines balance among themselves"))
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, _: &EndpointTarget) -> Result<()> {
        let attempt = Attempt::new("point", format!("address {}", spec.address));
        Err(not_ours(
            &attempt,
            "the machines hold the address themselves",
        ))
    }

    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        self.put_node_group(spec).await
    }

    async fn delete(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        self.gone(cluster, resource).await
    }

    async fn machine(&self, machine: &MachineRef) -> Result<Option<Machine>> {
        self.machine_now(machine).await
    }

    async fn ssh_server(&self, machine: &MachineRef) -> Result<Option<SshServer>> {
        self.ssh_server_now(machine).await
    }

    async fn console(&self, machine: &MachineRef) -> Result<String> {
        self.console_tail(machine).await
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
