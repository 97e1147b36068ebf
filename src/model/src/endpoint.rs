//! The endpoint's address: its holder, and how replicas share it.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The holder of the endpoint's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The provider assigns it to a machine or a balancer.
    #[default]
    Provider,
    /// The replicas hold it among themselves, because the provider can't assign it.
    Machines,
    /// The operator's own balancer, at this address.
    External(SocketAddr),
}

/// How replicas share the endpoint's address. All of them have the same arrangement. One holds the address, and another
/// one takes it over when that one fails. A single replica holds it while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrangement {
    /// The endpoint's address.
    pub address: IpAddr,
    /// The TCP port, of the endpoint and of every API server.
    pub port: u16,
    /// The replicas that share it, in order of priority. Empty if the machine holds nothing.
    pub sharers: Vec<Sharer>,
}

/// A replica that shares the endpoint's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharer {
    /// Its name, as in its API server's certificate.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
}

impl Arrangement {
    /// The replica of that name, with its index.
    pub fn sharer(&self, name: &str) -> Option<(usize, &Sharer)> {
        let mut all = self.sharers.iter().enumerate();
        all.find(|(_, sharer)| sharer.name == name)
    }

    /// Whether there is only one replica.
    pub fn is_sole(&self) -> bool {
        self.sharers.len() == 1
    }
}

/// The arrangement in force on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldView {
    /// It couldn't be read.
    Unknown {
        /// Why.
        why: String,
    },
    /// The machine doesn't share the address.
    Nothing,
    /// This arrangement is in force.
    Shares(Arrangement),
    /// Its files differ from those that hakube wrote.
    Altered,
}

/// A backend for the operator's own balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The replica.
    pub name: String,
    /// Where the balancer connects to.
    pub at: SocketAddr,
    /// Whether its API server returns 200 for `/readyz`.
    pub ready: bool,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ready = if self.ready { "ready" } else { "not ready" };
        write!(f, "{} {} {ready}", self.name, self.at)
    }
}
