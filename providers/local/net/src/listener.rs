//! A listener: accepts connections, chooses an upstream, and copies bytes both ways.

use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, Stream};
use crate::desired::{Route, Upstream};
use crate::doors::Door;
use crate::health::Health;

/// A running listener. Dropping it doesn't stop it; [`Listener::close`] does.
pub struct Listener {
    route: watch::Sender<Route>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

const BACKLOG: u32 = 1024;
/// The pause after an accept fails for lack of file descriptors, instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds; clients can connect once this returns.
    pub fn open(
        address: SocketAddrV4,
        route: Route,
        health: Arc<Health>,
        door: Door,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Connections of a previous listener in TIME_WAIT must not block this one.
        socket.set_reuseaddr(true)?;
        socket.bind(address.into())?;
        let listener = socket.listen(BACKLOG)?;
        let (route, routes) = watch::channel(route);
        let accepting = tokio::spawn(accept(listener, routes, health, door, stop.clone()));
        Ok(Self {
            route,
            stop,
            accepting,
        })
    }

    /// Its current route.
    pub fn route(&self) -> Route {
        self.route.borrow().clone()
    }

    /// Changes the route of new connections. Established ones are kept.
    pub fn redirect(&self, route: Route) {
        self.route.send_replace(route);
    }

    /// Stops listening and cuts all connections. Once this returns, the address is free.
    pub async fn close(self) {
        self.stop.cancel();
        // The task doesn't fail; it can only be cancelled with the runtime.
        let _ = self.accepting.await;
    }
}

async fn accept(
    listener: TcpListener,
    routes: watch::Receiver<Route>,
    health: Arc<Health>,
    door: Door,
    stop: CancellationToken,
) {
    let turn = AtomicUsize::new(0);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (client, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = client.set_nodelay(true) {
            tracing::debug!(%error, "a client that has gone");
            continue;
        }
        let chosen = choose(&routes.borrow().upstreams, peer.ip(), &health, &turn);
        let Some(upstream) = chosen else {
            continue;
        };
        let Some(ticket) = door.admit().map(Arc::new) else {
            continue;
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            let client = Stream::new(client, Connection::default(), Arc::clone(&ticket));
            // Both ends are closed after this, whatever the result.
            tokio::select! {
                _ = relay(client, upstream) => {}
                () = ticket.revoked() => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn relay(mut client: Stream, upstream: SocketAddrV4) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The next upstream in turn, of those that allow the client and are healthy. If none is healthy, of all
/// that allow it, like Google's passthrough balancer.
fn choose(
    upstreams: &[Upstream],
    client: IpAddr,
    health: &Health,
    turn: &AtomicUsize,
) -> Option<SocketAddrV4> {
    let admitting: Vec<&Upstream> = upstreams.iter().filter(|u| u.admits(client)).collect();
    let healthy = |upstream: &&&Upstream| {
        let mut backend = upstream.backend.iter();
        backend.all(|id| health.is_healthy(id))
    };
    let mut candidates: Vec<&Upstream> = admitting.iter().filter(healthy).copied().collect();
    if candidates.is_empty() {
        candidates = admitting;
    }
    let turn = turn.fetch_add(1, Ordering::Relaxed);
    let index = turn.checked_rem(candidates.len())?;
    candidates.get(index).map(|upstream| upstream.address)
}
