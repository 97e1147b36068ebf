//! Hosts that are leased, not made.

use super::provider::Zone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Hosts that are leased rather than made. Kept with the cluster; no key is among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// The hosts, in the operator's order.
    pub hosts: Vec<Host>,
    /// The address that replicas share; `None` if the operator's own load balancer is the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<IpAddr>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name, and that of its replica or node.
    pub name: String,
    /// The address that the other hosts and hakube use.
    pub address: IpAddr,
    /// Its failure domain, such as a rack.
    pub zone: Zone,
    /// The roles it may have.
    pub role: HostRole,
    /// Additional labels of its node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How hakube logs in.
    pub ssh: HostSsh,
}

/// The roles a host may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostRole {
    /// A replica only.
    Replica,
    /// A node only.
    Node,
    /// Replica or node.
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

/// A host's SSH login. The user is root, or has sudo without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSsh {
    /// The user.
    pub user: String,
    /// The TCP port.
    pub port: u16,
    /// The private key's file; `None` means the ssh agent. Absolute.
    pub key: Option<PathBuf>,
    /// The server's public host key, as in `/etc/ssh/ssh_host_ed25519_key.pub`, without the comment.
    pub host_key: String,
    /// The jump host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Box<Jump>>,
}

/// A jump host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Its address.
    pub address: IpAddr,
    /// Its SSH login.
    pub ssh: HostSsh,
}

impl Hosts {
    /// The host with this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The zones without duplicates, in the hosts' order.
    pub fn zones(&self) -> Vec<&Zone> {
        let mut seen = BTreeSet::new();
        let zones = self.hosts.iter().map(|host| &host.zone);
        zones.filter(|zone| seen.insert(*zone)).collect()
    }
}
