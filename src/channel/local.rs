//! Onto a machine of the local cloud: through the daemon, whose token is in a 0600 file.

use super::{Channel, Door, own_address};
use crate::error::{Error, Result};
use crate::pki::SecretFile;
use async_trait::async_trait;
use bytes::Bytes;
use hakube_local::client::LocalCloud;
use hakube_provider::{Machine, MachineRef};
use std::net::SocketAddr;

/// The local cloud's own way onto its machines.
pub struct LocalChannel {
    cloud: LocalCloud,
}

impl LocalChannel {
    /// To the machines of this local cloud.
    pub fn new(cloud: LocalCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl Channel for LocalChannel {
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let MachineRef { name, zone } = machine;
        for file in files {
            let content = Bytes::copy_from_slice(file.content.expose().as_bytes());
            self.cloud
                .put_file(zone, name, &file.path, file.mode, content)
                .await
                .map_err(|error| {
                    Error::failed(format!("could not put {} on {name}", file.path))
                        .because(error)
                        .transient()
                })?;
        }
        Ok(())
    }

    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>> {
        let MachineRef { name, zone } = machine;
        let content = self.cloud.read_file(zone, name, path).await;
        content.map_err(|error| {
            Error::failed(format!("could not read {path} on {name}"))
                .because(error)
                .transient()
        })
    }

    /// Its machines' addresses are this host's.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door> {
        Ok(Door {
            at: SocketAddr::new(own_address(machine)?, port),
            machine: machine.name.clone(),
        })
    }
}
