//! The small files without which a replica waits: who it is, whom it joins, and that it may start.

use crate::pki::{Secret, SecretFile};
use std::net::IpAddr;

/// When this file is there, etcd starts.
pub const JOIN_ENV: &str = "/etc/etcd/join.env";
/// When this file is there, the API server, controller manager and scheduler start.
pub const START: &str = "/etc/hakube/start";
pub const REPLICA_ENV: &str = "/etc/hakube/replica.env";
/// The variable with the membership that a join file gives.
const MEMBER: &str = "HAKUBE_MEMBER";

/// What a replica knows of itself only once its machine exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its own address, by which its components and the other replicas reach it.
    pub address: IpAddr,
    /// The address that its API server listens on.
    pub bind: IpAddr,
}

/// The environment of all units of a replica.
pub fn replica_env(facts: &ReplicaFacts) -> SecretFile {
    let ReplicaFacts {
        name,
        zone,
        address,
        bind,
    } = facts;
    file(
        REPLICA_ENV,
        format!("REPLICA={name}\nZONE={zone}\nADDRESS={address}\nBIND_ADDRESS={bind}\n"),
    )
}

/// What a member is called for life, on its own machine and nowhere else: etcd's id for it is never given twice.
pub fn membership(cluster: &str, member: u64) -> String {
    format!("{cluster}/{member:x}")
}

/// The same of the first member of a new etcd. etcd derives its id from what is the same each time, so `attempt`
/// has to differ.
pub fn first_membership(cluster: &str, attempt: u32) -> String {
    format!("{cluster}/first-{attempt:08x}")
}

/// The membership that a join file gives.
pub fn membership_in(join_env: &str) -> Option<&str> {
    let mut lines = join_env.lines();
    lines.find_map(|line| line.strip_prefix(MEMBER)?.strip_prefix('='))
}

/// Whom etcd joins, and as which member: `members` are names and peer URLs, this replica's own included;
/// `existing` is false only for the first member of a new etcd.
///
/// It is good for one start without data, see [`super::etcd_gate`]. Another such start takes another membership.
pub fn join_env(
    cluster: &str,
    membership: &str,
    members: &[(String, String)],
    existing: bool,
) -> SecretFile {
    let list: Vec<String> = members
        .iter()
        .map(|(name, url)| format!("{name}={url}"))
        .collect();
    let state = if existing { "existing" } else { "new" };
    file(
        JOIN_ENV,
        format!(
            "ETCD_INITIAL_CLUSTER={}\nETCD_INITIAL_CLUSTER_STATE={state}\nETCD_INITIAL_CLUSTER_TOKEN={cluster}\n\
             {MEMBER}={membership}\n",
            list.join(",")
        ),
    )
}

/// Lets the control plane start.
pub fn start_marker() -> SecretFile {
    file(
        START,
        "the replica's member votes: the control plane may start\n".to_owned(),
    )
}

fn file(path: &str, content: String) -> SecretFile {
    SecretFile {
        path: path.to_owned(),
        mode: 0o600,
        content: Secret::new(content),
    }
}
