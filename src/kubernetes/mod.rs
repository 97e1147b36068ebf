//! The cluster's API server, as an operator's client sees it.

mod client;

pub use client::KubeClient;

use crate::channel::Door;
use crate::cluster::{ApiView, NodeView};
use crate::error::Result;
use async_trait::async_trait;
use std::net::SocketAddr;

/// A bootstrap token: what a node joins with.
pub struct BootstrapToken {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: crate::pki::Secret,
    /// After this it admits nobody.
    pub expires: jiff::Timestamp,
}

/// The questions that hakube has for API servers.
#[async_trait]
pub trait Kubernetes: Send + Sync {
    /// Asks a replica's own API server for `/readyz`. Its certificate must be that machine's, signed by
    /// the cluster's CA. Doesn't fail: no answer is an answer.
    async fn probe(&self, at: &Door) -> ApiView;

    /// Whether the endpoint's `/readyz` answers 200 right now, on a new connection.
    async fn is_ready(&self, endpoint: SocketAddr) -> bool;

    /// The nodes that have registered.
    async fn nodes(&self, endpoint: SocketAddr) -> Result<Vec<NodeView>>;

    /// The replica's node is labelled as the control plane's; false when it hasn't registered yet.
    async fn label_replica(&self, endpoint: SocketAddr, name: &str) -> Result<bool>;

    /// The node is no longer registered. One that wasn't is no error.
    async fn forget_node(&self, endpoint: SocketAddr, name: &str) -> Result<()>;

    /// Lets nodes join with this token: the secret itself, and the bindings that let its bearers
    /// ask for certificates and get them.
    async fn admit_nodes(&self, endpoint: SocketAddr, token: &BootstrapToken) -> Result<()>;
}
