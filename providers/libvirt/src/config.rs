//! What a provider is built from.

use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// Which hypervisors there are, and what machines on them are made with.
#[derive(Debug, Clone)]
pub struct LibvirtConfig {
    /// By zone, the URI of the libvirt that makes its machines: `qemu:///system`, `qemu+ssh://root@rack-b/system`.
    /// Zones with one URI are one host.
    pub zones: BTreeMap<String, String>,
    /// The storage pool, of the same name on each host. Its volumes must be files.
    pub pool: String,
    /// What machines are attached to.
    pub network: HostNetwork,
    /// The addresses that they have there.
    pub addresses: AddressPlan,
    /// How guests' instructions are carried out.
    pub virtualization: Virtualization,
    /// What guests boot from.
    pub firmware: Firmware,
    /// How long things may take.
    pub patience: Patience,
}

/// What machines are attached to. In each case hakube defines a network of its own in libvirt, which bears the
/// cluster's mark; what is there already isn't changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostNetwork {
    /// A network of the cluster's own on one host, behind that host's address. The host has
    /// [`AddressPlan::gateway`] in it.
    Nat {
        /// Its range.
        range: Ipv4Net,
    },
    /// The bridge of this network of libvirt's.
    Network(String),
    /// This bridge of the hosts, which has the same name on each.
    Bridge(String),
}

/// Addresses that are for the cluster alone: nothing else gives them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPlan {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix_len: u8,
    /// The way out.
    pub gateway: Option<Ipv4Addr>,
    /// The name servers that machines ask. The gateway of a network of the cluster's own answers if it is
    /// among them.
    pub dns: Vec<Ipv4Addr>,
    /// The endpoint's address; `None` is the first.
    pub endpoint: Option<Ipv4Addr>,
}

impl AddressPlan {
    /// All of a range: the gateway is its first address, and name server too.
    pub fn of(range: Ipv4Net) -> Self {
        let first = u32::from(range.network());
        let last = u32::from(range.broadcast());
        let gateway = Ipv4Addr::from(first.saturating_add(1));
        Self {
            first: Ipv4Addr::from(first.saturating_add(2)),
            last: Ipv4Addr::from(last.saturating_sub(1)),
            prefix_len: range.prefix_len(),
            gateway: Some(gateway),
            dns: vec![gateway],
            endpoint: None,
        }
    }
}

/// How guests' instructions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Virtualization {
    /// By the processor if it can, else emulated.
    Auto,
    /// By the processor.
    Kvm,
    /// Emulated: ten times slower, and everywhere.
    Emulated,
}

/// What guests boot from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// The boot loader of the image, by UEFI.
    Uefi,
    /// The same, if it is signed with a key that the firmware has.
    SecureUefi,
    /// The boot loader of the image, by BIOS.
    Bios,
    /// A kernel outside the image. Paths are the hosts' own.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its first root file system.
        initrd: Option<PathBuf>,
        /// Its parameters.
        command_line: String,
    },
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A connection may take so long to be made, to a host or to an image's server.
    pub connect: Duration,
    /// One call may go unanswered for so long, and such a server silent. A call that moves data has longer, by its
    /// length.
    pub call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            call: Duration::from_secs(60),
        }
    }
}
