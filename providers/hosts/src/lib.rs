//! The provider of existing hosts: physical machines or VMs that it didn't create.
//!
//! A host is leased, not created: a file on it names the cluster that has it. The host's prior
//! state is recorded on it first. Giving the host back removes everything the cluster added, and
//! verifies that. A machine has its host's name. Where the subtle cases are handled:
//!
//! - if two clusters take a host at once, only one gets it: `scripts/lease.sh`;
//! - every file is recorded before it is written, so a crash leaves no unknown file: `scripts/put.sh`;
//! - files that others have added since are kept: `scripts/places.sh`, `scripts/give-back.sh`;
//! - an unreachable host doesn't hide the others: `look`;
//! - a leased host whose document wasn't applied completely counts as starting: `machine.rs`.

mod config;
mod document;
mod group;
mod lease;
mod machine;
mod preflight;
mod remote;
mod scripts;

pub use config::{Downloads, Host, HostsConfig, Role};

use async_trait::async_trait;
use futures::future::join_all;
use hakube_provider::{
    Address, AddressSpec, Attempt, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind,
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, Namesake, NetworkSpec, NodeGroup,
    NodeGroupSpec, Owner, PreflightSpec, Provider, ProviderError, ResourceId, ResourceKind, Result,
    SshServer, namesakes,
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

/// A host's state.
enum Found {
    /// No cluster has it.
    Free,
    /// A cluster has it.
    Held(Held),
    Unreachable(ProviderError),
}

impl Hosts {
    /// Creates the provider. Connects to no host yet.
    pub fn new(config: HostsConfig) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let hosts = config.hosts.into_iter();
        Self {
            remotes: hosts
                .map(|host| {
                    Remote::new(
                        host,
                        config.offered.clone(),
                        config.limit,
                        Arc::clone(&calls),
                    )
                })
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
                .with_hint("add it, and pass the inventory with --hosts FILE")
        })?;
        if remote.host.zone != machine.zone {
            let message = format!("it is in {}, not in {}", remote.host.zone, machine.zone);
            return Err(attempt.error(ErrorKind::Invalid, message));
        }
        Ok(remote)
    }

    /// Queries all hosts at once, in the inventory's order.
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

/// The first error of several concurrent operations, with the others' messages appended.
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

fn not_ours(action: &'static str, resource: &str, instead: &'static str) -> ProviderError {
    Attempt::new(action, resource).error(ErrorKind::Invalid, instead)
}

const NO_BALANCER: &str =
    "this provider has no balancer: replicas share an address, or the operator runs a balancer";

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
        // Hosts that can only be replicas come first.
        look.sort_by_key(|(remote, _)| remote.host.role != Role::Replica);
        for (remote, _) in look {
            let zone = free.entry(remote.host.zone.clone()).or_default();
            zone.push(remote.host.name.clone());
        }
        Ok(Some(free))
    }

    async fn namesakes(&self, name: &str) -> Result<Vec<Namesake>> {
        let looked = self.look().await.into_iter();
        let found = looked.filter_map(|(remote, found)| match found {
            Found::Held(held) => Some(Namesake {
                owner: Owner::of_mark(&held.lease.cluster),
                since: Some(held.lease.since),
                example: format!("host {} in {}", remote.host.name, remote.host.zone),
            }),
            Found::Free | Found::Unreachable(_) => None,
        });
        Ok(namesakes(name, found))
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
                    let id = ResourceId::in_zone(ResourceKind::Machine, zone, name);
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
                        origins: BTreeMap::new(),
                    });
                    // A host that isn't fully set up yet doesn't count towards the size.
                    if held.carried_out.is_some() {
                        group.size += 1;
                    }
                    group.machines.push(name.clone());
                }
            }
        }
        for group in groups.values() {
            let id = ResourceId::in_zone(ResourceKind::NodeGroup, &group.zone, &group.name);
            inventory.resources.push(id);
        }
        inventory.node_groups = groups.into_values().collect();
        Ok(inventory)
    }

    async fn ensure_network(&self, _: &NetworkSpec) -> Result<()> {
        // The network exists already and is the operator's.
        Ok(())
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let instead = "hakube doesn't manage the hosts' firewalls";
        Err(not_ours("create", &spec.name, instead))
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        let address = self.endpoint.ok_or_else(|| {
            Attempt::new("reserve", format!("address {}", spec.name))
                .error(ErrorKind::Invalid, "the inventory has no endpoint")
                .with_hint("add `endpoint: ADDRESS` to it, with an unused address of the hosts' network; or use your own balancer: --endpoint ADDRESS:PORT")
        })?;
        if spec.wanted.is_some_and(|wanted| wanted != address) {
            return Err(
                Attempt::new("reserve", format!("address {}", spec.name)).error(
                    ErrorKind::Conflict,
                    format!("the inventory's endpoint is {address}"),
                ),
            );
        }
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
        self.ensure_group(spec).await
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
