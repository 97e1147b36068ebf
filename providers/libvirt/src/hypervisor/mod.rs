//! What is asked of one host's libvirt: plain, blocking, one effect each.
//!
//! The provider is written against this trait, so that a test can stop it between any two effects, and can have
//! those that libvirt's test driver lacks (moving data into and out of volumes).

mod connection;

use crate::error::{Answer, Fault};
use hakube_provider::ErrorKind;
use std::fmt;
use std::io::Read;

pub(crate) use connection::open;

/// One host's libvirt.
pub(crate) trait Hypervisor: Send + Sync {
    /// Whether the connection still stands, as far as is known without asking.
    fn alive(&self) -> bool;
    /// What the host and its hypervisor can do, as XML.
    fn capabilities(&self) -> Answer<String>;
    /// The same for guests of a kind; `None` where the driver can't say.
    fn domain_capabilities(&self, arch: &str, kind: &str) -> Answer<Option<String>>;
    /// The host's size.
    fn node(&self) -> Answer<Node>;

    /// All domains.
    fn domains(&self) -> Answer<Vec<DomainSeen>>;
    /// The domain of that name.
    fn domain(&self, name: &str) -> Answer<Option<DomainSeen>>;
    /// Defines a domain, or defines it anew.
    fn define_domain(&self, xml: &str) -> Answer<()>;
    /// The domain will start with its host.
    fn autostart_domain(&self, name: &str) -> Answer<()>;
    /// Starts it.
    fn start_domain(&self, name: &str) -> Answer<()>;
    /// Lets a paused one go on.
    fn resume_domain(&self, name: &str) -> Answer<()>;
    /// Cuts its power. One that is off, or gone, is as it should be.
    fn destroy_domain(&self, name: &str) -> Answer<()>;
    /// Forgets it, its firmware's variables included. One that is gone is as it should be.
    fn undefine_domain(&self, name: &str) -> Answer<()>;

    /// All networks.
    fn networks(&self) -> Answer<Vec<NetworkSeen>>;
    /// The network of that name.
    fn network(&self, name: &str) -> Answer<Option<NetworkSeen>>;
    /// Defines a network, or defines it anew: one that is up stays as it is until it is started again.
    fn define_network(&self, xml: &str) -> Answer<()>;
    /// The network will start with its host.
    fn autostart_network(&self, name: &str) -> Answer<()>;
    /// Starts it.
    fn start_network(&self, name: &str) -> Answer<()>;
    /// Takes it down. One that is down, or gone, is as it should be.
    fn destroy_network(&self, name: &str) -> Answer<()>;
    /// Forgets it. One that is gone is as it should be.
    fn undefine_network(&self, name: &str) -> Answer<()>;

    /// The pool of that name.
    fn pool(&self, name: &str) -> Answer<Option<PoolSeen>>;
    /// Looks again what is in it: files that came there by other ways.
    fn refresh_pool(&self, pool: &str) -> Answer<()>;
    /// The names of a pool's volumes.
    fn volumes(&self, pool: &str) -> Answer<Vec<String>>;
    /// The volume of that name.
    fn volume(&self, pool: &str, name: &str) -> Answer<Option<VolumeSeen>>;
    /// Makes a volume.
    fn create_volume(&self, pool: &str, xml: &str) -> Answer<()>;
    /// Deletes a volume. One that is gone is as it should be.
    fn delete_volume(&self, pool: &str, name: &str) -> Answer<()>;
    /// Fills a volume from its start. Returns when its host has all of it.
    fn upload(&self, pool: &str, name: &str, content: &mut dyn Read, length: u64) -> Answer<()>;
    /// The last bytes of a volume, at most so many.
    fn tail(&self, pool: &str, name: &str, at_most: u64) -> Answer<Vec<u8>>;
}

/// A host's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its processors' threads.
    pub(crate) cpus: u32,
    /// Its memory in MiB.
    pub(crate) memory_mib: u64,
}

/// What a domain is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DomainState {
    /// It runs.
    Running,
    /// Somebody, or a full pool, stopped it for the time being.
    Paused,
    /// Its system shuts down.
    Stopping,
    /// It is off.
    Off,
}

/// A domain.
#[derive(Debug, Clone)]
pub(crate) struct DomainSeen {
    /// Its name.
    pub(crate) name: String,
    /// What it is doing.
    pub(crate) state: DomainState,
    /// How it will be started next.
    pub(crate) xml: String,
}

/// A network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkSeen {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is up.
    pub(crate) active: bool,
    /// Whether it starts with its host.
    pub(crate) autostart: bool,
    /// How it will be started next.
    pub(crate) xml: String,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolSeen {
    /// Whether it is in use.
    pub(crate) active: bool,
    /// libvirt's name for its kind.
    pub(crate) kind: String,
    /// Where its volumes are on the host.
    pub(crate) path: String,
    /// Its room in bytes.
    pub(crate) available: u64,
}

impl PoolSeen {
    /// Whether its volumes are files: a disk that is written over another is one.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.kind.as_str(), "dir" | "fs" | "netfs")
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeSeen {
    /// Where it is on the host.
    pub(crate) path: String,
    /// How its bytes are to be read.
    pub(crate) format: Format,
    /// The size that a guest sees, in bytes.
    pub(crate) capacity: u64,
}

/// How a disk's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As they are.
    Raw,
    /// QEMU's own, in which what was never written takes no room.
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

/// What was expected of libvirt, and isn't so.
fn unexpected(message: impl Into<String>) -> Fault {
    Fault::new(ErrorKind::Fatal, message)
}
