//! Versions of the programs on machines.

use semver::Version;
use serde::{Deserialize, Serialize};

/// What runs on the machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The Kubernetes version, without the leading `v` of its tags.
    pub kubernetes: Version,
    /// The etcd version; `None` means that of the binary that is found.
    pub etcd: Option<Version>,
    /// Versions of the node programs other than the kubelet and kube-proxy.
    #[serde(default)]
    pub runtime: RuntimeVersions,
}

/// Versions of the node programs other than the kubelet and kube-proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeVersions {
    /// containerd, 2.0 or later.
    pub containerd: Version,
    /// runc.
    pub runc: Version,
    /// The CNI plugins.
    pub cni_plugins: Version,
}

impl Default for RuntimeVersions {
    /// The settings' defaults, for clusters from before these were stored.
    fn default() -> Self {
        Self {
            containerd: Version::new(2, 2, 9),
            runc: Version::new(1, 3, 4),
            cni_plugins: Version::new(1, 9, 1),
        }
    }
}
