//! One listener: accepts, chooses an upstream, and copies bytes both ways.

use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::desired::{Route, Upstream};
use super::health::Health;

/// A listener that runs. Dropping it doesn't end it; [`Listener::close`] does.
pub struct Listener {
    route: watch::Sender<Route>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

const BACKLOG: u32 = 1024;
/// After an accept fails for want of file descriptors, trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds; from the return on, clients can connect.
    pub fn open(
        address: SocketAddrV4,
        route: Route,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Connections of the last listener that linger in TIME_WAIT must not keep this one out.
        socket.set_reuseaddr(true)?;
        socket.bind(address.into())?;
        let listener = socket.listen(BACKLOG)?;
        let (route, routes) = watch::channel(route);
        let accepting = tokio::spawn(accept(listener, routes, health, stop.clone()));
        Ok(Self {
            route,
            stop,
            accepting,
        })
    }

    /// What it does now.
    pub fn route(&self) -> Route {
        self.route.borrow().clone()
    }

    /// Changes where new connections go. Established ones stay.
    pub fn redirect(&self, route: Route) {
        self.route.send_replace(route);
    }

    /// Stops listening and cuts all connections. On return the address is free.
    pub async fn close(self) {
        self.stop.cancel();
        // It can end in no other way than well, or with the runtime.
        let _ = self.accepting.await;
    }
}

async fn accept(
    listener: TcpListener,
    routes: watch::Receiver<Route>,
    health: Arc<Health>,
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
        let chosen = choose(&routes.borrow().upstreams, peer.ip(), &health, &turn);
        let Some(upstream) = chosen else {
            continue;
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            // However a connection ends, its two ends are closed by then: nobody is to be told.
            let _ = stop.run_until_cancelled(relay(client, upstream)).await;
        });
    }
}

async fn relay(mut client: TcpStream, upstream: SocketAddrV4) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The next upstream in turn, of those that let the client in and are healthy; of all that let it
/// in when none is healthy, as Google's passthrough balancer does.
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
