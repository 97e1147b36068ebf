//! The small files that a replica waits for: its identity, whom it joins, and permission to start.

use base64::Engine as _;
use hakube_secret::{Secret, SecretFile};
use std::net::IpAddr;

/// etcd starts once this file exists.
pub const JOIN_ENV: &str = "/etc/etcd/join.env";
/// The API server, controller manager and scheduler start once this file exists.
pub const START: &str = "/etc/hakube/start";
/// What a replica knows of itself, for its units.
pub const REPLICA_ENV: &str = "/etc/hakube/replica.env";
/// The variable with the membership in a join file.
const MEMBER: &str = "HAKUBE_MEMBER";
/// The variable with the SHA-256 of the snapshot to restore.
const SNAPSHOT: &str = "HAKUBE_SNAPSHOT";
/// The variable with the revision of its data.
const REVISION: &str = "HAKUBE_REVISION";
/// The state of a cluster that etcd waits to join.
const HELD: &str = "held";
/// The beginning of the path of a snapshot's parts; its SHA-256 follows.
const PARTS: &str = "/etc/etcd/snapshot-";
/// The bytes of a snapshot in one file. A multiple of 3, so that the parts' base64 can be joined.
const PART: usize = 3 << 20;

/// Facts about a replica that are known only once its machine exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its own address, which its components and the other replicas use.
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

/// A member's unique identity, which exists only on its own machine: etcd never reuses a member ID.
pub fn membership(cluster: &str, member: u64) -> String {
    format!("{cluster}/{member:x}")
}

/// The membership of the first member of a new etcd. etcd derives its member ID from the same
/// inputs each time, so `attempt` must differ.
pub fn first_membership(cluster: &str, attempt: u32) -> String {
    format!("{cluster}/first-{attempt:08x}")
}

/// The membership in a join file.
pub fn membership_in(join_env: &str) -> Option<&str> {
    let mut lines = join_env.lines();
    lines.find_map(|line| line.strip_prefix(MEMBER)?.strip_prefix('='))
}

/// How etcd's data begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    /// For the first member of a new etcd.
    New,
    /// For the first member of an etcd with a snapshot's data, which [`snapshot_parts`] delivers.
    Restored {
        /// The snapshot's SHA-256.
        sha256: String,
        /// The revision of its data.
        revision: i64,
    },
    /// For all others.
    Existing,
}

/// Tells etcd which cluster to join, and as which member. `members` are names and peer URLs,
/// including this replica's own.
///
/// It is valid for one start without data, see [`super::etcd_gate`]. Another such start needs
/// another membership.
pub fn join_env(
    cluster: &str,
    membership: &str,
    members: &[(String, String)],
    state: ClusterState,
) -> SecretFile {
    let list: Vec<String> = members
        .iter()
        .map(|(name, url)| format!("{name}={url}"))
        .collect();
    // Members of the etcd that was there before have another cluster ID then, and are refused.
    let token = match &state {
        ClusterState::Restored { .. } => membership,
        ClusterState::New | ClusterState::Existing => cluster,
    };
    let (state, snapshot) = match state {
        ClusterState::New => ("new", String::new()),
        ClusterState::Restored { sha256, revision } => (
            "new",
            format!("{SNAPSHOT}={sha256}\n{REVISION}={revision}\n"),
        ),
        ClusterState::Existing => ("existing", String::new()),
    };
    file(
        JOIN_ENV,
        format!(
            "ETCD_INITIAL_CLUSTER={}\nETCD_INITIAL_CLUSTER_STATE={state}\nETCD_INITIAL_CLUSTER_TOKEN={token}\n\
             {MEMBER}={membership}\n{snapshot}",
            list.join(",")
        ),
    )
}

/// Keeps the replica's etcd from starting until it is told what to join.
pub fn hold_env(cluster: &str) -> SecretFile {
    file(
        JOIN_ENV,
        format!("ETCD_INITIAL_CLUSTER_STATE={HELD}\n{MEMBER}={cluster}/{HELD}\n"),
    )
}

/// The files that deliver a snapshot. Each is small enough for one request of any channel.
pub fn snapshot_parts<'a>(
    snapshot: &'a [u8],
    sha256: &'a str,
) -> impl Iterator<Item = SecretFile> + 'a {
    let parts = snapshot.chunks(PART).enumerate();
    parts.map(move |(number, part)| SecretFile {
        path: format!("{PARTS}{sha256}/{number:06}"),
        mode: 0o600,
        content: Secret::new(base64::engine::general_purpose::STANDARD.encode(part)),
    })
}

/// The file that permits the control plane to start.
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
