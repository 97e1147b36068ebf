//! The interface to one host's libvirt: simple blocking calls with one effect each.
//!
//! The provider uses libvirt through this trait. So a test can stop it between any two effects, and
//! can provide what libvirt's test driver doesn't support: data transfer to and from volumes.

pub(crate) mod connection;

use crate::error::{Answer, Fault};
use hakube_provider::ErrorKind;
use std::fmt;
use std::io::Read;

/// One host's libvirt.
pub(crate) trait Hypervisor: Send + Sync {
    /// Whether the connection is up, as far as known without a call.
    fn alive(&self) -> bool;
    /// The capabilities of the host and its hypervisor, as XML.
    fn capabilities(&self) -> Answer<String>;
    /// The capabilities for one kind of guest; `None` if the driver doesn't report them.
    fn domain_capabilities(&self, arch: &str, kind: &str) -> Answer<Option<String>>;
    /// The host's size.
    fn node(&self) -> Answer<Node>;

    fn domains(&self) -> Answer<Vec<DomainSeen>>;
    fn domain(&self, name: &str) -> Answer<Option<DomainSeen>>;
    /// Defines a domain, or redefines an existing one.
    fn define_domain(&self, xml: &str) -> Answer<()>;
    /// Makes the domain start with its host.
    fn autostart_domain(&self, name: &str) -> Answer<()>;
    /// Starts a domain.
    fn start_domain(&self, name: &str) -> Answer<()>;
    /// Resumes a paused domain.
    fn resume_domain(&self, name: &str) -> Answer<()>;
    /// Powers a domain off. Succeeds if it is off or doesn't exist.
    fn destroy_domain(&self, name: &str) -> Answer<()>;
    /// Undefines a domain and deletes its firmware variables. Succeeds if it doesn't exist.
    fn undefine_domain(&self, name: &str) -> Answer<()>;

    fn networks(&self) -> Answer<Vec<NetworkSeen>>;
    fn network(&self, name: &str) -> Answer<Option<NetworkSeen>>;
    /// Defines a network, or redefines an existing one. An active network changes only when it is restarted.
    fn define_network(&self, xml: &str) -> Answer<()>;
    /// Makes the network start with its host.
    fn autostart_network(&self, name: &str) -> Answer<()>;
    /// Starts a network.
    fn start_network(&self, name: &str) -> Answer<()>;
    /// Stops a network. Succeeds if it is inactive or doesn't exist.
    fn destroy_network(&self, name: &str) -> Answer<()>;
    /// Undefines a network. Succeeds if it doesn't exist.
    fn undefine_network(&self, name: &str) -> Answer<()>;

    fn pool(&self, name: &str) -> Answer<Option<PoolSeen>>;
    /// Rereads the pool's contents, to find files that weren't created through libvirt.
    fn refresh_pool(&self, pool: &str) -> Answer<()>;
    /// The names of a pool's volumes.
    fn volumes(&self, pool: &str) -> Answer<Vec<String>>;
    fn volume(&self, pool: &str, name: &str) -> Answer<Option<VolumeSeen>>;
    /// Creates a volume.
    fn create_volume(&self, pool: &str, xml: &str) -> Answer<()>;
    /// Deletes a volume. Succeeds if it doesn't exist.
    fn delete_volume(&self, pool: &str, name: &str) -> Answer<()>;
    /// Writes a volume from its start. Returns once the host has received all of it.
    fn upload(&self, pool: &str, name: &str, content: &mut dyn Read, length: u64) -> Answer<()>;
    /// The last bytes of a volume, at most `at_most`.
    fn tail(&self, pool: &str, name: &str, at_most: u64) -> Answer<Vec<u8>>;
}

/// A host's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// The number of CPU threads.
    pub(crate) cpus: u32,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
}

/// A domain's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DomainState {
    Running,
    /// Paused by the operator, or because the pool is full.
    Paused,
    /// Its system is shutting down.
    Stopping,
    Off,
}

/// A domain.
#[derive(Debug, Clone)]
pub(crate) struct DomainSeen {
    pub(crate) name: String,
    pub(crate) state: DomainState,
    /// Its inactive description: how it starts next time.
    pub(crate) xml: String,
}

/// A network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkSeen {
    pub(crate) name: String,
    /// Whether it is active.
    pub(crate) active: bool,
    /// Whether it starts with its host.
    pub(crate) autostart: bool,
    /// Its inactive description: how it starts next time.
    pub(crate) xml: String,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolSeen {
    /// Whether it is active.
    pub(crate) active: bool,
    /// libvirt's name of its type.
    pub(crate) kind: String,
    /// The directory of its volumes on the host.
    pub(crate) path: String,
    /// Available space in bytes.
    pub(crate) available: u64,
}

impl PoolSeen {
    /// Whether its volumes are files. Only then can a disk have a backing file there.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.kind.as_str(), "dir" | "fs" | "netfs")
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeSeen {
    /// Its path on the host.
    pub(crate) path: String,
    pub(crate) format: Format,
    /// The virtual size in bytes.
    pub(crate) capacity: u64,
}

/// A disk format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Plain bytes.
    Raw,
    /// QEMU's own format, in which unwritten blocks take no space.
    Qcow2,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        })
    }
}

/// An error for unexpected behaviour.
fn unexpected(message: impl Into<String>) -> Fault {
    Fault::new(ErrorKind::Fatal, message)
}
