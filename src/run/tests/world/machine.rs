//! Machines, the files on them, and the programs that these files start.

use super::World;
use crate::etcd::peer_url;
use crate::machine::{
    ARRANGEMENT, ETCD_CONDITION, ETCD_STARTED, JOIN_ENV, REPLICA_ENV, START, membership_in,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// From being made to taking files.
pub const BOOT: Duration = Duration::from_secs(2);

/// What API servers and etcd show to clients.
const API_SERVER: &str = "/etc/kubernetes/pki/apiserver.crt";
pub(super) const ETCD: &str = "/etc/kubernetes/pki/etcd/server.crt";

/// A machine.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its zone.
    pub zone: String,
    /// Its own address.
    pub address: IpAddr,
    /// Whether it has no external address: the endpoint's is one more inside the network.
    pub private: bool,
    /// Whether the endpoint's address is on it.
    pub holds_endpoint: bool,
    /// Its data disk.
    pub disk: Option<String>,
    /// When it has booted; `None` while it is stopped.
    pub boots: Option<Duration>,
    /// What the channel put on its boot disk.
    pub files: BTreeMap<String, String>,
    /// The member that runs on it, and since when.
    pub etcd: Option<(u64, Duration)>,
}

/// A disk that outlives its machine, and whose data is on it.
#[derive(Debug, Clone)]
pub struct DataDisk {
    /// Its zone.
    pub zone: String,
    /// The member of etcd that wrote it.
    pub member: Option<u64>,
    /// The membership that its data is of.
    pub stamp: Option<String>,
    /// Whether etcd can't read it.
    pub damaged: bool,
}

impl DataDisk {
    /// One with nothing on it.
    pub fn empty(zone: &str) -> Self {
        Self {
            zone: zone.to_owned(),
            member: None,
            stamp: None,
            damaged: false,
        }
    }
}

/// What a machine was told of the etcd that it joins.
struct Join {
    membership: String,
    members: Vec<String>,
    existing: bool,
}

impl Instance {
    /// One that boots.
    pub fn new(zone: &str, number: u8, disk: Option<String>, boots: Duration) -> Self {
        Self {
            zone: zone.to_owned(),
            address: IpAddr::V4(Ipv4Addr::new(10, 40, 0, number)),
            private: false,
            holds_endpoint: false,
            disk,
            boots: Some(boots),
            files: BTreeMap::new(),
            etcd: None,
        }
    }

    /// Starts it, if it is stopped.
    pub fn start(&mut self, boots: Duration) {
        self.boots = self.boots.or(Some(boots));
    }

    /// Whether its programs run.
    pub fn is_up(&self, now: Duration) -> bool {
        self.boots.is_some_and(|booted| booted <= now)
    }

    fn join(&self) -> Option<Join> {
        let text = self.files.get(JOIN_ENV)?;
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default()
        };
        let urls = value("ETCD_INITIAL_CLUSTER=")
            .split(',')
            .filter_map(|member| member.split_once('='));
        Some(Join {
            membership: membership_in(text)?.to_owned(),
            members: urls.map(|(_, url)| url.to_owned()).collect(),
            existing: value("ETCD_INITIAL_CLUSTER_STATE=") == "existing",
        })
    }
}

impl World {
    /// etcd runs where it can.
    pub(super) fn run_machines(&mut self) {
        let names: Vec<String> = self.cloud.machines.keys().cloned().collect();
        for name in names {
            let member = self.member_that_runs_on(&name);
            let now = self.now;
            let Some(machine) = self.cloud.machines.get_mut(&name) else {
                continue;
            };
            let since = machine
                .etcd
                .filter(|(id, _)| Some(*id) == member)
                .map_or(now, |(_, since)| since);
            machine.etcd = member.map(|id| (id, since));
        }
    }

    fn member_that_runs_on(&mut self, name: &str) -> Option<u64> {
        let machine = self
            .cloud
            .machines
            .get(name)
            .filter(|machine| machine.is_up(self.now))?
            .clone();
        let join = machine.join()?;
        let disk = machine.disk.clone()?;
        if let Some(written) = self.pass_gate(name, &disk, &join)? {
            // With data it goes by that. A member that was removed exits, and stays down.
            return self.etcd.member(written).map(|member| member.id);
        }
        let own = peer_url(machine.address);
        let id = if join.existing {
            self.join_member(name, &own, &join.members)
        } else {
            self.form(name, &own)
        }?;
        self.cloud.disks.get_mut(&disk)?.member = Some(id);
        Some(id)
    }

