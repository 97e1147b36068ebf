//! The settings once they are typed: plain data, parts of which the cluster's intent stores.

use super::addons::AddonWishes;
use super::arch::Arch;
use super::controllers::Controllers;
use super::derive::{node_bits, nodes_at_most, nth_address};
use super::hosts::Hosts;
use super::libvirt::{Hypervisor, Libvirt};
use super::parse::{self, Malformed};
use super::quorum_reads::QuorumReads;
use crate::pki::Lifetimes;
use crate::state::{Location, Seal};
use ipnet::IpNet;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Every setting, typed and validated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The cluster's name: what everything made for it is marked with.
    pub cluster: String,
    /// What the names of machines, addresses and so on start with; the cluster's name unless set apart.
    pub prefix: String,
    /// Who makes the machines.
    pub provider: ProviderKind,
    /// The Google Cloud project; always there for [`ProviderKind::Gce`].
    pub project: Option<String>,
    /// As whom Google Cloud is asked.
    pub google: GoogleCredentials,
    /// Where Compute Engine's API is, if not at Google's.
    pub compute_endpoint: Option<String>,
    /// The file with the bearer token for it; `None` is Google's application default credentials.
    pub compute_token_file: Option<PathBuf>,
    /// The zone that the command is about.
    pub zone: Zone,
    /// Whether the operator named that zone, rather than a profile or a default.
    pub zone_given: bool,
    /// Whether the cluster may have replicas in several zones.
    pub multizone: bool,
    /// kube-up's wish for quorum reads, and who set it.
    pub quorum_reads: QuorumReads,
    /// What runs on the machines.
    pub versions: Versions,
    /// The architecture that machines have, and that programs and images are downloaded for.
    pub arch: Arch,
    /// Networks, ranges and DNS.
    pub network: Network,
    /// Hypervisors, where they are the provider.
    pub libvirt: Option<Libvirt>,
    /// The zones that the operator named, if any: another host may reach the same libvirt by another URI, and a
    /// cluster may get more of them.
    pub hypervisors: Vec<Hypervisor>,
    /// Hosts that are there already, where the operator named them.
    pub hosts: Option<Hosts>,
    /// What a replica's machine is made of.
    pub replicas: ReplicaMachines,
    /// The workers.
    pub nodes: Nodes,
    /// etcd.
    pub etcd: Etcd,
    /// The API server.
    pub api: Api,
    /// The controller manager.
    pub controller_manager: ControllerManager,
    /// Whether the local cloud's control planes are stand-ins, whatever there is of Kubernetes.
    pub stand_ins: bool,
    /// What runs in the cluster besides.
    pub addons: AddonWishes,
    /// Where real Kubernetes binaries are, if the operator says so.
    pub kube_binaries: Option<PathBuf>,
    /// Where programs are downloaded from.
    pub releases: Releases,
    /// When the endpoint sits on a load balancer.
    pub load_balancer: LoadBalancer,
    /// A balancer of the user's own, where one holds the endpoint.
    pub endpoint: Option<SocketAddr>,
    /// kubeconfig files in kubectl's order of precedence; at least one.
    pub kubeconfig: Vec<PathBuf>,
    /// The name of the context, user and cluster in the kubeconfig.
    pub kube_context: String,
    /// How long certificates are valid.
    pub pki: Lifetimes,
    /// How long a command waits for the control plane to become ready.
    pub timeout: Duration,
    /// How long a command waits for nodes to become ready.
    pub nodes_timeout: Duration,
    /// How long pods may take to leave a node that goes.
    pub drain_timeout: Duration,
    /// kube-up's way of choosing what `up` and `down` do.
    pub kube_up: KubeUpMode,
    /// Everything that hakube keeps lies under this directory. Absolute.
    pub home: PathBuf,
    /// Where clusters' documents are kept.
    pub state: Location,
    /// How secrets among these documents are encrypted.
    pub seal: Seal,
    /// How long a changing command waits for the cluster's lock.
    pub wait: Duration,
    /// How long the local cloud's operations take: 0 is no time at all, 1 is as long as the real ones.
    pub time_scale: f64,
}

