//! A host's storage pool and its volumes. Each call has one effect: a call that timed out must not
//! go on to another effect that nothing waits for.

use crate::Libvirt;
use crate::host::Host;
use crate::hypervisor::{PoolSeen, VolumeSeen};
use hakube_provider::{Attempt, ErrorKind, Result};

impl Libvirt {
    /// The host's pool, if disks can be created in it.
    pub(crate) async fn pool_of(&self, host: &Host, attempt: &Attempt) -> Result<PoolSeen> {
        let name = &self.config.pool;
        let refused = |message: String, hint: String| {
            Err(attempt.error(ErrorKind::Invalid, message).with_hint(hint))
        };
        match host.pool(attempt, name).await? {
            None => refused(
                format!("no pool {name} on {}", host.uri),
                format!(
                    "create it: `virsh pool-define-as {name} dir --target /var/lib/libvirt/images`"
                ),
            ),
            Some(pool) if !pool.active => refused(
                format!("pool {name} on {} isn't active", host.uri),
                format!("run `virsh pool-start {name}` and `virsh pool-autostart {name}`"),
            ),
            Some(pool) if !pool.has_files() => refused(
                format!(
                    "pool {name} on {} is of type {}, whose volumes aren't files",
                    host.uri, pool.kind
                ),
                "use a pool of type dir, fs or netfs, in which disks can share a base image"
                    .to_owned(),
            ),
            Some(pool) => Ok(pool),
        }
    }

    /// The names of the pool's volumes. Refreshes the pool first, to find files that libvirt didn't
    /// create, such as rotated console logs. A busy pool can't be refreshed; then the list without
    /// them is good enough.
    pub(crate) async fn volumes_on(&self, host: &Host, attempt: &Attempt) -> Result<Vec<String>> {
        let pool = self.config.pool.clone();
        host.ask(attempt, move |hypervisor| {
            if let Err(fault) = hypervisor.refresh_pool(&pool) {
                tracing::debug!("could not refresh pool {pool}: {}", fault.message);
            }
            hypervisor.volumes(&pool)
        })
        .await
    }

    pub(crate) async fn volume_on(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: &str,
    ) -> Result<Option<VolumeSeen>> {
        host.volume(attempt, &self.config.pool, name).await
    }

    pub(crate) async fn create_volume(
        &self,
        host: &Host,
        attempt: &Attempt,
        described: &str,
    ) -> Result<()> {
        let pool = &self.config.pool;
        host.create_volume(attempt, pool, described).await
    }

    /// Deletes a volume. A missing one is a success.
    pub(crate) async fn delete_volume(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: &str,
    ) -> Result<()> {
        host.delete_volume(attempt, &self.config.pool, name).await
    }

    /// Creates a volume and replaces an existing one.
    pub(crate) async fn remade(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: &str,
        described: &str,
    ) -> Result<()> {
        self.delete_volume(host, attempt, name).await?;
        self.create_volume(host, attempt, described).await
    }
}
