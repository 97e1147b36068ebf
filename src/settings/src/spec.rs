//! From settings to what a cluster keeps of them.

use super::{AddonWishes, Settings};
use hakube_model::{Addons, ClusterSpec, Endpoint, Names, Programs, ProviderKind};

impl Settings {
    /// The part of the settings that a cluster keeps.
    pub fn spec(&self, programs: Programs) -> ClusterSpec {
        ClusterSpec {
            cluster: self.cluster.clone(),
            identity: None,
            local_cloud: None,
            names: Names::new(&self.prefix).with_nodes(&self.nodes.prefix),
            provider: self.provider,
            project: self.project.clone(),
            compute_endpoint: self.compute_endpoint.clone(),
            compute_hosts: self.compute_hosts,
            libvirt: self.libvirt.clone(),
            hosts: self.hosts.clone(),
            zone: self.zone.clone(),
            multizone: self.multizone,
            quorum_reads: self.quorum_reads.clone(),
            versions: self.versions.clone(),
            arch: self.arch,
            network: self.network.clone(),
            replica_machines: self.replicas.clone(),
            node_machines: self.nodes.clone(),
            etcd: self.etcd.clone(),
            api: self.api.clone(),
            controller_manager: self.controller_manager.clone(),
            addons: self.addons.addons(),
            load_balancer: self.load_balancer,
            endpoint: match (self.provider, self.endpoint) {
                (_, Some(at)) => Endpoint::External(at),
                (ProviderKind::Libvirt | ProviderKind::Hosts, None) => Endpoint::Machines,
                (ProviderKind::Local | ProviderKind::Gce, None) => Endpoint::Provider,
            },
            pki: self.pki,
            programs,
        }
    }
}

impl AddonWishes {
    /// What the operator wants; their manifests come when they have been read.
    fn addons(&self) -> Addons {
        Addons {
            pod_network: self.pod_network,
            cluster_dns: self.cluster_dns,
            node_local_dns: self.node_local_dns,
            metrics_server: self.metrics_server,
            image_repository: self.image_repository.clone(),
            manifests: Vec::new(),
        }
    }
}