/// Where Google's application default credentials are looked for, in this order; the metadata server of the
/// machine that hakube runs on comes last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleCredentials {
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// gcloud's directory, where its login is.
    pub gcloud: Option<PathBuf>,
    /// The service account that is impersonated with what is found.
    pub impersonate: Option<String>,
    /// Whether the preflight asks which permissions lack.
    pub check_permissions: bool,
}

/// Who makes the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The Compute Engine emulator whose machines are processes on this one.
    Local,
    /// Google Compute Engine.
    Gce,
    /// libvirt.
    Libvirt,
    /// Hosts that are there already.
    Hosts,
}

impl ProviderKind {
    /// The name by which it is set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Gce => "gce",
            Self::Libvirt => "libvirt",
            Self::Hosts => "hosts",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ProviderKind {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        [Self::Local, Self::Gce, Self::Libvirt, Self::Hosts]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Malformed::new("there is no such provider"))
    }
}

/// A zone: a region's name and one part more, as in `europe-west1-b`.
///
/// Only the shape is known here; whether it exists, the provider knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// The whole name: `europe-west1-b`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The region's name, which is the zone's without its last part: `europe-west1`.
    pub fn region(&self) -> &str {
        self.0
            .rsplit_once('-')
            .map_or(self.0.as_str(), |(region, _)| region)
    }
}

impl FromStr for Zone {
    type Err = Malformed;

    /// Any name: hosts of one's own are called as one likes.
    fn from_str(name: &str) -> Result<Self, Malformed> {
        parse::name(name)
            .map(Self)
            .map_err(|_| Malformed::new("it doesn't have the shape of a zone"))
    }
}

impl Zone {
    /// Whether Compute Engine could have a zone of that name: `europe-west1-b`.
    ///
    /// # Errors
    /// It couldn't.
    pub fn check_compute_engine(&self) -> Result<(), Malformed> {
        let name = &self.0;
        let parts: Vec<&str> = name.split('-').collect();
        let is_made_of_words = parts.iter().all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        });
        let is_place = |part: &str| part.ends_with(|c: char| c.is_ascii_digit());
        match parts.as_slice() {
            [_, .., place, _] if is_made_of_words && is_place(place) => Ok(()),
            [_, .., place] if is_made_of_words && is_place(place) => Err(Malformed(format!(
                "it is a region; a zone has one part more, as in {name}-b"
            ))),
            _ => Err(Malformed::new("it doesn't have the shape of a zone")),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = Malformed;

    fn try_from(name: String) -> Result<Self, Malformed> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What runs on the machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Kubernetes' version, without the `v` that its tags start with.
    pub kubernetes: Version,
    /// etcd's version; `None` is whatever the binary that is found happens to be.
    pub etcd: Option<Version>,
    /// The versions of what runs pods beside the kubelet.
    #[serde(default)]
    pub runtime: RuntimeVersions,
}

/// The versions of what runs pods beside the kubelet and kube-proxy.
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
    /// Those of the settings' table: for clusters made before there were any.
    fn default() -> Self {
        Self {
            containerd: Version::new(2, 2, 9),
            runc: Version::new(1, 3, 4),
            cni_plugins: Version::new(1, 9, 1),
        }
    }
}

/// Networks, ranges and DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The network's name.
    pub name: String,
    /// The project that it is in, and its firewall rules; `None` is the cluster's own. Another one is the host of a
    /// shared VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_project: Option<String>,
    /// The subnetwork's name, where one is to be used or made.
    pub subnetwork: Option<String>,
    /// Whether the network is made with a subnetwork of `node_range`, rather than one per region.
    pub custom: bool,
    /// Whether machines have no external addresses, and the endpoint an internal one.
    #[serde(default)]
    pub private: bool,
    /// Whether others make the firewall rules, as a shared VPC's administrators often do.
    #[serde(default)]
    pub others_make_firewalls: bool,
    /// From where replicas take ssh; `None` where nobody said so.
    #[serde(default)]
    pub ssh_sources: Option<Vec<IpNet>>,
    /// Pods' addresses.
    pub cluster_range: IpNet,
    /// How many pods a node runs at most. Each node has a range of addresses with room for twice as many.
    #[serde(default = "kubelets_own_limit")]
    pub pods_per_node: u32,
    /// Services' addresses.
    pub service_range: IpNet,
    /// Machines' addresses in a custom network.
    pub node_range: IpNet,
    /// Pods' addresses on replicas.
    pub master_range: IpNet,
    /// The cluster DNS service's address, in `service_range`.
    pub dns_address: IpAddr,
    /// The cluster's DNS domain.
    pub dns_domain: String,
    /// How kube-proxy makes Services' addresses work.
    #[serde(default)]
    pub proxy_mode: ProxyMode,
    /// Whether `down` deletes the network; `None` is "if hakube made it".
    pub delete: Option<bool>,
}

