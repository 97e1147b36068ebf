//! What steps note in the store.

use crate::Stored;
use crate::execute::Ledger;
use async_trait::async_trait;
use hakube_error::Result;
use hakube_model::Intent;
use hakube_state::LockGuard;

/// Records in the store what can't be observed.
pub(super) struct StoredLedger<'a> {
    pub lock: Option<&'a LockGuard>,
    pub stored: tokio::sync::Mutex<Stored>,
}

impl StoredLedger<'_> {
    async fn note(&self, note: impl FnOnce(&mut Intent)) -> Result<()> {
        let mut stored = self.stored.lock().await;
        let mut noted = stored.clone();
        note(&mut noted.intent);
        if noted != *stored
            && let Some(lock) = self.lock
        {
            lock.write(&noted).await?;
        }
        *stored = noted;
        Ok(())
    }
}

#[async_trait]
impl Ledger for StoredLedger<'_> {
    async fn etcd_is_formed(&self) -> Result<()> {
        self.note(|intent| {
            intent.formed = true;
            intent.restoring = None;
        })
        .await
    }

    async fn learner_joins(&self, peer_url: &str) -> Result<()> {
        self.note(|intent| {
            intent.joining.insert(peer_url.to_owned());
        })
        .await
    }
}
