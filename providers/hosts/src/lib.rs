//! The provider of hosts that are there already: physical machines, or guests that others made.
//!
//! A host is leased, not made: a file on it says which cluster has it. Before that, what there is on the host is written
//! down on it; giving the host back removes what a cluster brought, and proves it. A machine has its host's name. Facts
//! that are easy to get wrong, and where they are dealt with:
//!
//! - of two clusters that take a host at once, one gets it: `scripts/lease.sh`;
//! - what is put somewhere is written down first, so that a crash leaves nothing that nobody knows: `scripts/put.sh`;
//! - what others put beside it since stays: `scripts/places.sh`, `scripts/give-back.sh`;
//! - a host that is away hides none of the others: `look`;
//! - a host that was leased, and whose document wasn't carried out to its end, is starting: `machine.rs`.

mod config;
mod document;
mod downloads;
mod facts;
mod group;
mod lease;
mod machine;
mod preflight;
mod remote;
mod scripts;
mod vxlan;

pub use config::{Host, HostsConfig, Role};
pub use downloads::Downloads;

use async_trait::async_trait;
use futures::future::join_all;
use hakube_provider::{
    Address, AddressSpec, Attempt, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind,
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, NetworkSpec, NodeGroup,
    NodeGroupSpec, PreflightSpec, Provider, ProviderError, ResourceId, ResourceKind, Result, Scope,
    SshServer,
};
use lease::{Held, Kind};
use remote::{QUICK, Remote};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The provider.
pub struct Hosts {
    remotes: Vec<Remote>,
    endpoint: Option<IpAddr>,
    architecture: &'static str,
    vxlan: bool,
    downloads: Downloads,
    calls: Arc<AtomicU64>,
}

/// What a host says of itself.
enum Found {
    /// Nobody has it.
    Free,
    /// Somebody has it.
    Held(Held),
    /// It can't be asked.
    Unreachable(ProviderError),
}

impl Hosts {
    /// Connects to none of the hosts yet.
    pub fn new(config: HostsConfig) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let hosts = config.hosts.into_iter();
        Self {
            remotes: hosts
                .map(|host| Remote::new(host, config.offered.clone(), Arc::clone(&calls)))
                .collect(),
            endpoint: config.endpoint,
            architecture: config.architecture,
            vxlan: config.vxlan,
            downloads: config.downloads,
            calls,
        }
    }

    fn remote(&self, name: &str) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.host.name == name)
    }

    fn known(&self, what: &'static str, machine: &MachineRef) -> Result<&Remote> {
        let attempt = Attempt::new(what, format!("host {}", machine.name));
        let remote = self.remote(&machine.name).ok_or_else(|| {
            let message = "no host of that name is in the inventory";
            attempt
                .error(ErrorKind::Invalid, message)
                .with_hint("add it, and name the file: --hosts FILE")
        })?;
        if remote.host.zone != machine.zone {
            let message = format!("it is in {}, not in {}", remote.host.zone, machine.zone);
            return Err(attempt.error(ErrorKind::Invalid, message));
        }
        Ok(remote)
    }

    /// All hosts at once, in the inventory's order.
    async fn look(&self) -> Vec<(&Remote, Found)> {
        join_all(self.remotes.iter().map(async |remote| {
            let found = match remote.held().await {
                Ok(None) => Found::Free,
                Ok(Some(held)) => Found::Held(held),
                Err(error) => Found::Unreachable(error),
            };
            (remote, found)
        }))
        .await
    }
}

/// The first error of several that were tried together. What the others said is added to it.
fn all_done(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let mut failures = results.into_iter().filter_map(Result::err);
    let Some(mut first) = failures.next() else {
        return Ok(());
    };
    for other in failures {
        first.message = format!("{}; {other}", first.message);
    }
    Err(first)
}

fn resource(kind: ResourceKind, zone: &str, name: &str) -> ResourceId {
    ResourceId {
        kind,
        scope: Scope::Zone(zone.to_owned()),
        name: name.to_owned(),
    }
}

fn not_ours(action: &'static str, resource: &str, instead: &'static str) -> ProviderError {
    Attempt::new(action, resource).error(ErrorKind::Invalid, instead)
}

const NO_BALANCER: &str =
    "hosts have no balancer beside them: replicas share an address, or the operator has one";

#[async_trait]
impl Provider for Hosts {
    async fn preflight(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        Ok(self.findings(spec).await)
    }

