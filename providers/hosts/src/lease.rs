//! A host's lease: which cluster has the host, and for what purpose.

use crate::remote::Remote;
use hakube_provider::{ErrorKind, MARK, Owner, ProviderError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lease: a file on the host, created exclusively.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The cluster's ownership label.
    pub(crate) cluster: String,
    pub(crate) machine: String,
    /// The host's purpose.
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// The requested labels of the machine.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// When the host was leased: RFC 3339.
    pub(crate) since: String,
}

/// The purpose of a leased host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A machine created individually.
    Replica,
    /// A group's machine.
    Node {
        group: String,
        /// The template's name.
        template: String,
    },
}

/// A lease as found on the host.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    /// The digest of the document that was last applied completely.
    pub(crate) carried_out: Option<String>,
}

impl Lease {
    /// Whether both leases have the same cluster and purpose.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.group() == other.group()
    }

    /// The group that the machine is in.
    pub(crate) fn group(&self) -> Option<&str> {
        match &self.kind {
            Kind::Replica => None,
            Kind::Node { group, .. } => Some(group),
        }
    }

    /// The machine's labels: the host's own, the requested ones and the ownership label.
    pub(crate) fn all_labels(&self, host: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = host.clone();
        labels.extend(self.labels.clone());
        labels.insert(MARK.to_owned(), self.cluster.clone());
        labels
    }

    /// The lease as one line of JSON.
    pub(crate) fn line(&self) -> String {
        // Can't fail: all of it is text.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{json}\n")
    }

    /// Parses a lease from a host.
    pub(crate) fn parse(remote: &Remote, text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            remote
                .error(
                    "read",
                    ErrorKind::Conflict,
                    format!("its /etc/hakube/lease.json can't be read: {error}"),
                )
                .with_hint(format!(
                    "another version of hakube may have created it; print it with: ssh {} cat /etc/hakube/lease.json",
                    remote.host.address
                ))
        })
    }

    /// The error if another cluster has the host, or the same cluster for another purpose.
    pub(crate) fn conflict(&self, remote: &Remote, what: &'static str) -> ProviderError {
        let purpose = match &self.kind {
            Kind::Replica => "a replica".to_owned(),
            Kind::Node { group, .. } => format!("a node of {group}"),
        };
        let Self { cluster, since, .. } = self;
        let owner = Owner::of_mark(cluster);
        remote
            .error(
                what,
                ErrorKind::Conflict,
                format!("{owner} has it as {purpose}, since {since}"),
            )
            .with_hint(format!(
                "remove it from the inventory, or delete that cluster: CLUSTER_NAME={} hakube down. If its state \
                 is lost, run as root on the host: sh /var/lib/hakube/give-back",
                owner.cluster
            ))
    }
}

impl Held {
    /// Parses the output of [`LOOK`](crate::scripts::LOOK).
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
