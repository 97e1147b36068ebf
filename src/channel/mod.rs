//! The authenticated way onto a machine: over it go the files that its `cloud-config` may not hold, and
//! connections to programs that only its own network reaches.

mod local;
mod ssh;

pub use local::LocalChannel;
pub use ssh::{Accesses, Advice, SshChannel};

use crate::error::{Error, Result};
use crate::pki::SecretFile;
use async_trait::async_trait;
use hakube_provider::{Machine, MachineRef};
use std::net::{IpAddr, SocketAddr};

/// The user that hakube logs in as, where machines have users.
pub const USER: &str = "hakube";

/// How a program on a machine is reached from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Where to connect.
    pub at: SocketAddr,
    /// The machine, whose name the program's certificate must bear: a door may be a tunnel's, whose
    /// address proves nothing.
    pub machine: String,
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.machine, self.at)
    }
}

/// A way onto machines.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Writes the files in this order, each whole or not at all, with its mode. A file that starts
    /// something comes last.
    ///
    /// # Errors
    /// Transient while the machine boots.
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()>;

    /// The content of a file; `None` where there is none.
    ///
    /// # Errors
    /// Transient while the machine boots. What is in the file isn't known then.
    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>>;

    /// The way to a TCP port of the machine's own address. It stays open for as long as the channel
    /// lives; whether anything listens there isn't asked.
    ///
    /// # Errors
    /// The machine has no address yet, or doesn't let anybody in.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door>;
}

/// The machine's own address, by which its components and other replicas know it.
///
/// # Errors
/// It has none yet.
pub fn own_address(machine: &Machine) -> Result<IpAddr> {
    machine.internal_address.ok_or_else(|| {
        Error::failed(format!("machine {} has no address yet", machine.name)).transient()
    })
}
