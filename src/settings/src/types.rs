//! Typed settings. Parts of them are stored in the cluster's intent.

use super::addons::AddonWishes;
use super::location::{Location, SealKeys};
use hakube_model::{
    Api, Arch, ControllerManager, Etcd, Hosts, Hypervisor, Libvirt, Lifetimes, LoadBalancer,
    Network, Nodes, ProviderKind, QuorumReads, ReplicaMachines, Versions, Zone,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Every setting, typed and validated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The cluster's name, used in the ownership label of its resources.
    pub cluster: String,
    /// The prefix of names of machines, addresses and other resources; by default the cluster's name.
    pub prefix: String,
    /// The provider of machines.
    pub provider: ProviderKind,
    /// The Google Cloud project; always set for [`ProviderKind::Gce`].
    pub project: Option<String>,
    /// How to authenticate to Google Cloud.
    pub google: GoogleCredentials,
    /// The Compute Engine API's URL, if not Google's.
    pub compute_endpoint: Option<String>,
    /// Whether that emulator's machines are hosts that boot, not processes on this host.
    #[serde(default)]
    pub compute_hosts: bool,
    /// The file with its bearer token; `None` means Google's application default credentials.
    pub compute_token_file: Option<PathBuf>,
    /// The zone that the command is about.
    pub zone: Zone,
    /// Whether the operator set that zone, rather than a profile or a default.
    pub zone_given: bool,
    /// Whether the cluster may have replicas in several zones.
    pub multizone: bool,
    /// kube-up's setting of quorum reads, and its origin.
    pub quorum_reads: QuorumReads,
    /// Versions of programs on the machines.
    pub versions: Versions,
    /// The architecture of machines, and of programs and images that are downloaded for them.
    pub arch: Arch,
    /// Networks, ranges and DNS.
    pub network: Network,
    /// The hypervisors, if libvirt is the provider.
    pub libvirt: Option<Libvirt>,
    /// The zones that the operator set, if any: another host may reach the same libvirt by another
    /// URI, and zones may be added to a cluster.
    pub hypervisors: Vec<Hypervisor>,
    /// The inventory, if the operator set it.
    pub hosts: Option<Hosts>,
    /// The machines of replicas.
    pub replicas: ReplicaMachines,
    /// Worker nodes.
    pub nodes: Nodes,
    /// etcd.
    pub etcd: Etcd,
    /// The API server.
    pub api: Api,
    /// The controller manager.
    pub controller_manager: ControllerManager,
    /// Whether the local cloud's control planes are stand-ins, even if Kubernetes binaries are available.
    pub stand_ins: bool,
    /// The addons.
    pub addons: AddonWishes,
    /// The directory of Kubernetes binaries, if set.
    pub kube_binaries: Option<PathBuf>,
    /// Where programs are downloaded from.
    pub releases: Releases,
    /// When the endpoint is on a load balancer.
    pub load_balancer: LoadBalancer,
    /// The user's own load balancer, if it holds the endpoint.
    pub endpoint: Option<SocketAddr>,
    /// kubeconfig files in kubectl's order of precedence; at least one.
    pub kubeconfig: Vec<PathBuf>,
    /// The name of the kubeconfig's context, user and cluster.
    pub kube_context: String,
    /// The validity of certificates.
    pub pki: Lifetimes,
    /// The timeout for the control plane to become ready.
    pub timeout: Duration,
    /// The timeout for nodes to become ready.
    pub nodes_timeout: Duration,
    /// The timeout for draining a node before it is removed.
    pub drain_timeout: Duration,
    /// kube-up's variables that choose what `up` and `down` do.
    pub kube_up: KubeUpMode,
    /// hakube's directory. Absolute.
    pub home: PathBuf,
    /// Where clusters' documents are stored.
    pub state: Location,
    /// Where backups are stored.
    pub backups: Location,
    /// How secrets among these documents are encrypted.
    pub seal: SealKeys,
    /// How long a command that changes a cluster waits for its lock.
    pub wait: Duration,
    /// A multiplier for the duration of the local cloud's operations: 0 is instant, 1 is like the real ones.
    pub time_scale: f64,
}

/// Where to find Google's application default credentials, in this order. The metadata server of
/// hakube's own machine comes last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleCredentials {
    /// The configured file.
    pub file: Option<PathBuf>,
    /// gcloud's configuration directory, with its login.
    pub gcloud: Option<PathBuf>,
    /// The service account to impersonate with these credentials.
    pub impersonate: Option<String>,
    /// Whether the preflight checks for missing permissions.
    pub check_permissions: bool,
}

/// Where programs are downloaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// The URL of Kubernetes releases; `None` if they aren't downloaded.
    pub kubernetes: Option<String>,
    /// The URL of etcd releases.
    pub etcd: Option<String>,
    /// The URL of containerd releases.
    pub containerd: Option<String>,
    /// The URL of runc releases.
    pub runc: Option<String>,
    /// The URL of CNI plugins releases.
    pub cni_plugins: Option<String>,
    /// The URL of a mirror of all of them, if one is set.
    pub mirror: Option<String>,
    /// The URL of a directory with image archives and their `images.json`; `None` means that images
    /// come from registries.
    pub images: Option<String>,
    /// The file with checksums to use instead of the published ones. Absolute.
    pub sums: Option<PathBuf>,
}

/// kube-up's variables that choose what `up` and `down` do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeUpMode {
    /// `up` adds a replica to the cluster.
    pub replicate_existing: bool,
    /// `up` adds nodes to the cluster.
    pub use_existing: bool,
    /// The replica that `down` removes.
    pub replica_name: Option<String>,
    /// `down` deletes the whole cluster; if false, only one replica.
    pub delete_nodes: bool,
}
