//! etcd members: forms, joins, promotes, removes.

use super::Execution;
use crate::wait;
use futures::future::join_all;
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_etcd::{CLIENT_PORT, EtcdError, Member, peer_url};
use hakube_machine::{self as machine, ClusterState, ETCD_CONDITION, EtcdCondition, JOIN_ENV};
use hakube_model::EtcdConditionKind;
use hakube_output::Event;
use hakube_provider::{Machine, MachineRef};
use std::time::Duration;
use tokio::time::Instant;

/// A little more than the 5 s for which etcd wants every voter connected before a membership change.
const HEALTH_INTERVAL: Duration = Duration::from_secs(8);

/// How a member starts.
#[derive(Clone, Copy)]
enum Joins {
    AsVoter,
    AsLearner,
}

impl Execution<'_> {
    /// Starts the first member of a new etcd cluster.
    pub(super) async fn form_etcd(&self, machine: &MachineRef) -> Result<()> {
        let own = (
            machine.name.clone(),
            peer_url(self.own_address(machine).await?),
        );
        let membership = self.first_membership(machine).await?;
        let join = machine::join_env(
            &self.intent.spec.mark(),
            &membership,
            &[own],
            ClusterState::New,
        );
        self.means.channel.put(machine, &[join]).await?;
        self.await_member(machine, Joins::AsVoter).await?;
        self.ledger.etcd_is_formed().await
    }

    /// The membership that the first member starts with. A member may start without data only once, so a retry reuses
    /// the membership. A new one is needed if the machine's gate reports that power failed before etcd wrote data.
    async fn first_membership(&self, machine: &MachineRef) -> Result<String> {
        let join = self.means.channel.read(machine, JOIN_ENV).await?;
        let join = String::from_utf8(join.unwrap_or_default()).unwrap_or_default();
        let used_up = self.etcd_condition(machine).await;
        let used_up = used_up.filter(|condition| condition.kind == EtcdConditionKind::Gone);
        let used_up = used_up.map(|condition| condition.membership);
        Ok(match machine::membership_in(&join) {
            Some(before) if used_up.as_deref() != Some(before) => before.to_owned(),
            _ => machine::first_membership(&self.intent.spec.mark(), rand::random()),
        })
    }

    /// The gate's report on why etcd's data keeps it from starting, if the machine is reachable.
    pub(super) async fn etcd_condition(&self, machine: &MachineRef) -> Option<EtcdCondition> {
        let content = self
            .means
            .channel
            .read(machine, ETCD_CONDITION)
            .await
            .ok()?;
        EtcdCondition::parse(&String::from_utf8_lossy(&content?))
    }

    /// Joins as a learner, which doesn't count towards quorum.
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
        let membership = machine::membership(&self.intent.spec.mark(), own.id);
        let list: Vec<(String, String)> = members
            .iter()
            .flat_map(|member| {
                let name = self.replica_of(member);
                let peers = member.peer_urls.iter();
                peers.map(move |peer| (name.clone(), peer.clone()))
            })
            .collect();
        let join = machine::join_env(
            &self.intent.spec.mark(),
            &membership,
            &list,
            ClusterState::Existing,
        );
        self.means.channel.put(machine, &[join]).await?;
        self.await_member(machine, Joins::AsLearner).await
    }

    /// etcd refuses a membership change within 5 s of the last member's start. Reports that wait.
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
                "waited {:.1} s for etcd: it accepts a new member only after 5 s of stable connections",
                started.elapsed().as_secs_f64()
            )));
        }
        Ok(())
    }

    /// Waits until a member that was started knows a leader.
    async fn await_member(&self, machine: &MachineRef, role: Joins) -> Result<()> {
        let door = self.door(machine, CLIENT_PORT).await?;
        let what = format!("etcd on {}", machine.name);
        let answered = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let status = match role {
                Joins::AsVoter => self.means.etcd.status(&door).await,
                Joins::AsLearner => self.means.etcd.learner_status(&door).await,
            };
            match status {
                Ok(status) if status.leader == 0 => Err("it has no leader yet".to_owned()),
                status => status.map(drop).map_err(|error| error.to_string()),
            }
        });
        match answered.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }

    /// Promotes the learner once it has caught up. From then on it must never start without its data.
    pub(super) async fn promote_member(&self, machine: &MachineRef) -> Result<()> {
        let url = peer_url(self.own_address(machine).await?);
        let via = self.others(&machine.name).await?;
        let members = self.members(&via).await?;
        let own = members
            .iter()
            .find(|member| member.peer_urls.contains(&url));
        if let Some(own) = own.filter(|own| own.learner) {
            let membership = machine::membership(&self.intent.spec.mark(), own.id);
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
            // Old versions of etcd promote a learner that never started, and lose quorum. A member has a name once it
            // has started, but seconds later if the first attempt to publish it is lost. If it responds, it started.
            if own.name.is_empty() && !self.responds_as(machine, own.id).await {
                return Err("it hasn't started".to_owned());
            }
            match self.means.etcd.promote(&via, own.id).await {
                Ok(()) | Err(EtcdError::NotLearner) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Whether this machine's etcd responds as this learner, and knows a leader.
    async fn responds_as(&self, machine: &MachineRef, learner: u64) -> bool {
        let Ok(door) = self.door(machine, CLIENT_PORT).await else {
            return false;
        };
        let status = self.means.etcd.learner_status(&door).await;
        status.is_ok_and(|status| status.id == learner && status.leader != 0)
    }

    /// Moves leadership to another healthy voter. Without this, removing the leader stops writes for seconds.
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
                let Some(own) = members.iter().find(|one| self.replica_of(one) == from) else {
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
                    .ok_or("no other voter responds")?;
                if successor.leader != own.id {
                    return Ok(());
                }
                let leader = self
                    .directory
                    .machine(from)
                    .ok_or("its machine is missing")?;
                let leader = self.means.channel.reach(&leader, CLIENT_PORT).await;
                let leader = leader.map_err(|error| error.to_string())?;
                let moved = self.means.etcd.move_leader(&leader, successor.id).await;
                moved.map_err(|error| error.to_string())?;
                Err("it is moving".to_owned())
            },
        )
        .await
    }

    /// The name of its replica. A member publishes its own some time after it has started.
    fn replica_of(&self, member: &Member) -> String {
        let runs_it = |machine: &Machine| {
            let url = machine.internal_address.map(peer_url);
            url.is_some_and(|url| member.peer_urls.contains(&url))
        };
        let machine = self.directory.all().into_iter().find(runs_it);
        machine.map_or_else(|| member.name.clone(), |machine| machine.name)
    }

    async fn status(&self, member: &Member) -> Option<hakube_etcd::MemberStatus> {
        let machine = self.directory.machine(&self.replica_of(member))?;
        let door = self.means.channel.reach(&machine, CLIENT_PORT).await.ok()?;
        self.means.etcd.status(&door).await.ok()
    }

    /// Removed through another member: a member that removes itself can't confirm it.
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
            let error = Error::failed("could not list etcd's members").because(error);
            if transient { error.transient() } else { error }
        })
    }

    /// Connections to etcd on all other reachable replicas. An error if none is reachable.
    pub(super) async fn others(&self, replica: &str) -> Result<Vec<Door>> {
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

    /// etcd's refusal, with the unhealthy members.
    async fn refused(&self, what: &str, error: EtcdError) -> Error {
        let unhealthy = matches!(error, EtcdError::Unhealthy(_));
        let transient = error.is_transient() && !unhealthy;
        let mut out = Error::failed(format!("could not {what}")).because(error);
        if unhealthy {
            for machine in self.directory.all() {
                let name = &machine.name;
                match self.means.channel.reach(&machine, CLIENT_PORT).await {
                    Ok(door) => {
                        if let Err(error) = self.means.etcd.status(&door).await {
                            out = out.because(format!("{name} is unhealthy: {error}"));
                        }
                    }
                    Err(error) => out = out.because(format!("{name} is unreachable: {error}")),
                }
            }
            out = out.hint("check which replica is down: hakube status");
        }
        if transient { out.transient() } else { out }
    }
}
