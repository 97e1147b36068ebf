//! What the operator asked for. This, and nothing that can be observed, is stored.

use super::{Endpoint, Names, Quorum};
use crate::addons::Addons;
use crate::machine::Programs;
use crate::pki::Lifetimes;
use crate::settings::{
    Api, Arch, ControllerManager, Etcd, Hosts, Hypervisor, Libvirt, LoadBalancer, Network, Nodes,
    PodNetwork, ProviderKind, QuorumReads, ReplicaMachines, Settings, Versions, Zone,
};
use hakube_provider::{ExternalAddress, Reach, ResourceId, ResourceKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What a cluster should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The settings that the cluster was made with; every later replica inherits them.
    pub spec: ClusterSpec,
    /// Whether the cluster should exist.
    pub phase: Phase,
    /// Whether etcd has been formed. Once it has, an etcd that can't be seen is never formed again:
    /// a new, empty one would take the place of the data.
    pub formed: bool,
    /// The peer URLs of learners that hakube adds. One that hasn't started has no name in etcd, so that nothing
    /// else tells it from somebody else's. Kept until all is as asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub joining: BTreeSet<String>,
    /// The replicas, oldest first.
    pub replicas: Vec<ReplicaIntent>,
    /// The nodes of each zone.
    pub nodes: Vec<NodeGroupIntent>,
    /// The settings that it was made with, by their variables, for telling what differs.
    pub given: BTreeMap<String, String>,
}

/// Whether a cluster should exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It should.
    Present,
    /// It should be gone, with everything that bears its mark.
    Absent,
}

/// A control-plane machine that should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaIntent {
    /// The machine's name, and its etcd member's.
    pub name: String,
    /// Its zone.
    pub zone: String,
}

/// The nodes of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupIntent {
    /// Their zone.
    pub zone: String,
    /// How many.
    pub size: u32,
}

/// The settings that a cluster keeps for life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster's name, and its mark.
    pub cluster: String,
    /// How its parts are called.
    pub names: Names,
    /// Where its machines are made.
    pub provider: ProviderKind,
    /// The provider's project.
    pub project: Option<String>,
    /// Where Compute Engine's API is, if not at Google's: at an emulator of it.
    #[serde(default)]
    pub compute_endpoint: Option<String>,
    /// Hypervisors, where they are the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libvirt: Option<Libvirt>,
    /// Hosts that are there already, where they are the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Hosts>,
    /// The zone of the first replica.
    pub zone: Zone,
    /// Whether replicas may be in other zones of the region.
    pub multizone: bool,
    /// kube-up's ENABLE_ETCD_QUORUM_READ, as recorded.
    pub quorum_reads: QuorumReads,
    /// Which Kubernetes and etcd.
    pub versions: Versions,
    /// The architecture of its machines.
    #[serde(default)]
    pub arch: Arch,
    /// Its network and ranges of addresses.
    pub network: Network,
    /// What replicas' machines are like.
    pub replica_machines: ReplicaMachines,
    /// What nodes are like.
    pub node_machines: Nodes,
    /// etcd's own settings.
    pub etcd: Etcd,
    /// The API server's own settings.
    pub api: Api,
    /// The controller manager's own settings.
    #[serde(default)]
    pub controller_manager: ControllerManager,
    /// What runs in the cluster besides.
    #[serde(default)]
    pub addons: Addons,
    /// When the endpoint sits on a load balancer.
    pub load_balancer: LoadBalancer,
    /// Who holds the endpoint's address.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// How long certificates live.
    pub pki: Lifetimes,
    /// Where the programs of its machines come from.
    pub programs: Programs,
}

impl ClusterSpec {
    /// The part of the settings that a cluster keeps.
    pub fn new(settings: &Settings, programs: Programs) -> Self {
        Self {
            cluster: settings.cluster.clone(),
            names: Names::new(&settings.prefix).with_nodes(&settings.nodes.prefix),
            provider: settings.provider,
            project: settings.project.clone(),
            compute_endpoint: settings.compute_endpoint.clone(),
            libvirt: settings.libvirt.clone(),
            hosts: settings.hosts.clone(),
            zone: settings.zone.clone(),
            multizone: settings.multizone,
            quorum_reads: settings.quorum_reads.clone(),
            versions: settings.versions.clone(),
            arch: settings.arch,
            network: settings.network.clone(),
            replica_machines: settings.replicas.clone(),
            node_machines: settings.nodes.clone(),
            etcd: settings.etcd.clone(),
            api: settings.api.clone(),
            controller_manager: settings.controller_manager.clone(),
            addons: Addons::new(&settings.addons),
            load_balancer: settings.load_balancer,
            endpoint: match (settings.provider, settings.endpoint) {
                (_, Some(at)) => Endpoint::External(at),
                (ProviderKind::Libvirt | ProviderKind::Hosts, None) => Endpoint::Machines,
                (ProviderKind::Local | ProviderKind::Gce, None) => Endpoint::Provider,
            },
            pki: settings.pki,
            programs,
        }
    }

