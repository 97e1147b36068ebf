//! What the provider is made of: hosts, and how they are reached.

use crate::downloads::Downloads;
use hakube_provider::SshServer;
use hakube_ssh::{Hop, Login};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The hosts of a cluster.
#[derive(Debug, Clone)]
pub struct HostsConfig {
    /// They, in the operator's order: the first that will do is taken.
    pub hosts: Vec<Host>,
    /// The address that replicas share.
    pub endpoint: Option<IpAddr>,
    /// Servers on the operator's own loopback that hosts download from. Each host reaches them at the same addresses of its
    /// own loopback, through the connection to it.
    pub offered: Vec<SocketAddr>,
    /// The architecture that programs are downloaded for, as `uname -m` prints it: `x86_64`.
    pub architecture: &'static str,
    /// Whether pods of different hosts talk by VXLAN on UDP 8472, as flannel's do.
    pub vxlan: bool,
    /// What they download once they are leased.
    pub downloads: Downloads,
}

/// A host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name: that of the machine that it is leased as.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
    /// Its zone.
    pub zone: String,
    /// What it may become.
    pub role: Role,
    /// Labels besides those that a machine gets.
    pub labels: BTreeMap<String, String>,
    /// Its ssh server, with the host key that the operator vouches for.
    pub server: SshServer,
    /// Who logs in.
    pub login: Login,
    /// What is gone through.
    pub through: Option<Hop>,
}

/// What a host may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A machine made by itself.
    Replica,
    /// A machine of a group.
    Node,
    /// Either.
    Any,
}
