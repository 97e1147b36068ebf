//! One step, done. Every choice was the plan's; each step looks first and finds done what is done.

mod addons;
mod certificates;
mod endpoint;
mod finish;
mod member;
mod nodes;
mod replica;
mod shared_address;

pub use finish::admin_access;

use super::Means;
use super::gap::GapMeter;
use crate::channel::{self, Door};
use crate::cluster::Intent;
use crate::error::{Error, Result};
use crate::output::Reporter;
use crate::plan::{Action, Step};
use async_trait::async_trait;
use hakube_provider::{Inventory, Machine, MachineRef, MachineSpec};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Takes down what must never be forgotten, before a step that relies on it goes on.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// etcd holds data from now on.
    async fn etcd_is_formed(&self) -> Result<()>;
    /// A learner with this peer URL is hakube's.
    async fn learner_joins(&self, peer_url: &str) -> Result<()>;
}

/// The steps of one plan in progress.
pub struct Execution<'a> {
    intent: &'a Intent,
    means: &'a Means,
    ledger: &'a dyn Ledger,
    reporter: &'a dyn Reporter,
    directory: Directory,
    /// On the endpoint while its address may move.
    meter: tokio::sync::Mutex<Option<GapMeter>>,
    gap: Mutex<Option<Duration>>,
}

impl<'a> Execution<'a> {
    /// Begins with the addresses that were observed.
    pub fn new(
        intent: &'a Intent,
        means: &'a Means,
        inventory: &Inventory,
        ledger: &'a dyn Ledger,
        reporter: &'a dyn Reporter,
    ) -> Self {
        Self {
            intent,
            means,
            ledger,
            reporter,
            directory: Directory::new(inventory),
            meter: tokio::sync::Mutex::new(None),
            gap: Mutex::new(None),
        }
    }

    /// The longest time without an answer from the endpoint, if its address moved.
    pub fn endpoint_gap(&self) -> Option<Duration> {
        *self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the step.
    ///
    /// # Errors
    /// Transient ones are worth another try; the others aren't.
    pub async fn run(&self, step: &Step) -> Result<()> {
        let provider = &self.means.provider;
        match &step.action {
            Action::EnsureNetwork(spec) => Ok(provider.ensure_network(spec).await?),
            Action::EnsureFirewall(spec) => Ok(provider.ensure_firewall(spec).await?),
            Action::ReserveAddress(spec) => {
                self.directory
                    .set_endpoint(provider.ensure_address(spec).await?.address);
                Ok(())
            }
            Action::EnsureMachine(spec) => {
                let spec = MachineSpec {
                    login: self.means.login.clone(),
                    ..spec.clone()
                };
                self.directory.add(provider.ensure_machine(&spec).await?);
                Ok(())
            }
            Action::Delete(resource) => {
                Ok(provider.delete(&self.intent.spec.cluster, resource).await?)
            }
            Action::EnsureBalancer(spec) => Ok(provider.ensure_balancer(spec).await?),
            Action::DeliverSecrets(machine) | Action::RenewCertificates(machine) => {
                self.deliver_secrets(machine).await
            }
            Action::AwaitRenewed { replicas } => self.await_renewed(replicas).await,
            Action::StartControlPlane(machine) => self.start_control_plane(machine).await,
            Action::FormEtcd(machine) => self.form_etcd(machine).await,
            Action::JoinEtcd(machine) => self.join_etcd(machine).await,
            Action::PromoteMember(machine) => self.promote_member(machine).await,
            Action::HandLeadership { from } => self.hand_leadership(from).await,
            Action::RemoveMember { replica, member } => self.remove_member(replica, *member).await,
            Action::PointEndpoint { endpoint, target } => {
                self.point_endpoint(endpoint, target).await
            }
            Action::ShareAddress { machine, among } => self.share_address(machine, among).await,
            Action::ReleaseAddress(machine) => self.release_address(machine).await,
            Action::AwaitEndpoint => self.await_endpoint().await,
            Action::AdmitNodes { templates } => self.admit_nodes(templates).await,
            Action::ExtendTokens { tokens } => self.extend_tokens(tokens).await,
            Action::EnsureNodeGroup(spec) => self.ensure_node_group(spec).await,
            Action::AwaitNodes {
                count,
                needed,
                registered,
            } => {
                let patience = self.nodes_patience(*registered);
                self.await_nodes(step, *count, *needed, patience).await
            }
            Action::RegisterReplica(machine) => self.register_replica(machine).await,
            Action::AwaitReplicaNodes { replicas } => self.await_replica_nodes(replicas).await,
            Action::DrainNodes { nodes } => self.drain_nodes(step, nodes).await,
            Action::LabelNodes { nodes } => self.label_nodes(nodes).await,
            Action::ForgetNodes { nodes } => self.forget_nodes(nodes).await,
            Action::ApplyAddon { name } => self.apply_addon(name).await,
            Action::AwaitAddon { name } => self.await_addon(name).await,
            Action::RemoveAddon { name } => {
                let kubernetes = &self.means.kubernetes;
                kubernetes.remove_addon(self.endpoint()?, name).await
            }
            Action::ApproveServing => self.approve_serving().await,
            Action::WriteKubeconfig => self.write_kubeconfig(),
            Action::RemoveKubeconfig => self.remove_kubeconfig(),
            Action::ProveEmpty => self.prove_empty().await,
        }
    }

    /// The machine, as it was seen or made.
    async fn machine(&self, machine: &MachineRef) -> Result<Machine> {
        if let Some(known) = self.directory.machine(&machine.name) {
            return Ok(known);
        }
        let found = self.means.provider.machine(machine).await?.ok_or_else(|| {
            Error::failed(format!(
                "machine {} in {} is gone",
                machine.name, machine.zone
            ))
            .hint("see what is there: hakube status")
        })?;
        self.directory.add(found.clone());
        Ok(found)
    }

    /// The machine's own address, by which its components and other replicas reach it.
    async fn own_address(&self, machine: &MachineRef) -> Result<IpAddr> {
        channel::own_address(&self.machine(machine).await?)
    }

    /// The way to a port of it from here.
    async fn door(&self, machine: &MachineRef, port: u16) -> Result<Door> {
        let machine = self.machine(machine).await?;
        self.means.channel.reach(&machine, port).await
    }

    /// Where clients reach the cluster. The address is reserved before anything that asks for it.
    fn endpoint(&self) -> Result<SocketAddr> {
        let reserved = self.directory.endpoint_address();
        self.intent.spec.endpoint_at(reserved).ok_or_else(|| {
            Error::failed(format!(
                "cluster {} has no reserved address",
                self.intent.spec.cluster
            ))
        })
    }
}

/// Who is where: what was observed, and what was made since.
struct Directory {
    machines: Mutex<BTreeMap<String, Machine>>,
    endpoint: Mutex<Option<IpAddr>>,
}

impl Directory {
    fn new(inventory: &Inventory) -> Self {
        let machines = inventory
            .machines
            .iter()
            .map(|machine| (machine.name.clone(), machine.clone()));
        Self {
            machines: Mutex::new(machines.collect()),
            endpoint: Mutex::new(inventory.address.as_ref().map(|address| address.address)),
        }
    }

    fn machine(&self, name: &str) -> Option<Machine> {
        self.machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    fn all(&self) -> Vec<Machine> {
        self.machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn add(&self, machine: Machine) {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines.insert(machine.name.clone(), machine);
    }

    fn endpoint_address(&self) -> Option<IpAddr> {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_endpoint(&self, address: IpAddr) {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}