    /// The name of the endpoint's address.
    pub fn address(&self) -> String {
        if self.network.private {
            self.names.internal_address()
        } else {
            self.names.address()
        }
    }

    /// From where the endpoint is reached.
    pub fn reach(&self) -> Reach {
        let network = &self.network;
        if !network.private {
            return Reach::Anywhere;
        }
        Reach::Within {
            network: network.name.clone(),
            subnetwork: network.subnetwork().to_owned(),
        }
    }

    /// What a machine reaches out from that doesn't hold the endpoint's address.
    pub fn external_address(&self) -> ExternalAddress {
        if self.network.private || self.endpoint != Endpoint::Provider {
            ExternalAddress::None
        } else {
            ExternalAddress::Ephemeral
        }
    }

    /// Whether a replica of the cluster may have this name.
    pub fn may_name_replica(&self, name: &str) -> bool {
        match &self.hosts {
            Some(hosts) => hosts.host(name).is_some(),
            None => self.names.is_replica(name),
        }
    }

    /// Whether replicas register as nodes, which run pods that tolerate their taint.
    pub fn replicas_are_nodes(&self) -> bool {
        self.programs.pods.is_some() && self.replica_machines.register
    }

    /// Whether nodes become ready by what the cluster is made of: they have a pod network.
    pub fn nodes_become_ready(&self) -> bool {
        // Whether the operator's own manifests bring one isn't known: they may.
        self.addons.pod_network != PodNetwork::None || !self.addons.manifests.is_empty()
    }

    /// Whether its machines are processes of the operator's own host: they share its loopback and its
    /// programs, and have no disks.
    pub fn is_on_this_host(&self) -> bool {
        self.provider == ProviderKind::Local || self.compute_endpoint.is_some()
    }
}

impl ClusterSpec {
    /// Whether hakube makes rules that let traffic in. Where it doesn't, machines are as open as their network.
    pub fn has_firewalls(&self) -> bool {
        let is_own = matches!(self.provider, ProviderKind::Libvirt | ProviderKind::Hosts);
        !is_own && !self.network.others_make_firewalls
    }

    /// Where clients reach the cluster: the user's own balancer, or the address that is reserved.
    pub fn endpoint_at(&self, reserved: Option<IpAddr>) -> Option<SocketAddr> {
        match self.endpoint {
            Endpoint::External(at) => Some(at),
            Endpoint::Provider | Endpoint::Machines => {
                reserved.map(|address| SocketAddr::new(address, self.api.port))
            }
        }
    }
}

impl Intent {
    /// A new cluster: one replica, and the nodes that the settings ask for.
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
            spec,
        }
    }

    /// The same with these hypervisors among the cluster's, and with this inventory, where there is one, in the place of
    /// the one that it had.
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

    /// Whether `down` leaves the resource, because the operator said so: KUBE_DELETE_NETWORK=false.
    pub fn keeps(&self, resource: &ResourceId) -> bool {
        let is_network = matches!(
            resource.kind,
            ResourceKind::Network | ResourceKind::Subnetwork
        );
        is_network && self.spec.network.delete == Some(false)
    }

    /// Whether pods can run on any of its machines. Otherwise addons are applied, and nobody waits for their pods.
    pub fn runs_pods(&self) -> bool {
        let has_nodes = self.spec.replicas_are_nodes() || self.node_count() > 0;
        self.spec.programs.pods.is_some() && has_nodes && self.spec.nodes_become_ready()
    }

    /// The number of nodes asked for.
    pub fn node_count(&self) -> u32 {
        self.nodes.iter().map(|group| group.size).sum()
    }

    /// Whether the endpoint belongs on a balancer of the provider's.
    pub fn is_balanced(&self) -> bool {
        let many = self.replicas.len() > 1 || self.spec.load_balancer == LoadBalancer::Always;
        many && self.spec.endpoint == Endpoint::Provider
    }

    /// Zones whose loss would cost etcd its quorum, with the number of replicas there: of a cluster in several zones
    /// that survives the loss of a replica. Of any other, that says less than the number that it survives.
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

    /// The quorum when every replica asked for is there and healthy.
    pub fn full_quorum(&self) -> Quorum {
        Quorum {
            voters: self.replicas.len(),
            healthy: self.replicas.len(),
        }
    }
}
