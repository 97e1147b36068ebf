//! etcd's members: formed, joined, promoted, removed.

use super::Execution;
use crate::channel::Door;
use crate::error::{Error, Result};
use crate::etcd::{CLIENT_PORT, EtcdError, Member, peer_url};
use crate::machine::{self, ETCD_CONDITION, EtcdCondition, EtcdConditionKind, JOIN_ENV};
use crate::output::Event;
use crate::run::wait;
use futures::future::join_all;
use hakube_provider::MachineRef;
use std::time::Duration;
use tokio::time::Instant;

/// etcd wants every voter connected for 5 s before it lets its members change; a little more.
const HEALTH_INTERVAL: Duration = Duration::from_secs(8);

impl Execution<'_> {
    /// The first member of a new etcd.
    pub(super) async fn form_etcd(&self, machine: &MachineRef) -> Result<()> {
        let own = (
            machine.name.clone(),
            peer_url(self.own_address(machine).await?),
        );
        let membership = self.first_membership(machine).await?;
        let join = machine::join_env(&self.intent.spec.cluster, &membership, &[own], false);
        self.means.channel.put(machine, &[join]).await?;
        self.await_member(machine, false).await?;
        self.ledger.etcd_is_formed().await
    }

    /// As whom the first member starts. It has one start without data, so the same again whenever this is tried
    /// again; and another once the gate says that power failed before etcd made anything of it.
    async fn first_membership(&self, machine: &MachineRef) -> Result<String> {
        let join = self.means.channel.read(machine, JOIN_ENV).await?;
        let join = String::from_utf8(join.unwrap_or_default()).unwrap_or_default();
        let used_up = self.etcd_condition(machine).await;
        let used_up = used_up.filter(|condition| condition.kind == EtcdConditionKind::Gone);
        let used_up = used_up.map(|condition| condition.membership);
        Ok(match machine::membership_in(&join) {
            Some(before) if used_up.as_deref() != Some(before) => before.to_owned(),
            _ => machine::first_membership(&self.intent.spec.cluster, rand::random()),
        })
    }

    /// What the gate says of a member that doesn't run because of its data, if it can be asked.
    pub(super) async fn etcd_condition(&self, machine: &MachineRef) -> Option<EtcdCondition> {
        let told = self
            .means
            .channel
            .read(machine, ETCD_CONDITION)
            .await
            .ok()?;
        EtcdCondition::parse(&String::from_utf8_lossy(&told?))
    }

    /// A learner: it receives the log, and changes no quorum until it votes.
    pub(super) async fn join_etcd(&self, machine: &MachineRef) -> Result<()> {
        let url = peer_url(self.own_address(machine).await?);
        let via = self.others(&machine.name).await?;
        let mut members = self.members(&via).await?;
        if !members.iter().any(|member| member.peer_urls.contains(&url)) {
            self.ledger.learner_joins(&url).await?;
            self.add_learner(machine, &via, &url).await?;
            members = self.members(&via).await?;
        }
        let own = members
            .iter()
            .find(|member| member.peer_urls.contains(&url))
            .ok_or_else(|| {
                let name = &machine.name;
                Error::failed(format!(
                    "etcd doesn't list the member that was added for {name}"
                ))
                .transient()
            })?;
        let membership = machine::membership(&self.intent.spec.cluster, own.id);
        let list: Vec<(String, String)> = members
            .iter()
            .flat_map(|member| member.peer_urls.iter().map(|peer| (peer, &member.name)))
            .map(|(peer, name)| {
                // A member has no name until it starts, and this one hasn't.
                let name = if *peer == url { &machine.name } else { name };
                (name.clone(), peer.clone())
            })
            .collect();
        let join = machine::join_env(&self.intent.spec.cluster, &membership, &list, true);
        self.means.channel.put(machine, &[join]).await?;
        self.await_member(machine, true).await
    }

    /// etcd refuses any change within 5 s of the last member's start. That wait is etcd's, and is told
    /// apart from ours.
    async fn add_learner(&self, machine: &MachineRef, via: &[Door], url: &str) -> Result<()> {
        let started = Instant::now();
        let mut waited = false;
        loop {
            match self.means.etcd.add_learner(via, url).await {
                Ok(_) | Err(EtcdError::Exists) => break,
                Err(EtcdError::Unhealthy(_)) if started.elapsed() < HEALTH_INTERVAL => {
                    waited = true
                }
                Err(error) => {
                    return Err(self
                        .refused(&format!("add {} to etcd", machine.name), error)
                        .await);
                }
            }
            tokio::time::sleep(self.means.pace).await;
        }
        if waited {
            self.reporter.event(&Event::note(format!(
                "waited {:.1} s for etcd, which wants its members connected for 5 s before another joins",
                started.elapsed().as_secs_f64()
            )));
        }
        Ok(())
    }

    async fn await_member(&self, machine: &MachineRef, learner: bool) -> Result<()> {
        let door = self.door(machine, CLIENT_PORT).await?;
        let what = format!("etcd on {}", machine.name);
        let answered = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let status = self
                .means
                .etcd
                .status(&door, learner)
                .await
                .map_err(|error| error.to_string())?;
            if status.leader == 0 {
                Err("it follows no leader yet".to_owned())
            } else {
                Ok(())
            }
        });
        match answered.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }

    /// The learner votes as soon as it has caught up. From then on it must never start without its data.
    pub(super) async fn promote_member(&self, machine: &MachineRef) -> Result<()> {
        let url = peer_url(self.own_address(machine).await?);
        let via = self.others(&machine.name).await?;
        let members = self.members(&via).await?;
        let own = members
            .iter()
            .find(|member| member.peer_urls.contains(&url));
        if let Some(own) = own.filter(|own| own.learner) {
            let membership = machine::membership(&self.intent.spec.cluster, own.id);
            let used_up = machine::start_used_up(&membership);
            self.means.channel.put(machine, &[used_up]).await?;
        }
        let what = format!("the learner on {} to catch up", machine.name);
        wait::until(&what, self.means.timeout, self.means.pace, async || {
            let members = self
                .means
                .etcd
                .members(&via)
                .await
                .map_err(|error| error.to_string())?;
            let own = members
                .iter()
                .find(|member| member.peer_urls.contains(&url));
            let own = own.ok_or("etcd doesn't list it")?;
            if own.name.is_empty() {
                // Old versions would give a vote to a learner that never started, and lose quorum.
                return Err("it hasn't started".to_owned());
            }
            match self.means.etcd.promote(&via, own.id).await {
                Ok(()) | Err(EtcdError::NotLearner) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Another healthy voter leads: removing a leader stops writes for seconds, handing over doesn't.
    pub(super) async fn hand_leadership(&self, from: &str) -> Result<()> {
        let via = self.others(from).await?;
        let what = format!("etcd's leadership to leave {from}");
        wait::until(
            &what,
            self.means.timeout.min(HEALTH_INTERVAL * 2),
            self.means.pace,
            async || {
                let members = self
                    .means
                    .etcd
                    .members(&via)
                    .await
                    .map_err(|error| error.to_string())?;
                let Some(own) = members.iter().find(|member| member.name == from) else {
                    return Ok(());
                };
                let voters = members
                    .iter()
                    .filter(|member| !member.learner && member.id != own.id);
                let statuses = join_all(voters.map(|voter| self.status(voter))).await;
                let successor = statuses
                    .into_iter()
                    .flatten()
                    .next()
                    .ok_or("no other voter answers")?;
                if successor.leader != own.id {
                    return Ok(());
                }
                let leader = self.directory.machine(from).ok_or("its machine is gone")?;
                let leader = self.means.channel.reach(&leader, CLIENT_PORT).await;
                let leader = leader.map_err(|error| error.to_string())?;
                let moved = self.means.etcd.move_leader(&leader, successor.id).await;
                moved.map_err(|error| error.to_string())?;
                Err("it is moving".to_owned())
            },
        )
        .await
    }

    async fn status(&self, member: &Member) -> Option<crate::etcd::MemberStatus> {
        let machine = self.directory.machine(&member.name)?;
        let door = self.means.channel.reach(&machine, CLIENT_PORT).await.ok()?;
        self.means.etcd.status(&door, false).await.ok()
    }

    /// Removed through another member: one that removes itself can't tell whether it worked.
    pub(super) async fn remove_member(&self, replica: &str, member: u64) -> Result<()> {
        let via = self.others(replica).await?;
        let started = Instant::now();
        loop {
            match self.means.etcd.remove(&via, member).await {
                Ok(()) => return Ok(()),
                Err(EtcdError::Unhealthy(_)) if started.elapsed() < HEALTH_INTERVAL => {}
                Err(error) => {
                    return Err(self
                        .refused(&format!("remove {replica} from etcd"), error)
                        .await);
                }
            }
            tokio::time::sleep(self.means.pace).await;
        }
    }

    async fn members(&self, via: &[Door]) -> Result<Vec<Member>> {
        self.means.etcd.members(via).await.map_err(|error| {
            let transient = error.is_transient();
            let error = Error::failed("could not ask etcd for its members").because(error);
            if transient { error.transient() } else { error }
        })
    }

    /// The doors to etcd on all replicas but one. One that can't be reached is left out; that none can
    /// is an error.
    async fn others(&self, replica: &str) -> Result<Vec<Door>> {
        let mut others = self.directory.all();
        others.retain(|machine| machine.name != replica && machine.internal_address.is_some());
        let reached = others
            .iter()
            .map(|machine| self.means.channel.reach(machine, CLIENT_PORT));
        let (open, closed): (Vec<_>, Vec<_>) =
            join_all(reached).await.into_iter().partition(Result::is_ok);
        match closed.into_iter().next() {
            Some(Err(error)) if open.is_empty() => Err(error),
            _ => Ok(open.into_iter().flatten().collect()),
        }
    }

    /// etcd's refusal, with the member that it is about when that can be seen.
    async fn refused(&self, what: &str, error: EtcdError) -> Error {
        let unhealthy = matches!(error, EtcdError::Unhealthy(_));
        let transient = error.is_transient() && !unhealthy;
        let mut out = Error::failed(format!("could not {what}")).because(error);
        if unhealthy {
            for machine in self.directory.all() {
                let name = &machine.name;
                match self.means.channel.reach(&machine, CLIENT_PORT).await {
                    Ok(door) => {
                        if let Err(error) = self.means.etcd.status(&door, false).await {
                            out = out.because(format!("{name} doesn't take part: {error}"));
                        }
                    }
                    Err(error) => out = out.because(format!("{name} can't be asked: {error}")),
                }
            }
            out = out.hint("see which replica is down: hakube status");
        }
        if transient { out.transient() } else { out }
    }
}
