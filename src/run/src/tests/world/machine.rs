//! Machines, their files, and the programs that these start.

use super::World;
use super::trust::MARK;
use super::upgrade::RELEASE;
use base64::Engine as _;
use hakube_etcd::peer_url;
use hakube_machine::{
    ARRANGEMENT, ETCD_CONDITION, ETCD_STARTED, JOIN_ENV, REPLICA_ENV, START, membership_in,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long a machine boots before it accepts files.
pub const BOOT: Duration = Duration::from_secs(2);

/// The serving certificates of API server and etcd.
const API_SERVER: &str = "/etc/kubernetes/pki/apiserver.crt";
pub(super) const ETCD: &str = "/etc/kubernetes/pki/etcd/server.crt";

/// A machine.
#[derive(Debug, Clone)]
pub struct Instance {
    pub zone: String,
    /// Its own address.
    pub address: IpAddr,
    /// Whether it has no external address. In that case the endpoint's is a second internal one.
    pub private: bool,
    /// Whether it has the endpoint's address.
    pub holds_endpoint: bool,
    /// Its data disk.
    pub disk: Option<String>,
    /// When it has booted; `None` while it is stopped.
    pub boots: Option<Duration>,
    /// The files on its boot disk.
    pub files: BTreeMap<String, String>,
    /// Its running member, and since when it runs.
    pub etcd: Option<(u64, Duration)>,
    /// The authorities that its etcd has trusted since it last started.
    pub trusted: Option<String>,
}

/// A disk that outlives its machine.
#[derive(Debug, Clone)]
pub struct DataDisk {
    pub zone: String,
    /// The etcd member whose data it has.
    pub member: Option<u64>,
    /// The membership of its data.
    pub stamp: Option<String>,
    /// Whether its data is damaged.
    pub damaged: bool,
}

impl DataDisk {
    /// An empty disk.
    pub fn empty(zone: &str) -> Self {
        Self {
            zone: zone.to_owned(),
            member: None,
            stamp: None,
            damaged: false,
        }
    }
}

/// The contents of a machine's join.env.
struct Join {
    membership: String,
    members: Vec<String>,
    existing: bool,
    /// Whether it waits for another join file.
    held: bool,
    /// The SHA-256 of the snapshot to restore.
    snapshot: Option<String>,
}

impl Instance {
    /// A booting machine.
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
            trusted: None,
        }
    }

    /// Starts it, if it is stopped.
    pub fn start(&mut self, boots: Duration) {
        self.boots = self.boots.or(Some(boots));
    }

    /// Whether it has booted.
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
            held: value("ETCD_INITIAL_CLUSTER_STATE=") == "held",
            snapshot: Some(value("HAKUBE_SNAPSHOT=").to_owned()).filter(|sum| !sum.is_empty()),
        })
    }
}

impl World {
    /// Runs etcd wherever it can run.
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
            // Existing data decides. A removed member exits.
            return self.etcd.member(written).map(|member| member.id);
        }
        let own = peer_url(machine.address);
        let id = if let Some(snapshot) = &join.snapshot {
            self.restore(name, &own, snapshot)
        } else if join.existing {
            self.join_member(name, &own, &join.members)
        } else {
            self.form(name, &own)
        }?;
        self.cloud.disks.get_mut(&disk)?.member = Some(id);
        Some(id)
    }

    /// The gate before etcd's start: `None` if it refuses, otherwise the member whose data the disk has, if any.
    /// `src/machine/src/etcd_gate/gate.sh` is the real one.
    fn pass_gate(&mut self, name: &str, disk: &str, join: &Join) -> Option<Option<u64>> {
        let disk = self.cloud.disks.get_mut(disk)?;
        let files = &mut self.cloud.machines.get_mut(name)?.files;
        let is_own = disk.stamp.as_ref() == Some(&join.membership);
        let is_used_up = files.get(ETCD_STARTED).map(|used| used.trim()) == Some(&join.membership);
        let refusal = match disk.member {
            _ if join.held => "held",
            Some(_) if is_own && disk.damaged => "damaged",
            Some(member) if is_own => {
                files.remove(ETCD_CONDITION);
                return Some(Some(member));
            }
            Some(_) if is_used_up || !join.existing && join.snapshot.is_none() => "foreign",
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

    /// Starts a learner, which needs a list that matches etcd's members.
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
            // Record it only once.
            self.cloud.machines.get_mut(name)?.files.remove(JOIN_ENV);
            return None;
        }
        self.etcd.formed = true;
        Some(self.etcd.add(name, own, false))
    }

    /// Starts a new etcd with the data of a snapshot. No member of the former one may run.
    fn restore(&mut self, name: &str, own: &str, snapshot: &str) -> Option<u64> {
        let others = self.cloud.machines.iter();
        let others = others.filter(|(other, machine)| *other != name && machine.etcd.is_some());
        let running: Vec<String> = others.map(|(other, _)| other.clone()).collect();
        self.forbid(!running.is_empty(), || {
            format!("{name} restores a backup while etcd runs on {running:?}")
        });
        let (data, keys) = self.snapshot_at(name, snapshot)?;
        self.etcd.keys = keys;
        self.etcd.members.clear();
        self.etcd.alarms.clear();
        let id = self.etcd.add(name, own, false);
        self.etcd.acknowledged = data;
        self.etcd.leader = Some(id);
        if let Some(member) = self.etcd.members.last_mut() {
            member.log = data;
        }
        Some(id)
    }

    /// What the snapshot's parts on the machine contain; `None` if they are incomplete.
    fn snapshot_at(&self, name: &str, sha256: &str) -> Option<(u64, BTreeMap<String, Vec<u8>>)> {
        let parts = format!("/etc/etcd/snapshot-{sha256}/");
        let files = &self.cloud.machines.get(name)?.files;
        let mut parts = files.iter().filter(|(path, _)| path.starts_with(&parts));
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).ok();
        let bytes = decode(parts.next()?.1)?;
        // etcd's checksum comes last.
        let (data, _) = bytes.split_last_chunk::<32>()?;
        let (log, rest) = data.split_first_chunk()?;
        let end = rest.iter().rposition(|byte| *byte == b'}')?;
        let keys = serde_json::from_slice(rest.get(..=end)?).ok()?;
        Some((u64::from_be_bytes(*log), keys))
    }

    /// Whether a replica's API server is ready: it was started, and its member votes.
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
            && !self.failing_apis.contains(name)
            && !self.has_bad_release(machine)
            && self.is_trusted(machine, API_SERVER)
    }

    /// Whether clients accept the machine's serving certificate now.
    pub(super) fn is_trusted(&self, machine: &Instance, path: &str) -> bool {
        let life = machine.files.get(path).map(|pem| hakube_pki::life(pem));
        let now = Timestamp::now() + self.ahead;
        life.is_some_and(|life| life.is_ok_and(|life| life.begins <= now && now < life.expires))
    }

    /// Writes a file, and checks that a file that starts something has its prerequisites.
    pub(super) fn put_file(&mut self, name: &str, path: &str, content: &str) {
        let Some(machine) = self.cloud.machines.get_mut(name) else {
            let files = self.node_files.entry(name.to_owned()).or_default();
            files.insert(path.to_owned(), content.to_owned());
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
        if path == MARK {
            self.restart_with_authorities(name);
        }
        if path == RELEASE {
            self.restart_with_release(name);
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
