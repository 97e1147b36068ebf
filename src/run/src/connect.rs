//! What connects to a provider and a cluster. [`Live`](crate::Live) is the real one; tests have their own.

use async_trait::async_trait;
use hakube_channel::Channel;
use hakube_error::Result;
use hakube_etcd::Etcd;
use hakube_kubernetes::Kubernetes;
use hakube_model::{ClusterSpec, Lifetimes, Programs};
use hakube_output::Reporter;
use hakube_pki::Authorities;
use hakube_provider::{Login, OperationKey, Provider};
use hakube_settings::Settings;
use std::sync::Arc;
use std::time::Duration;

/// Why a provider is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To change resources, for this operation. Starts the local cloud if it isn't running.
    Change(OperationKey),
    /// To observe only. Fails if the local cloud isn't running.
    Look,
}

/// A provider, and access to its machines.
pub struct Backend {
    /// Creates machines.
    pub provider: Arc<dyn Provider>,
    /// Runs commands on the machines.
    pub channel: Arc<dyn Channel>,
    /// The login for new machines, if access is over SSH.
    pub login: Option<Login>,
    /// The id of the local cloud the machines are in.
    pub local_cloud: Option<String>,
    /// Whether all machines share this host's loopback interface.
    pub shared_loopback: bool,
    /// How often to poll a condition.
    pub pace: Duration,
}

/// Clients of a cluster's own programs.
pub struct Clients {
    /// Members of etcd.
    pub etcd: Arc<dyn Etcd>,
    /// API servers.
    pub kubernetes: Arc<dyn Kubernetes>,
}

/// Connects to a cluster's provider and programs.
#[async_trait]
pub trait Connect: Send + Sync {
    /// The provider and access to its machines. SSH access uses the key in `authorities`.
    ///
    /// # Errors
    /// The provider can't be reached.
    async fn backend(
        &self,
        settings: &Settings,
        spec: &ClusterSpec,
        authorities: &Authorities,
        purpose: Purpose,
    ) -> Result<Backend>;

    /// Finds a new cluster's programs. `path` is the search path for programs on this host.
    ///
    /// # Errors
    /// A program can't be found or verified.
    async fn programs(
        &self,
        settings: &Settings,
        path: &str,
        reporter: &dyn Reporter,
    ) -> Result<Programs>;

    /// Clients with certificates that these authorities sign.
    ///
    /// # Errors
    /// The authorities' keys can't be used.
    fn clients(&self, authorities: &Authorities, lifetimes: Lifetimes) -> Result<Clients>;
}
