//! Waiting for one's turn. Whoever looks first after the lock has fallen free gets it: there is no queue
//! in the store that a dead process could block.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Holder, LockError, LockGuard, LockRecord};
use crate::state::{Result, Store};

/// Between two looks, in milliseconds. Random, so that those who wait don't all look at once; and a second
/// at most, which a bucket doesn't mind.
const PACE: std::ops::Range<u64> = 250..1000;

impl Store {
    /// Takes the cluster's lock, waiting for it for up to `patience` or until told to
    /// stop. `on_wait` is told who has it, once
    /// for each holder.
    ///
    /// # Errors
    /// As [`Self::lock`]'s, once it waits no longer.
    pub async fn lock_within(
        &self,
        cluster: &str,
        holder: Holder,
        patience: Duration,
        stop: &CancellationToken,
        mut on_wait: impl FnMut(&LockRecord),
    ) -> Result<LockGuard, LockError> {
        let (mut since, mut told) = (None, None);
        loop {
            let error = match self.lock(cluster, holder.clone()).await {
                Err(error @ (LockError::Held { .. } | LockError::Contended { .. })) => error,
                taken_or_failed => return taken_or_failed,
            };
            // From the first look on, however long that took.
            let now = Instant::now();
            let left = patience.saturating_sub(now - *since.get_or_insert(now));
            if left.is_zero() {
                return Err(error);
            }
            if let LockError::Held { record, .. } = &error
                && told.replace(record.generation) != Some(record.generation)
            {
                on_wait(record);
            }
            let pace = Duration::from_millis(rand::rng().random_range(PACE));
            // Told to stop, it stops here: never in the middle of taking the lock.
            tokio::select! {
                () = sleep(pace.min(left)) => {}
                () = stop.cancelled() => return Err(error),
            }
        }
    }
}
