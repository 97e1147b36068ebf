//! The interfaces through which commands observe and act. Tests replace them.

use super::drain::Drain;
use super::retry::bounded;
use hakube_addons::{self as addons, Addon, Anchors};
use hakube_channel::Channel;
use hakube_error::Result;
use hakube_etcd::Etcd;
use hakube_kubeconfig as kubeconfig;
use hakube_kubernetes::Kubernetes;
use hakube_model::Intent;
use hakube_pki::Authorities;
use hakube_provider::{Inventory, Login, Provider};
use hakube_state::{Backups, Clock};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Whether the endpoint may get a new address when the old one is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewAddress {
    /// No, and there is no terminal to ask on.
    #[default]
    Refused,
    /// Ask on the terminal.
    Ask,
    /// Yes.
    Agreed,
}

/// The order in which a node of a group and its successor go and come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Turnover {
    /// The successor comes first: the group has one machine more for a while.
    #[default]
    Surge,
    /// The node goes first: the group has one machine less for a while.
    NoSurge,
}

/// Everything that observes or acts.
#[derive(Clone)]
pub struct Means {
    /// Machines, addresses and balancers.
    pub provider: Arc<dyn Provider>,
    /// Members of etcd.
    pub etcd: Arc<dyn Etcd>,
    /// API servers.
    pub kubernetes: Arc<dyn Kubernetes>,
    /// Access to machines.
    pub channel: Arc<dyn Channel>,
    /// The login for new machines, if access is over SSH.
    pub login: Option<Login>,
    /// The cluster's certificate authorities.
    pub authorities: Arc<Authorities>,
    /// The id of the local cloud the machines are in.
    pub local_cloud: Option<String>,
    /// Whether machines share a loopback interface, so that each listens on its own address only.
    pub shared_loopback: bool,
    /// Where backups are.
    pub backups: Backups,
    /// The user's kubeconfig files.
    pub kubeconfig: kubeconfig::Paths,
    /// The cluster's context in it.
    pub context: String,
    /// How long one step may take.
    pub timeout: Duration,
    /// How long nodes may take to be ready, all together.
    pub nodes_timeout: Duration,
    /// How to drain nodes.
    pub drain: Drain,
    /// How an upgrade replaces nodes.
    pub turnover: Turnover,
    /// Whether the endpoint may get a new address when the old one is lost.
    pub new_address: NewAddress,
    /// The clock for certificates and tokens.
    pub clock: Clock,
    /// How often to poll a condition.
    pub pace: Duration,
}

impl Means {
    /// The resources with the cluster's ownership label.
    ///
    /// # Errors
    /// The provider fails, or doesn't respond in time.
    pub async fn inventory(&self, cluster: &str) -> Result<Inventory> {
        let looking = async { Ok(self.provider.inspect(cluster).await?) };
        bounded(self.timeout, looking).await
    }

    /// The addons that the cluster needs.
    pub fn addons(&self, intent: &Intent) -> Vec<Addon> {
        let mark = self.authorities.changed_mark();
        let anchors = Anchors {
            kubelet_ca: self.authorities.kubelet_ca(),
            mark: mark.as_deref(),
        };
        addons::all(&intent.spec, anchors)
    }

    /// The address that a replica's API server listens on. A passthrough balancer delivers packets with the
    /// endpoint's address as their destination, so a machine with its own network listens on all addresses.
    pub fn bind_address(&self, own: IpAddr) -> IpAddr {
        if self.shared_loopback {
            own
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }
    }
}
