//! The cluster's API server, as an operator's client sees it.

mod addons;
mod client;
mod compare;
mod csr;
mod drain;
mod labels;
mod objects;
mod serving;
mod tokens;

pub use client::KubeClient;
pub use drain::{Evicted, Eviction, PodOnNode};
pub use serving::{Machines, ServingRequest, decide as decide_serving};

use crate::addons::Addon;
use crate::channel::Door;
use crate::cluster::{AddonState, ApiView, NodeView, TokenView};
use crate::error::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A bootstrap token: what a node joins with.
pub struct BootstrapToken {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: crate::pki::Secret,
    /// The template of machines that it is in.
    pub template: String,
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

    /// What time it is by the clock of the machine behind a door, where its API server says so.
    async fn date(&self, at: &Door) -> Option<Timestamp>;

    /// The nodes that have registered.
    async fn nodes(&self, endpoint: SocketAddr) -> Result<Vec<NodeView>>;

    /// The replica's node is labelled as the control plane's; false when it hasn't registered yet.
    async fn label_replica(&self, endpoint: SocketAddr, name: &str) -> Result<bool>;

    /// Of its labels, the node has these by hakube, and no others by it; false when it hasn't registered.
    async fn label_node(
        &self,
        endpoint: SocketAddr,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool>;

    /// The node is no longer registered. One that wasn't is no error.
    async fn forget_node(&self, endpoint: SocketAddr, name: &str) -> Result<()>;

    /// Lets no new pods onto the node, or lets them again. One that isn't registered is no error.
    async fn cordon(&self, endpoint: SocketAddr, node: &str, cordoned: bool) -> Result<()>;

    /// The pods that have to leave this node before it goes.
    async fn pods_to_move(&self, endpoint: SocketAddr, node: &str) -> Result<Vec<PodOnNode>>;

    /// Makes the pod leave its node, or asks whether it may.
    async fn evict(&self, endpoint: SocketAddr, pod: &PodOnNode, how: Eviction) -> Result<Evicted>;

    /// Lets nodes join with this token until it expires: the secret itself, which may be there already, and the
    /// bindings that let its bearers ask for certificates and get them.
    async fn admit_nodes(&self, endpoint: SocketAddr, token: &BootstrapToken) -> Result<()>;

    /// The tokens that hakube let nodes join with.
    async fn tokens(&self, endpoint: SocketAddr) -> Result<Vec<TokenView>>;

    /// The token admits nodes until then.
    async fn extend_token(&self, endpoint: SocketAddr, id: &str, until: Timestamp) -> Result<()>;

    /// How the wanted addons are, by their names; and those that are there and aren't wanted.
    async fn addons(
        &self,
        endpoint: SocketAddr,
        wanted: &[Addon],
    ) -> Result<BTreeMap<String, AddonState>>;

    /// Whether the API server would take the addon's objects. What can't be told yet is taken.
    async fn check_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()>;

    /// The addon's objects are there as they should be, and none besides.
    async fn apply_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()>;

    /// Nothing of the addon is left, but for what is being deleted. One that wasn't there is no error.
    async fn remove_addon(&self, endpoint: SocketAddr, name: &str) -> Result<()>;

    /// Kubelets' requests for certificates to serve with that nobody has decided on.
    async fn serving_requests(&self, endpoint: SocketAddr) -> Result<Vec<ServingRequest>>;

    /// Approves a request as it was looked at.
    async fn approve_serving(&self, endpoint: SocketAddr, request: &ServingRequest) -> Result<()>;
}
