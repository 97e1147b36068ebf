//! etcd's membership, with etcd's refusals in etcd's order.

use super::api::Process;
use super::etcd::HEALTH_INTERVAL;
use super::machine::ETCD;
use super::{Moves::Nothing, World};
use async_trait::async_trait;
use hakube_channel::Door;
use hakube_etcd::{Etcd, EtcdError, EtcdResult, Member, MemberStatus};
use hakube_model::Alarm;
use sha2::Digest as _;
use std::net::IpAddr;
use std::time::Duration;

impl World {
    fn member_at(&self, address: IpAddr) -> Option<u64> {
        let machine = self
            .cloud
            .machines
            .values()
            .find(|machine| machine.address == address)?;
        if !self.is_trusted(machine, ETCD) {
            return None;
        }
        machine.etcd.map(|(id, _)| id)
    }

    /// One of these voters, if etcd has quorum.
    fn through(&self, via: &[Door]) -> EtcdResult<u64> {
        let voters = via
            .iter()
            .filter_map(|door| self.member_at(door.at.ip()))
            .filter(|id| self.votes(*id));
        match voters.into_iter().next() {
            Some(id) if self.has_quorum() => Ok(id),
            Some(_) => Err(unreachable("etcdserver: request timed out")),
            None => Err(unreachable("connection refused")),
        }
    }

    fn votes(&self, id: u64) -> bool {
        self.etcd.member(id).is_some_and(|member| !member.learner)
    }

    fn connected(&self, id: u64) -> bool {
        self.runs_since(id)
            .is_some_and(|since| since + HEALTH_INTERVAL <= self.now)
    }

    fn add_learner(&mut self, url: &str) -> EtcdResult<u64> {
        if !self.etcd.voters().all(|voter| self.connected(voter.id)) {
            return Err(EtcdError::Unhealthy(
                "etcdserver: unhealthy cluster".to_owned(),
            ));
        }
        if self.etcd.members.iter().any(|member| member.url == url) {
            return Err(EtcdError::Exists);
        }
        if self.etcd.members.iter().any(|member| member.learner) {
            return Err(EtcdError::TooManyLearners);
        }
        Ok(self.etcd.add("", url, true))
    }

    fn status_of(&self, at: &Door) -> EtcdResult<MemberStatus> {
        let id = self.member_at(at.at.ip());
        let id = id.ok_or_else(|| unreachable("connection refused"))?;
        Ok(MemberStatus {
            id,
            leader: self.etcd.leader.unwrap_or_default(),
            // The version in env/gce.env.
            version: "3.6.6".to_owned(),
            database: self.database_of(id),
            revision: 1,
        })
    }

    fn promote(&mut self, id: u64) -> EtcdResult<()> {
        let in_sync = self.is_in_sync(id);
        let member = self
            .etcd
            .members
            .iter_mut()
            .find(|member| member.id == id)
            .ok_or(EtcdError::NotFound)?;
        if !member.learner {
            return Err(EtcdError::NotLearner);
        }
        if in_sync {
            member.learner = false;
            return Ok(());
        }
        let unstarted = !member.is_started();
        // Old versions of etcd would promote it, and lose quorum.
        self.forbid(unstarted, || {
            format!("member {id} was to vote before it started")
        });
        Err(EtcdError::NotInSync)
    }

    fn remove_member(&mut self, through: u64, id: u64) -> EtcdResult<()> {
        // By the trait's contract, removing a missing member succeeds.
        let Some(member) = self.etcd.member(id).cloned() else {
            return Ok(());
        };
        if !member.learner {
            let others = self.etcd.voters().filter(|voter| voter.id != id).count();
            let started = self
                .etcd
                .voters()
                .filter(|voter| voter.id != id && voter.is_started())
                .count();
            if others == 0 || started < others / 2 + 1 {
                return Err(EtcdError::Other(
                    "re-configuration failed due to not enough started members".to_owned(),
                ));
            }
            let active = self
                .etcd
                .voters()
                .filter(|voter| voter.id != id && self.connected(voter.id))
                .count();
            if self.runs_since(id).is_some() && active < others / 2 + 1 {
                return Err(EtcdError::Unhealthy(
                    "etcdserver: unhealthy cluster".to_owned(),
                ));
            }
        }
        let leads = self.etcd.leader == Some(id);
        self.forbid(leads, || {
            format!("member {id} was removed while it led: writes stop for seconds")
        });
        self.forbid(through == id, || {
            format!("member {id} was removed through itself")
        });
        self.etcd.members.retain(|member| member.id != id);
        Ok(())
    }
}

