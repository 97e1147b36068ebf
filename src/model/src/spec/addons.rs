//! Which addons a cluster has: part of its specification.

use super::malformed::Malformed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// What gives pods addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodNetwork {
    /// None from hakube.
    #[default]
    None,
    /// flannel.
    Flannel,
}

impl FromStr for PodNetwork {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "flannel" => Ok(Self::Flannel),
            "none" => Ok(Self::None),
            _ => Err(Malformed::new("it isn't a valid choice")),
        }
    }
}

/// The addons that a cluster should have. Clusters from before addons existed have none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Addons {
    /// The pod network.
    pub pod_network: PodNetwork,
    /// Whether CoreDNS is installed.
    pub cluster_dns: bool,
    /// Whether each node runs a DNS cache.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub node_local_dns: bool,
    /// Whether metrics-server is installed.
    pub metrics_server: bool,
    /// Replaces the images' registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_repository: Option<String>,
    /// The operator's own objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Manifest>,
}

impl Addons {
    /// Whether each node has a DNS cache, which requires cluster DNS.
    pub fn has_node_local_dns(&self) -> bool {
        self.node_local_dns && self.cluster_dns
    }
}

/// An object as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its position: `calico.yaml, document 3, line 41`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The object.
    pub content: Value,
}
