//! The gate that etcd passes before each start: a membership is good for one start without data.

use super::cloud_config::File;
use super::data_disk::ETCD_DATA;
use crate::pki::{Secret, SecretFile};
use serde::{Deserialize, Serialize};

/// What keeps a replica's etcd from running, in the gate's words. Not there while nothing does.
pub const ETCD_CONDITION: &str = "/etc/etcd/condition";

/// The membership that has had its start without data. On the root disk: what is on the data disk is lost with it.
pub const ETCD_STARTED: &str = "/etc/etcd/started";

const SCRIPT: &str = "/etc/hakube/etcd-gate.sh";

/// What the gate says of a member that it doesn't let start, or that can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdCondition {
    /// What is wrong with its data.
    pub kind: EtcdConditionKind,
    /// The membership that it is said of, as [`super::membership`] writes it.
    pub membership: String,
    /// For people.
    pub why: String,
}

/// What is wrong with a member's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdConditionKind {
    /// There is none, and there was.
    Gone,
    /// It is another member's.
    Foreign,
    /// etcd can't read it.
    Damaged,
    /// It differs from that of other members. Whose is right isn't known.
    Inconsistent,
}

impl EtcdConditionKind {
    /// Whether the member can never run again as what it was.
    pub fn is_loss(self) -> bool {
        match self {
            Self::Gone | Self::Foreign | Self::Damaged => true,
            Self::Inconsistent => false,
        }
    }
}

impl EtcdCondition {
    /// Reads what the gate wrote; `None` for what it didn't.
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

/// Uses up a learner's start without data, before it gets its vote. The gate itself does that for the first
/// member, which votes from the beginning.
pub fn start_used_up(membership: &str) -> SecretFile {
    SecretFile {
        path: ETCD_STARTED.to_owned(),
        mode: 0o600,
        content: Secret::new(format!("{membership}\n")),
    }
}

/// The gate's script.
pub(super) fn file() -> File {
    File::text(SCRIPT, 0o644, include_str!("gate.sh"))
}

/// The command that etcd's unit runs first. Its arguments name paths, which on a machine of the local
/// cloud aren't the host's.
pub(super) fn command() -> String {
    format!("/bin/sh {SCRIPT} {ETCD_DATA} /etc/etcd")
}

#[cfg(test)]
mod tests;
