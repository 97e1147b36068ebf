//! The resources that exist, as plain data that a provider reports.

use crate::spec::{FirewallSource, FirewallSpec, MachineRef};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// A resource's location.
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

/// A kind of resource that a provider creates.
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
    /// The template for a group's machines.
    MachineTemplate,
    /// A machine.
    Machine,
    /// A disk.
    Disk,
    /// The source of machines' boot disks, if the provider keeps a copy for the cluster.
    Image,
    /// A reserved address.
    Address,
    /// A firewall rule.
    Firewall,
    /// A range of addresses of a network, in a region.
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
    /// Unique within its kind and scope.
    pub name: String,
}

impl ResourceId {
    /// A resource of this kind and name.
    pub fn new(kind: ResourceKind, scope: Scope, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { kind, scope, name }
    }

    /// A resource of a zone.
    pub fn in_zone(kind: ResourceKind, zone: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(kind, Scope::Zone(zone.into()), name)
    }
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

/// A machine's lifecycle state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Being created or started.
    Starting,
    /// Running, according to the provider.
    Running,
    /// Being stopped or deleted.
    Stopping,
    /// Exists, but isn't running.
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
    /// Unique in the project, so usable as a host name.
    pub name: String,
    /// The zone it runs in.
    pub zone: String,
    /// What it is doing.
    pub state: MachineState,
    /// The address inside the network.
    pub internal_address: Option<IpAddr>,
    /// The address for clients outside the network: the endpoint's or another one.
    pub external_address: Option<IpAddr>,
    /// Further addresses inside the network that it accepts traffic for, such as an internal endpoint's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias_addresses: Vec<IpAddr>,
    /// All labels, the ownership label included.
    pub labels: BTreeMap<String, String>,
}

impl Machine {
    /// Its name and zone.
    pub fn machine_ref(&self) -> MachineRef {
        MachineRef {
            name: self.name.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Whether traffic to this address, which isn't the machine's own in the network, reaches the machine.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.external_address == Some(address) || self.alias_addresses.contains(&address)
    }
}

/// A machine's ssh server, and the host keys that authenticate it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshServer {
    /// The address for clients outside the provider's network, if there is one.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
    /// The public host keys, as OpenSSH writes them on one line without a comment. Never empty.
    pub host_keys: Vec<String>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The machine that it is attached to.
    pub user: Option<String>,
}

/// The replicas of one zone, as the balancer sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendGroup {
    /// The group's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The names of its machines.
    pub machines: Vec<String>,
}

/// The balancer, as far as it exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// Whether the health check exists.
    pub health_check: bool,
    /// The existing groups.
    pub groups: Vec<BackendGroup>,
    /// The names of the backend service's groups; `None` without a backend service.
    pub backends: Option<Vec<String>>,
    /// The forwarding rule's address; `None` without a rule.
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

    /// The machines that receive the balancer's traffic.
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
    /// The target size.
    pub size: u32,
    /// The name of the template for its next machine.
    pub template: String,
    /// The names of its machines.
    pub machines: Vec<String>,
    /// The names of the templates that its machines were created from, by machine, as far as they are known. Machines
    /// that weren't created, such as leased hosts, have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, String>,
}

impl NodeGroup {
    /// The names of its machines, each with its zone.
    pub fn machine_refs(&self) -> impl Iterator<Item = MachineRef> {
        self.machines.iter().map(|name| MachineRef {
            name: name.clone(),
            zone: self.zone.clone(),
        })
    }
}

/// What a firewall rule does, in a canonical form: rules with the same effect are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// The rule's name.
    pub name: String,
    /// The network that it belongs to.
    pub network: String,
    /// The ranges that may connect, in CIDR notation.
    pub source_ranges: BTreeSet<String>,
    /// The tags of machines that may connect.
    pub source_tags: BTreeSet<String>,
    /// The tags of the machines that the rule applies to; empty means all.
    pub target_tags: BTreeSet<String>,
    /// Protocols and ports, such as `tcp:2379-2380`, or `udp` for all ports of a protocol.
    pub allowed: BTreeSet<String>,
    /// Whether the rule is in force.
    pub enabled: bool,
}

impl From<&FirewallSpec> for Firewall {
    /// The rule as it is reported once it matches the spec.
    fn from(spec: &FirewallSpec) -> Self {
        let (source_ranges, source_tags) = match &spec.source {
            FirewallSource::Ranges(ranges) => (
                ranges.iter().map(IpNet::to_string).collect(),
                BTreeSet::new(),
            ),
            FirewallSource::Tags(tags) => (BTreeSet::new(), tags.iter().cloned().collect()),
        };
        let tcp = spec.tcp_ports.iter().map(|ports| format!("tcp:{ports}"));
        let udp = spec.udp_ports.iter().map(|ports| format!("udp:{ports}"));
        Self {
            name: spec.name.clone(),
            network: spec.network.clone(),
            source_ranges,
            source_tags,
            target_tags: BTreeSet::from([spec.target_tag.clone()]),
            allowed: tcp.chain(udp).collect(),
            enabled: true,
        }
    }
}

/// Everything that has a cluster's ownership label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The endpoint's reserved address.
    pub address: Option<Address>,
    /// The machines that were created individually, not by a node group.
    pub machines: Vec<Machine>,
    /// The disks that aren't a machine's boot disk.
    pub disks: Vec<Disk>,
    /// The balancer.
    pub balancer: Balancer,
    /// The node groups.
    pub node_groups: Vec<NodeGroup>,
    /// The firewall rules.
    pub firewalls: Vec<Firewall>,
    /// Every resource found, including those above: what `delete` must remove. Machines and disks
    /// that disappear with their owner (a group's machines, a machine's boot disk) are listed only
    /// if that owner doesn't exist.
    pub resources: Vec<ResourceId>,
    /// The unreachable machines and why, if each machine reports for itself. Whether they belong to
    /// the cluster is unknown, and they appear nowhere above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreachable_machines: BTreeMap<String, String>,
    /// The unreachable zones and why. Their contents are unknown and appear nowhere above. Empty if
    /// one response covers all zones.
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

    /// Whether a resource of this kind and name was found.
    pub fn has(&self, kind: ResourceKind, name: &str) -> bool {
        self.resources
            .iter()
            .any(|resource| resource.kind == kind && resource.name == name)
    }
}
