//! The provider's configuration: the hosts and how to reach them.

use hakube_provider::SshServer;
use hakube_ssh::{Hop, Login};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The hosts of a cluster.
#[derive(Debug, Clone)]
pub struct HostsConfig {
    /// The hosts, in the operator's order of preference.
    pub hosts: Vec<Host>,
    /// The address that the replicas share.
    pub endpoint: Option<IpAddr>,
    /// The time limit of one script on a host, connecting included.
    pub limit: Duration,
    /// Servers on the operator's loopback that hosts download from. Each host reaches them at the
    /// same addresses of its own loopback, through its ssh connection.
    pub offered: Vec<SocketAddr>,
    /// The architecture of the programs to download, as `uname -m` prints it: `x86_64`.
    pub architecture: &'static str,
    /// Whether pods on different hosts communicate over VXLAN on UDP 8472, as with flannel.
    pub vxlan: bool,
    /// What hosts download once they are leased.
    pub downloads: Downloads,
}

/// The URLs that a machine downloads.
#[derive(Debug, Clone, Default)]
pub struct Downloads {
    /// For a machine created individually.
    pub replica: Vec<String>,
    /// For a node group's machine.
    pub node: Vec<String>,
}

/// A host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name, which is also the machine's.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
    /// Its zone.
    pub zone: String,
    /// What it may become.
    pub role: Role,
    /// Labels in addition to the machine's.
    pub labels: BTreeMap<String, String>,
    /// Its ssh server, with the host key that the operator vouches for.
    pub server: SshServer,
    /// The user and the key to log in with.
    pub login: Login,
    /// The jump host.
    pub through: Option<Hop>,
}

/// The machines that a host may be leased as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A machine created individually.
    Replica,
    /// A node group's machine.
    Node,
    /// Both.
    Any,
}
