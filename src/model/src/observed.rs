//! The observed state of a cluster.

use super::EtcdConditionKind;
use super::{
    AddonState, Backend, Certificates, DatabaseSize, DiskSpace, Endpoint, HoldView, Intent,
    MarkView, Quorum, RecordView, ReplicaIntent, ServingView, Skew, TokenView, Trust,
};
use hakube_provider::{Inventory, MachineRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Everything observed at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The provider's resources.
    pub inventory: Inventory,
    /// The members of etcd.
    pub etcd: EtcdView,
    /// The replicas whose data keeps etcd from running, by name.
    #[serde(default)]
    pub data: BTreeMap<String, DataCondition>,
    /// etcd's alarms.
    #[serde(default)]
    pub alarms: Vec<AlarmView>,
    /// The cluster's own record of its intent.
    #[serde(default)]
    pub record: RecordView,
    /// The file system of each replica's etcd data, by the replica's name.
    #[serde(default)]
    pub disks: BTreeMap<String, DiskSpace>,
    /// The API server of each replica with a running machine, by the replica's name.
    pub apis: BTreeMap<String, ApiView>,
    /// The arrangement in force on each running replica, if replicas hold the endpoint's address; by the
    /// replica's name.
    #[serde(default)]
    pub holds: BTreeMap<String, HoldView>,
    /// Whether the endpoint returns 200 for `/readyz` with a certificate of the cluster's CA.
    pub endpoint_ready: bool,
    /// The registered nodes; `None` if the API server is unreachable.
    pub nodes: Option<Vec<NodeView>>,
    /// The tokens that hakube created for nodes; `None` if the API server is unreachable.
    #[serde(default)]
    pub tokens: Option<Vec<TokenView>>,
    /// The addons that are wanted or installed, by name; `None` if the API server is unreachable or a stand-in.
    #[serde(default)]
    pub addons: Option<BTreeMap<String, AddonState>>,
    /// Kubelets' requests for serving certificates.
    #[serde(default)]
    pub serving: Vec<ServingView>,
    /// Whether the user's kubeconfig has the cluster's context, with its CA and address and a certificate that
    /// isn't due for renewal.
    pub kubeconfig: bool,
    /// How far each replica's clock is ahead of the operator's host's, if its API server responds.
    #[serde(default)]
    pub clocks: BTreeMap<String, Skew>,
    /// The certificates and when they expire.
    #[serde(default)]
    pub certificates: Certificates,
    /// The authorities in force on each machine.
    #[serde(default)]
    pub trust: Trust,
    /// During an upgrade: the release in force on each running machine that hakube can log in on, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub releases: BTreeMap<String, MarkView>,
}

/// The observed state of etcd.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdView {
    /// No machine exists that could run a member.
    #[default]
    Absent,
    /// Machines exist, but no member is reachable.
    Unknown {
        /// Why.
        why: String,
    },
    /// The members, as etcd lists them.
    Known(Vec<MemberView>),
}

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its id in etcd.
    pub id: u64,
    /// Its replica's name. Before it has started, this comes from its peer address.
    pub name: String,
    /// Its role.
    pub role: MemberRole,
    /// Whether it has ever started.
    pub started: bool,
    /// Whether it responds and has a leader.
    pub healthy: bool,
    /// The URLs at which other members reach it.
    #[serde(default)]
    pub peer_urls: Vec<String>,
    /// The version of its program, if it responds.
    #[serde(default)]
    pub version: Option<String>,
    /// The size of its database, if it responds.
    #[serde(default)]
    pub database: Option<DatabaseSize>,
}

/// Why a member's data keeps it from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCondition {
    /// The kind of problem.
    pub kind: EtcdConditionKind,
    /// A description.
    pub why: String,
}

/// A kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// A member's database has reached its quota, so etcd refuses writes.
    NoSpace,
    /// Members' data differs, so etcd refuses all requests.
    Corrupt,
}

/// An alarm of etcd. It stays until it is disarmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmView {
    /// The replica of its member; etcd's id if that isn't a member any more.
    pub replica: String,
    /// Its kind.
    pub alarm: Alarm,
}

/// A member's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Votes and leads.
    Leader,
    /// Votes.
    Voter,
    /// Receives the log, but doesn't vote.
    Learner,
}

/// The observed state of a replica's API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiView {
    /// Whether it returns 200 for `/readyz` with a certificate of the cluster's CA.
    pub ready: bool,
    /// Whether it reports that it is a stand-in; `None` if it didn't respond.
    pub stand_in: Option<bool>,
    /// Its version, with a leading `v`; `None` if it didn't respond.
    #[serde(default)]
    pub version: Option<String>,
}

/// A node, as the API server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Its zone's label.
    pub zone: String,
    /// Its Ready condition.
    pub ready: bool,
    /// Whether it has the control plane's label.
    pub control_plane: bool,
    /// Whether new pods are kept off it.
    #[serde(default)]
    pub cordoned: bool,
    /// Whether its kubelet is a stand-in that runs no pods.
    #[serde(default)]
    pub hollow: bool,
    /// Its kubelet's version, with a leading `v`.
    #[serde(default)]
    pub kubelet: Option<String>,
    /// The labels that hakube has set from the inventory; `None` if the API server doesn't track field managers.
    #[serde(default)]
    pub inventory_labels: Option<BTreeMap<String, String>>,
}

impl NodeView {
    /// Its machine.
    pub fn machine_ref(&self) -> MachineRef {
        MachineRef {
            name: self.name.clone(),
            zone: self.zone.clone(),
        }
    }
}

impl EtcdView {
    /// The members; empty if there are none or etcd is unreachable.
    pub fn members(&self) -> &[MemberView] {
        match self {
            Self::Known(members) => members,
            Self::Absent | Self::Unknown { .. } => &[],
        }
    }

