//! Which addons a cluster should have: part of its specification.

use super::Manifest;
use crate::settings::{AddonWishes, PodNetwork};
use serde::{Deserialize, Serialize};

/// Which addons a cluster should have. One from before there were any has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Addons {
    /// What gives pods addresses.
    pub pod_network: PodNetwork,
    /// Whether there is CoreDNS.
    pub cluster_dns: bool,
    /// Whether there is metrics-server.
    pub metrics_server: bool,
    /// What takes the place of the registries that images are published in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_repository: Option<String>,
    /// The operator's own objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Manifest>,
}

impl Addons {
    /// What the operator wants; their manifests come when they have been read.
    pub fn new(wishes: &AddonWishes) -> Self {
        Self {
            pod_network: wishes.pod_network,
            cluster_dns: wishes.cluster_dns,
            metrics_server: wishes.metrics_server,
            image_repository: wishes.image_repository.clone(),
            manifests: Vec::new(),
        }
    }
}
