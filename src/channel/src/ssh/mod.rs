//! Access to a machine over ssh, with the cluster's key.
//!
//! A server's host key is never trusted on first use: the expected keys come from the provider.
//! Nothing is sent to a server that shows another key, and both fingerprints are reported.

mod command;
mod connections;
mod disk;
mod put;
mod read;
#[cfg(test)]
mod tests;
mod tunnel;

pub use connections::{Accesses, Advice, Servers};

use super::{Channel, Door, USER, own_address};
use async_trait::async_trait;
use connections::Connections;
use hakube_error::{Error, Result};
use hakube_model::DiskSpace;
use hakube_pki::LoginKey;
use hakube_provider::{Machine, MachineRef};
use hakube_secret::SecretFile;
use hakube_ssh::{Key, Login};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tunnel::{Target, Tunnel};

/// The ssh channel. Clones share their connections.
#[derive(Clone)]
pub struct SshChannel {
    connections: Arc<Connections>,
    tunnels: Arc<Mutex<HashMap<Target, Tunnel>>>,
}

impl SshChannel {
    /// Logs in with this key. `pace` is the minimum interval between queries to the provider about
    /// the same machine.
    ///
    /// # Errors
    /// The key is unusable.
    pub fn new(
        key: &LoginKey,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Result<Self> {
        Self::with_user(USER, key, servers, pace, advice)
    }

    fn with_user(
        user: &str,
        key: &LoginKey,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Result<Self> {
        let key = Key::parse(key.private.expose()).map_err(|error| {
            Error::failed("could not use the key for logins on machines").because(error)
        })?;
        let login = Login {
            user: user.to_owned(),
            key,
        };
        Ok(Self::with_access(login, servers, pace, advice))
    }

    /// Logs in with each machine's own login.
    pub fn with_access(
        access: impl Accesses + 'static,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Self {
        Self {
            connections: Arc::new(Connections::new(access, servers, pace, advice)),
            tunnels: Arc::default(),
        }
    }
}

#[async_trait]
impl Channel for SshChannel {
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let session = self.connections.session(machine).await?;
        put::put(&session, &machine.name, files).await
    }

    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>> {
        let session = self.connections.session(machine).await?;
        read::read(&session, &machine.name, path).await
    }

    async fn disk(&self, machine: &MachineRef, path: &str) -> Result<Option<DiskSpace>> {
        let session = self.connections.session(machine).await?;
        disk::space(&session, &machine.name, path).await
    }

    /// Returns the tunnel's local port on loopback, the same one each time. Other users of this
    /// host can connect to it, too. This grants no more than access to the machine's network:
    /// services at the far end require client certificates.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door> {
        let target = Target {
            machine: machine.machine_ref(),
            address: SocketAddr::new(own_address(machine)?, port),
        };
        // Log in now, so that a failure is reported: a tunnel could only close the connection.
        self.connections.session(&target.machine).await?;
        let mut tunnels = self.tunnels.lock().await;
        let at = match tunnels.get(&target) {
            Some(tunnel) => tunnel.near_end(),
            None => {
                let tunnel = Tunnel::open(&target, &self.connections).await?;
                let at = tunnel.near_end();
                tunnels.insert(target, tunnel);
                at
            }
        };
        Ok(Door {
            at,
            machine: machine.name.clone(),
        })
    }
}
