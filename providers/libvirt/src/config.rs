//! The provider's configuration.

use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// The hypervisors, and how to create machines on them.
#[derive(Debug, Clone)]
pub struct LibvirtConfig {
    /// By zone, the URI of its libvirt: `qemu:///system`, `qemu+ssh://root@rack-b/system`. Zones
    /// with the same URI are on one host.
    pub zones: BTreeMap<String, String>,
    /// The storage pool, with the same name on each host. Its volumes must be files.
    pub pool: String,
    /// The network that machines are attached to.
    pub network: HostNetwork,
    /// The machines' addresses in it.
    pub addresses: AddressPlan,
    /// How guests run.
    pub virtualization: Virtualization,
    /// How guests boot.
    pub firmware: Firmware,
    /// Timeouts.
    pub patience: Patience,
}

/// The network that machines are attached to. In each case hakube defines its own network in
/// libvirt, with the cluster's ownership label. Existing networks and bridges aren't changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostNetwork {
    /// The cluster's own network on one host, behind that host's address. The host has the address
    /// [`AddressPlan::gateway`] in it.
    Nat {
        /// Its range.
        range: Ipv4Net,
    },
    /// The bridge of this libvirt network.
    Network(String),
    /// This bridge, with the same name on each host.
    Bridge(String),
}

/// Addresses reserved for the cluster: nothing else assigns them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPlan {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The network's prefix length.
    pub prefix_len: u8,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The machines' name servers. If the gateway of the cluster's own network is among them, it
    /// answers queries.
    pub dns: Vec<Ipv4Addr>,
    /// The endpoint's address; `None` is the first address.
    pub endpoint: Option<Ipv4Addr>,
}

impl AddressPlan {
    /// A plan of a whole range. The gateway is the first address, and also the name server.
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

/// How guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Virtualization {
    /// With KVM if available, otherwise emulated.
    Auto,
    /// With KVM.
    Kvm,
    /// Emulated: ten times slower, but available everywhere.
    Emulated,
}

/// What guests boot from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// The image's boot loader, with UEFI.
    Uefi,
    /// Also with UEFI, but the boot loader must be signed with one of the firmware's keys.
    SecureUefi,
    /// The image's boot loader, with BIOS.
    Bios,
    /// A kernel outside the image. The paths are on the hosts.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        command_line: String,
    },
}

/// Timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For connecting to a host or to an image's server.
    pub connect: Duration,
    /// For one call's response, and for silence from an image's server. A call that transfers data
    /// may take longer, depending on its length.
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
