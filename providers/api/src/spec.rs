//! The desired resources, as plain data that a provider is given. The caller chooses all names.

use crate::Attempt;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a preflight checks: everything that is about to be created, as it will be requested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightSpec {
    /// Networks that will be used, and created if missing.
    pub networks: Vec<NetworkSpec>,
    /// Firewall rules.
    pub firewalls: Vec<FirewallSpec>,
    /// Addresses that will be reserved.
    pub addresses: Vec<AddressSpec>,
    /// Machines created individually.
    pub machines: Vec<MachineSpec>,
    /// Groups of machines.
    pub node_groups: Vec<NodeGroupSpec>,
    /// Balancers, without their forwarding rules.
    pub balancers: Vec<BalancerSpec>,
    /// Endpoints whose address will move to a balancer: one forwarding rule each.
    pub rules: Vec<EndpointSpec>,
}

impl PreflightSpec {
    /// All machines that will be created: individual ones, and one for each group, with its group.
    pub fn all_machines(&self) -> impl Iterator<Item = (&MachineSpec, Option<&NodeGroupSpec>)> {
        let single = self.machines.iter().map(|machine| (machine, None));
        let groups = self.node_groups.iter();
        single.chain(groups.map(|group| (&group.machine, Some(group))))
    }
}

/// A network and, if a range is given, its subnetwork in the provider's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The owner.
    pub cluster: String,
    /// The network's name.
    pub name: String,
    /// The subnetwork's name and range; with `None` the provider chooses ranges for every region.
    pub subnetwork: Option<(String, IpNet)>,
}

/// The sources that a firewall rule allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirewallSource {
    /// Any of these ranges.
    Ranges(Vec<IpNet>),
    /// Machines with any of these tags.
    Tags(Vec<String>),
}

/// A rule that allows inbound TCP traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallSpec {
    /// The owner.
    pub cluster: String,
    /// The rule's name.
    pub name: String,
    /// The network that it belongs to.
    pub network: String,
    /// The allowed sources.
    pub source: FirewallSource,
    /// The tag of the machines that the rule applies to.
    pub target_tag: String,
    /// TCP ports or port ranges: `6443`, `2379-2380`.
    pub tcp_ports: Vec<String>,
    /// UDP ports or port ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub udp_ports: Vec<String>,
}

/// Where an address is reachable from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Everywhere: an external address.
    Anywhere,
    /// This network and what is connected to it: an address of this subnetwork.
    Within {
        /// The network.
        network: String,
        /// The subnetwork, in the provider's region.
        subnetwork: String,
    },
}

/// An address to reserve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpec {
    /// The owner.
    pub cluster: String,
    /// The reservation's name.
    pub name: String,
    /// Where it is reachable from.
    pub reach: Reach,
    /// The required address, if the cluster had one and lost the reservation; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<IpAddr>,
}

/// A machine's name and zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineRef {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
}

impl MachineRef {
    /// An action, as an infinitive, on this machine.
    pub fn attempt(&self, action: &'static str) -> Attempt {
        Attempt::new(action, format!("machine {} in {}", self.name, self.zone))
    }
}

/// A data disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// The disk's name.
    pub name: String,
    /// The name under which the machine's operating system sees it.
    pub device: String,
    /// Size in GB, as the provider counts them.
    pub size_gb: u64,
    /// The provider's type of disk: `pd-ssd`.
    pub kind: String,
}

/// A machine's address for traffic to and from the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalAddress {
    /// No external address.
    None,
    /// Any address, for the lifetime of the machine.
    Ephemeral,
    /// The reserved address of this name.
    Reserved(String),
}

/// A user who may log in to a machine over ssh and become root there without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user name on the machine.
    pub user: String,
    /// The public key, as OpenSSH writes it on one line without a comment: `ssh-ed25519 AAAA…`.
    pub public_key: String,
}

