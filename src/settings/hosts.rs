//! The inventory of hosts that are there already: a YAML file, typed and checked.

mod file;

pub use file::read;

use super::types::Zone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

/// Hosts that are leased rather than made. Kept with the cluster; no key is among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// The hosts, in the operator's order.
    pub hosts: Vec<Host>,
    /// The address that replicas share; `None` where a balancer of the operator's own is the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<IpAddr>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name, and that of the replica or node that it becomes.
    pub name: String,
    /// The address by which the other hosts and hakube reach it.
    pub address: IpAddr,
    /// What fails as a whole with it: a rack, say.
    pub zone: Zone,
    /// What it may become.
    pub role: HostRole,
    /// Labels of its node, besides those that all nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How hakube logs in.
    pub ssh: HostSsh,
}

/// What a host may become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostRole {
    /// A replica only.
    Replica,
    /// A node only.
    Node,
    /// Either.
    #[default]
    Any,
}

impl fmt::Display for HostRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replica => "replica",
            Self::Node => "node",
            Self::Any => "any",
        })
    }
}

/// How hakube logs in on a host. The user is root, or becomes root by sudo without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSsh {
    /// The user.
    pub user: String,
    /// The TCP port.
    pub port: u16,
    /// The file of the private key; `None` is the ssh agent. Absolute.
    pub key: Option<PathBuf>,
    /// The server's public host key, as in `/etc/ssh/ssh_host_ed25519_key.pub`, without the comment.
    pub host_key: String,
    /// The host that is gone through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Box<Jump>>,
}

/// A host on the way to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Its address.
    pub address: IpAddr,
    /// How hakube logs in there.
    pub ssh: HostSsh,
}

impl Hosts {
    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The zones, each once, in the hosts' order.
    pub fn zones(&self) -> Vec<&Zone> {
        let mut seen = BTreeSet::new();
        let zones = self.hosts.iter().map(|host| &host.zone);
        zones.filter(|zone| seen.insert(*zone)).collect()
    }
}
