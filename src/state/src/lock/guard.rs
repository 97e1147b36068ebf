//! A held lock, renewed until it is released.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::LockError;
use super::object::lock_key;
use super::record::LockRecord;
use crate::document::encode;
use crate::objects::Version;
use crate::{Result, Store};

/// Attempts to replace this process's own record. Only a response that was lost makes one fail.
const ATTEMPTS: u32 = 8;

/// This process's record in the store, and its operations.
#[derive(Debug)]
pub(super) struct Claim {
    store: Store,
    cluster: String,
    /// As it was when the lock was taken.
    record: LockRecord,
    hold: Duration,
    /// When the lock expires, as the store knows it.
    expires: Mutex<Timestamp>,
}

impl Claim {
    pub fn new(store: Store, cluster: &str, record: LockRecord, hold: Duration) -> Self {
        Self {
            store,
            cluster: cluster.to_owned(),
            expires: Mutex::new(record.expires),
            record,
            hold,
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The fencing token: higher than that of every earlier holder of this cluster's lock.
    pub fn generation(&self) -> u64 {
        self.record.generation
    }

    /// Writes the record over this version of the lock's object. Returns whether it was still current.
    pub async fn take(&self, version: Option<Version>) -> Result<bool> {
        let (objects, key) = (&self.store.objects, lock_key(&self.cluster));
        let content = self.encode(&self.record)?;
        let taken = match version {
            Some(version) => objects.replace(&key, version, content).await?,
            None => objects.create(&key, content).await?,
        };
        // If the response to a request was lost, the client retries it and finds its own object.
        Ok(taken || self.own_version().await?.is_some())
    }

    /// Renews the lock, or finds it lost.
    pub async fn renew(&self) -> Result<(), LockError> {
        let renewed = self.record.renewed(self.store.clock.now(), self.hold);
        self.rewrite(&renewed).await?;
        *self.expires.lock().unwrap_or_else(PoisonError::into_inner) = renewed.expires;
        Ok(())
    }

    /// Records that the lock is released.
    pub async fn release(&self) -> Result<(), LockError> {
        self.rewrite(&self.record.released()).await
    }

    /// Gives the lock up without releasing it: the next holder fences what came before.
    pub async fn expire(&self) -> Result<(), LockError> {
        let expired = self.record.renewed(self.record.acquired, Duration::ZERO);
        self.rewrite(&expired).await
    }

    /// Replaces the record, if it is still this process's.
    async fn rewrite(&self, record: &LockRecord) -> Result<(), LockError> {
        let content = self.encode(record)?;
        for _ in 0..ATTEMPTS {
            let version = self.own_version().await?.ok_or_else(|| self.lost())?;
            let key = lock_key(&self.cluster);
            if self
                .store
                .objects
                .replace(&key, version, content.clone())
                .await?
            {
                return Ok(());
            }
        }
        Err(LockError::Contended {
            cluster: self.cluster.clone(),
        })
    }

    async fn ensure_held(&self) -> Result<(), LockError> {
        match self.own_version().await? {
            Some(_) => Ok(()),
            None => Err(self.lost()),
        }
    }

    /// The version of the lock's object, if it is this process's.
    async fn own_version(&self) -> Result<Option<Version>> {
        let found = self.store.lock_object(&self.cluster).await?;
        let ours = found.record.is_some_and(|found| self.record.is_of(&found));
        Ok(found.version.filter(|_| ours))
    }

    fn is_expired(&self) -> bool {
        *self.expires.lock().unwrap_or_else(PoisonError::into_inner) <= self.store.clock.now()
    }

    pub fn lost(&self) -> LockError {
        LockError::Lost {
            cluster: self.cluster.clone(),
            generation: self.generation(),
        }
    }

    fn encode(&self, record: &LockRecord) -> Result<Vec<u8>> {
        let key = lock_key(&self.cluster);
        encode(&self.store.objects.origin(&key), LockRecord::FORMAT, record)
    }
}

/// The lock, held. It is renewed in the background, and released by [`Self::release`] or when dropped.
#[derive(Debug)]
pub struct LockGuard {
    claim: Arc<Claim>,
    /// Ends the renewal, which then releases the lock.
    stop: DropGuard,
    lost: CancellationToken,
    renewal: JoinHandle<Result<(), LockError>>,
}

impl LockGuard {
    pub(super) fn hold(claim: Claim) -> Self {
        let claim = Arc::new(claim);
        let stop = CancellationToken::new();
        let lost = CancellationToken::new();
        Self {
            renewal: tokio::spawn(keep(claim.clone(), stop.clone(), lost.clone())),
            claim,
            stop: stop.drop_guard(),
            lost,
        }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Cancelled when the lock is lost: stop making changes then.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Checks in the store whether the lock is still held. Use this before irreversible steps.
    pub async fn check(&self) -> Result<(), LockError> {
        if self.lost.is_cancelled() || self.claim.is_expired() {
            return Err(self.claim.lost());
        }
        self.claim.ensure_held().await
    }

    /// Releases the lock, and returns when the store has recorded it. A lost lock needs no release.
    pub async fn release(self) -> Result<(), LockError> {
        drop(self.stop);
        match self.renewal.await {
            Ok(Ok(()) | Err(LockError::Lost { .. })) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the lock's renewal had already ended");
                Ok(())
            }
        }
    }
}

/// Renews the lock at a third of its duration until stopped, and then releases it. Ends earlier if
/// the lock is lost: to another process, or because the store didn't accept a renewal before it expired.
async fn keep(
    claim: Arc<Claim>,
    stop: CancellationToken,
    lost: CancellationToken,
) -> Result<(), LockError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(claim.hold / 3) => {}
        }
        match claim.renew().await {
            Ok(()) => {}
            Err(LockError::State(error)) if !claim.is_expired() => {
                tracing::warn!(%error, "could not renew the cluster's lock; retrying");
            }
            Err(error) => {
                tracing::error!(%error);
                lost.cancel();
                return Err(claim.lost());
            }
        }
    }
    let released = claim.release().await;
    if let Err(error) = &released {
        tracing::debug!(%error, "could not release the cluster's lock: it remains until it expires");
    }
    released
}
