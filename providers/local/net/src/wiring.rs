//! The network of machines that have a kernel's network of their own, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;

use crate::desired::{BackendId, Probe};

/// Everything that the network of such machines has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wiring {
    /// The machines, by their internal addresses.
    pub machines: BTreeMap<Ipv4Addr, Wire>,
    /// The addresses of the networks' routers.
    pub gateways: BTreeSet<Ipv4Addr>,
    /// The ranges of all subnetworks, secondary ones included.
    pub internal: BTreeSet<Ipv4Net>,
    /// The range of external addresses.
    pub external: Ipv4Net,
    /// Ranges that are routed to a machine that forwards packets.
    pub routes: BTreeMap<Ipv4Net, Ipv4Addr>,
    /// Load balancers.
    pub balancers: Vec<Balancer>,
    /// Health checks.
    pub probes: BTreeMap<BackendId, Probe>,
}

/// The network interface of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Wire {
    /// The path of its network. Networks don't reach each other.
    pub network: String,
    /// Its external address.
    pub external: Option<Ipv4Addr>,
    /// Further internal ranges that are routed to it.
    pub aliases: Vec<Ipv4Net>,
    /// Whether it may send packets of other addresses than its own.
    pub forwards: bool,
    /// What its firewall lets in. Everything else is dropped.
    pub ingress: Vec<Ingress>,
}

/// Traffic that a firewall lets in.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingress {
    /// From these ranges.
    pub ranges: Vec<Ipv4Net>,
    /// And from these machines.
    pub machines: Vec<Ipv4Addr>,
    /// The protocols, each with its ports.
    pub traffic: Vec<(IpProtocol, Vec<(u16, u16)>)>,
}

/// An IP protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpProtocol {
    /// Every protocol.
    All,
    /// The protocol with this number.
    Number(u8),
}

impl IpProtocol {
    /// TCP.
    pub const TCP: Self = Self::Number(6);
    /// UDP.
    pub const UDP: Self = Self::Number(17);
    /// SCTP.
    pub const SCTP: Self = Self::Number(132);
}

/// A load balancer, which passes packets on unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its TCP ports; all if there are none.
    pub ports: Vec<(u16, u16)>,
    /// The machines behind it, by their internal addresses. An unhealthy one keeps the connections that it has.
    pub backends: Vec<(Ipv4Addr, Option<BackendId>)>,
    /// Those that get new connections.
    pub chosen: Vec<Ipv4Addr>,
}

/// Carries such a network out.
#[async_trait]
pub trait Wires: Send + Sync + Debug {
    /// Makes the network as it is described. New connections to a balancer go to its chosen
    /// backends.
    async fn apply(&self, wiring: Wiring) -> Result<(), String>;
}
