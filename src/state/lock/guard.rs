//! A hold of the lock, kept up until it is given back.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{LockError, LockRecord, record_key};
use crate::state::document::encode;
use crate::state::{Result, Store};

/// A record of one's own in the store, and all that may be done to it.
#[derive(Debug)]
pub(super) struct Claim {
    store: Store,
    cluster: String,
    generation: u64,
    hold: Duration,
    /// What the store has, so far as is known. Locked while it is written, so that writes come in order.
    record: Mutex<LockRecord>,
}

impl Claim {
    pub fn new(store: Store, cluster: &str, record: LockRecord, hold: Duration) -> Self {
        Self {
            store,
            cluster: cluster.to_owned(),
            generation: record.generation,
            hold,
            record: Mutex::new(record),
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The fencing token: higher than that of every earlier hold of this cluster's lock.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Creates the record, unless there is one of this generation.
    pub async fn create(&self) -> Result<bool> {
        let record = self.record.lock().await;
        let content = self.encode(&record)?;
        if self
            .store
            .objects
            .create(&self.key(), content.clone())
            .await?
        {
            return Ok(true);
        }
        // A request that was answered, but not to us, is sent again by the client, and then finds its own
        // doing. The record's nonce makes it unlike all others.
        let found = self.store.objects.get(&self.key()).await?;
        Ok(found.is_some_and(|found| found == content))
    }

    /// Deletes the record: it didn't win.
    pub async fn withdraw(&self) -> Result<()> {
        self.store.objects.delete(&self.key()).await
    }

    /// Makes the hold last longer, or finds it lost.
    pub async fn renew(&self) -> Result<(), LockError> {
        let mut record = self.record.lock().await;
        // Before writing too: a record rewritten after it was swept would look like a holder's.
        self.ensure_last().await?;
        let renewed = record.renewed(self.store.clock.now(), self.hold);
        self.store
            .objects
            .put(&self.key(), self.encode(&renewed)?)
            .await?;
        *record = renewed;
        if let Err(lost) = self.ensure_last().await {
            self.withdraw().await?;
            return Err(lost);
        }
        Ok(())
    }

    /// Says in the record that nobody holds it any more.
    pub async fn release(&self) -> Result<()> {
        let mut record = self.record.lock().await;
        *record = record.released();
        self.store
            .objects
            .put(&self.key(), self.encode(&record)?)
            .await
    }

    async fn ensure_last(&self) -> Result<(), LockError> {
        if self
            .store
            .has_successor(&self.cluster, self.generation)
            .await?
        {
            return Err(self.lost());
        }
        Ok(())
    }

    async fn is_expired(&self) -> bool {
        self.record.lock().await.expires <= self.store.clock.now()
    }

    pub fn lost(&self) -> LockError {
        LockError::Lost {
            cluster: self.cluster.clone(),
            generation: self.generation,
        }
    }

    fn key(&self) -> object_store::path::Path {
        record_key(&self.cluster, self.generation)
    }

    fn encode(&self, record: &LockRecord) -> Result<Vec<u8>> {
        encode(
            &self.store.objects.origin(&self.key()),
            LockRecord::FORMAT,
            record,
        )
    }
}

/// The lock, held. Renewed in the background; given back by [`Self::release`], or when dropped.
#[derive(Debug)]
pub struct LockGuard {
    claim: Arc<Claim>,
    /// Cancelled to end the renewal.
    stop: CancellationToken,
    lost: CancellationToken,
    /// `None` once it is being released.
    renewal: Option<JoinHandle<()>>,
}

impl LockGuard {
    pub(super) fn hold(claim: Claim) -> Self {
        let claim = Arc::new(claim);
        let stop = CancellationToken::new();
        let lost = CancellationToken::new();
        let renewal = tokio::spawn(keep(claim.clone(), stop.clone(), lost.clone()));
        Self {
            claim,
            stop,
            lost,
            renewal: Some(renewal),
        }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Cancelled when the lock is known to be lost: stop changing things then.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Asks the store whether the lock is still held: worth it before what can't be taken back.
    pub async fn check(&self) -> Result<(), LockError> {
        if self.lost.is_cancelled() || self.claim.is_expired().await {
            return Err(self.claim.lost());
        }
        self.claim.ensure_last().await
    }

    /// Gives the lock back, and returns when the store has it. A lost one needs no giving back.
    pub async fn release(mut self) -> Result<(), LockError> {
        match self.renewal.take() {
            Some(renewal) => Ok(give_back(
                self.claim.clone(),
                self.stop.clone(),
                renewal,
                self.lost.clone(),
            )
            .await?),
            None => Ok(()),
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let Some(renewal) = self.renewal.take() else {
            return;
        };
        self.stop.cancel();
        // Without a runtime, the process is ending: that by itself gives the lock back on this host.
        if let Ok(runtime) = Handle::try_current() {
            let (claim, stop, lost) = (self.claim.clone(), self.stop.clone(), self.lost.clone());
            runtime.spawn(async move {
                if let Err(error) = give_back(claim, stop, renewal, lost).await {
                    tracing::warn!(%error, "the cluster's lock stays until it expires");
                }
            });
        }
    }
}

/// Ends the renewal first, else its last write might come after the release.
async fn give_back(
    claim: Arc<Claim>,
    stop: CancellationToken,
    renewal: JoinHandle<()>,
    lost: CancellationToken,
) -> Result<()> {
    stop.cancel();
    if let Err(error) = renewal.await {
        tracing::debug!(%error, "the lock's renewal had ended");
    }
    if lost.is_cancelled() {
        return Ok(());
    }
    claim.release().await
}

/// Renews the hold at a third of its length until told to stop, or until it is lost: to another, or
/// because the store didn't take a renewal before the hold expired.
async fn keep(claim: Arc<Claim>, stop: CancellationToken, lost: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(claim.hold / 3) => {}
        }
        match claim.renew().await {
            Ok(()) => {}
            Err(LockError::State(error)) if !claim.is_expired().await => {
                tracing::warn!(%error, "can't renew the cluster's lock; trying again");
            }
            Err(error) => {
                tracing::error!(%error);
                lost.cancel();
                return;
            }
        }
    }
}
