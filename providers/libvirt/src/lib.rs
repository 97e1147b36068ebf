//! The libvirt provider: machines on hypervisors of one's own.
//!
//! A zone is a host, or several zones are one. It makes machines, networks and disks there, and knows nothing of
//! what runs on them. Facts that are easy to get wrong, and where they are dealt with:
//!
//! - a host that is away keeps nobody from working on the others: `inspect.rs`, `of_those_that_answer`;
//! - its machines have addresses all the same, and nobody can ask which: `addresses.rs`;
//! - a URI may lead to another host, which has nothing of the cluster and says so: `memory.rs`;
//! - a call into libvirt blocks, for ever if its connection hangs: `host.rs`;
//! - volumes have no metadata, so their whole name is the mark: `mark.rs`;
//! - an upload that was cut short looks like one that wasn't: `image.rs`, `machine.rs`;
//! - the endpoint's address is the machines' to hold: there is a reservation of it, and nothing to point.

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
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, NetworkSpec, NodeGroupSpec,
    PreflightSpec, Provider, ProviderError, ResourceId, Result, SshServer,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Hypervisors of one's own.
pub struct Libvirt {
    config: LibvirtConfig,
    hosts: Vec<Host>,
    neighbours: Arc<dyn Neighbours>,
    images: Images,
    /// Held from a look at what hosts know of a cluster's network until all know the same: an address is chosen
    /// in between.
    agreeing: Mutex<()>,
    calls: Arc<AtomicU64>,
}

impl Libvirt {
    /// A provider on these hosts. Connects to none of them yet: one that is away is told of by the calls that
    /// need it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is no zone.
    pub fn connect(config: LibvirtConfig) -> Result<Self> {
        let opener: Arc<Opener> = Arc::new(|uri| {
            let connection = hypervisor::open(uri)?;
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
                "no zone has a hypervisor: name one at least, such as lan-site1-a=qemu:///system",
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

    /// The host of a zone.
    fn host_of(&self, attempt: &Attempt, zone: &str) -> Result<&Host> {
        let is_its = |host: &&Host| host.zones.iter().any(|other| other == zone);
        self.hosts.iter().find(is_its).ok_or_else(|| {
            let message = format!(
                "zone {zone} has no hypervisor; there are {}",
                self.zone_names().join(", ")
            );
            attempt.error(ErrorKind::Invalid, message)
        })
    }

    /// All zones, sorted.
    fn zone_names(&self) -> Vec<&str> {
        self.config.zones.keys().map(String::as_str).collect()
    }
}

/// What hosts answered, of those that can be asked. The first error of one that can, or, if none can, of any.
fn of_those_that_answer<T>(answers: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::new();
    let mut away = None;
    for answer in answers {
        match answer {
            Ok(value) => done.push(value),
            Err(error) if error.is_transient() || error.kind == ErrorKind::Denied => {
                away = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match away {
        Some(error) if done.is_empty() => Err(error),
        _ => Ok(done),
    }
}

/// What hosts of one's own don't have, and machines do themselves.
fn not_ours(attempt: &Attempt, instead: &str) -> ProviderError {
    attempt.error(
        ErrorKind::Invalid,
        format!("libvirt has nothing of the kind: {instead}"),
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

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.networks_exist(&spec.cluster).await
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let attempt = Attempt::new("create", format!("firewall {}", spec.name));
        Err(not_ours(
            &attempt,
            "who reaches a machine is its network's to say",
        ))
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        self.address_exists(spec).await
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        self.machine_exists(spec, None).await
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
        self.node_group_exists(spec).await
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
