//! A TCP port of a machine, on this host's loopback.

use super::Shared;
use crate::error::{Error, Result};
use hakube_provider::MachineRef;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// After an accept fails for want of file descriptors, trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is at a tunnel's far end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// The machine that it goes through.
    pub machine: MachineRef,
    /// An address of that machine's own.
    pub address: SocketAddr,
}

/// A listener whose connections end on the machine. Dropping it closes it and them.
pub(super) struct Tunnel {
    near_end: SocketAddr,
    _open: DropGuard,
}

impl Tunnel {
    /// Listens on a port that is free.
    pub async fn open(target: &Target, shared: &Arc<Shared>) -> Result<Self> {
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
            Arc::downgrade(shared),
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
    shared: Weak<Shared>,
    stop: CancellationToken,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let (target, stop) = (target.clone(), stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            if let Err(error) = relay(stream, peer, &target, shared).await {
                // Whoever connected sees a closed connection, and reports that.
                tracing::debug!(machine = target.machine.name, at = %target.address, %error, "tunnel");
            }
        }));
    }
}

async fn relay(
    mut stream: TcpStream,
    peer: SocketAddr,
    target: &Target,
    shared: Arc<Shared>,
) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| Error::failed("a tunnel broke").because(error);
    let session = shared.session(&target.machine).await?;
    // A connection mustn't keep the channel alive that it goes through.
    drop(shared);
    let channel = session.connect(target.address, peer).await;
    let mut far = channel.map_err(|error| broken(&error))?.into_stream();
    stream.set_nodelay(true).map_err(|error| broken(&error))?;
    tokio::io::copy_bidirectional(&mut stream, &mut far)
        .await
        .map_err(|error| broken(&error))?;
    Ok(())
}
