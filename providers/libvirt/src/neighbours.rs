//! Checks whether an address is in use, as far as this machine can tell: only on its directly
//! connected networks.
//!
//! Resolving a neighbour's MAC address needs no privileges. The kernel does it for any process that
//! sends a packet there, and lists the result. Nothing is known about addresses on other networks.

use async_trait::async_trait;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Finds neighbours on this machine's networks.
#[async_trait]
pub(crate) trait Neighbours: Send + Sync {
    /// The MAC address of the machine with this address; `None` if no machine responds or it can't be known.
    async fn at(&self, address: Ipv4Addr) -> Option<String>;
}

/// Neighbours found by the kernel.
pub(crate) struct KernelNeighbours;

/// The kernel sends three ARP requests in this time. A neighbour that exists responds by then.
const ANSWER: Duration = Duration::from_millis(1200);
/// The kernel gives up a stale entry after 5 s and three requests of a second each.
const DOUBT: Duration = Duration::from_secs(9);
const PACE: Duration = Duration::from_millis(50);
/// The discard protocol: the packet is harmless.
const PORT: u16 = 9;

#[async_trait]
impl Neighbours for KernelNeighbours {
    async fn at(&self, address: Ipv4Addr) -> Option<String> {
        let routes = tokio::fs::read_to_string("/proc/net/route").await.ok()?;
        if !is_on_link(&routes, address) {
            return None;
        }
        let remembered = known(address).await;
        let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
        let _ = socket.send_to(&[0], SocketAddrV4::new(address, PORT)).await;
        let patience = if remembered.is_some() { DOUBT } else { ANSWER };
        let deadline = Instant::now() + patience;
        loop {
            let now = known(address).await;
            match (&remembered, &now) {
                (None, Some(_)) => return now,
                (Some(_), None) => return None,
                _ if Instant::now() >= deadline => return now,
                _ => tokio::time::sleep(PACE).await,
            }
        }
    }
}

async fn known(address: Ipv4Addr) -> Option<String> {
    let table = tokio::fs::read_to_string("/proc/net/arp").await.ok()?;
    mac_in(&table, address)
}

/// The MAC address in the kernel's table, if the entry is complete.
fn mac_in(table: &str, address: Ipv4Addr) -> Option<String> {
    /// `ATF_COM` of `linux/if_arp.h`.
    const COMPLETE: u32 = 2;
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace();
        let whose: Ipv4Addr = columns.next()?.parse().ok()?;
        let flags = u32::from_str_radix(columns.nth(1)?.trim_start_matches("0x"), 16).ok()?;
        let mac = columns.next()?;
        (whose == address && flags & COMPLETE != 0).then(|| mac.to_owned())
    })
}

/// Whether a route without a gateway leads there. Addresses in the table are in memory order.
fn is_on_link(routes: &str, address: Ipv4Addr) -> bool {
    let number = |column: &str| {
        let raw = u32::from_str_radix(column, 16).ok()?;
        Some(u32::from_be_bytes(raw.to_ne_bytes()))
    };
    let address = u32::from(address);
    let matching = routes.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (to, gateway, mask) = (columns.get(1)?, columns.get(2)?, columns.get(7)?);
        let (to, gateway, mask) = (number(to)?, number(gateway)?, number(mask)?);
        (address & mask == to).then_some((mask.count_ones(), gateway == 0))
    });
    // The longest prefix wins.
    matching
        .max_by_key(|(length, _)| *length)
        .is_some_and(|(_, direct)| direct)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_entries_name_a_neighbour() {
        let table = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.11        0x1         0x2         52:54:00:aa:bb:cc     *        br0
10.0.0.12        0x1         0x0         00:00:00:00:00:00     *        br0
10.0.0.13        0x1         0x6         52:54:00:aa:bb:dd     *        br0
";
        let mac = |last| mac_in(table, Ipv4Addr::new(10, 0, 0, last));
        assert_eq!(mac(11).as_deref(), Some("52:54:00:aa:bb:cc"));
        assert_eq!(mac(12), None);
        assert_eq!(mac(13).as_deref(), Some("52:54:00:aa:bb:dd"));
        assert_eq!(mac(1), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_routes_without_a_gateway_are_on_link() {
        let routes = "\
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0
br0 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0
br0 0007000A 0100000A 0003 0 0 0 00FFFFFF 0 0 0
";
        let on_link = |address: [u8; 4]| is_on_link(routes, Ipv4Addr::from(address));
        assert!(on_link([10, 0, 0, 77]));
        assert!(!on_link([10, 0, 7, 77]));
        assert!(!on_link([192, 168, 1, 1]));
    }
}
