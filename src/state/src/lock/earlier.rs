//! Locks of hakube before format 2, which had one object per holder: `<cluster>/lock/<generation>.json`.
//!
//! Such an object is a record like today's, and counts until a process takes the lock for the first time.
//! An earlier hakube refuses [`lock_key`]'s format, and whatever that hakube holds is lost to it then.

use object_store::path::Path;

use super::object::lock_key;
use super::record::LockRecord;
use crate::store::lock_prefix;
use crate::{Result, Store};

impl Store {
    /// The record of an earlier hakube that holds the lock, or that held it last.
    pub(super) async fn earlier_record(&self, cluster: &str) -> Result<Option<LockRecord>> {
        let now = self.clock.now();
        let mut records = Vec::new();
        for key in self.earlier_keys(cluster).await? {
            // If it is missing, it was deleted since the listing.
            if let Some(content) = self.objects.get(&key).await? {
                records.push(self.parse_record(&key, &content)?);
            }
        }
        let rank = |record: &LockRecord| (record.is_live(now), record.generation);
        Ok(records.into_iter().max_by_key(rank))
    }

    /// Deletes the earlier records, once the lock's object exists, which keeps an earlier hakube from
    /// taking the lock. If one took it before that, deletes the object instead, and returns `false`.
    pub(super) async fn retire_earlier(
        &self,
        cluster: &str,
        last: Option<&LockRecord>,
    ) -> Result<bool> {
        let now = self.clock.now();
        if let Some(record) = self.earlier_record(cluster).await?
            && record.is_live(now)
            && last.map(|last| last.generation) != Some(record.generation)
        {
            self.objects.delete(&lock_key(cluster)).await?;
            return Ok(false);
        }
        for key in self.earlier_keys(cluster).await? {
            self.objects.delete(&key).await?;
        }
        Ok(true)
    }

    async fn earlier_keys(&self, cluster: &str) -> Result<Vec<Path>> {
        let mut keys = self.objects.list(&lock_prefix(cluster)).await?;
        keys.retain(|key| *key != lock_key(cluster));
        Ok(keys)
    }
}
