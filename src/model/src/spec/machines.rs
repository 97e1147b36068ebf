//! Replicas' machines, and nodes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The machines of replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaMachines {
    /// The provider's machine type.
    pub machine_type: String,
    /// The boot disk's size in GB.
    pub root_disk_gb: u64,
    /// The size in GB of etcd's data disk.
    pub data_disk_gb: u64,
    /// The provider's disk type for it.
    pub disk_type: String,
    /// The provider's name for the boot image.
    pub image: String,
    /// The image's expected SHA-256; `None` if the provider verifies its images.
    #[serde(default)]
    pub image_sha256: Option<String>,
    /// Whether the machines are preemptible.
    pub preemptible: bool,
    /// The minimum CPU platform; `None` is any.
    pub min_cpu_platform: Option<String>,
    /// Whether replicas register as nodes. False for clusters whose stored format predates it.
    #[serde(default)]
    pub register: bool,
    /// Their node labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Worker nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// The requested number. See [`Nodes::wanted`].
    pub count: u32,
    /// The provider's machine type.
    pub machine_type: String,
    /// The boot disk's size in GB.
    pub disk_gb: u64,
    /// The provider's disk type of the boot disk.
    pub disk_type: String,
    /// The provider's name for the boot image.
    pub image: String,
    /// Whether they are preemptible.
    pub preemptible: bool,
    /// The service account that they run as; `None` is the project's default.
    pub service_account: Option<String>,
    /// The access scopes of that service account.
    pub scopes: Vec<String>,
    /// The prefix of nodes' names.
    pub prefix: String,
    /// Their node labels.
    pub labels: BTreeMap<String, String>,
    /// Their taints.
    pub taints: Vec<Taint>,
    /// Hard eviction thresholds by signal; empty means the kubelet's defaults.
    #[serde(default)]
    pub eviction_hard: BTreeMap<String, String>,
    /// How many may be unready for a command to succeed.
    #[serde(default)]
    pub allowed_unready: u32,
    /// Whether nodes are created at all.
    pub create: bool,
    /// The maximum number in a group. Clusters of an older format have groups of any size.
    #[serde(default = "unlimited")]
    pub largest_group: u32,
}

fn unlimited() -> u32 {
    u32::MAX
}

impl Nodes {
    /// The number of nodes to create: 0 if `create` is off.
    pub fn wanted(&self) -> u32 {
        if self.create { self.count } else { 0 }
    }
}

/// A taint, displayed in the kubelet's syntax: `key=value:Effect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, if any.
    pub value: Option<String>,
    /// Its effect on pods that don't tolerate it.
    pub effect: TaintEffect,
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_deref().unwrap_or_default();
        write!(f, "{}={value}:{:?}", self.key, self.effect)
    }
}

/// A taint's effect on pods that don't tolerate it, in Kubernetes' spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New pods aren't scheduled.
    NoSchedule,
    /// New pods are scheduled only if no other node fits.
    PreferNoSchedule,
    /// Running pods are evicted too.
    NoExecute,
}
