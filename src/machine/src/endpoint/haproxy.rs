//! haproxy's configuration. Source: haproxy's configuration manual, 2.6.

use super::{ALIVE, CA};
use hakube_model::{Arrangement, Sharer};
use std::net::SocketAddr;

/// `own` is the machine's entry: the machine is healthy if its own API server is.
pub(super) fn render(arrangement: &Arrangement, own: &Sharer) -> String {
    let Arrangement {
        address,
        port,
        sharers,
    } = arrangement;
    let servers: String = sharers
        .iter()
        .map(|sharer| {
            let name = &sharer.name;
            let at = SocketAddr::new(sharer.address, *port);
            format!("    server {name} {at} check-sni {name} verifyhost {name}\n")
        })
        .collect();
    // Client connections have no short idle timeout, since watches may be quiet for long. After a
    // reload, existing connections stay on the old process until hard-stop-after.
    format!(
        "# Written by hakube; the next repair reverts manual changes.\n\
         global\n    log stdout format raw daemon notice\n    user haproxy\n    group haproxy\n    \
         hard-stop-after 10m\n\n\
         defaults\n    mode tcp\n    log global\n    option clitcpka\n    option srvtcpka\n    \
         option redispatch\n    timeout connect 3s\n    timeout check 3s\n    \
         timeout client 24h\n    timeout server 24h\n\n\
         frontend endpoint\n    bind {endpoint} transparent\n    default_backend api-servers\n\n\
         backend api-servers\n    balance leastconn\n    option httpchk GET /readyz\n    \
         http-check expect status 200\n    \
         default-server check check-ssl verify required ca-file {CA} inter 2s fastinter 500ms fall 2 rise 2 \
         on-marked-down shutdown-sessions\n{servers}\n\
         frontend alive\n    mode http\n    bind unix@{ALIVE} mode 666\n    timeout client 5s\n    \
         monitor-uri /\n    monitor fail if !{{ srv_is_up(api-servers/{own}) }}\n",
        own = own.name,
        endpoint = SocketAddr::new(*address, *port),
    )
}
