//! The daemon's HTTP servers, with limits on connections and on the time for a request's head.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hakube_local_net::{Connection, Door, Stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);
/// The pause after an accept fails for lack of file descriptors, instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop, and returns when all requests in progress are finished. Handlers get the
/// peer's address and the connection as [`ConnectInfo`].
pub async fn serve(listener: TcpListener, router: Router, door: Door, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let one = one(tcp, peer, router.clone(), door.clone(), stop.clone());
                connections.spawn(one);
            }
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn one(
    tcp: TcpStream,
    peer: SocketAddr,
    router: Router,
    door: Door,
    stop: CancellationToken,
) {
    let Some(ticket) = door.admit().map(Arc::new) else {
        return;
    };
    let connection = Connection::default();
    let stream = Stream::new(tcp, connection.clone(), Arc::clone(&ticket));
    let serving = Arc::clone(&ticket);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let busy = serving.busy();
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(connection.clone()));
        extensions.insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            drop(busy);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // However it ends, its client notices.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = ticket.revoked() => return,
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}