/// A machine to create, or the template of a node group's machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The owner.
    pub cluster: String,
    /// Its name and zone.
    pub machine: MachineRef,
    /// The provider's name of its size: `e2-standard-2`.
    pub machine_type: String,
    /// The provider's name of its image: `projects/debian-cloud/global/images/family/debian-12`.
    pub image: String,
    /// The image's required SHA-256, in lower-case hexadecimal digits, if the provider doesn't
    /// vouch for its images itself; `None` is any.
    pub image_sha256: Option<String>,
    /// Size of the boot disk in GB.
    pub boot_disk_gb: u64,
    /// The provider's type of the boot disk: `pd-standard`.
    pub boot_disk_kind: String,
    /// The data disk, which is deleted separately from the machine.
    pub data_disk: Option<DiskSpec>,
    /// The network, and the subnetwork where one is named.
    pub network: String,
    /// The subnetwork; `None` if the network creates one per region automatically.
    pub subnetwork: Option<String>,
    /// The external address at creation.
    pub external: ExternalAddress,
    /// The name of the reserved internal address that it also accepts traffic for at creation.
    pub alias: Option<String>,
    /// Tags that firewall rules refer to.
    pub tags: Vec<String>,
    /// Labels in addition to the ownership label.
    pub labels: BTreeMap<String, String>,
    /// Whether the provider may reclaim it at any time, at a lower price.
    pub preemptible: bool,
    /// The provider's name of the oldest acceptable CPU platform: `Intel Ice Lake`; `None` is any.
    pub min_cpu_platform: Option<String>,
    /// The service account of programs on it; `None` is the project's default.
    pub service_account: Option<String>,
    /// The service account's scopes, in the provider's notation; empty means no access.
    pub scopes: Vec<String>,
    /// The `cloud-config` document that it boots with. Contains no secrets.
    pub user_data: String,
    /// The user who may log in over ssh; `None` is no one.
    pub login: Option<Login>,
}

/// The balancer, without its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerSpec {
    /// The owner.
    pub cluster: String,
    /// The name of the backend service and its health check.
    pub name: String,
    /// The backends' network.
    pub network: String,
    /// Where clients connect from.
    pub reach: Reach,
    /// The TCP port that clients and backends use.
    pub port: u16,
    /// The HTTPS path of the health check; status 200 is healthy.
    pub health_path: String,
    /// The machines behind it. Each zone that has any gets a group named `<name>-<zone>`.
    pub backends: Vec<MachineRef>,
}

/// The stable address and its possible holders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The owner.
    pub cluster: String,
    /// The name of the reservation.
    pub address: String,
    /// Where the address is reachable from ([`AddressSpec::reach`]).
    pub reach: Reach,
    /// The name of the forwarding rule.
    pub rule: String,
    /// The name of the balancer ([`BalancerSpec::name`]).
    pub balancer: String,
    /// The TCP port that clients use.
    pub port: u16,
    /// The external address that a machine gets when it releases the endpoint's.
    pub released: ExternalAddress,
}

/// The holder of the endpoint's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointTarget {
    /// This machine.
    Machine(MachineRef),
    /// The balancer.
    Balancer,
}

/// A group of identical machines, created from a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupSpec {
    /// The group's name. The provider names its machines `<name>-<suffix>`.
    pub name: String,
    /// The template's name.
    pub template: String,
    /// The number of machines.
    pub size: u32,
    /// The machines to remove first if the group has more than `size`: their nodes are drained. The
    /// provider chooses any others.
    pub leaving: Vec<String>,
    /// The machines' spec. `machine.zone` is the group's zone, `machine.name` the prefix of their names.
    pub machine: MachineSpec,
}

impl NodeGroupSpec {
    /// For a group of `now` machines: the named machines to remove, and whether the size still
    /// differs after that.
    pub fn leaving_of(&self, now: u32) -> (&[String], bool) {
        let surplus = now.saturating_sub(self.size) as usize;
        let named = self.leaving.get(..surplus).unwrap_or(&self.leaving);
        let left = now as usize - named.len();
        (named, left != self.size as usize)
    }
}