#[async_trait]
impl Etcd for Process {
    async fn members(&self, via: &[Door]) -> EtcdResult<Vec<Member>> {
        self.call("etcd: list members", Nothing, |world| {
            world.through(via)?;
            let late = world.etcd.publishes_late;
            let members = world.etcd.members.iter().enumerate();
            let members = members.map(|(place, member)| Member {
                id: member.id,
                name: if late && place > 0 {
                    String::new()
                } else {
                    member.name.clone()
                },
                peer_urls: vec![member.url.clone()],
                learner: member.learner,
            });
            Ok(members.collect())
        })
        .await
    }

    async fn status(&self, at: &Door) -> EtcdResult<MemberStatus> {
        let call = format!("etcd: status of {}", at.at.ip());
        self.call(&call, Nothing, |world| {
            // A linearizable read comes first, which learners refuse.
            let status = world.status_of(at)?;
            world.through(std::slice::from_ref(at))?;
            Ok(status)
        })
        .await
    }

    async fn learner_status(&self, at: &Door) -> EtcdResult<MemberStatus> {
        let call = format!("etcd: status of {}", at.at.ip());
        self.call(&call, Nothing, |world| world.status_of(at)).await
    }

    async fn alarms(&self, via: &[Door]) -> EtcdResult<Vec<(u64, Alarm)>> {
        self.look(|world| {
            world.through(via)?;
            Ok(world.etcd.alarms.clone())
        })
        .await
    }

    async fn get(&self, via: &[Door], key: &str) -> EtcdResult<Option<Vec<u8>>> {
        self.look(|world| {
            world.through(via)?;
            Ok(world.etcd.keys.get(key).cloned())
        })
        .await
    }

    async fn put(&self, via: &[Door], key: &str, value: Vec<u8>) -> EtcdResult<()> {
        self.call(&format!("etcd: put {key}"), Nothing, |world| {
            world.through(via)?;
            world.etcd.keys.insert(key.to_owned(), value);
            Ok(())
        })
        .await
    }

    async fn compact(&self, via: &[Door], _: Duration) -> EtcdResult<()> {
        self.call("etcd: compact", Nothing, |world| {
            world.through(via)?;
            world.etcd.compact();
            Ok(())
        })
        .await
    }

    async fn defragment(&self, at: &Door, _: Duration) -> EtcdResult<()> {
        self.call(
            &format!("etcd: defragment {}", at.machine),
            Nothing,
            |world| {
                let id = world
                    .member_at(at.at.ip())
                    .ok_or_else(|| unreachable("connection refused"))?;
                world.defragment(id);
                Ok(())
            },
        )
        .await
    }

    async fn disarm(&self, via: &[Door], alarm: Alarm) -> EtcdResult<()> {
        self.call("etcd: disarm", Nothing, |world| {
            world.through(via)?;
            world.disarm(alarm);
            Ok(())
        })
        .await
    }

    async fn add_learner(&self, via: &[Door], peer_url: &str) -> EtcdResult<u64> {
        self.call("etcd: add a learner", Nothing, |world| {
            world.through(via)?;
            world.add_learner(peer_url)
        })
        .await
    }

    async fn promote(&self, via: &[Door], member: u64) -> EtcdResult<()> {
        self.call("etcd: promote", Nothing, |world| {
            world.through(via)?;
            world.promote(member)
        })
        .await
    }

    async fn remove(&self, via: &[Door], member: u64) -> EtcdResult<()> {
        self.call("etcd: remove a member", Nothing, |world| {
            let through = world.through(via)?;
            world.remove_member(through, member)
        })
        .await
    }

    async fn snapshot(&self, at: &Door, _: Duration) -> EtcdResult<Vec<u8>> {
        self.look(|world| {
            let id = world
                .member_at(at.at.ip())
                .ok_or_else(|| unreachable("connection refused"))?;
            let log = world.etcd.member(id).map_or(0, |member| member.log);
            let mut data = log.to_be_bytes().to_vec();
            data.extend(serde_json::to_vec(&world.etcd.keys).unwrap());
            data.resize(data.len().next_multiple_of(512), 0);
            let sum = sha2::Sha256::digest(&data);
            data.extend_from_slice(&sum);
            Ok(data)
        })
        .await
    }

    async fn move_leader(&self, leader: &Door, to: u64) -> EtcdResult<()> {
        self.call("etcd: move the leader", Nothing, |world| {
            let at = world
                .member_at(leader.at.ip())
                .ok_or_else(|| unreachable("connection refused"))?;
            if world.etcd.leader != Some(at) {
                return Err(EtcdError::Other("etcdserver: not leader".to_owned()));
            }
            if !world.votes(to) || !world.is_in_sync(to) {
                return Err(EtcdError::Other(
                    "etcdserver: bad leader transferee".to_owned(),
                ));
            }
            world.etcd.leader = Some(to);
            Ok(())
        })
        .await
    }
}

fn unreachable(why: &str) -> EtcdError {
    EtcdError::Unreachable {
        at: "its members".to_owned(),
        why: why.to_owned(),
    }
}
