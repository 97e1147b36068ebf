//! The contents of a replica or node: one `cloud-config` document without secrets (pure), and the
//! files that the channel delivers afterwards.
//!
//! The same document boots on every provider. What differs between replicas, such as addresses and the
//! members to join, is delivered over the channel in small environment files. systemd path units wait for
//! them: etcd starts once [`join_env`] exists, and the control plane once [`start_marker`] does.

mod cloud_config;
mod data_disk;
mod endpoint;
mod etcd_gate;
mod flags;
mod metadata_guard;
mod node;
mod programs;
mod release;
mod runtime_files;
mod service;
#[cfg(test)]
mod tests;
mod trust;
mod units;

pub use data_disk::ETCD_DATA;
pub use endpoint::{
    ARRANGEMENT, CA as ENDPOINT_CA, HAPROXY, IN_FORCE, KEEPALIVED,
    configuration as endpoint_configuration, files as endpoint_files,
};
pub use etcd_gate::ETCD_STARTED;
pub use etcd_gate::{ETCD_CONDITION, EtcdCondition, gate, start_used_up};
pub use node::NODE_FILES;
pub use programs::archive_name;
pub use release::{RELEASE_IN_FORCE, Release, Role, units_to_restart};
pub use runtime_files::{
    ClusterState, JOIN_ENV, ReplicaFacts, first_membership, hold_env, join_env, membership,
    membership_in, replica_env, snapshot_parts, start_marker,
};
pub use runtime_files::{REPLICA_ENV, START};
pub use trust::{TrustPart, restarter};

use cloud_config::{CloudConfig, File};
use hakube_model::{ClusterSpec, Endpoint, IsNode};

/// The device name of a replica's data disk in its operating system.
pub const DATA_DEVICE: &str = "master-pd";

/// The placeholder of the bootstrap kubeconfig, base64, in a node's document. The step that creates
/// nodes replaces it, so that a plan contains no token.
pub const BOOTSTRAP_KUBECONFIG: &str = "HAKUBE_BOOTSTRAP_KUBECONFIG_BASE64";

/// The path of the kubeconfig that a node joins with.
pub const NODE_BOOTSTRAP: &str = "/etc/kubernetes/bootstrap-kubeconfig";

/// The path of the CA that verifies a node's kubelet's clients.
pub const NODE_CLIENT_CA: &str = "/etc/kubernetes/pki/ca.crt";

/// The placeholder of that CA, base64, in a node's document.
pub const KUBELET_CLIENT_CA: &str = "HAKUBE_KUBELET_CLIENT_CA_BASE64";

/// The document that all replicas of a cluster boot with.
pub fn replica_user_data(spec: &ClusterSpec) -> String {
    let is_node = spec.replica_is_node();
    let programs = spec.programs.replica(is_node);
    let mut enabled = vec!["etcd.path", "control-plane.path"];
    enabled.extend(trust::REPLICA);
    if is_node == IsNode::Yes {
        enabled.extend(trust::NODE);
    }
    enabled.extend(release::ENABLED);
    if spec.endpoint == Endpoint::Machines {
        enabled.extend(endpoint::ENABLED);
    }
    enabled.extend(programs::unit(&programs));
    CloudConfig::new(replica_release(spec).booting(), &enabled).render()
}

/// What replicas run.
pub fn replica_release(spec: &ClusterSpec) -> Release {
    let is_node = spec.replica_is_node();
    let programs = spec.programs.replica(is_node);
    let images = match is_node {
        IsNode::Yes => spec.programs.images(),
        IsNode::No => &[],
    };
    let mut files = programs::files(&programs, images, spec);
    files.extend(units::replica(spec));
    if spec.endpoint == Endpoint::Machines {
        files.extend(endpoint::documents());
    }
    files.extend(release::files(&programs));
    Release::of(spec, files)
}

/// The document that the nodes of a zone boot with.
pub fn node_user_data(spec: &ClusterSpec, zone: &str) -> String {
    let mut files = node_release(spec, zone).booting();
    files.push(File::base64(NODE_BOOTSTRAP, 0o600, BOOTSTRAP_KUBECONFIG));
    files.push(File::base64(NODE_CLIENT_CA, 0o644, KUBELET_CLIENT_CA));
    files.push(trust::booted());
    let mut enabled = node::units(spec);
    enabled.extend(trust::NODE);
    enabled.extend(release::ENABLED);
    enabled.extend(programs::unit(&spec.programs.node()));
    CloudConfig::new(files, &enabled).render()
}

/// What the nodes of a zone run.
pub fn node_release(spec: &ClusterSpec, zone: &str) -> Release {
    let programs = spec.programs.node();
    let mut files = programs::files(&programs, spec.programs.images(), spec);
    files.extend(node::files(spec, &node::Registration::Node { zone }));
    files.extend(trust::node());
    files.extend(release::files(&programs));
    Release::of(spec, files)
}
