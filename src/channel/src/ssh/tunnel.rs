//! Forwards a TCP port of a machine to this host's loopback.

use super::connections::Connections;
use hakube_error::{Error, Result};
use hakube_provider::MachineRef;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The pause after an accept fails for lack of file descriptors, to avoid a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A tunnel's far end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// The machine that it leads through.
    pub machine: MachineRef,
    /// An address of that machine.
    pub address: SocketAddr,
}

/// A listener that forwards connections to the machine. Dropping it closes them all.
pub(super) struct Tunnel {
    near_end: SocketAddr,
    _open: DropGuard,
}

impl Tunnel {
    /// Listens on a free port.
    pub async fn open(target: &Target, connections: &Arc<Connections>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let Target { machine, address } = target;
            Error::failed(format!(
                "could not open a tunnel to {address} of {}",
                machine.name
            ))
            .because(error)
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).await.map_err(failed)?;
        let near_end = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let accepting = accept(
            listener,
            target.clone(),
            Arc::downgrade(connections),
            stop.clone(),
        );
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self {
            near_end,
            _open: stop.drop_guard(),
        })
    }

    /// Where to connect.
    pub fn near_end(&self) -> SocketAddr {
        self.near_end
    }
}

async fn accept(
    listener: TcpListener,
    target: Target,
    connections: Weak<Connections>,
    stop: CancellationToken,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let (target, stop) = (target.clone(), stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            if let Err(error) = relay(stream, peer, &target, connections).await {
                // The client sees a closed connection, and reports that.
                tracing::debug!(machine = target.machine.name, at = %target.address, %error, "tunnel");
            }
        }));
    }
}

async fn relay(
    mut stream: TcpStream,
    peer: SocketAddr,
    target: &Target,
    connections: Arc<Connections>,
) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| Error::failed("a tunnel broke").because(error);
    let session = connections.session(&target.machine).await?;
    // A connection must not keep its own channel alive.
    drop(connections);
    let channel = session.connect(target.address, peer).await;
    let mut far = channel.map_err(|error| broken(&error))?.into_stream();
    stream.set_nodelay(true).map_err(|error| broken(&error))?;
    tokio::io::copy_bidirectional(&mut stream, &mut far)
        .await
        .map_err(|error| broken(&error))?;
    Ok(())
}
