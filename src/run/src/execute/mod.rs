//! Executes one step. A step checks first, and does nothing if its work is done already.

mod addons;
mod address;
mod certificates;
mod endpoint;
mod finish;
mod member;
mod nodes;
mod recreate;
mod replica;
mod restore;
mod shared_address;
mod space;
mod trust;
mod upgrade;

pub use finish::admin_access;

use super::Means;
use super::gap::GapMeter;
use async_trait::async_trait;
use hakube_channel::{self as channel, Door};
use hakube_error::{Error, Result};
use hakube_model::Intent;
use hakube_output::Reporter;
use hakube_plan::{Action, Step};
use hakube_provider::{EndpointTarget, Inventory, Machine, MachineRef, MachineSpec};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Records facts durably before the step that relies on them continues.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// etcd holds data from now on: new data, or a backup's.
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
    /// Measures downtime while the endpoint may move.
    meter: tokio::sync::Mutex<Option<GapMeter>>,
    gap: Mutex<Option<Duration>>,
}

impl<'a> Execution<'a> {
    /// Starts with the observed addresses.
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

    /// The longest endpoint downtime measured, if any.
    pub fn endpoint_gap(&self) -> Option<Duration> {
        *self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes the step.
    ///
    /// # Errors
    /// A transient error is worth a retry.
    pub async fn run(&self, step: &Step) -> Result<()> {
        let provider = &self.means.provider;
        match &step.action {
            Action::EnsureNetwork(spec) => Ok(provider.ensure_network(spec).await?),
            Action::EnsureFirewall(spec) => Ok(provider.ensure_firewall(spec).await?),
            Action::ReserveAddress(spec) => self.reserve_address(spec).await,
            Action::EnsureMachine(spec) => {
                let spec = MachineSpec {
                    login: self.means.login.clone(),
                    ..spec.clone()
                };
                self.directory.add(provider.ensure_machine(&spec).await?);
                Ok(())
            }
            Action::Delete(resource) => {
                Ok(provider.delete(&self.intent.spec.mark(), resource).await?)
            }
            Action::EnsureBalancer(spec) => Ok(provider.ensure_balancer(spec).await?),
            Action::DeliverSecrets(machine) | Action::RenewCertificates(machine) => {
                self.deliver_secrets(machine).await
            }
            Action::FollowAuthorities(machine) => self.follow_authorities(machine).await,
            Action::FollowAuthoritiesOnNodes { replicas, nodes } => {
                self.follow_authorities_on_nodes(replicas, nodes).await
            }
            Action::AwaitServing { replicas } => self.await_serving(replicas).await,
            Action::StartControlPlane(machine) => self.start_control_plane(machine).await,
            Action::FormEtcd(machine) => self.form_etcd(machine).await,
            Action::HoldEtcd(machine) => self.hold_etcd(machine).await,
            Action::RestoreEtcd { machine, from } => self.restore_etcd(machine, from).await,
            Action::JoinEtcd(machine) => self.join_etcd(machine).await,
            Action::PromoteMember(machine) => self.promote_member(machine).await,
            Action::CompactEtcd => self.compact_etcd().await,
            Action::DefragmentMember(machine) => self.defragment(machine).await,
            Action::DisarmNoSpace => self.disarm_nospace().await,
            Action::HandLeadership { from } => self.hand_leadership(from).await,
            Action::RemoveMember { replica, member } => self.remove_member(replica, *member).await,
            Action::PointEndpoint { endpoint, target } => {
                self.point_endpoint(endpoint, target).await
            }
            Action::RestoreExternalAddress { endpoint, .. } => {
                let provider = &self.means.provider;
                let restored = provider.point_endpoint(endpoint, &EndpointTarget::Balancer);
                restored.await.map_err(Error::from)
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
            // They hold two specifications, which is too much for a stack that all other steps share.
            Action::UpgradeReplica(machine) => Box::pin(self.upgrade_replica(machine)).await,
            Action::UpgradeNode(machine) => Box::pin(self.upgrade_node(step, machine)).await,
            Action::RecreateNode { group, node } => {
                Box::pin(self.recreate_node(step, group, node)).await
            }
            Action::ProveEmpty => self.prove_empty().await,
        }
    }

    /// The machine, from the directory or the provider.
    async fn machine(&self, machine: &MachineRef) -> Result<Machine> {
        if let Some(known) = self.directory.machine(&machine.name) {
            return Ok(known);
        }
        let found = self.means.provider.machine(machine).await?.ok_or_else(|| {
            Error::failed(format!(
                "machine {} in {} is missing",
                machine.name, machine.zone
            ))
            .hint("check the cluster's machines: hakube status")
        })?;
        self.directory.add(found.clone());
        Ok(found)
    }

    /// The address at which its own programs and other replicas reach it.
    async fn own_address(&self, machine: &MachineRef) -> Result<IpAddr> {
        channel::own_address(&self.machine(machine).await?)
    }

    /// A connection to its port.
    async fn door(&self, machine: &MachineRef, port: u16) -> Result<Door> {
        let machine = self.machine(machine).await?;
        self.means.channel.reach(&machine, port).await
    }

    /// Where clients reach the cluster. The plan reserves the address first.
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

/// The addresses observed, and those of machines created since.
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
