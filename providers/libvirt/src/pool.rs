//! A host's storage pool, and volumes in it. One effect per call: what was given up at its deadline mustn't go
//! on to the next when nobody waits for it any more.

use crate::Libvirt;
use crate::host::Host;
use crate::hypervisor::{PoolSeen, VolumeSeen};
use hakube_provider::{Attempt, ErrorKind, Result};

impl Libvirt {
    /// The pool of a host, if disks can be made in it.
    pub(crate) async fn pool_of(&self, host: &Host, attempt: &Attempt) -> Result<PoolSeen> {
        let name = self.config.pool.clone();
        let pool = host
            .ask(attempt, move |hypervisor| hypervisor.pool(&name))
            .await?;
        let name = &self.config.pool;
        let refused = |message: String, hint: String| {
            Err(attempt.error(ErrorKind::Invalid, message).with_hint(hint))
        };
        match pool {
            None => refused(
                format!("there is no pool {name} on {}", host.uri),
                format!(
                    "`virsh pool-define-as {name} dir --target /var/lib/libvirt/images` makes one"
                ),
            ),
            Some(pool) if !pool.active => refused(
                format!("pool {name} on {} isn't active", host.uri),
                format!("`virsh pool-start {name}`, and `virsh pool-autostart {name}`"),
            ),
            Some(pool) if !pool.has_files() => refused(
                format!(
                    "pool {name} on {} is of type {}, and its volumes aren't files",
                    host.uri, pool.kind
                ),
                "a pool of type dir, fs or netfs holds disks that share a base image".to_owned(),
            ),
            Some(pool) => Ok(pool),
        }
    }

    /// The names of its volumes. Files that came by other ways (older parts of a console) are looked for first;
    /// a pool that is busy can't be looked at, and is known well enough.
    pub(crate) async fn volumes_on(&self, host: &Host, attempt: &Attempt) -> Result<Vec<String>> {
        let pool = self.config.pool.clone();
        host.ask(attempt, move |hypervisor| {
            if let Err(fault) = hypervisor.refresh_pool(&pool) {
                tracing::debug!("pool {pool} isn't looked at anew: {}", fault.message);
            }
            hypervisor.volumes(&pool)
        })
        .await
    }

    /// The volume of that name.
    pub(crate) async fn volume_on(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: &str,
    ) -> Result<Option<VolumeSeen>> {
        let (pool, name) = (self.config.pool.clone(), name.to_owned());
        host.ask(attempt, move |hypervisor| hypervisor.volume(&pool, &name))
            .await
    }

    /// Makes a volume.
    pub(crate) async fn create_volume(
        &self,
        host: &Host,
        attempt: &Attempt,
        described: String,
    ) -> Result<()> {
        let pool = self.config.pool.clone();
        host.ask(attempt, move |hypervisor| {
            hypervisor.create_volume(&pool, &described)
        })
        .await
    }

    /// Deletes a volume; absent is success.
    pub(crate) async fn delete_volume(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: String,
    ) -> Result<()> {
        let pool = self.config.pool.clone();
        host.ask(attempt, move |hypervisor| {
            hypervisor.delete_volume(&pool, &name)
        })
        .await
    }

    /// Makes a volume in the place of one that may be there.
    pub(crate) async fn remade(
        &self,
        host: &Host,
        attempt: &Attempt,
        name: String,
        described: String,
    ) -> Result<()> {
        self.delete_volume(host, attempt, name).await?;
        self.create_volume(host, attempt, described).await
    }
}
