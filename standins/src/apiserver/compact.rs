//! Keeps etcd's history as short as the real API server does: leases are renewed every few seconds,
//! and each renewal is a revision.

use std::time::Duration;

use super::storage::Store;

/// Compacts, every `interval`, to the revision of one interval ago. Among several API servers, one
/// does it per interval.
pub async fn run(store: Store, interval: Duration) {
    let (mut turn, mut target) = (0, 0);
    loop {
        tokio::time::sleep(interval).await;
        match store.compact(turn, target).await {
            Ok(next) => (turn, target) = next,
            Err(error) => {
                tracing::warn!(%error, "compaction failed; trying again in {} s", interval.as_secs())
            }
        }
    }
}
