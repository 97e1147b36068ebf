//! Access to the cluster's API server as an operator's client.

mod addons;
mod call;
mod client;
mod compare;
mod csr;
mod drain;
mod labels;
mod objects;
mod serving;
mod tokens;
mod upgrade;

pub use client::KubeClient;
pub use drain::{Cordon, Evicted, Eviction, PodOnNode};
pub use serving::{Machines, ServingRequest, decide as decide_serving};
pub use upgrade::{DeadWebhook, DeprecatedApi};

use async_trait::async_trait;
use hakube_addons::Addon;
use hakube_channel::Door;
use hakube_error::Result;
use hakube_model::{AddonState, ApiView, NodeView, TokenView};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A bootstrap token, which nodes join with.
pub struct BootstrapToken {
    /// The public half, the token ID.
    pub id: String,
    /// The secret half.
    pub secret: hakube_secret::Secret,
    /// The machine template that contains it.
    pub template: String,
    /// When it expires.
    pub expires: jiff::Timestamp,
}

/// hakube's calls to API servers.
#[async_trait]
pub trait Kubernetes: Send + Sync {
    /// Probes the `/readyz` of a replica's own API server. Its certificate must be that machine's,
    /// signed by the cluster's CA. Doesn't fail: no response is a result.
    async fn probe(&self, at: &Door) -> ApiView;

    /// Whether the endpoint's `/readyz` returns 200 right now, on a new connection.
    async fn is_ready(&self, endpoint: SocketAddr) -> bool;

    /// The time on the machine behind a tunnel, if its API server reports it.
    async fn date(&self, at: &Door) -> Option<Timestamp>;

    /// Lists the registered nodes.
    async fn nodes(&self, endpoint: SocketAddr) -> Result<Vec<NodeView>>;

    /// Labels the replica's node as the control plane's; false if it hasn't registered yet.
    async fn label_replica(&self, endpoint: SocketAddr, name: &str) -> Result<bool>;

    /// Sets exactly these labels of hakube's on the node; false if it hasn't registered.
    async fn label_node(
        &self,
        endpoint: SocketAddr,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool>;

    /// Deletes the node. An unregistered node is not an error.
    async fn forget_node(&self, endpoint: SocketAddr, name: &str) -> Result<()>;

    /// Cordons or uncordons the node. An unregistered node is not an error.
    async fn cordon(&self, endpoint: SocketAddr, node: &str, cordon: Cordon) -> Result<()>;

    /// Lists the pods that must leave this node before it is removed.
    async fn pods_to_move(&self, endpoint: SocketAddr, node: &str) -> Result<Vec<PodOnNode>>;

    /// Makes the pod leave its node, or checks whether it could.
    async fn evict(&self, endpoint: SocketAddr, pod: &PodOnNode, how: Eviction) -> Result<Evicted>;

    /// Lets nodes join with this token until it expires: creates the secret, unless it exists, and
    /// the bindings that let the token request certificates.
    async fn admit_nodes(&self, endpoint: SocketAddr, token: &BootstrapToken) -> Result<()>;

    /// Lists hakube's bootstrap tokens.
    async fn tokens(&self, endpoint: SocketAddr) -> Result<Vec<TokenView>>;

    /// Extends the token's expiry.
    async fn extend_token(&self, endpoint: SocketAddr, id: &str, until: Timestamp) -> Result<()>;

    /// The states of the wanted addons by name, and of existing ones that aren't wanted.
    async fn addons(
        &self,
        endpoint: SocketAddr,
        wanted: &[Addon],
    ) -> Result<BTreeMap<String, AddonState>>;

    /// Checks that the API server would accept the addon's objects. Those that can't be checked yet
    /// are accepted.
    async fn check_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()>;

    /// Applies the addon's objects, and deletes others.
    async fn apply_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()>;

    /// Deletes all of the addon's objects. A missing addon is not an error.
    async fn remove_addon(&self, endpoint: SocketAddr, name: &str) -> Result<()>;

    /// Lists undecided requests of kubelets for serving certificates.
    async fn serving_requests(&self, endpoint: SocketAddr) -> Result<Vec<ServingRequest>>;

    /// Approves the version of a request that was checked.
    async fn approve_serving(&self, endpoint: SocketAddr, request: &ServingRequest) -> Result<()>;

    /// Lists the APIs that clients of a replica's own API server have requested since it started, and that a later
    /// version removes.
    async fn deprecated_apis(&self, at: &Door) -> Result<Vec<DeprecatedApi>>;

    /// Lists the webhooks that must answer for objects to be accepted, and that can't.
    async fn dead_webhooks(&self, endpoint: SocketAddr) -> Result<Vec<DeadWebhook>>;
}
