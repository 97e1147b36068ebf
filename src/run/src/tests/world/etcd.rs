//! etcd's members and their data.

use super::World;
use hakube_model::{Alarm, DatabaseSize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long etcd wants voters connected before a membership change.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// A database's quota: the default setting.
pub const QUOTA: u64 = 4 << 30;
/// How long a learner takes to catch up.
pub const CATCH_UP: Duration = Duration::from_millis(400);

/// The members.
#[derive(Debug, Clone, Default)]
pub struct EtcdCluster {
    /// In the order in which they were added.
    pub members: Vec<MemberRecord>,
    /// The leader's id.
    pub leader: Option<u64>,
    /// Whether it ever held data.
    pub formed: bool,
    /// The raised alarms.
    pub alarms: Vec<(u64, Alarm)>,
    /// The sizes of members' databases by id, if they aren't negligible.
    pub databases: BTreeMap<u64, DatabaseSize>,
    /// The size of the current data in each, which compaction keeps.
    pub current: u64,
    /// The defragmented members, in order.
    pub defragmented: Vec<u64>,
    /// The number of acknowledged writes.
    pub acknowledged: u64,
    /// Whether the member list has no names of later members yet: their first attempt to publish one was lost.
    pub publishes_late: bool,
    /// hakube's own keys.
    pub keys: BTreeMap<String, Vec<u8>>,
    made: u64,
}

#[derive(Debug, Clone)]
pub struct MemberRecord {
    /// Its id in etcd.
    pub id: u64,
    /// Its name; empty until it starts.
    pub name: String,
    /// Its peer URL.
    pub url: String,
    pub learner: bool,
    /// The number of acknowledged writes that it has.
    pub log: u64,
}

impl MemberRecord {
    /// Whether it has ever started.
    pub fn is_started(&self) -> bool {
        !self.name.is_empty()
    }
}

impl EtcdCluster {
    pub fn member(&self, id: u64) -> Option<&MemberRecord> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &MemberRecord> {
        self.members.iter().filter(|member| !member.learner)
    }

    /// Fills every member's database to its quota, and raises the alarm. `current` is the size of the current data.
    pub fn fill(&mut self, current: u64) {
        let full = DatabaseSize {
            bytes: QUOTA,
            in_use: QUOTA,
            quota: None,
        };
        let ids: Vec<u64> = self.members.iter().map(|member| member.id).collect();
        self.databases = ids.iter().map(|id| (*id, full)).collect();
        self.current = current;
        self.alarms = vec![(ids[0], Alarm::NoSpace)];
    }

    /// Compacts the history.
    pub fn compact(&mut self) {
        for database in self.databases.values_mut() {
            database.in_use = database.in_use.min(self.current);
        }
    }

    /// Adds a member, like `member add`.
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
    /// The size of a member's database.
    pub fn database_of(&self, id: u64) -> DatabaseSize {
        self.etcd.databases.get(&id).copied().unwrap_or_default()
    }

    /// Defragments a member. The leader must be last, because writes wait for it.
    pub fn defragment(&mut self, id: u64) {
        if let Some(database) = self.etcd.databases.get_mut(&id) {
            database.bytes = database.in_use;
        }
        self.etcd.defragmented.push(id);
        let voters = self.etcd.voters().count();
        let was_early = self.etcd.leader == Some(id) && self.etcd.defragmented.len() < voters;
        self.forbid(was_early, || {
            format!("member {id} was defragmented before its followers")
        });
    }

    /// Disarms an alarm. There must be room.
    pub fn disarm(&mut self, alarm: Alarm) {
        self.etcd.alarms.retain(|(_, raised)| *raised != alarm);
        let mut databases = self.etcd.databases.values();
        let is_full = databases.any(|database| database.is_full(QUOTA));
        self.forbid(is_full, || "NOSPACE was disarmed without room".to_owned());
    }

    /// The time since which a member has been running.
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

    /// Whether etcd accepts writes.
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

    /// Elects the running voter with the longest log.
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

    /// Running members receive the leader's log.
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

    /// Whether a member has the whole log.
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

    /// A client writes if it can, and counts acknowledged writes.
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
