//! The addresses that a cloud owns.
//!
//! A cloud owns one block 127.B.0.0/16. Of it, 127.B.0.1 serves the API, 127.B.0.254 the metadata,
//! 127.B.N.0/24 is the Nth subnetwork, and 127.B.240.0/20 are the external addresses.
//!
//! If machines are hosts with a network of their own, only the API has an address of the block. In that network the
//! metadata server has Compute Engine's address, 10.128.N.0/24 is the Nth subnetwork, and external addresses are of
//! the range for benchmarks, which no real network has.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// The first and last second octet of a cloud's block. Other software uses addresses below 64, such as
/// resolvers (127.0.0.53).
pub const OCTETS: std::ops::RangeInclusive<u8> = 64..=250;
/// The port of the API and of the metadata server. The metadata server's usual port, 80, would need privileges.
pub const PORT: u16 = 8780;

/// One block 127.B.0.0/16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// B.
    pub octet: u8,
    /// Where the search for the next external address starts. A released address isn't reused at once, so
    /// that stale uses are noticed.
    #[serde(default)]
    pub(crate) next_external: u32,
    /// Whether machines are hosts with a network of their own. Then only the API has an address of the block.
    #[serde(default)]
    pub hosts: bool,
}

impl Block {
    /// The block 127.`octet`.0.0/16.
    pub const fn new(octet: u8) -> Self {
        Self {
            octet,
            next_external: 0,
            hosts: false,
        }
    }

    /// The same for machines that are hosts, or that aren't.
    pub const fn of_hosts(self, hosts: bool) -> Self {
        Self { hosts, ..self }
    }

    /// The API's address.
    pub const fn api(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 0, 1)
    }

    /// The metadata server's address.
    pub const fn metadata(self) -> SocketAddrV4 {
        if self.hosts {
            return SocketAddrV4::new(METADATA, 80);
        }
        SocketAddrV4::new(Ipv4Addr::new(127, self.octet, 0, 254), PORT)
    }

    /// The range of the subnetworks that networks have automatically.
    pub fn range(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::from(self.first(0)), 16)
    }

    /// The first address of the subnetwork with this number that a network has automatically.
    pub(crate) fn first(self, subnetwork: u8) -> [u8; 4] {
        if self.hosts {
            [10, 128, subnetwork, 0]
        } else {
            [127, self.octet, subnetwork, 0]
        }
    }

    /// The range of external addresses.
    pub fn external(self) -> Ipv4Net {
        if self.hosts {
            return Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 240, 0), 20);
        }
        Ipv4Net::new_assert(Ipv4Addr::new(127, self.octet, 240, 0), 20)
    }

    /// The range that custom subnetworks must not overlap: the API's /24, or that of the host network's own side.
    pub fn reserved(self) -> Ipv4Net {
        if self.hosts {
            return Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), 24);
        }
        Ipv4Net::new_assert(Ipv4Addr::new(127, self.octet, 0, 0), 24)
    }

    /// Whether a custom subnetwork may have this range.
    pub fn permits(self, range: Ipv4Net) -> bool {
        let within = if self.hosts {
            PRIVATE
                .iter()
                .any(|(first, length)| Ipv4Net::new_assert(*first, *length).contains(&range))
        } else {
            self.range().contains(&range)
        };
        let kept = [self.reserved(), self.external()];
        within
            && !kept
                .iter()
                .any(|kept| kept.contains(&range) || range.contains(kept))
    }
}

/// Compute Engine's metadata server.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The ranges for private networks: RFC 1918.
const PRIVATE: [(Ipv4Addr, u8); 3] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];
