//! Ownership of resources.
//!
//! Two operators may give two clusters the same name. So a cluster also has an id, generated when
//! it is created. The ownership label has both.

use crate::{Attempt, ErrorKind, ProviderError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Separates name and id in the ownership label. Valid in a label's value, but not in a cluster's name.
const SEPARATOR: char = '_';

/// A cluster, distinct from others of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The cluster's name.
    pub cluster: String,
    /// The id: lower-case letters and digits. `None` for a cluster whose resources were created
    /// before clusters had ids.
    pub id: Option<String>,
}

impl Owner {
    /// The value of its ownership label, [`MARK`](crate::MARK).
    pub fn mark(&self) -> String {
        match &self.id {
            Some(id) => format!("{}{SEPARATOR}{id}", self.cluster),
            None => self.cluster.clone(),
        }
    }

    /// Parses the value of an ownership label.
    pub fn of_mark(mark: &str) -> Self {
        let (cluster, id) = match mark.split_once(SEPARATOR) {
            Some((cluster, id)) => (cluster, Some(id.to_owned())),
            None => (mark, None),
        };
        Self {
            cluster: cluster.to_owned(),
            id,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "cluster {} (id {id})", self.cluster),
            None => write!(f, "cluster {}", self.cluster),
        }
    }
}

/// A cluster that has resources here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// Whose it is.
    pub owner: Owner,
    /// When the resource was created, if the provider reports it: RFC 3339.
    pub since: Option<String>,
    /// One of the cluster's resources: `machine kubernetes-master in europe-west1-b`.
    pub example: String,
}

impl fmt::Display for Namesake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner,
            since,
            example,
        } = self;
        write!(f, "{owner} has {example}")?;
        match since {
            Some(since) => write!(f, ", created {since}"),
            None => Ok(()),
        }
    }
}

/// Of all owned resources found, the oldest one of each cluster of this name.
pub fn namesakes(cluster: &str, found: impl IntoIterator<Item = Namesake>) -> Vec<Namesake> {
    let mut found: Vec<Namesake> = found
        .into_iter()
        .filter(|namesake| namesake.owner.cluster == cluster)
        .collect();
    found.sort_by(|a, b| {
        let key = |one: &Namesake| (one.owner.clone(), one.since.is_none(), one.since.clone());
        key(a).cmp(&key(b))
    });
    found.dedup_by(|later, first| later.owner == first.owner);
    found
}

/// The error for an existing resource that isn't the caller's. Names its owner if it has an ownership label.
pub fn someone_elses(attempt: &Attempt, mark: &str, found: Option<&str>) -> ProviderError {
    let asking = Owner::of_mark(mark);
    let message = match found.map(Owner::of_mark) {
        Some(other) if other.id.is_none() && other.cluster == asking.cluster => {
            format!("it belongs to {other} (no id: created by an earlier hakube), not to {asking}")
        }
        Some(other) => format!("it belongs to {other}, not to {asking}"),
        None => format!("it exists, but isn't owned by {asking}"),
    };
    attempt.error(ErrorKind::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(cluster: &str, id: Option<&str>) -> Owner {
        Owner {
            cluster: cluster.to_owned(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn an_ownership_label_round_trips() {
        for owner in [
            owner("kubernetes", None),
            owner("kube-prod-2", Some("k7m2q9x4ab")),
        ] {
            assert_eq!(Owner::of_mark(&owner.mark()), owner);
        }
    }

    #[test]
    fn namesakes_are_the_oldest_resource_of_each_cluster_of_the_name() {
        let namesake = |cluster: &str, id: &str, since: &str| Namesake {
            owner: owner(cluster, Some(id)),
            since: Some(since.to_owned()),
            example: format!("machine of {since}"),
        };
        let found = [
            namesake("a", "two", "2026-03-01T00:00:00Z"),
            namesake("a", "one", "2026-02-01T00:00:00Z"),
            namesake("a", "two", "2026-01-01T00:00:00Z"),
            namesake("b", "two", "2026-01-01T00:00:00Z"),
        ];
        assert_eq!(
            namesakes("a", found.clone()),
            [found[1].clone(), found[2].clone()]
        );
        assert_eq!(namesakes("c", found), []);
    }
}
