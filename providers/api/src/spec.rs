//! What is wanted: plain data that a provider is given. All names are chosen by the caller.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a preflight looks at: everything that is about to be made, in the words in which it will be asked
/// for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightSpec {
    /// Networks that will be used, or made where they are missing.
    pub networks: Vec<NetworkSpec>,
    /// Firewall rules.
    pub firewalls: Vec<FirewallSpec>,
    /// Addresses that will be reserved.
    pub addresses: Vec<AddressSpec>,
    /// Machines made one by one.
    pub machines: Vec<MachineSpec>,
    /// Groups of machines.
    pub node_groups: Vec<NodeGroupSpec>,
    /// Balancers, without their rule.
    pub balancers: Vec<BalancerSpec>,
    /// Endpoints whose address will go to a balancer: a forwarding rule each.
    pub rules: Vec<EndpointSpec>,
}

/// A network and, where addresses are given, its subnetwork in the provider's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// The network's name.
    pub name: String,
    /// The subnetwork's name and range; `None` lets the provider choose ranges for every region.
    pub subnetwork: Option<(String, IpNet)>,
}

/// Who a firewall rule lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirewallSource {
    /// Any of these ranges.
    Ranges(Vec<IpNet>),
    /// Machines with any of these tags.
    Tags(Vec<String>),
}

/// A rule that lets TCP traffic in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// The rule's name.
    pub name: String,
    /// The network that it belongs to.
    pub network: String,
    /// Who is let in.
    pub source: FirewallSource,
    /// Machines with this tag are reached.
    pub target_tag: String,
    /// TCP ports or ranges of them: `6443`, `2379-2380`.
    pub tcp_ports: Vec<String>,
}

/// From where an address is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// From everywhere: an external address.
    Anywhere,
    /// From this network and what is connected to it: an address of its subnetwork of that name.
    Within {
        /// The network.
        network: String,
        /// The subnetwork, in the provider's region.
        subnetwork: String,
    },
}

/// An address to be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// The reservation's name.
    pub name: String,
    /// From where it is reached.
    pub reach: Reach,
}

/// A machine, named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineRef {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
}

/// A data disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// The disk's name.
    pub name: String,
    /// The name under which the machine's operating system finds it.
    pub device: String,
    /// Its size in GB, as the provider counts them.
    pub size_gb: u64,
    /// The provider's type of disk: `pd-ssd`.
    pub kind: String,
}

/// The address by which a machine is reached from outside, and from which it reaches out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalAddress {
    /// None at all.
    None,
    /// Any, for as long as the machine lives.
    Ephemeral,
    /// The reserved address of this name.
    Reserved(String),
}

/// Who may log in on a machine over ssh, and become root there without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user's name on the machine.
    pub user: String,
    /// The public key, as OpenSSH writes it on one line without a comment: `ssh-ed25519 AAAA…`.
    pub public_key: String,
}

/// A machine to be made, or (in a node group's template) machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// Its name and zone.
    pub machine: MachineRef,
    /// The provider's name for its size: `e2-standard-2`.
    pub machine_type: String,
    /// The provider's name for its image: `projects/debian-cloud/global/images/family/debian-12`.
    pub image: String,
    /// The SHA-256 that the image must have, in lower-case hexadecimal digits, where the provider itself doesn't
    /// vouch for its images; `None` is any.
    pub image_sha256: Option<String>,
    /// Size of the boot disk in GB.
    pub boot_disk_gb: u64,
    /// The provider's type of the boot disk: `pd-standard`.
    pub boot_disk_kind: String,
    /// The data disk, deleted apart from the machine.
    pub data_disk: Option<DiskSpec>,
    /// The network, and the subnetwork where one is named.
    pub network: String,
    /// The subnetwork; `None` where the network has one per region of itself.
    pub subnetwork: Option<String>,
    /// How it is reached from outside at first.
    pub external: ExternalAddress,
    /// The reserved internal address, by its name, that it answers to at first besides its own.
    pub alias: Option<String>,
    /// Tags that firewall rules name.
    pub tags: Vec<String>,
    /// Labels besides the mark.
    pub labels: BTreeMap<String, String>,
    /// Whether the provider may take it back at any time, for less money.
    pub preemptible: bool,
    /// The provider's name for the oldest processors that will do: `Intel Ice Lake`; `None` is any.
    pub min_cpu_platform: Option<String>,
    /// As whom programs on it ask the provider; `None` is the project's own default.
    pub service_account: Option<String>,
    /// What they may ask for, in the provider's words; none at all when empty.
    pub scopes: Vec<String>,
    /// The `cloud-config` document that it boots with. No secrets.
    pub user_data: String,
    /// Who may log in over ssh; nobody is `None`.
    pub login: Option<Login>,
}

/// The balancer: everything but the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// The name of the backend service and of its health check.
    pub name: String,
    /// The network that the backends are in.
    pub network: String,
    /// From where clients come.
    pub reach: Reach,
    /// The TCP port that clients and backends use.
    pub port: u16,
    /// The path asked over HTTPS for a backend's health; 200 is healthy.
    pub health_path: String,
    /// The machines behind it; a group for each zone that has any is named `<name>-<zone>`.
    pub backends: Vec<MachineRef>,
}

/// The stable address and what can hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The cluster that it is made for.
    pub cluster: String,
    /// The name of the reservation.
    pub address: String,
    /// From where the address is reached ([`AddressSpec::reach`]).
    pub reach: Reach,
    /// The name of the forwarding rule.
    pub rule: String,
    /// The name of the balancer ([`BalancerSpec::name`]).
    pub balancer: String,
    /// The TCP port that clients use.
    pub port: u16,
    /// What a machine that gives the address away gets instead.
    pub released: ExternalAddress,
}

/// What holds the endpoint's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointTarget {
    /// This machine.
    Machine(MachineRef),
    /// The balancer.
    Balancer,
}

/// A group of identical machines, made from a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupSpec {
    /// The group's name; its machines are named `<name>-<suffix>` by the provider.
    pub name: String,
    /// The template's name.
    pub template: String,
    /// The number of machines.
    pub size: u32,
    /// The machines that go first when it has more than that: their nodes are drained. Further ones are the
    /// provider's choice.
    pub leaving: Vec<String>,
    /// What each is made of. `machine.zone` is the group's zone, `machine.name` the names' stem.
    pub machine: MachineSpec,
}

impl NodeGroupSpec {
    /// For a group that has so many machines: those that are named and go, and whether its size differs after that.
    pub fn leaving_of(&self, now: u32) -> (&[String], bool) {
        let surplus = now.saturating_sub(self.size) as usize;
        let named = self.leaving.get(..surplus).unwrap_or(&self.leaving);
        let left = now as usize - named.len();
        (named, left != self.size as usize)
    }
}
