//! Authenticated access to machines: writes the files that must not be in `cloud-config`, and
//! connects to programs that are reachable only from the machine's network.

mod local;
mod ssh;

pub use local::LocalChannel;
pub use ssh::{Accesses, Advice, SshChannel};

use async_trait::async_trait;
use hakube_error::{Error, Result};
use hakube_model::DiskSpace;
use hakube_provider::{Machine, MachineRef};
use hakube_secret::SecretFile;
use std::net::{IpAddr, SocketAddr};

/// The user that hakube logs in as, for machines with users.
pub const USER: &str = "hakube";

/// How to reach a program on a machine from this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The address to connect to.
    pub at: SocketAddr,
    /// The machine, whose name the program's certificate must have: the address may be a tunnel's,
    /// which proves nothing.
    pub machine: String,
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.machine, self.at)
    }
}

/// A channel to machines.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Writes the files in order, each atomically with its mode. A file that triggers something comes last.
    ///
    /// # Errors
    /// Transient while the machine boots.
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()>;

    /// Returns a file's content; `None` if it doesn't exist.
    ///
    /// # Errors
    /// Transient while the machine boots. Whether the file exists is then unknown.
    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>>;

    /// Returns the space of a directory's file system; `None` if there is no such directory.
    ///
    /// # Errors
    /// Transient while the machine boots.
    async fn disk(&self, machine: &MachineRef, path: &str) -> Result<Option<DiskSpace>>;

    /// Opens a way to a TCP port of the machine's own address. It remains for the channel's
    /// lifetime; whether anything listens there isn't checked.
    ///
    /// # Errors
    /// The machine has no address yet, or refuses the login.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door>;
}

/// The machine's own address, which its components and other replicas use.
///
/// # Errors
/// It has none yet.
pub fn own_address(machine: &Machine) -> Result<IpAddr> {
    machine.internal_address.ok_or_else(|| {
        Error::failed(format!("machine {} has no address yet", machine.name)).transient()
    })
}
