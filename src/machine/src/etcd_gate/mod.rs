//! The gate that etcd passes before each start: a membership is valid for one start without data.

use super::cloud_config::File;
use super::data_disk::ETCD_DATA;
use hakube_model::EtcdConditionKind;
use hakube_secret::{Secret, SecretFile};

/// The gate's report of what keeps a replica's etcd from running. The file is absent if nothing does.
pub const ETCD_CONDITION: &str = "/etc/etcd/condition";

/// The membership that has used its start without data. It is on the root disk, because the data
/// disk may be lost.
pub const ETCD_STARTED: &str = "/etc/etcd/started";

const SCRIPT: &str = "/etc/hakube/etcd-gate.sh";

/// The gate's report about a member that it doesn't let start, or that can't start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdCondition {
    /// The problem with its data.
    pub kind: EtcdConditionKind,
    /// The membership that it is about, as [`super::membership`] writes it.
    pub membership: String,
    /// A message for people.
    pub why: String,
}

impl EtcdCondition {
    /// Parses the gate's report; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let kind = match lines.next()? {
            "gone" => EtcdConditionKind::Gone,
            "foreign" => EtcdConditionKind::Foreign,
            "damaged" => EtcdConditionKind::Damaged,
            "inconsistent" => EtcdConditionKind::Inconsistent,
            _ => return None,
        };
        Some(Self {
            kind,
            membership: lines.next()?.to_owned(),
            why: lines.next()?.to_owned(),
        })
    }
}

/// Uses up a learner's start without data, before it is promoted. The gate itself does that for the
/// first member, which votes from the beginning.
pub fn start_used_up(membership: &str) -> SecretFile {
    SecretFile {
        path: ETCD_STARTED.to_owned(),
        mode: 0o600,
        content: Secret::new(format!("{membership}\n")),
    }
}

/// The gate's script, for a machine that a version of hakube created whose gate restores no snapshots.
pub fn gate() -> SecretFile {
    SecretFile {
        path: SCRIPT.to_owned(),
        mode: 0o644,
        content: Secret::new(include_str!("gate.sh").to_owned()),
    }
}

/// The gate's script.
pub(super) fn file() -> File {
    File::text(SCRIPT, 0o644, include_str!("gate.sh"))
}

/// The command that etcd's unit runs first. It takes paths as arguments, because the local cloud
/// maps them to other paths on the host.
pub(super) fn command() -> String {
    format!("/bin/sh {SCRIPT} {ETCD_DATA} /etc/etcd")
}

#[cfg(test)]
mod tests;
