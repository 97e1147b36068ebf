//! What is there, as far as it could be seen.

use super::{
    AddonState, Backend, Certificates, Endpoint, HoldView, Intent, Quorum, ReplicaIntent,
    ServingView, Skew, TokenView,
};
use crate::machine::EtcdConditionKind;
use hakube_provider::Inventory;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Everything that was seen at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What the provider has.
    pub inventory: Inventory,
    /// etcd's members.
    pub etcd: EtcdView,
    /// The replicas whose etcd doesn't run because of its data, by their names.
    #[serde(default)]
    pub data: BTreeMap<String, DataCondition>,
    /// What etcd itself raises alarm for.
    #[serde(default)]
    pub alarms: Vec<AlarmView>,
    /// The API server of each replica that has a machine, by the replica's name.
    pub apis: BTreeMap<String, ApiView>,
    /// What each replica's machine that runs was told of the endpoint's address, where machines hold it; by the
    /// replica's name.
    #[serde(default)]
    pub holds: BTreeMap<String, HoldView>,
    /// Whether the endpoint's address answers `/readyz` with a certificate of the cluster's CA.
    pub endpoint_ready: bool,
    /// The nodes that have registered; `None` when the API couldn't be asked.
    pub nodes: Option<Vec<NodeView>>,
    /// The tokens that hakube let nodes join with; `None` when the API couldn't be asked.
    #[serde(default)]
    pub tokens: Option<Vec<TokenView>>,
    /// The addons that should be there, or are, by their names; `None` when the API couldn't be asked, or is a
    /// stand-in's.
    #[serde(default)]
    pub addons: Option<BTreeMap<String, AddonState>>,
    /// Kubelets that ask for certificates to serve with.
    #[serde(default)]
    pub serving: Vec<ServingView>,
    /// Whether the user's kubeconfig has the cluster's context with its CA and address, and a certificate that isn't
    /// about to expire.
    pub kubeconfig: bool,
    /// How far the clock of each replica is ahead of that of the operator's host, where its API server answers.
    #[serde(default)]
    pub clocks: BTreeMap<String, Skew>,
    /// What ends when.
    #[serde(default)]
    pub certificates: Certificates,
}

/// What is known of etcd.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdView {
    /// No machine exists that could run a member.
    #[default]
    Absent,
    /// Machines exist, but none of them could be asked.
    Unknown {
        /// What each of them answered.
        why: String,
    },
    /// The members, as etcd itself lists them.
    Known(Vec<MemberView>),
}

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// etcd's own id for it.
    pub id: u64,
    /// Its replica's name: taken from its peer address until it has started and says so itself.
    pub name: String,
    /// What it is in the cluster.
    pub role: MemberRole,
    /// Whether it has ever started.
    pub started: bool,
    /// Whether it answers and follows the leader.
    pub healthy: bool,
    /// The URLs by which other members reach it.
    #[serde(default)]
    pub peer_urls: Vec<String>,
}

/// Why a member's data keeps it from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCondition {
    /// What is wrong with it.
    pub kind: EtcdConditionKind,
    /// In words.
    pub why: String,
}

/// What etcd raises alarm for. It stays until it is disarmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// A member's database is as large as its quota lets it be: etcd takes no more writes.
    NoSpace,
    /// Members' data differs: etcd serves nothing.
    Corrupt,
}

/// An alarm of etcd's, which stays until somebody disarms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmView {
    /// The replica whose member it is about; etcd's id where that isn't a member any more.
    pub replica: String,
    /// What it is about.
    pub alarm: Alarm,
}

/// What a member is in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Votes, and leads.
    Leader,
    /// Votes.
    Voter,
    /// Receives the log, doesn't vote.
    Learner,
}

/// What is known of a replica's API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiView {
    /// Whether `/readyz` answers 200 with a certificate of the cluster's CA.
    pub ready: bool,
    /// Whether the program says of itself that it is a stand-in; `None` when it didn't answer.
    pub stand_in: Option<bool>,
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
    /// Whether it is labelled as the control plane's.
    pub control_plane: bool,
    /// Whether it takes no new pods.
    #[serde(default)]
    pub cordoned: bool,
    /// Whether its kubelet is a stand-in, which runs no pods.
    #[serde(default)]
    pub hollow: bool,
    /// Those of its labels that hakube has set because the inventory has them; `None` where the API server doesn't
    /// keep who set what.
    #[serde(default)]
    pub inventory_labels: Option<BTreeMap<String, String>>,
}

impl EtcdView {
    /// The members; empty when there are none or none could be asked.
    pub fn members(&self) -> &[MemberView] {
        match self {
            Self::Known(members) => members,
            Self::Absent | Self::Unknown { .. } => &[],
        }
    }

    /// The member that runs on a replica.
    pub fn member(&self, replica: &str) -> Option<&MemberView> {
        self.members().iter().find(|member| member.name == replica)
    }

    /// Voters and how many of them are healthy.
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
    /// Whether a replica's API server is ready.
    pub fn api_ready(&self, replica: &str) -> bool {
        self.apis.get(replica).is_some_and(|api| api.ready)
    }

    /// The backends that a balancer of the user's own should have; none where there is no such balancer.
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

    /// Whether a replica may have a machine that couldn't be seen: in its zone, or in any where it isn't wanted. What
    /// there is of it isn't known.
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

    /// A zone that couldn't be asked and has a replica, or may have one that should no longer be there; and why
    /// it couldn't.
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

    /// Whether a member's data is gone, with its machine or without: it never comes back as what it was.
    pub fn is_lost(&self, intent: &Intent, member: &MemberView) -> bool {
        let seen = self.inventory.machine(&member.name).is_some();
        let data = self.data.get(&member.name);
        let is_lost = !seen || data.is_some_and(|data| data.kind.is_loss());
        is_lost && !self.is_hidden(intent, &member.name)
    }

    /// Members of etcd that hakube never made: on no machine of the cluster, under a name that it gives to
    /// none. Whoever added them may need them. A learner that never started has no name yet: it is hakube's if
    /// hakube was about to add one with its URL.
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