/// What a kubelet has that isn't told.
fn kubelets_own_limit() -> u32 {
    110
}

impl Network {
    /// The subnetwork that machines are in: unless it is named, the one that has the network's name, as in each
    /// region of a network that has one per region.
    pub fn subnetwork(&self) -> &str {
        self.subnetwork.as_deref().unwrap_or(&self.name)
    }

    /// The number of nodes whose pods have addresses.
    pub fn nodes_at_most(&self) -> u128 {
        nodes_at_most(self.cluster_range, self.pods_per_node)
    }

    /// The length of the prefix of the range that each node has of them.
    pub fn node_prefix(&self) -> u32 {
        let all = u32::from(self.cluster_range.max_prefix_len());
        all - node_bits(self.cluster_range, self.pods_per_node)
    }

    /// The address of the service `kubernetes`: the first of the service range after its own.
    pub fn service_address(&self) -> IpAddr {
        // A range too small for it is refused when the settings are read.
        nth_address(self.service_range, 1).unwrap_or_else(|| self.service_range.network())
    }
}

/// How kube-proxy makes Services' addresses work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// By iptables' rules.
    #[default]
    Iptables,
    /// By nftables' rules: Kubernetes 1.33 or later, Linux 5.13 or later.
    Nftables,
}

impl FromStr for ProxyMode {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "iptables" => Ok(Self::Iptables),
            "nftables" => Ok(Self::Nftables),
            "ipvs" => Err(Malformed::new(
                "Kubernetes has deprecated it, and hakube doesn't set it up",
            )),
            _ => Err(Malformed::new("there is no such mode")),
        }
    }
}

/// What a replica's machine is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaMachines {
    /// The provider's name for the machine's size.
    pub machine_type: String,
    /// The boot disk's size in GB.
    pub root_disk_gb: u64,
    /// Size in GB of the disk that holds etcd's data.
    pub data_disk_gb: u64,
    /// The provider's name for that disk's type.
    pub disk_type: String,
    /// The provider's name for the boot image.
    pub image: String,
    /// The SHA-256 that it must have; `None` where the provider vouches for its images.
    #[serde(default)]
    pub image_sha256: Option<String>,
    /// Whether the provider may take the machine back at any time.
    pub preemptible: bool,
    /// The provider's name for the oldest processors that will do; `None` is any.
    pub min_cpu_platform: Option<String>,
    /// Whether replicas register as nodes. Clusters of a format before it had replicas that don't.
    #[serde(default)]
    pub register: bool,
    /// Labels that they register with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// How many are asked for. See [`Nodes::wanted`].
    pub count: u32,
    /// The provider's name for their size.
    pub machine_type: String,
    /// The boot disk's size in GB.
    pub disk_gb: u64,
    /// The provider's name for the boot disk's type.
    pub disk_type: String,
    /// The provider's name for the boot image.
    pub image: String,
    /// Whether the provider may take them back at any time.
    pub preemptible: bool,
    /// As whom programs on them ask the provider; `None` is the project's own default.
    pub service_account: Option<String>,
    /// What these programs may ask for.
    pub scopes: Vec<String>,
    /// What the nodes' names start with.
    pub prefix: String,
    /// Labels that they register with.
    pub labels: BTreeMap<String, String>,
    /// Taints that they register with.
    pub taints: Vec<Taint>,
    /// Below what their kubelets evict pods at once, by what is watched; empty is the kubelet's own.
    #[serde(default)]
    pub eviction_hard: BTreeMap<String, String>,
    /// How many of them needn't be ready for a command to succeed.
    #[serde(default)]
    pub allowed_unready: u32,
    /// Whether any are made at all.
    pub create: bool,
    /// How many a group may have. Clusters of a format before it had groups of any size.
    #[serde(default = "unlimited")]
    pub largest_group: u32,
}

