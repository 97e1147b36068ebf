//! What etcd's members agree on, and how its data fares.

use super::World;
use crate::cluster::Alarm;
use std::time::Duration;

/// etcd wants voters connected for so long before its members change.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// What a learner takes to catch up.
pub const CATCH_UP: Duration = Duration::from_millis(400);

/// The members.
#[derive(Debug, Clone, Default)]
pub struct EtcdCluster {
    /// In the order in which they were added.
    pub members: Vec<MemberRecord>,
    /// Who leads.
    pub leader: Option<u64>,
    /// Whether it ever held data.
    pub formed: bool,
    /// The alarms that are raised.
    pub alarms: Vec<(u64, Alarm)>,
    /// How many writes clients were told of.
    pub acknowledged: u64,
    made: u64,
}

/// A member.
#[derive(Debug, Clone)]
pub struct MemberRecord {
    /// etcd's id for it.
    pub id: u64,
    /// Its name; empty until it starts.
    pub name: String,
    /// Its peer URL.
    pub url: String,
    /// Whether it doesn't vote.
    pub learner: bool,
    /// How many of the acknowledged writes it has.
    pub log: u64,
}

impl MemberRecord {
    /// Whether it has ever started.
    pub fn is_started(&self) -> bool {
        !self.name.is_empty()
    }
}

impl EtcdCluster {
    /// The member of that id.
    pub fn member(&self, id: u64) -> Option<&MemberRecord> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = &MemberRecord> {
        self.members.iter().filter(|member| !member.learner)
    }

    /// Adds a member, as `member add` does.
    pub fn add(&mut self, name: &str, url: &str, learner: bool) -> u64 {
        self.made += 1;
        let (name, url) = (name.to_owned(), url.to_owned());
        self.members.push(MemberRecord {
            id: self.made,
            name,
            url,
            learner,
            log: 0,
        });
        self.made
    }
}

impl World {
    /// Since when a member runs.
    pub fn runs_since(&self, member: u64) -> Option<Duration> {
        let running = self
            .cloud
            .machines
            .values()
            .filter_map(|machine| machine.etcd);
        running
            .filter(|(id, _)| *id == member)
            .map(|(_, since)| since)
            .next()
    }

    /// Whether writes can be committed.
    pub fn has_quorum(&self) -> bool {
        let voters = self.etcd.voters().count();
        let running = self
            .etcd
            .voters()
            .filter(|voter| self.runs_since(voter.id).is_some())
            .count();
        voters > 0 && running > voters / 2
    }

    /// Whether etcd would keep its quorum without that machine.
    pub fn survives_without(&self, machine: &str) -> bool {
        let mut without = self.clone();
        if let Some(machine) = without.cloud.machines.get_mut(machine) {
            machine.etcd = None;
        }
        without.has_quorum()
    }

    /// The running voter with the longest log leads.
    pub(super) fn elect(&mut self) {
        let running = |id: u64| self.runs_since(id).is_some();
        let leads = self.etcd.leader.and_then(|id| self.etcd.member(id));
        if leads.is_some_and(|leader| !leader.learner && running(leader.id)) && self.has_quorum() {
            return;
        }
        let candidates = self.etcd.voters().filter(|voter| running(voter.id));
        let next = candidates
            .max_by_key(|voter| voter.log)
            .map(|voter| (voter.id, voter.log));
        let next = next.filter(|_| self.has_quorum());
        if let Some((id, log)) = next {
            let promised = self.etcd.acknowledged;
            self.forbid(log < promised, || {
                format!("member {id} leads with {log} of {promised} acknowledged writes")
            });
        }
        self.etcd.leader = next.map(|(id, _)| id);
    }

    /// Members that run receive the leader's log.
    pub(super) fn catch_up(&mut self) {
        let Some(log) = self
            .etcd
            .leader
            .and_then(|id| self.etcd.member(id))
            .map(|leader| leader.log)
        else {
            return;
        };
        for index in 0..self.etcd.members.len() {
            if self.is_in_sync(self.etcd.members[index].id) {
                self.etcd.members[index].log = log;
            }
        }
    }

    /// Whether a member has received everything.
    pub fn is_in_sync(&self, member: u64) -> bool {
        let learner = self
            .etcd
            .member(member)
            .is_some_and(|member| member.learner);
        let needs = if learner { CATCH_UP } else { Duration::ZERO };
        self.etcd.leader.is_some()
            && self
                .runs_since(member)
                .is_some_and(|since| since + needs <= self.now)
    }

    /// A client writes whenever it can, and remembers what it was told.
    pub(super) fn client_writes(&mut self) {
        if self.etcd.leader.is_none() {
            return;
        }
        self.etcd.acknowledged += 1;
        let leader = self.etcd.leader;
        if let Some(leader) = self
            .etcd
            .members
            .iter_mut()
            .find(|member| Some(member.id) == leader)
        {
            leader.log += 1;
        }
        self.catch_up();
    }
}
