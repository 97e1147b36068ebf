//! What is there: plain data that a provider reports.

use crate::spec::{FirewallSource, FirewallSpec};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In no region.
    Global,
    /// In a region.
    Region(String),
    /// In a zone.
    Zone(String),
}

/// The kinds of resource that a provider makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// The rule that puts the endpoint's address on the balancer.
    ForwardingRule,
    /// The balancer's list of backends.
    BackendService,
    /// The balancer's check of its backends.
    HealthCheck,
    /// The replicas of one zone, as the balancer sees them.
    BackendGroup,
    /// A group of identical machines.
    NodeGroup,
    /// What the machines of a group are made from.
    MachineTemplate,
    /// A machine.
    Machine,
    /// A disk.
    Disk,
    /// What machines' boot disks are made from, where the provider keeps a copy for the cluster.
    Image,
    /// A reserved address.
    Address,
    /// A firewall rule.
    Firewall,
    /// A range of addresses of a network in a region.
    Subnetwork,
    /// A network.
    Network,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForwardingRule => "forwarding rule",
            Self::BackendService => "backend service",
            Self::HealthCheck => "health check",
            Self::BackendGroup => "backend group",
            Self::NodeGroup => "node group",
            Self::MachineTemplate => "machine template",
            Self::Machine => "machine",
            Self::Disk => "disk",
            Self::Image => "image",
            Self::Address => "address",
            Self::Firewall => "firewall",
            Self::Subnetwork => "subnetwork",
            Self::Network => "network",
        })
    }
}

/// A resource by kind, scope and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// Its kind.
    pub kind: ResourceKind,
    /// Where it lives.
    pub scope: Scope,
    /// Its name, unique in its kind and scope.
    pub name: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Global => write!(f, "{} {}", self.kind, self.name),
            Scope::Region(place) | Scope::Zone(place) => {
                write!(f, "{} {} in {place}", self.kind, self.name)
            }
        }
    }
}

/// A reserved address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The reservation's name.
    pub name: String,
    /// The address itself.
    pub address: IpAddr,
}

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Being made or started.
    Starting,
    /// Running, as far as the provider can tell.
    Running,
    /// Being stopped or deleted.
    Stopping,
    /// There, but not running.
    Stopped,
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        })
    }
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name, unique in the project and so usable as a host name.
    pub name: String,
    /// The zone it runs in.
    pub zone: String,
    /// What it is doing.
    pub state: MachineState,
    /// Its address inside the network.
    pub internal_address: Option<IpAddr>,
    /// The address by which it is reached from outside: the endpoint's own, or another.
    pub external_address: Option<IpAddr>,
    /// The addresses inside the network that it answers to besides its own: the endpoint's, where that is internal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias_addresses: Vec<IpAddr>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
}

impl Machine {
    /// Whether clients of that address, which isn't the machine's own in the network, get to it.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.external_address == Some(address) || self.alias_addresses.contains(&address)
    }
}

/// Where a machine's ssh server is, and how it proves to be that machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshServer {
    /// The address by which it is reached from outside the provider's network, where there is one.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
    /// Its public host keys, as OpenSSH writes them on one line without a comment. Never empty.
    pub host_keys: Vec<String>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The machine that uses it.
    pub user: Option<String>,
}

/// The replicas of one zone, as the balancer sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendGroup {
    /// The group's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The names of the machines in it.
    pub machines: Vec<String>,
}

/// The balancer, as much of it as exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// Whether the health check exists.
    pub health_check: bool,
    /// The groups that exist.
    pub groups: Vec<BackendGroup>,
    /// The names of the groups that the backend service has; `None` when there is no backend service.
    pub backends: Option<Vec<String>>,
    /// The address that the forwarding rule holds; `None` when there is no rule.
    pub forwarding: Option<IpAddr>,
}

impl Balancer {
    /// Whether no part of the balancer exists.
    pub fn is_absent(&self) -> bool {
        !self.health_check
            && self.groups.is_empty()
            && self.backends.is_none()
            && self.forwarding.is_none()
    }

    /// The machines that the balancer sends traffic to.
    pub fn machines(&self) -> Vec<&str> {
        let in_service = self.backends.as_deref().unwrap_or_default();
        self.groups
            .iter()
            .filter(|group| in_service.contains(&group.name))
            .flat_map(|group| group.machines.iter().map(String::as_str))
            .collect()
    }
}

/// A group of identical machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// The group's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The size it was asked to have.
    pub size: u32,
    /// The name of the template that its next machine is made from.
    pub template: String,
    /// The names of the machines that it has.
    pub machines: Vec<String>,
}

/// What a firewall rule does, in words that are the same for rules that do the same: order means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// The rule's name.
    pub name: String,
    /// The network that it belongs to.
    pub network: String,
    /// The ranges that are let in, in CIDR notation.
    pub source_ranges: BTreeSet<String>,
    /// The tags of machines that are let in.
    pub source_tags: BTreeSet<String>,
    /// The tags of machines that are reached; empty is all.
    pub target_tags: BTreeSet<String>,
    /// Protocols and ports, such as `tcp:2379-2380`, or `udp` for all of a protocol's.
    pub allowed: BTreeSet<String>,
    /// Whether it does so at the moment.
    pub enabled: bool,
}

impl From<&FirewallSpec> for Firewall {
    /// What is there once the rule is made as it is wanted.
    fn from(spec: &FirewallSpec) -> Self {
        let (source_ranges, source_tags) = match &spec.source {
            FirewallSource::Ranges(ranges) => (
                ranges.iter().map(IpNet::to_string).collect(),
                BTreeSet::new(),
            ),
            FirewallSource::Tags(tags) => (BTreeSet::new(), tags.iter().cloned().collect()),
        };
        let tcp = |ports: &String| format!("tcp:{ports}");
        Self {
            name: spec.name.clone(),
            network: spec.network.clone(),
            source_ranges,
            source_tags,
            target_tags: BTreeSet::from([spec.target_tag.clone()]),
            allowed: spec.tcp_ports.iter().map(tcp).collect(),
            enabled: true,
        }
    }
}

/// Everything that bears a cluster's mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The endpoint's reserved address.
    pub address: Option<Address>,
    /// The machines that were made one by one (not by a node group).
    pub machines: Vec<Machine>,
    /// The disks that are not a machine's own boot disk.
    pub disks: Vec<Disk>,
    /// The balancer.
    pub balancer: Balancer,
    /// The node groups.
    pub node_groups: Vec<NodeGroup>,
    /// The firewall rules.
    pub firewalls: Vec<Firewall>,
    /// Every resource found, those above included: what `delete` must bring to nothing. Machines and
    /// disks that disappear with their owner (a group's machines, a machine's boot disk) are included
    /// only when that owner is absent.
    pub resources: Vec<ResourceId>,
    /// The machines that couldn't be asked, and why not, where each answers for itself. Whether they are the cluster's
    /// isn't known; nothing above speaks of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreachable_machines: BTreeMap<String, String>,
    /// The zones that couldn't be asked, and why not. What is in them isn't known, and nothing above speaks of
    /// it. Empty where one answer covers all zones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreachable: BTreeMap<String, String>,
}

impl Inventory {
    /// The machine of that name.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name)
    }

    /// The firewall rule of that name.
    pub fn firewall(&self, name: &str) -> Option<&Firewall> {
        self.firewalls.iter().find(|firewall| firewall.name == name)
    }

    /// Whether a resource of that kind and name was found.
    pub fn has(&self, kind: ResourceKind, name: &str) -> bool {
        self.resources
            .iter()
            .any(|resource| resource.kind == kind && resource.name == name)
    }
}
