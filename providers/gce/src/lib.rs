//! The Compute Engine provider, on Google's own client crate.
//!
//! It makes what [`hakube_provider::Provider`] asks for out of Compute Engine's resources, and knows
//! nothing of what runs on them. Facts that are easy to get wrong, and where they are dealt with:
//!
//! - a failed operation comes back as a success that holds an error: `operation.rs`;
//! - a change whose answer got lost must not be made twice, and one that is meant anew must be: `request.rs`;
//! - a caller who is too fast is told 403: `retry.rs`;
//! - a failure has two spellings and three ways to arrive: `error.rs`;
//! - a reserved address can be deleted while it is in use, in silence: `delete.rs`;
//! - the endpoint's address is nowhere between two calls: `endpoint.rs`.

mod auth;
mod balancer;
mod calls;
mod client;
mod config;
mod delete;
mod endpoint;
mod error;
mod inspect;
mod link;
mod machine;
mod mark;
mod network;
mod node_group;
mod operation;
mod preflight;
mod request;
mod rest;
mod retry;
mod shared;
mod ssh;

pub use config::{Auth, GceConfig, GoogleLogin, Patience, PollPace, RESOURCE_MANAGER};

use crate::auth::Login;
use crate::client::Clients;
use crate::request::Requests;
use async_trait::async_trait;
use hakube_provider::{
    Address, AddressSpec, Attempt, BalancerSpec, Change, EndpointSpec, EndpointTarget, ErrorKind,
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, NetworkSpec, NodeGroupSpec,
    PreflightSpec, Provider, ProviderError, ResourceId, Result, SshServer, WireCall,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Compute Engine, in one project and region, on that project's networks or another's.
pub struct Gce {
    config: GceConfig,
    clients: Clients,
    requests: Requests,
    calls: Arc<AtomicU64>,
}

impl Gce {
    /// A provider with these credentials. Makes no call to Compute Engine yet; where no file has credentials,
    /// the metadata server is asked for a token.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] when there are no credentials (it says where they were looked for) or the token
    /// file isn't private;
    /// [`ErrorKind::Fatal`] when the process has installed no rustls provider, which Google's clients
    /// would otherwise panic for.
    pub async fn connect(config: GceConfig) -> Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Attempt::new("use", "TLS").error(
                ErrorKind::Fatal,
                "no rustls crypto provider is installed in this process",
            ));
        }
        let calls = Arc::new(AtomicU64::new(0));
        let login = Login::new(&config.auth, Arc::clone(&calls)).await?;
        let clients = Clients::new(&config, login);
        let requests = Requests::of(&config.operation);
        Ok(Self {
            config,
            clients,
            requests,
            calls,
        })
    }
}

#[async_trait]
impl Provider for Gce {
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
        self.network_exists(spec).await
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        self.firewall_exists(spec).await
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        self.address_exists(spec).await
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        self.machine_exists(spec).await
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        self.balancer_exists(spec).await
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()> {
        self.endpoint_at(spec, target).await
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

    fn calls_for(&self, change: &Change<'_>, there: &Inventory) -> Vec<WireCall> {
        self.wire_calls(change, there)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
