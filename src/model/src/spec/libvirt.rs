//! Hypervisors, and what their machines share.

use super::provider::Zone;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Settings of the libvirt provider. Stored with the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libvirt {
    /// The zones, in the operator's order.
    pub zones: Vec<Hypervisor>,
    /// The storage pool on each host.
    pub pool: String,
    /// The machines' network.
    pub network: HostNetwork,
    /// The addresses that may be assigned; the first is the endpoint's.
    pub addresses: AddressSpan,
    /// The router to other networks.
    pub gateway: Option<Ipv4Addr>,
    /// The machines' name servers.
    pub dns: Vec<Ipv4Addr>,
    /// How machines are virtualized.
    pub virtualization: Virtualization,
    /// How machines boot.
    pub boot: Boot,
}

impl Libvirt {
    /// Returns the same settings with these zones updated or added.
    pub fn with(&self, zones: &[Hypervisor]) -> Self {
        let mut all = self.zones.clone();
        for given in zones {
            match all.iter_mut().find(|known| known.zone == given.zone) {
                Some(known) => known.uri.clone_from(&given.uri),
                None => all.push(given.clone()),
            }
        }
        Self {
            zones: all,
            ..self.clone()
        }
    }
}

/// A zone, with its host's libvirt URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypervisor {
    /// The zone.
    pub zone: Zone,
    /// libvirt's URI: `qemu:///system`; or [`Hypervisor::GONE`].
    pub uri: String,
}

impl Hypervisor {
    /// In place of a URI: the host was given up. It isn't asked any more, and what was on it is lost.
    pub const GONE: &str = "gone";

    /// Whether the host was given up.
    pub fn is_gone(&self) -> bool {
        self.uri == Self::GONE
    }
}

/// What machines are connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostNetwork {
    /// A network that hakube creates with this range, behind the host's address.
    Nat(Ipv4Net),
    /// An existing libvirt network.
    Network(String),
    /// An existing bridge of the host.
    Bridge(String),
}

/// A span of addresses in a network. IPv4 only: keepalived, haproxy and hypervisors' networks were
/// tested with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpan {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address.
    pub last: Ipv4Addr,
    /// The network's prefix length in bits.
    pub prefix_len: u8,
}

/// Who runs machines' processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Virtualization {
    /// Hardware virtualization if available, otherwise emulation.
    Auto,
    /// Hardware virtualization.
    Kvm,
    /// Software emulation.
    Qemu,
}

/// What boots machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// The image's boot loader, with UEFI.
    Uefi,
    /// The same with Secure Boot: it must be signed with a key that the firmware trusts.
    SecureUefi,
    /// The image's boot loader, with BIOS.
    Bios,
    /// A kernel file on the host.
    Kernel {
        /// The kernel's path.
        kernel: PathBuf,
        /// The initial RAM disk's path.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        arguments: String,
    },
}
