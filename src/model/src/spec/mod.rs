//! What a cluster keeps for life, as its intent stores it: types of the model's own, so that renaming a setting
//! changes no stored document.

mod addons;
mod arch;
mod certificates;
mod control_plane;
mod controllers;
mod hosts;
mod libvirt;
mod machines;
mod malformed;
mod network;
mod programs;
mod provider;
mod versions;

pub use addons::{Addons, Manifest, PodNetwork};
pub use arch::Arch;
pub use certificates::Lifetimes;
pub use control_plane::{
    Api, AtRest, ControllerManager, Etcd, LoadBalancer, QuorumReads, has_flag,
};
pub use controllers::{Controllers, controllers};
pub use hosts::{Host, HostRole, HostSsh, Hosts, Jump};
pub use libvirt::{AddressSpan, Boot, HostNetwork, Hypervisor, Libvirt, Virtualization};
pub use machines::{Nodes, ReplicaMachines, Taint, TaintEffect};
pub use malformed::{Malformed, is_name_character, name};
pub use network::{Network, ProxyMode, node_bits, nodes_at_most, nth_address};
pub use programs::{
    Artifact, CNI_PLUGINS, Deferred, ImageArchive, IsNode, Named, PodPrograms, Program, Programs,
};
pub use provider::{ProviderKind, Zone};
pub use versions::{RuntimeVersions, Versions};

use super::{Endpoint, Identity, Names};
use hakube_provider::{ExternalAddress, Reach};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The settings that a cluster keeps for life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster's name.
    pub cluster: String,
    /// Its identity. `None` for a cluster from before ids existed, until it gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The id of the local cloud that its machines are in, if that is its provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_cloud: Option<String>,
    /// The names of its resources.
    pub names: Names,
    /// The provider of its machines.
    pub provider: ProviderKind,
    /// The provider's project.
    pub project: Option<String>,
    /// The URL of a Compute Engine emulator. `None`: Google's API.
    #[serde(default)]
    pub compute_endpoint: Option<String>,
    /// Whether that emulator's machines are hosts that boot, not processes on the operator's host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compute_hosts: bool,
    /// The hypervisors, if libvirt is the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libvirt: Option<Libvirt>,
    /// The existing hosts, if these are the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Hosts>,
    /// The zone of the first replica.
    pub zone: Zone,
    /// Whether replicas may be in other zones of the region.
    pub multizone: bool,
    /// kube-up's ENABLE_ETCD_QUORUM_READ, as given.
    pub quorum_reads: QuorumReads,
    /// The versions of Kubernetes and etcd.
    pub versions: Versions,
    /// The architecture of its machines.
    #[serde(default)]
    pub arch: Arch,
    /// Its network and address ranges.
    pub network: Network,
    /// What replicas' machines are like.
    pub replica_machines: ReplicaMachines,
    /// What nodes are like.
    pub node_machines: Nodes,
    /// etcd's settings.
    pub etcd: Etcd,
    /// The API server's settings.
    pub api: Api,
    /// The controller manager's settings.
    #[serde(default)]
    pub controller_manager: ControllerManager,
    /// What runs in the cluster besides.
    #[serde(default)]
    pub addons: Addons,
    /// When the endpoint is on a load balancer.
    pub load_balancer: LoadBalancer,
    /// The holder of the endpoint's address.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The lifetimes of certificates.
    pub pki: Lifetimes,
    /// The sources of its machines' programs.
    pub programs: Programs,
}

impl ClusterSpec {
    /// The name of the endpoint's address.
    pub fn address(&self) -> String {
        if self.network.private {
            self.names.internal_address()
        } else {
            self.names.address()
        }
    }

    /// The networks from which the endpoint is reachable.
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

    /// The external address of a machine that doesn't hold the endpoint's address.
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

    /// Whether replicas register as nodes. Pods that tolerate their taint run on them.
    pub fn replicas_are_nodes(&self) -> bool {
        self.programs.pods.is_some() && self.replica_machines.register
    }

    /// The same, as the choice of programs.
    pub fn replica_is_node(&self) -> IsNode {
        if self.replicas_are_nodes() {
            IsNode::Yes
        } else {
            IsNode::No
        }
    }

    /// Whether nodes can become ready, for which they need a pod network.
    pub fn nodes_become_ready(&self) -> bool {
        // The operator's own manifests may contain one.
        self.addons.pod_network != PodNetwork::None || !self.addons.manifests.is_empty()
    }

    /// Whether API servers reach pods. If replicas aren't nodes, they have no pod network.
    pub fn api_servers_reach_pods(&self) -> bool {
        self.replicas_are_nodes() && self.nodes_become_ready()
    }

    /// Whether hakube can log in on its nodes, not only on its replicas.
    pub fn logs_in_on_nodes(&self) -> bool {
        self.hosts.is_some() || self.is_on_this_host()
    }

    /// Whether its machines are processes on the operator's host. They share its loopback interface and programs, and
    /// have no disks.
    pub fn is_on_this_host(&self) -> bool {
        let is_emulated = self.compute_endpoint.is_some() && !self.compute_hosts;
        self.provider == ProviderKind::Local || is_emulated
    }
}

impl ClusterSpec {
    /// Whether hakube creates firewall rules. If not, machines are as open as their network.
    pub fn has_firewalls(&self) -> bool {
        let is_own = matches!(self.provider, ProviderKind::Libvirt | ProviderKind::Hosts);
        !is_own && !self.network.others_make_firewalls
    }

    /// Where clients reach the cluster: the operator's own balancer, or the reserved address.
    pub fn endpoint_at(&self, reserved: Option<IpAddr>) -> Option<SocketAddr> {
        match self.endpoint {
            Endpoint::External(at) => Some(at),
            Endpoint::Provider | Endpoint::Machines => {
                reserved.map(|address| SocketAddr::new(address, self.api.port))
            }
        }
    }
}
