//! What keeps a member from running: its data.

use serde::{Deserialize, Serialize};

/// What is wrong with a member's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdConditionKind {
    /// It is missing, but existed.
    Gone,
    /// It belongs to another member.
    Foreign,
    /// etcd can't read it.
    Damaged,
    /// It differs from other members' data. Which is right is unknown.
    Inconsistent,
}

impl EtcdConditionKind {
    /// Whether this membership can never run again.
    pub fn is_loss(self) -> bool {
        match self {
            Self::Gone | Self::Foreign | Self::Damaged => true,
            Self::Inconsistent => false,
        }
    }
}
