//! What a cluster is: plain data, and the arithmetic of quorum. Nothing here does anything.

mod abandon;
mod addons;
mod certificates;
mod edit;
mod endpoint;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod fixtures;
mod intent;
mod names;
mod nodes;
mod observed;
mod quorum;
mod tokens;

pub use abandon::abandoned;
pub use addons::{AddonState, ServingView};
pub use certificates::{Certificate, Certificates, Life, ReplicaCertificates, Severity, Skew};
pub use edit::{
    FreeHosts, RemovalRequest, Zones, add_replicas, begin_teardown, choose_removal,
    replace_replica, replica_names, with_first_host,
};
pub use endpoint::{Arrangement, Backend, Endpoint, HoldView, Sharer};
pub use intent::{ClusterSpec, Intent, NodeGroupIntent, Phase, ReplicaIntent};
pub use names::Names;
pub use nodes::{NodeGroupPart, add_nodes, scale_nodes};
pub use observed::{
    Alarm, AlarmView, ApiView, DataCondition, EtcdView, MemberRole, MemberView, NodeView, Observed,
};
pub use quorum::Quorum;
pub use tokens::{TOKEN_LIFETIME, TokenView};

/// What Kubernetes marks a control plane's nodes with: the label, and the taint of the same name.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane>
pub const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
