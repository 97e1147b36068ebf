//! The files in which a machine differs from another host of a yard.

use std::net::{IpAddr, Ipv4Addr};

use hakube_local_machine::GuestSpec;

/// As Google's DHCP server would set it: an address of its own, and everything else by way of the router.
const NETWORK: &str = "\
[Unit]
Description=The network of an instance of the local cloud
DefaultDependencies=no
Wants=network.target
Before=network.target network-online.target ssh.service cloud-init-local.service cloud-init.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link set host0 mtu 1460 up
ExecStart=ip address add @ADDRESS@/32 dev host0
ExecStart=ip route add @GATEWAY@ dev host0 scope link
ExecStart=ip route add default via @GATEWAY@ mtu 1460

[Install]
WantedBy=multi-user.target
";

/// The files of a machine: paths and contents.
pub(crate) fn of(spec: &GuestSpec) -> [(&'static str, String); 3] {
    let address = match spec.address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let gateway = spec.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let network = NETWORK
        .replace("@ADDRESS@", &address.to_string())
        .replace("@GATEWAY@", &gateway.to_string());
    let name = &spec.name;
    let hosts = format!(
        "127.0.0.1 localhost\n{address} {name}\n169.254.169.254 metadata.google.internal metadata\n\n\
         ::1 localhost ip6-localhost ip6-loopback\n"
    );
    [
        ("/etc/systemd/system/yard-network.service", network),
        ("/etc/hosts", hosts),
        ("/etc/hostname", format!("{name}\n")),
    ]
}
