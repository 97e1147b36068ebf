//! Identifies the machine that sends a request. All machines are processes of one user on one host, so their
//! connections come from 127.0.0.1 unless a client binds to another address. The kernel knows the process,
//! though.

use std::fs;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use hakube_local_compute::Cloud;
use hakube_local_machine::root_of_socket;
use hakube_local_resources::Key;
use hakube_local_resources::types::Instance;

/// The instance whose machine has the other end of a connection: the one that the process belongs to, or
/// whose address the client has bound to. `None` for other users of this host, whatever address they bind
/// to.
pub async fn machine(cloud: &Cloud, peer: SocketAddr) -> Option<Key> {
    let SocketAddr::V4(peer) = peer else {
        return None;
    };
    let block = cloud.store().read(|state| state.block);
    if block.hosts {
        // Their network drops packets with another source address than the host's own.
        return with_address(cloud, IpAddr::V4(*peer.ip()));
    }
    let own = block.metadata();
    let found = tokio::task::spawn_blocking(move || {
        let connection = connection(peer, own)?;
        let is_mine = connection.user == nix::unistd::geteuid().as_raw();
        // Only a client that doesn't bind to a machine's address must be looked up.
        let root = (is_mine && *peer.ip() == std::net::Ipv4Addr::LOCALHOST)
            .then(|| root_of_socket(connection.inode))
            .flatten();
        is_mine.then_some(root)
    });
    let root: Option<PathBuf> = found.await.ok().flatten()?;
    match root {
        Some(root) => {
            let key = cloud.guests().key_of(&root)?;
            let known = |key: &Key| {
                cloud
                    .store()
                    .read(|state| state.get::<Instance>(key).is_ok())
            };
            Some(key).filter(known)
        }
        None => with_address(cloud, IpAddr::V4(*peer.ip())),
    }
}

fn with_address(cloud: &Cloud, address: IpAddr) -> Option<Key> {
    cloud.store().read(|state| {
        let mut instances = state.instances.iter();
        let found = instances.find(|(_, i)| i.internal_ip().map(IpAddr::V4) == Some(address));
        found.map(|(key, _)| key.clone())
    })
}

/// One end of a TCP connection, from the kernel's list.
#[derive(Debug, PartialEq)]
struct Connection {
    user: u32,
    inode: u64,
}

fn connection(local: SocketAddrV4, remote: SocketAddrV4) -> Option<Connection> {
    // A dual-stack socket is in the second list, with mapped addresses.
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|list| {
        let list = fs::read_to_string(list).ok()?;
        find(&list, local, remote)
    })
}

/// The line of `/proc/net/tcp` for the socket with these ends.
fn find(list: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<Connection> {
    const MAPPED: &str = "0000000000000000FFFF0000";
    let written = |address: SocketAddrV4| {
        // The kernel prints the four bytes as a number in host byte order.
        let ip = u32::from_ne_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let (local, remote) = (written(local), written(remote));
    list.lines().skip(1).find_map(|line| {
        // sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is = |index: usize, address: &str| {
            let field = fields.get(index).copied().unwrap_or_default();
            field.strip_prefix(MAPPED).unwrap_or(field) == address
        };
        let found = is(1, &local) && is(2, &remote);
        let connection = || {
            Some(Connection {
                user: fields.get(7)?.parse().ok()?,
                inode: fields.get(9)?.parse().ok()?,
            })
        };
        found.then(connection).flatten()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;
    use std::os::linux::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_kernel_says_whose_a_connection_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(server) = listener.local_addr().unwrap() else {
            unreachable!();
        };
        let client = std::net::TcpStream::connect(server).unwrap();
        let SocketAddr::V4(own) = client.local_addr().unwrap() else {
            unreachable!();
        };
        let found = connection(own, server).unwrap();
        assert_eq!(found.user, nix::unistd::geteuid().as_raw());
        let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
        let inode = fs::metadata(format!("/proc/self/fd/{fd}"))
            .unwrap()
            .st_ino();
        assert_eq!(found.inode, inode);
        assert_eq!(connection(own, own), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_for_both_protocols_are_found_too() {
        let list = "head\n   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF0000FE00407F:224C 01 \
                    00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 20 4 30 10 -1\n";
        let found = find(
            list,
            "127.0.0.1:8080".parse().unwrap(),
            "127.64.0.254:8780".parse().unwrap(),
        );
        let expected = Connection {
            user: 1000,
            inode: 4242,
        };
        assert_eq!(found, Some(expected));
    }
}