    /// The gate that etcd passes before it starts: `None` if it doesn't, else the member whose data it has, if any.
    /// `src/machine/etcd_gate/gate.sh` is the real one.
    fn pass_gate(&mut self, name: &str, disk: &str, join: &Join) -> Option<Option<u64>> {
        let disk = self.cloud.disks.get_mut(disk)?;
        let files = &mut self.cloud.machines.get_mut(name)?.files;
        let is_own = disk.stamp.as_ref() == Some(&join.membership);
        let is_used_up = files.get(ETCD_STARTED).map(|used| used.trim()) == Some(&join.membership);
        let refusal = match disk.member {
            Some(_) if is_own && disk.damaged => "damaged",
            Some(member) if is_own => {
                files.remove(ETCD_CONDITION);
                return Some(Some(member));
            }
            Some(_) if is_used_up || !join.existing => "foreign",
            None if is_used_up || (is_own && !join.existing) => "gone",
            _ => {
                files.remove(ETCD_CONDITION);
                if !join.existing {
                    files.insert(ETCD_STARTED.to_owned(), join.membership.clone());
                }
                *disk = DataDisk {
                    stamp: Some(join.membership.clone()),
                    ..DataDisk::empty(&disk.zone)
                };
                return Some(None);
            }
        };
        let condition = format!("{refusal}\n{}\nits data is {refusal}\n", join.membership);
        files.insert(ETCD_CONDITION.to_owned(), condition);
        None
    }

    /// A learner starts: only with a list of members that is the one that etcd has.
    fn join_member(&mut self, name: &str, own: &str, listed: &[String]) -> Option<u64> {
        let has_quorum = self.has_quorum();
        let mut known: Vec<&str> = self
            .etcd
            .members
            .iter()
            .map(|member| member.url.as_str())
            .collect();
        let mut listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        known.sort_unstable();
        listed.sort_unstable();
        if !has_quorum || known != listed {
            return None;
        }
        let member = self
            .etcd
            .members
            .iter_mut()
            .find(|member| member.url == own && (member.learner || !member.is_started()))?;
        name.clone_into(&mut member.name);
        Some(member.id)
    }

    fn form(&mut self, name: &str, own: &str) -> Option<u64> {
        let again = self.etcd.formed;
        self.forbid(again, || format!("{name} forms a second, empty etcd"));
        if again {
            // Once is enough to be told.
            self.cloud.machines.get_mut(name)?.files.remove(JOIN_ENV);
            return None;
        }
        self.etcd.formed = true;
        Some(self.etcd.add(name, own, false))
    }

    /// Whether the API server of a replica answers: it was started, and its member votes.
    pub fn api_ready(&self, name: &str) -> bool {
        let Some(machine) = self.cloud.machines.get(name) else {
            return false;
        };
        let started = machine.files.contains_key(START) && machine.is_up(self.now);
        let votes = machine
            .etcd
            .and_then(|(id, _)| self.etcd.member(id))
            .is_some_and(|member| !member.learner);
        started
            && votes
            && self.has_quorum()
            && !self.sick_apis.contains(name)
            && self.is_trusted(machine, API_SERVER)
    }

    /// Whether a client takes what the machine serves with, at this time. A machine without certificates serves nobody.
    pub(super) fn is_trusted(&self, machine: &Instance, path: &str) -> bool {
        let life = machine.files.get(path).map(|pem| crate::pki::life(pem));
        let now = Timestamp::now() + self.ahead;
        life.is_some_and(|life| life.is_ok_and(|life| life.begins <= now && now < life.expires))
    }

    /// A file is there from now on; files that start something have what that needs.
    pub(super) fn put_file(&mut self, name: &str, path: &str, content: &str) {
        let Some(machine) = self.cloud.machines.get_mut(name) else {
            return;
        };
        let identified = machine.files.contains_key(REPLICA_ENV);
        machine.files.insert(path.to_owned(), content.to_owned());
        self.forbid(path == JOIN_ENV && !identified, || {
            format!("etcd starts on {name} without certificates")
        });
        if path == ARRANGEMENT {
            self.check_holders();
        }
        if path == START {
            self.tick();
            let member = self.etcd.members.iter().find(|member| member.name == name);
            let votes = member.is_some_and(|member| !member.learner);
            self.forbid(!votes, || {
                format!("the control plane starts on {name}, which doesn't vote")
            });
        }
    }
}