    /// The member of this replica.
    pub fn member(&self, replica: &str) -> Option<&MemberView> {
        self.members().iter().find(|member| member.name == replica)
    }

    /// The number of voters, and of healthy ones.
    pub fn quorum(&self) -> Quorum {
        let voters = self
            .members()
            .iter()
            .filter(|member| member.role != MemberRole::Learner);
        Quorum {
            voters: voters.clone().count(),
            healthy: voters.filter(|member| member.healthy).count(),
        }
    }
}

impl Observed {
    /// The registered node with this name.
    pub fn node(&self, name: &str) -> Option<&NodeView> {
        let mut nodes = self.nodes.iter().flatten();
        nodes.find(|node| node.name == name)
    }

    /// Whether a replica's API server is ready.
    pub fn api_ready(&self, replica: &str) -> bool {
        self.apis.get(replica).is_some_and(|api| api.ready)
    }

    /// The endpoint's address in a replica's certificate, if known.
    pub fn certified_address(&self, replica: &str) -> Option<IpAddr> {
        self.certificates.endpoints.get(replica).copied()
    }

    /// The endpoint's former address that is no longer reserved, if that is known to be so.
    pub fn lost_address(&self, intent: &Intent) -> Option<IpAddr> {
        let is_reserved = self.inventory.address.is_some();
        if is_reserved || !intent.formed || matches!(intent.spec.endpoint, Endpoint::External(_)) {
            return None;
        }
        let mut replicas = intent.replicas.iter();
        replicas.find_map(|replica| self.certified_address(&replica.name))
    }

    /// Whether clients reject a replica's certificate, because it isn't for the endpoint's address.
    pub fn is_certified_for_another(&self, intent: &Intent, replica: &str) -> bool {
        let is_external = matches!(intent.spec.endpoint, Endpoint::External(_));
        match (&self.inventory.address, self.certified_address(replica)) {
            (Some(reserved), Some(certified)) => !is_external && reserved.address != certified,
            _ => false,
        }
    }

    /// The backends that the operator's own balancer needs; empty without one.
    pub fn backends(&self, intent: &Intent) -> Vec<Backend> {
        let Endpoint::External(_) = intent.spec.endpoint else {
            return Vec::new();
        };
        let replicas = intent.replicas.iter();
        let backends = replicas.filter_map(|ReplicaIntent { name, .. }| {
            let address = self.inventory.machine(name)?.internal_address?;
            Some(Backend {
                name: name.clone(),
                at: SocketAddr::new(address, intent.spec.api.port),
                ready: self.api_ready(name),
            })
        });
        backends.collect()
    }

    /// Whether a replica may have a machine that couldn't be observed: its zone is unreachable or, for one that
    /// isn't in the intent, any zone is.
    pub fn is_hidden(&self, intent: &Intent, name: &str) -> bool {
        let inventory = &self.inventory;
        if inventory.unreachable_machines.contains_key(name) {
            return true;
        }
        let unreachable = &inventory.unreachable;
        let may_be = match intent.replica(name) {
            Some(replica) => unreachable.contains_key(&replica.zone),
            None => !unreachable.is_empty(),
        };
        may_be && self.inventory.machine(name).is_none()
    }

    /// An unreachable place with a replica, or possibly with one that isn't in the intent any more; and the reason.
    pub fn hidden_zone(&self, intent: &Intent) -> Option<(String, &str)> {
        let zones = &self.inventory.unreachable;
        let machines = &self.inventory.unreachable_machines;
        let replica = intent.replicas.iter().map(|replica| &replica.name);
        let members = self.etcd.members().iter().map(|member| &member.name);
        if let Some((name, why)) = replica
            .chain(members)
            .find_map(|name| machines.get_key_value(name))
        {
            return Some((format!("host {name}"), why));
        }
        let hides = |name: &str| self.is_hidden(intent, name);
        let mut replicas = intent.replicas.iter();
        let found = match replicas.find(|replica| hides(&replica.name)) {
            Some(replica) => zones.get_key_value(&replica.zone),
            None => {
                let members = self.etcd.members().iter().map(|member| &member.name);
                let sharers = self.holds.values().filter_map(|view| match view {
                    HoldView::Shares(arrangement) => Some(&arrangement.sharers),
                    _ => None,
                });
                let sharers = sharers.flatten().map(|sharer| &sharer.name);
                let mut names = members.chain(sharers);
                names.find(|name| hides(name)).and(zones.first_key_value())
            }
        };
        found.map(|(zone, why)| (format!("zone {zone}"), why.as_str()))
    }

    /// Whether a member's data is permanently lost, with or without its machine.
    pub fn is_lost(&self, intent: &Intent, member: &MemberView) -> bool {
        let seen = self.inventory.machine(&member.name).is_some();
        let data = self.data.get(&member.name);
        let is_lost = !seen || data.is_some_and(|data| data.kind.is_loss());
        is_lost && !self.is_hidden(intent, &member.name)
    }

    /// Members of etcd that hakube didn't create: not on a machine of the cluster, and without a name that a
    /// replica could have. Someone else may need them. A learner that never started has no name yet; it is
    /// hakube's if its peer URL is recorded in the intent.
    pub fn strangers<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a MemberView> {
        self.etcd.members().iter().filter(|member| {
            let has_machine = self.inventory.machine(&member.name).is_some();
            let is_ours = match member.started {
                true => intent.spec.may_name_replica(&member.name),
                false => (member.peer_urls.iter()).any(|url| intent.joining.contains(url)),
            };
            !has_machine && !is_ours
        })
    }
}
