//! What a host says of the cluster that has it.

use crate::remote::Remote;
use hakube_provider::{ErrorKind, MARK, ProviderError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lease of a host: a file on it, made exclusively.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The cluster.
    pub(crate) cluster: String,
    /// The machine's name.
    pub(crate) machine: String,
    /// What the host is.
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// The labels that the machine was asked for with.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// When it was taken: RFC 3339.
    pub(crate) since: String,
}

/// What a leased host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kind {
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

/// A lease as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The lease.
    pub(crate) lease: Lease,
    /// The sum of the document that was carried out to its end, if any was.
    pub(crate) carried_out: Option<String>,
}

impl Lease {
    /// Whether the other one is of the same cluster, for the same purpose.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.group() == other.group()
    }

    /// The group that it is a machine of.
    pub(crate) fn group(&self) -> Option<&str> {
        match &self.kind {
            Kind::Replica => None,
            Kind::Node { group, .. } => Some(group),
        }
    }

    /// All labels of the machine: the host's own, those it was asked for with, and the mark.
    pub(crate) fn all_labels(&self, host: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = host.clone();
        labels.extend(self.labels.clone());
        labels.insert(MARK.to_owned(), self.cluster.clone());
        labels
    }

    /// As one line of JSON.
    pub(crate) fn line(&self) -> String {
        // It is text, which JSON can hold.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{json}\n")
    }

    /// As it is read from a host.
    pub(crate) fn parse(remote: &Remote, text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            remote
                .error(
                    "read",
                    ErrorKind::Conflict,
                    format!("its /etc/hakube/lease.json can't be read: {error}"),
                )
                .with_hint(format!(
                    "another version of hakube may have made it; see what is in it: ssh {} cat /etc/hakube/lease.json",
                    remote.host.address
                ))
        })
    }

    /// Another cluster has the host, or the same one for something else.
    pub(crate) fn conflict(&self, remote: &Remote, what: &'static str) -> ProviderError {
        let purpose = match &self.kind {
            Kind::Replica => "a replica".to_owned(),
            Kind::Node { group, .. } => format!("a node of {group}"),
        };
        let Self { cluster, since, .. } = self;
        remote
            .error(
                what,
                ErrorKind::Conflict,
                format!("cluster {cluster} has it as {purpose}, since {since}"),
            )
            .with_hint(format!(
                "leave it out of the inventory, or delete that cluster: CLUSTER_NAME={cluster} hakube down; where its \
                 state is lost, on the host, as root: sh /var/lib/hakube/give-back"
            ))
    }
}

impl Held {
    /// From what the look at a host printed.
    pub(crate) fn parse(remote: &Remote, text: &str) -> Result<Option<Self>> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let Some(lease) = lines.next() else {
            return Ok(None);
        };
        Ok(Some(Self {
            lease: Lease::parse(remote, lease)?,
            carried_out: lines.next().map(str::to_owned),
        }))
    }
}
