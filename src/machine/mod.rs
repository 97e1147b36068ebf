//! What a replica or a node is made of: one `cloud-config` document without secrets (pure), and the
//! files that the channel puts on it afterwards.
//!
//! The same document boots on every provider. What differs from replica to replica, its addresses and
//! whom it joins, comes in small environment files over the channel, and units wait for those: systemd
//! path units start etcd when [`join_env`] is there, and the control plane when [`start_marker`] is.

mod cloud_config;
mod data_disk;
mod endpoint;
mod etcd_gate;
mod flags;
mod metadata_guard;
mod node;
mod programs;
mod runtime_files;
#[cfg(test)]
mod tests;
mod units;

pub use endpoint::{
    ARRANGEMENT, HAPROXY, IN_FORCE, KEEPALIVED, configuration as endpoint_configuration,
    files as endpoint_files,
};
#[cfg(test)]
pub use etcd_gate::ETCD_STARTED;
pub use etcd_gate::{ETCD_CONDITION, EtcdCondition, EtcdConditionKind, start_used_up};
pub use node::NODE_FILES;
pub use programs::{Artifact, ImageArchive, PodPrograms, Program, Programs, archive_name};
pub use runtime_files::{
    JOIN_ENV, ReplicaFacts, first_membership, join_env, membership, membership_in, replica_env,
    start_marker,
};
#[cfg(test)]
pub use runtime_files::{REPLICA_ENV, START};

use crate::cluster::{ClusterSpec, Endpoint};
use cloud_config::{CloudConfig, File};

/// The name under which a replica's operating system finds its data disk.
pub const DATA_DEVICE: &str = "master-pd";

/// What stands in a node's document for its bootstrap kubeconfig, base64, until the step that makes
/// the nodes puts it in: a plan holds no token.
pub const BOOTSTRAP_KUBECONFIG: &str = "HAKUBE_BOOTSTRAP_KUBECONFIG_BASE64";

/// What stands in a node's document for the CA that its kubelet's clients are verified with, base64.
pub const KUBELET_CLIENT_CA: &str = "HAKUBE_KUBELET_CLIENT_CA_BASE64";

/// The document that every replica of a cluster boots with.
pub fn replica_user_data(spec: &ClusterSpec) -> String {
    let is_node = units::is_node(spec);
    let programs = spec.programs.replica(is_node);
    let images = match is_node {
        programs::IsNode::Yes => spec.programs.images(),
        programs::IsNode::No => &[],
    };
    let mut files = programs::files(&programs, images, spec);
    files.extend(units::replica(spec));
    let mut enabled = vec!["etcd.path", "control-plane.path"];
    if spec.endpoint == Endpoint::Machines {
        files.extend(endpoint::documents());
        enabled.extend(endpoint::ENABLED);
    }
    enabled.extend(programs::unit(&programs));
    CloudConfig::new(files, &enabled).render()
}

/// The document that the nodes of a zone boot with.
pub fn node_user_data(spec: &ClusterSpec, zone: &str) -> String {
    let programs = spec.programs.node();
    let mut files = programs::files(&programs, spec.programs.images(), spec);
    files.push(File::base64(
        "/etc/kubernetes/bootstrap-kubeconfig",
        0o600,
        BOOTSTRAP_KUBECONFIG,
    ));
    files.push(File::base64(
        "/etc/kubernetes/pki/ca.crt",
        0o644,
        KUBELET_CLIENT_CA,
    ));
    files.extend(node::files(spec, &node::Registration::Node { zone }));
    let mut enabled = node::units(spec);
    enabled.extend(programs::unit(&programs));
    CloudConfig::new(files, &enabled).render()
}
