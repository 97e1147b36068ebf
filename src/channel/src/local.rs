//! Access to a machine of the local cloud, through its daemon. The daemon's token is in a file with
//! mode 0600.

use super::{Channel, Door, own_address};
use async_trait::async_trait;
use hakube_error::{Error, Result};
use hakube_local_client::{LocalCloud, NewFile};
use hakube_model::DiskSpace;
use hakube_provider::{Machine, MachineRef};
use hakube_secret::SecretFile;
use std::net::SocketAddr;

/// The local cloud's channel.
pub struct LocalChannel {
    cloud: LocalCloud,
}

impl LocalChannel {
    /// A channel to the machines of this local cloud.
    pub fn new(cloud: LocalCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl Channel for LocalChannel {
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let MachineRef { name, zone } = machine;
        let of = |file: &SecretFile| {
            NewFile::new(&file.path, file.mode, file.content.expose().as_bytes())
        };
        let files: Vec<NewFile> = files.iter().map(of).collect();
        let written = self.cloud.put_files(zone, name, &files).await;
        written.map_err(|error| {
            Error::failed(format!("could not write files on {name}"))
                .because(error)
                .transient()
        })
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

    async fn disk(&self, machine: &MachineRef, path: &str) -> Result<Option<DiskSpace>> {
        let MachineRef { name, zone } = machine;
        let space = self.cloud.disk_space(zone, name, path).await;
        let space = space.map_err(|error| {
            Error::failed(format!("could not get the disk space of {path} on {name}"))
                .because(error)
                .transient()
        })?;
        Ok(space.map(|space| DiskSpace {
            bytes: space.bytes,
            free: space.free,
        }))
    }

    /// Its machines' addresses are local to this host.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door> {
        Ok(Door {
            at: SocketAddr::new(own_address(machine)?, port),
            machine: machine.name.clone(),
        })
    }
}
