//! Waiting for the lock. The first process to check once the lock is free gets it: the store has no
//! queue that a dead process could block.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Holder, LockError, LockGuard, LockRecord};
use crate::{Result, Store};

/// The pause between checks, in milliseconds. It is random, so that waiting processes don't check
/// simultaneously, and at most a second, which a bucket can handle.
const PACE: std::ops::Range<u64> = 250..1000;

impl Store {
    /// Takes the cluster's lock, waiting for it for up to `patience` or until stopped. Calls
    /// `on_wait` once for each holder that it waits for.
    ///
    /// # Errors
    /// The errors of [`Self::lock`], once it stops waiting.
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
            // Measured from the first check, however long that took.
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
            // Stops here, never in the middle of taking the lock.
            tokio::select! {
                () = sleep(pace.min(left)) => {}
                () = stop.cancelled() => return Err(error),
            }
        }
    }
}
