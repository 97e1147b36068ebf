//! Taking the lock away from who holds it.

use super::{HOLD, Holder, LockError, LockRecord};
use crate::state::Store;

impl Store {
    /// Takes the lock away from the holder in this record, and leaves it free: that holder's next write
    /// is refused. Of somebody else who has it by now, it isn't taken.
    ///
    /// # Errors
    /// [`LockError::Held`] if somebody else has it by now.
    pub async fn unlock(&self, cluster: &str, held: &LockRecord) -> Result<(), LockError> {
        let by = Holder::current("unlock");
        let claim = self.claim(cluster, by, HOLD, Some(held.generation)).await?;
        Ok(claim.release().await?)
    }
}
