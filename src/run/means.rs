//! The means by which anything is seen or done. Each is a trait, so that tests have means of their own.

use super::drain::Drain;
use crate::channel::Channel;
use crate::clock::Clock;
use crate::etcd::Etcd;
use crate::kubeconfig;
use crate::kubernetes::Kubernetes;
use crate::pki::Authorities;
use hakube_provider::{Login, Provider};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Everything that acts or looks.
#[derive(Clone)]
pub struct Means {
    /// Machines, addresses, balancers.
    pub provider: Arc<dyn Provider>,
    /// etcd's members.
    pub etcd: Arc<dyn Etcd>,
    /// API servers.
    pub kubernetes: Arc<dyn Kubernetes>,
    /// Onto machines.
    pub channel: Arc<dyn Channel>,
    /// Who may log in on new machines, where the channel is by login.
    pub login: Option<Login>,
    /// Who signs.
    pub authorities: Arc<Authorities>,
    /// Whether machines share their loopback with others, so that each listens on its own address only.
    pub shared_loopback: bool,
    /// The user's kubeconfig files.
    pub kubeconfig: kubeconfig::Paths,
    /// The name of the cluster's context in it.
    pub context: String,
    /// How long one step may take.
    pub timeout: Duration,
    /// How long nodes may take to be ready, all together.
    pub nodes_timeout: Duration,
    /// How nodes are drained.
    pub drain: Drain,
    /// What certificates and tokens are dated by.
    pub clock: Clock,
    /// How often a condition is looked at while it is waited for.
    pub pace: Duration,
}

impl Means {
    /// The address that a replica's API server listens on. A passthrough balancer delivers packets
    /// that bear the endpoint's address, so on a machine with a network of its own that is any.
    pub fn bind_address(&self, own: IpAddr) -> IpAddr {
        if self.shared_loopback {
            own
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }
    }
}
