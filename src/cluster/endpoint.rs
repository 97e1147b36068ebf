//! Who holds the endpoint's address, and how replicas share it where they hold it themselves.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Who holds the endpoint's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The provider puts it on a machine or a balancer.
    #[default]
    Provider,
    /// The replicas do, among themselves: nothing outside of them can.
    Machines,
    /// A balancer of the user's own, at this address.
    External(SocketAddr),
}

/// How the endpoint's address is shared: the same on every replica that shares it. One holds it, and the
/// others take it when that one fails. A replica alone holds it for as long as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrangement {
    /// The endpoint's address.
    pub address: IpAddr,
    /// The TCP port, of the endpoint and of every API server.
    pub port: u16,
    /// Who shares it, the first to take it first. None: the machine holds nothing.
    pub sharers: Vec<Sharer>,
}

/// A replica that shares the endpoint's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharer {
    /// Its name, which its API server's certificate bears.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
}

impl Arrangement {
    /// The replica of that name, with its place in the list.
    pub fn sharer(&self, name: &str) -> Option<(usize, &Sharer)> {
        let mut all = self.sharers.iter().enumerate();
        all.find(|(_, sharer)| sharer.name == name)
    }

    /// Whether one replica has it to itself.
    pub fn is_sole(&self) -> bool {
        self.sharers.len() == 1
    }
}

/// What a machine has been told about the endpoint's address, as it is in force there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldView {
    /// It couldn't be asked.
    Unknown {
        /// Why not.
        why: String,
    },
    /// It holds nothing.
    Nothing,
    /// It shares it so.
    Shares(Arrangement),
    /// It has files that hakube didn't write so.
    Altered,
}

/// A backend that the user's own balancer should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The replica.
    pub name: String,
    /// Where connections go.
    pub at: SocketAddr,
    /// Whether its API server answers `/readyz` with 200.
    pub ready: bool,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ready = if self.ready { "ready" } else { "not ready" };
        write!(f, "{} {} {ready}", self.name, self.at)
    }
}
