//! Machines of the local cloud that are hosts of a yard: they boot Debian with systemd and cloud-init, and have a
//! kernel's network of their own. For tests; it needs root.
//!
//! [`Hosts`] opens the yard. The cloud's daemon must run in its network ([`Hosts::inside`]), where the metadata server
//! has Compute Engine's address, and where clients reach external addresses and load balancers. Nothing of the yard
//! outlives it but the disks.
//!
//! # The network
//! The yard's namespace is the network's router. A machine has a /32 address, as on Compute Engine, so everything that
//! it sends goes through the router: bridged packets between machines are dropped. Firewall rules, external addresses
//! and load balancers are nftables rules ([`rules`]), alias ranges and the choice of a balancer's backend are routes
//! ([`routes`]). A balancer passes packets on unchanged. The machine's guest agent makes the balancer's address local,
//! so a backend that calls it reaches itself.

mod files;
mod fleet;
mod machine;
mod network;
mod routes;
mod rules;
mod units;

use std::path::Path;
use std::sync::Arc;

use hakube_local_machine::Runtime;
use hakube_local_net::Wires;
use hakube_yard::Yard;

use crate::fleet::Fleet;

/// Why hosts can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostsError {
    /// The yard can't be opened, or failed.
    #[error(transparent)]
    Yard(#[from] hakube_yard::Error),
    /// A file can't be written.
    #[error("can't write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// A yard for the machines of one cloud.
#[derive(Debug)]
pub struct Hosts {
    yard: Yard,
    fleet: Arc<Fleet>,
}

impl Hosts {
    /// Opens a yard. Machines and disks are in `directory`. Builds the image if it is missing, which takes minutes.
    pub fn open(directory: &Path) -> Result<Self, HostsError> {
        std::fs::create_dir_all(directory).map_err(|source| HostsError::Io {
            path: directory.display().to_string(),
            source,
        })?;
        let yard = Yard::open_in("cloud", directory)?;
        let layer = hakube_yard::cloud_layer()?;
        network::set_up(&yard)?;
        tracing::info!(network = yard.network()?, "the machines' network");
        let handle = Yard::of_another(Some(yard.id()))?;
        let fleet = Fleet::new(handle, directory.to_owned(), layer);
        Ok(Self { yard, fleet })
    }

    /// What runs the machines.
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.fleet) as Arc<dyn Runtime>
    }

    /// Their network.
    pub fn wires(&self) -> Arc<dyn Wires> {
        Arc::clone(&self.fleet) as Arc<dyn Wires>
    }

    /// The file of the network's namespace: `nsenter --net=FILE` runs a command in it.
    pub fn network(&self) -> Result<String, HostsError> {
        Ok(self.yard.network()?)
    }

    /// Runs a function in a thread in the network. Threads that it starts are in it, too.
    pub fn inside<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HostsError> {
        Ok(self.yard.inside(function)?)
    }

    /// Ends all machines, and removes everything but the disks.
    pub fn close(self) -> Result<(), HostsError> {
        Ok(self.yard.close()?)
    }
}
