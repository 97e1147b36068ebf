//! The Compute Engine provider, on Google's client crate.
//!
//! It implements [`hakube_provider::Provider`] with Compute Engine's resources, and knows nothing
//! of what runs on them. Where the subtle cases are handled:
//!
//! - a failed operation is a successful response that contains an error: `operation.rs`;
//! - a change whose response was lost must not be repeated, but a new identical one must be made:
//!   `request.rs`;
//! - exceeding the rate limit may result in a 403: `retry.rs`;
//! - a failure has two spellings and three ways to arrive: `error.rs`;
//! - Compute Engine deletes a reserved address even while it is in use: `delete.rs`;
//! - between two calls, nothing holds the endpoint's address: `endpoint.rs`.

mod address;
mod auth;
mod balancer;
mod calls;
mod client;
mod config;
mod delete;
mod endpoint;
mod error;
mod firewall;
mod inspect;
mod link;
mod machine;
mod mark;
mod namesakes;
mod network;
mod node_group;
mod operation;
mod preflight;
mod properties;
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
    FirewallSpec, Inventory, Machine, MachineRef, MachineSpec, Namesake, NetworkSpec,
    NodeGroupSpec, PreflightSpec, Provider, ProviderError, ResourceId, Result, SshServer, WireCall,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Compute Engine in one project and region, with that project's networks or a host project's.
pub struct Gce {
    config: GceConfig,
    clients: Clients,
    requests: Requests,
    calls: Arc<AtomicU64>,
}

impl Gce {
    /// Creates a provider with these credentials. Makes no call to Compute Engine. If no file has
    /// credentials, it requests a token from the metadata server.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if no credentials are found (the message lists the sources tried) or
    /// the token file isn't private; [`ErrorKind::Fatal`] if no rustls provider is installed in the
    /// process, because Google's clients would panic.
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

    async fn namesakes(&self, name: &str) -> Result<Vec<Namesake>> {
        self.clusters_named(name).await
    }

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.put_network(spec).await
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        self.put_firewall(spec).await
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        self.put_address(spec).await
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        self.put_machine(spec).await
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        self.put_balancer(spec).await
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()> {
        self.endpoint_at(spec, target).await
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

    fn calls_for(&self, change: &Change<'_>, there: &Inventory) -> Vec<WireCall> {
        self.wire_calls(change, there)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