    async fn zones(&self) -> Result<Vec<String>> {
        let zones = self.remotes.iter().map(|remote| remote.host.zone.clone());
        Ok(zones.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn free_hosts(&self) -> Result<Option<BTreeMap<String, Vec<String>>>> {
        let mut free: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut look = self.look().await;
        look.retain(|(remote, found)| {
            matches!(found, Found::Free) && remote.host.role != Role::Node
        });
        // Those that can be nothing else first.
        look.sort_by_key(|(remote, _)| remote.host.role != Role::Replica);
        for (remote, _) in look {
            let zone = free.entry(remote.host.zone.clone()).or_default();
            zone.push(remote.host.name.clone());
        }
        Ok(Some(free))
    }

    async fn inspect(&self, cluster: &str) -> Result<Inventory> {
        let mut inventory = Inventory {
            address: self.endpoint.map(|address| Address {
                name: "endpoint".to_owned(),
                address,
            }),
            ..Inventory::default()
        };
        let mut groups: BTreeMap<(String, String), NodeGroup> = BTreeMap::new();
        for (remote, found) in self.look().await {
            let Host { name, zone, .. } = &remote.host;
            let held = match found {
                Found::Held(held) if held.lease.cluster == cluster => held,
                Found::Free | Found::Held(_) => continue,
                Found::Unreachable(error) => {
                    let why = error.message;
                    inventory.unreachable_machines.insert(name.clone(), why);
                    continue;
                }
            };
            match &held.lease.kind {
                Kind::Replica => {
                    inventory.machines.push(remote.machine(&held));
                    let id = resource(ResourceKind::Machine, zone, name);
                    inventory.resources.push(id);
                }
                Kind::Node { group, template } => {
                    let key = (zone.clone(), group.clone());
                    let group = groups.entry(key).or_insert_with(|| NodeGroup {
                        name: group.clone(),
                        zone: zone.clone(),
                        size: 0,
                        template: template.clone(),
                        machines: Vec::new(),
                    });
                    // A host that isn't all that it should be yet is none of those that there are.
                    if held.carried_out.is_some() {
                        group.size += 1;
                    }
                    group.machines.push(name.clone());
                }
            }
        }
        for group in groups.values() {
            let id = resource(ResourceKind::NodeGroup, &group.zone, &group.name);
            inventory.resources.push(id);
        }
        inventory.node_groups = groups.into_values().collect();
        Ok(inventory)
    }

    async fn ensure_network(&self, _: &NetworkSpec) -> Result<()> {
        // It is there already, and the operator's.
        Ok(())
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let instead = "who reaches a host is its network's to say";
        Err(not_ours("create", &spec.name, instead))
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        let address = self.endpoint.ok_or_else(|| {
            Attempt::new("reserve", format!("address {}", spec.name))
                .error(ErrorKind::Invalid, "the inventory has no endpoint")
                .with_hint("put `endpoint: ADDRESS` into it, an address of the hosts' network that nobody has; or name a balancer of your own: --endpoint ADDRESS:PORT")
        })?;
        Ok(Address {
            name: spec.name.clone(),
            address,
        })
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        let remote = self.known("lease", &spec.machine)?;
        remote.take(spec, Kind::Replica).await
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        Err(not_ours("create", &spec.name, NO_BALANCER))
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, _: &EndpointTarget) -> Result<()> {
        Err(not_ours("point", &spec.address, NO_BALANCER))
    }

    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        self.group_exists(spec).await
    }

    async fn delete(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        match resource.kind {
            ResourceKind::Machine => match self.remote(&resource.name) {
                Some(remote) => remote.give_back(cluster, self.endpoint).await,
                None => Ok(()),
            },
            ResourceKind::NodeGroup => self.group_is_gone(cluster, resource).await,
            _ => Ok(()),
        }
    }

    async fn machine(&self, wanted: &MachineRef) -> Result<Option<Machine>> {
        let Some(remote) = self.remote(&wanted.name) else {
            return Ok(None);
        };
        let held = remote.held().await?;
        Ok(held.map(|held| remote.machine(&held)))
    }

    async fn ssh_server(&self, machine: &MachineRef) -> Result<Option<SshServer>> {
        let remote = self.remote(&machine.name);
        Ok(remote.map(|remote| remote.host.server.clone()))
    }

    async fn console(&self, machine: &MachineRef) -> Result<String> {
        let remote = self.known("read", machine)?;
        let script = "journalctl --boot --no-pager --output=short --lines=30 --unit='artifacts*' --unit='etcd*' \
             --unit='kube*' --unit='containerd*' --unit='endpoint*' 2>&1 || true";
        let (_, text) = remote.run("read", script, &[], b"", QUICK).await?;
        Ok(text)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