fn unlimited() -> u32 {
    u32::MAX
}

impl Nodes {
    /// The number of nodes to be made: none when `create` is off.
    pub fn wanted(&self) -> u32 {
        if self.create { self.count } else { 0 }
    }
}

/// A taint, displayed as the kubelet takes it: `key=value:Effect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, if any.
    pub value: Option<String>,
    /// What it does to pods that don't tolerate it.
    pub effect: TaintEffect,
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_deref().unwrap_or_default();
        write!(f, "{}={value}:{:?}", self.key, self.effect)
    }
}

/// What a taint does to pods that don't tolerate it, in Kubernetes' spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New ones aren't scheduled there.
    NoSchedule,
    /// New ones are scheduled there when nothing else is free.
    PreferNoSchedule,
    /// Running ones are evicted too.
    NoExecute,
}

/// etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etcd {
    /// The binary; `None` is the one in PATH. Absolute.
    pub binary: Option<PathBuf>,
    /// The size in bytes at which etcd refuses writes.
    pub quota_bytes: u64,
    /// Arguments besides those that hakube sets.
    pub extra_args: Vec<String>,
    /// How often watchers hear from it when nothing changes; `None` is etcd's own, or said in `extra_args`.
    #[serde(default)]
    pub progress_notify: Option<Duration>,
}

/// Where programs are downloaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// The URL of Kubernetes' releases; `None`: they aren't downloaded.
    pub kubernetes: Option<String>,
    /// The URL of etcd's.
    pub etcd: Option<String>,
    /// The URL of containerd's.
    pub containerd: Option<String>,
    /// The URL of runc's.
    pub runc: Option<String>,
    /// The URL of the CNI plugins'.
    pub cni_plugins: Option<String>,
    /// The URL of a mirror of all of them, where one was named.
    pub mirror: Option<String>,
    /// The URL of a directory with image archives and their `images.json`; `None`: images come from registries.
    pub images: Option<String>,
    /// The file with the sums, where those beside the downloads aren't to be believed. Absolute.
    pub sums: Option<PathBuf>,
}

/// The API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// The TCP port, on the machines and on the endpoint.
    pub port: u16,
    /// Names and addresses that its certificate is valid for, besides those that hakube knows.
    pub extra_sans: Vec<String>,
    /// APIs switched on or off.
    pub runtime_config: BTreeMap<String, bool>,
    /// Features switched on or off, in all components.
    pub feature_gates: BTreeMap<String, bool>,
    /// The issuer in service account tokens.
    pub service_account_issuer: String,
    /// After how many seconds a request is given up; `None` is the API server's own limit.
    #[serde(default)]
    pub request_timeout_seconds: Option<u64>,
    /// How often, in seconds, it has etcd forget what was; 0 is never, `None` its own interval.
    #[serde(default)]
    pub compaction_seconds: Option<u64>,
}

/// The controller manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerManager {
    /// Which controllers run.
    pub controllers: Controllers,
    /// How long the kubelets' certificates that it signs are valid; `None` is its own, a year.
    pub signing_duration: Option<Duration>,
}

/// When the endpoint sits on a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadBalancer {
    /// From the second replica on.
    Auto,
    /// From the first replica on: the endpoint never moves.
    Always,
}

impl FromStr for LoadBalancer {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            _ => Err(Malformed::new("there is no such choice")),
        }
    }
}

/// kube-up's way of choosing what `up` and `down` do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeUpMode {
    /// `up` adds a replica to the cluster.
    pub replicate_existing: bool,
    /// `up` adds nodes to the cluster.
    pub use_existing: bool,
    /// The replica that `down` removes.
    pub replica_name: Option<String>,
    /// `down` deletes the whole cluster; false: one replica only.
    pub delete_nodes: bool,
}
