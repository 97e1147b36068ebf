//! The listeners and health checks that should exist, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ipnet::IpNet;

/// The desired state of the data plane.
#[derive(Debug, Default, PartialEq)]
pub struct Desired {
    /// Listeners.
    pub routes: BTreeMap<SocketAddrV4, Route>,
    /// Health checks.
    pub probes: BTreeMap<BackendId, Probe>,
    /// Unsupported settings, for the log.
    pub notes: BTreeSet<String>,
}

/// The route of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The path of the resource whose address it is.
    pub owner: String,
    /// The possible targets of connections: one machine, or the backends of a service.
    pub upstreams: Vec<Upstream>,
}

/// A machine behind a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its internal address and port.
    pub address: SocketAddrV4,
    /// The sources that its firewall allows.
    pub sources: Vec<IpNet>,
    /// The backend whose health decides whether it gets connections; `None` for a single machine.
    pub backend: Option<BackendId>,
}

impl Upstream {
    /// Whether the firewall allows this client.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.sources.iter().any(|range| range.contains(&client))
    }
}

/// A machine, as the backend of a service or a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The path of the service or the pool.
    pub of: String,
    /// The path of the instance.
    pub instance: String,
}

/// How a backend's health is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Probe {
    pub address: SocketAddrV4,
    pub protocol: Protocol,
    pub path: String,
    pub host: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_after: u32,
    pub unhealthy_after: u32,
    /// Whether the firewall allows Google's probers.
    pub admitted: bool,
    /// The address that it is sent from, where machines see it.
    pub source: Option<Ipv4Addr>,
}

/// A probe's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Http,
    Https,
}
