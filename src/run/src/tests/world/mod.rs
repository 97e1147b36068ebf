//! A world in memory: a cloud, its machines, and their etcd. It is plain data and can be cloned.
//!
//! It is stricter than the real one. Actions that the real one would allow, but that an operator would regret, are
//! violations here: taking an address from clients, removing a leader, forming a second, empty etcd.

mod api;
mod channel;
mod cloud;
mod etcd;
mod inventory;
mod kubernetes;
mod machine;
mod members;
mod provider;
mod shared_address;
mod store;
mod trust;
mod upgrade;

pub use api::{Crash, Fault, Process};
pub use cloud::Cloud;
pub use etcd::{EtcdCluster, QUOTA};
pub use kubernetes::Pod;
pub use machine::DataDisk;
pub use store::WatchedStore;

use hakube_kubernetes::{DeadWebhook, DeprecatedApi};
use hakube_model::{DiskSpace, TokenView};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The endpoint's reserved address.
pub const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// The address that is reserved if that one is taken.
pub const ANOTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 8));

/// The operator's own balancer.
pub const USERS_BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// The whole world.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The time since it was created.
    pub now: Duration,
    /// The provider's resources.
    pub cloud: Cloud,
    /// etcd's state.
    pub etcd: EtcdCluster,
    /// The machines behind the operator's own balancer.
    pub users_backends: Vec<String>,
    /// Addons in etcd.
    pub addons: BTreeMap<String, Vec<hakube_addons::Object>>,
    /// Bootstrap tokens.
    pub tokens: Vec<TokenView>,
    /// How far the world's time is ahead of the test's.
    pub ahead: SignedDuration,
    /// How far machines' clocks are ahead of the world's time.
    pub clocks: BTreeMap<String, SignedDuration>,
    /// The number of nodes that never become ready.
    pub unready_nodes: usize,
    /// Replicas with labelled nodes.
    pub replica_nodes: BTreeSet<String>,
    /// Replicas whose API server exits as soon as it starts.
    pub failing_apis: BTreeSet<String>,
    /// The beginning of the mark of a release with which API servers exit as soon as they start.
    pub bad_release: Option<String>,
    /// Cordoned nodes.
    pub cordoned: BTreeSet<String>,
    /// Pods that a drain evicts.
    pub pods: Vec<Pod>,
    /// The disk space of machines that report it.
    pub disk_space: BTreeMap<String, DiskSpace>,
    /// Files on nodes.
    pub node_files: BTreeMap<String, BTreeMap<String, String>>,
    /// Unreachable nodes.
    pub silent_nodes: BTreeSet<String>,
    /// APIs that clients have requested and that will be removed.
    pub deprecated_apis: Vec<DeprecatedApi>,
    /// Webhooks that must answer and can't.
    pub dead_webhooks: Vec<DeadWebhook>,
    /// Whether the cluster is being deleted.
    pub tearing_down: bool,
    /// Whether a backup is being restored.
    pub restoring: bool,
    /// Violated invariants, with the call responsible.
    pub violations: Vec<String>,
}

/// The invariants that no call may break.
#[derive(Debug, Clone, Copy)]
struct Vitals {
    quorum: bool,
    endpoint: bool,
    reserved: bool,
}

/// A call's effect on the endpoint's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// It may move, or be unassigned for a moment.
    Endpoint,
    /// It stays.
    Nothing,
}

impl World {
    /// Performs a call, and checks the invariants of docs/architecture.md.
    pub fn perform<T>(&mut self, call: &str, moves: Moves, act: impl FnOnce(&mut Self) -> T) -> T {
        self.tick();
        let before = self.vitals();
        let answer = act(self);
        self.tick();
        let after = self.vitals();
        if !self.tearing_down {
            // A restore stops etcd on purpose.
            self.forbid(before.quorum && !after.quorum && !self.restoring, || {
                format!("{call} cost etcd its quorum")
            });
            self.forbid(before.reserved && !after.reserved, || {
                format!("{call} lost the endpoint's address")
            });
            let cut_off =
                before.endpoint && !after.endpoint && moves == Moves::Nothing && !self.restoring;
            self.forbid(cut_off, || {
                format!("{call} cut clients off from the endpoint")
            });
        }
        self.client_writes();
        answer
    }

    /// Programs start, stop, catch up and elect a leader, as between calls.
    pub fn tick(&mut self) {
        self.run_machines();
        self.elect();
        self.catch_up();
    }

    /// Records a violation.
    pub fn forbid(&mut self, happened: bool, what: impl FnOnce() -> String) {
        if happened {
            let what = what();
            self.violations.push(what);
        }
    }

    /// The reservation of the endpoint's address is deleted, and its holder releases it.
    pub fn lose_address(&mut self) {
        self.cloud.address = None;
        self.cloud.release_endpoint();
        self.tick();
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            quorum: self.has_quorum(),
            endpoint: self.endpoint_answers(),
            reserved: self.cloud.address.is_some(),
        }
    }

    /// Whether the endpoint responds.
    pub fn endpoint_answers(&self) -> bool {
        let cloud = &self.cloud;
        if cloud.address.is_none() {
            return false;
        }
        let ready = |name: &String| self.api_ready(name);
        let mut holders = self.holders().into_iter();
        if holders.any(|(name, _)| self.api_ready(&name)) {
            return true;
        }
        if cloud.rule.is_some() {
            // The balancer checks its backends' health.
            return cloud.backends().iter().any(ready);
        }
        cloud.holder().is_some_and(|name| ready(&name))
    }
}
