//! The authenticated way onto a machine, over which it gets what its `cloud-config` may not hold.

mod local;

pub use local::LocalChannel;

use crate::error::Result;
use crate::pki::SecretFile;
use async_trait::async_trait;
use hakube_provider::MachineRef;

/// Puts files on machines.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Writes the files in this order, each whole or not at all, with its mode. A file that starts
    /// something comes last.
    ///
    /// # Errors
    /// Transient while the machine boots.
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()>;
}
