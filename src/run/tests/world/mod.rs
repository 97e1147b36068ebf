//! A world in memory: a cloud, the machines in it, and the etcd that runs on them. Plain data: a clone
//! is another world with the same past.
//!
//! It is stricter than the real one. What the real one would let pass and an operator would regret (an
//! address pulled from under its clients, a leader removed, a second, empty etcd) is a violation here.

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

pub use api::{Crash, Fault, Process};
pub use cloud::Cloud;
pub use etcd::EtcdCluster;
pub use kubernetes::Pod;
pub use machine::DataDisk;
pub use store::WatchedStore;

use crate::cluster::TokenView;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The address that is reserved for the endpoint.
pub const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// A balancer of the user's own.
pub const USERS_BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// Everything that there is.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The time since it began.
    pub now: Duration,
    /// What the provider has.
    pub cloud: Cloud,
    /// What etcd's members agree on.
    pub etcd: EtcdCluster,
    /// The machines that the user put behind a balancer of their own.
    pub users_backends: Vec<String>,
    /// What etcd holds of addons.
    pub addons: BTreeMap<String, Vec<crate::addons::Object>>,
    /// What nodes may join with.
    pub tokens: Vec<TokenView>,
    /// How far the time is ahead of the test's.
    pub ahead: SignedDuration,
    /// How far the clocks of machines are ahead of that.
    pub clocks: BTreeMap<String, SignedDuration>,
    /// How many nodes never become ready.
    pub unready_nodes: usize,
    /// The replicas whose nodes are labelled.
    pub replica_nodes: BTreeSet<String>,
    /// The replicas whose API servers end as soon as they start.
    pub sick_apis: BTreeSet<String>,
    /// The nodes that take no pods.
    pub cordoned: BTreeSet<String>,
    /// The pods that a drain moves.
    pub pods: Vec<Pod>,
    /// Whether everything is meant to go.
    pub tearing_down: bool,
    /// What should never have happened, and the call that did it.
    pub violations: Vec<String>,
}

/// What no call may take away.
#[derive(Debug, Clone, Copy)]
struct Vitals {
    quorum: bool,
    endpoint: bool,
    reserved: bool,
}

/// How a call relates to the endpoint's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// It is elsewhere, or nowhere for a moment.
    Endpoint,
    /// It stays where it is.
    Nothing,
}

impl World {
    /// Does what a call does, and holds it to the invariants of docs/architecture.md.
    pub fn perform<T>(&mut self, call: &str, moves: Moves, act: impl FnOnce(&mut Self) -> T) -> T {
        self.tick();
        let before = self.vitals();
        let answer = act(self);
        self.tick();
        let after = self.vitals();
        if !self.tearing_down {
            self.forbid(before.quorum && !after.quorum, || {
                format!("{call} cost etcd its quorum")
            });
            self.forbid(before.reserved && !after.reserved, || {
                format!("{call} gave the endpoint's address away")
            });
            let cut_off = before.endpoint && !after.endpoint && moves == Moves::Nothing;
            self.forbid(cut_off, || {
                format!("{call} cut clients off from the endpoint")
            });
        }
        self.client_writes();
        answer
    }

    /// Programs start, stop, catch up and elect, as they do between calls.
    pub fn tick(&mut self) {
        self.run_machines();
        self.elect();
        self.catch_up();
    }

    /// Notes what should never have happened.
    pub fn forbid(&mut self, happened: bool, what: impl FnOnce() -> String) {
        if happened {
            let what = what();
            self.violations.push(what);
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            quorum: self.has_quorum(),
            endpoint: self.endpoint_answers(),
            reserved: self.cloud.address.is_some(),
        }
    }

    /// Whether a client of the endpoint gets an answer.
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
