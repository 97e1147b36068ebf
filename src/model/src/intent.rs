//! What the operator asked for. This, and nothing that can be observed, is stored.

use super::{ClusterSpec, Endpoint, Hosts, Hypervisor, LoadBalancer, Quorum, Rotation, Upgrade};
use hakube_provider::{MachineRef, ResourceId, ResourceKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The desired state of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The settings that the cluster was created with. Later replicas inherit them.
    pub spec: ClusterSpec,
    /// Whether the cluster should exist.
    pub phase: Phase,
    /// Whether etcd has been formed. From then on it is never formed again, even if it is unreachable: a new, empty one
    /// would replace the data.
    pub formed: bool,
    /// The peer URLs of learners that hakube adds. Before it starts, a learner has no name in etcd, so only its
    /// URL tells it from an unknown member. Kept until the cluster matches the intent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub joining: BTreeSet<String>,
    /// The replicas, oldest first.
    pub replicas: Vec<ReplicaIntent>,
    /// The nodes of each zone.
    pub nodes: Vec<NodeGroupIntent>,
    /// The settings that it was created with, by variable, to detect differences.
    pub given: BTreeMap<String, String>,
    /// The rotation of its authorities in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// The upgrade of its programs in progress. It is large, and intents are copied often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Box<Upgrade>>,
    /// The backup that etcd's data is being restored from. While it is set, etcd's present data counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Restoring>,
}

/// A backup to restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// The backup's name.
    pub backup: String,
    /// Where it is, as a URL.
    pub location: String,
    /// The SHA-256 of its snapshot, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The revision of its data.
    pub revision: i64,
    /// Random: another restore of the same backup is another etcd cluster.
    pub attempt: u32,
    /// Former replicas whose machines never run again, according to the operator.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
}

/// Whether a cluster should exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It should.
    Present,
    /// It should be deleted, with everything that has its ownership label.
    Absent,
}

/// A control-plane machine that should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaIntent {
    /// The machine's name, and its etcd member's.
    pub name: String,
    /// Its zone's label.
    pub zone: String,
}

impl ReplicaIntent {
    /// Its machine.
    pub fn machine_ref(&self) -> MachineRef {
        MachineRef {
            name: self.name.clone(),
            zone: self.zone.clone(),
        }
    }
}

/// The nodes of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupIntent {
    /// Their zone.
    pub zone: String,
    /// How many.
    pub size: u32,
}

impl Intent {
    /// A new cluster: one replica, and the nodes in the settings.
    pub fn new(spec: ClusterSpec) -> Self {
        let zone = spec.zone.name().to_owned();
        let size = spec.node_machines.wanted();
        let nodes = if size == 0 {
            Vec::new()
        } else {
            vec![NodeGroupIntent {
                zone: zone.clone(),
                size,
            }]
        };
        Self {
            replicas: vec![ReplicaIntent {
                name: spec.names.master(),
                zone,
            }],
            nodes,
            phase: Phase::Present,
            formed: false,
            joining: BTreeSet::new(),
            given: BTreeMap::new(),
            rotation: None,
            upgrade: None,
            restoring: None,
            spec,
        }
    }

    /// Adds these hypervisors to the cluster's, and replaces the inventory, if one is given.
    pub fn with_hosts(&self, hosts: &[Hypervisor], inventory: Option<&Hosts>) -> Self {
        let mut next = self.clone();
        if let (Some(known), Some(inventory)) = (&mut next.spec.hosts, inventory) {
            known.clone_from(inventory);
        }
        if let Some(libvirt) = &mut next.spec.libvirt {
            *libvirt = libvirt.with(hosts);
        }
        next
    }

    /// The replica of that name.
    pub fn replica(&self, name: &str) -> Option<&ReplicaIntent> {
        self.replicas.iter().find(|replica| replica.name == name)
    }

    /// Whether `down` keeps the resource, because of KUBE_DELETE_NETWORK=false.
    pub fn keeps(&self, resource: &ResourceId) -> bool {
        let is_network = matches!(
            resource.kind,
            ResourceKind::Network | ResourceKind::Subnetwork
        );
        is_network && self.spec.network.delete == Some(false)
    }

    /// Whether any machine can run pods. If not, addons are applied without waiting for their pods.
    pub fn runs_pods(&self) -> bool {
        let has_nodes = self.spec.replicas_are_nodes() || self.node_count() > 0;
        self.spec.programs.pods.is_some() && has_nodes && self.spec.nodes_become_ready()
    }

    /// The number of nodes.
    pub fn node_count(&self) -> u32 {
        self.nodes.iter().map(|group| group.size).sum()
    }

    /// Whether the endpoint should be on a balancer of the provider's.
    pub fn is_balanced(&self) -> bool {
        let many = self.replicas.len() > 1 || self.spec.load_balancer == LoadBalancer::Always;
        many && self.spec.endpoint == Endpoint::Provider
    }

    /// The zones whose loss would cost etcd its quorum, with their number of replicas. Empty for a cluster that
    /// is in one zone, or that survives no failure anyway.
    pub fn decisive_zones(&self) -> Vec<(&str, usize)> {
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        for replica in &self.replicas {
            *zones.entry(&replica.zone).or_default() += 1;
        }
        let survives = self.full_quorum().survives();
        let is_one = zones.len() == 1 || survives == 0;
        let decisive = zones.into_iter().filter(|(_, count)| *count > survives);
        decisive.filter(|_| !is_one).collect()
    }

    /// The quorum if all replicas are healthy.
    pub fn full_quorum(&self) -> Quorum {
        Quorum {
            voters: self.replicas.len(),
            healthy: self.replicas.len(),
        }
    }
}
