//! What a host says of the cluster that has it.

use serde::{Deserialize, Serialize};

/// The lease of a host: a file on it, made exclusively.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The cluster.
    pub cluster: String,
    /// The machine's name.
    pub machine: String,
    /// What the host is.
    #[serde(flatten)]
    pub kind: Kind,
    /// When it was taken: RFC 3339.
    pub since: String,
}

/// What a leased host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A machine by itself: a replica.
    Replica,
    /// A machine of a group.
    Node {
        /// The group's name.
        group: String,
        /// The name of the template that it was made from.
        template: String,
    },
}

impl Lease {
    /// Whether the other one is of the same cluster, for the same purpose.
    pub fn is_as(&self, other: &Self) -> bool {
        let purpose = |lease: &Self| match &lease.kind {
            Kind::Replica => None,
            Kind::Node { group, .. } => Some(group.clone()),
        };
        self.cluster == other.cluster && purpose(self) == purpose(other)
    }
}
