//! keepalived's configuration. Source: keepalived.conf(5) of 2.2, and measurements (docs/libvirt.md).

use super::{CHECK, INTERFACE};
use hakube_model::{Arrangement, Sharer};
use std::net::IpAddr;

/// The highest VRRP priority below 255, which means that the router owns the address (RFC 5798, 5.2.4).
const HIGHEST: usize = 254;

/// How often the holder announces the address, in seconds. A machine that was cut off from its peers may have taken
/// the address for a while, and announced it. Clients that heard it would keep sending to that machine: the
/// address's holder never changed, so it wouldn't announce it again by itself. The machine forwards such packets, so
/// clients' own neighbour tables find nothing wrong; but connections hang, since only one direction passes it.
const ANNOUNCED: u32 = 2;

/// `own` is the machine's entry, at `place` of the list.
pub(super) fn render(arrangement: &Arrangement, place: usize, own: &Sharer) -> String {
    let others = arrangement.sharers.iter().filter(|other| *other != own);
    let mut peers: Vec<String> = others.map(|other| other.address.to_string()).collect();
    let (mut check, mut track) = (String::new(), String::new());
    if arrangement.is_sole() {
        // Without a peer, keepalived would fall back to multicast and reach other users of the
        // network. There is no check, since no other machine could take the address.
        peers.push(loopback(own.address).to_owned());
    } else {
        check = format!(
            "vrrp_script serves {{\n    script \"{CHECK}\"\n    \
             interval 1\n    timeout 3\n    fall 2\n    rise 2\n}}\n\n"
        );
        // No weight: with nopreempt, a lower priority wouldn't make it release the address.
        "    track_script {\n        serves\n    }\n".clone_into(&mut track);
    }
    let Arrangement { address, .. } = arrangement;
    let priority = HIGHEST.saturating_sub(place).max(1);
    format!(
        "# Written by hakube; the next repair reverts manual changes.\n\
         global_defs {{\n    enable_script_security\n    script_user nobody\n    \
         vrrp_check_unicast_src\n}}\n\n\
         {check}\
         vrrp_instance endpoint {{\n    state BACKUP\n    nopreempt\n    interface {INTERFACE}\n    \
         virtual_router_id {id}\n    priority {priority}\n    advert_int 1\n    \
         garp_master_refresh {ANNOUNCED}\n    garp_master_refresh_repeat 1\n    \
         unicast_src_ip {own}\n    unicast_peer {{\n        {peers}\n    }}\n    \
         virtual_ipaddress {{\n        {address}/{bits} dev {INTERFACE}\n    }}\n{track}}}\n",
        id = router_id(*address),
        own = own.address,
        peers = peers.join("\n        "),
        bits = if address.is_ipv4() { 32 } else { 128 },
    )
}

fn loopback(like: IpAddr) -> &'static str {
    if like.is_ipv4() { "127.0.0.1" } else { "::1" }
}

/// 1 to 255; the same on all machines that share an address.
fn router_id(address: IpAddr) -> u8 {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    last.max(1)
}
