//! The lock on a cluster: one writer at a time, over any store that can replace an object conditionally.
//!
//! # How it works
//!
//! One object, `<cluster>/lock/holder.json`, names the holder, its expiry and its *generation*, a number that
//! increases with each holder. To take the lock, read the object. If its record is *live* (not released, not
//! expired, and not of a process known to have ended), another process holds the lock. Otherwise, replace it with
//! a record of the next generation.
//!
//! To keep the lock, the holder replaces its record with a later expiry every third of a minute. To release it,
//! it marks the record as released. If the record has another generation by then, the lock is lost.
//!
//! Each replacement succeeds only if the object is still the version that was read. So of two processes that find
//! the lock free, one gets it. If a holder renews at the instant at which another process finds it expired, the
//! later of the two is refused. The object is never deleted, so generations are fencing tokens.
//!
//! # Fencing
//!
//! A holder that is suspended past its expiry (a closed laptop) notices the loss only when it resumes and
//! renews. So documents are written only through the [`LockGuard`], carry its generation, and are replaced
//! conditionally. A process that takes over a lock that wasn't released first writes its own generation to
//! them. From then on, the store refuses the late writer, which gets [`LockError::Lost`]. `hakube unlock` is
//! such a takeover, followed by a release.
//!
//! The store can't fence a provider. Between steps, a holder checks the lock ([`LockGuard::check`])
//! or is notified ([`LockGuard::lost`]); a call in flight is carried out. Clocks of hosts that
//! share a store should agree to well within a minute.

mod earlier;
mod error;
mod fence;
mod guard;
mod object;
mod process;
mod record;
mod wait;

#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use rand::Rng as _;

pub use error::LockError;
pub use guard::LockGuard;
pub use record::{Holder, LockRecord};

use self::guard::Claim;
use self::object::LockObject;
use super::document::Envelope;
use super::store::{FENCED, key};
use super::{Result, Store};

/// How long the lock is held without renewal.
const HOLD: Duration = Duration::from_secs(60);

/// Attempts against others that try at the same instant. In practice, each attempt has a winner.
const ROUNDS: u32 = 16;

impl Store {
    /// Takes the cluster's lock, or returns its holder as an error. The lock is renewed until the
    /// guard is released or dropped, or the process ends. A process of this host that ended without
    /// releasing it doesn't count as a holder.
    ///
    /// Must be called in a tokio runtime that keeps running while the lock is held.
    pub async fn lock(&self, cluster: &str, holder: Holder) -> Result<LockGuard, LockError> {
        self.lock_for(cluster, holder, HOLD).await
    }

    /// The record of the lock's current holder.
    pub async fn lock_holder(&self, cluster: &str) -> Result<Option<LockRecord>> {
        let found = self.lock_object(cluster).await?;
        let now = self.clock.now();
        Ok(found.record.filter(|record| record.is_live(now)))
    }

    /// Breaks the lock of the holder in this record and leaves it free: that holder's next write is
    /// refused. A lock that another process holds by now isn't broken.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process holds it by now.
    pub async fn unlock(&self, cluster: &str, held: &LockRecord) -> Result<(), LockError> {
        let by = Holder::current("unlock");
        let claim = self.claim(cluster, by, HOLD, Some(held.generation)).await?;
        claim.release().await
    }

    async fn lock_for(
        &self,
        cluster: &str,
        holder: Holder,
        hold: Duration,
    ) -> Result<LockGuard, LockError> {
        let claim = self.claim(cluster, holder, hold, None).await?;
        Ok(LockGuard::hold(claim))
    }

    /// Takes the lock for a holder, if necessary over the live record of generation `ousted`.
    async fn claim(
        &self,
        cluster: &str,
        holder: Holder,
        hold: Duration,
        ousted: Option<u64>,
    ) -> Result<Claim, LockError> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let found = self.lock_object(cluster).await?;
            if let Some(held) = &found.record
                && held.is_live(now)
                && Some(held.generation) != ousted
            {
                return Err(LockError::Held {
                    cluster: cluster.to_owned(),
                    holder: held.describe(now),
                    record: Box::new(held.clone()),
                });
            }
            let last = match &found.record {
                Some(last) => last.generation,
                None => self.last_fence(cluster).await?,
            };
            let record = LockRecord::new(last.saturating_add(1), holder.clone(), now, hold);
            if let Some(claim) = self.succeed(cluster, found, record, hold).await? {
                return Ok(claim);
            }
            // A random pause, so that two colliding processes don't collide again.
            let pause = rand::rng().random_range(1..20);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(LockError::Contended {
            cluster: cluster.to_owned(),
        })
    }

    /// Replaces the lock's object with this record, and fences its last holder. `None` if another
    /// process has replaced it since it was read.
    async fn succeed(
        &self,
        cluster: &str,
        last: LockObject,
        record: LockRecord,
        hold: Duration,
    ) -> Result<Option<Claim>, LockError> {
        let claim = Claim::new(self.clone(), cluster, record, hold);
        if !claim.take(last.version.clone()).await? {
            return Ok(None);
        }
        if last.version.is_none() && !self.retire_earlier(cluster, last.record.as_ref()).await? {
            return Ok(None);
        }
        // A holder that released the lock writes nothing more; one that didn't may.
        if last.record.is_some_and(|record| !record.released)
            && let Err(error) = claim.fence().await
        {
            // Expired, but not released: the next holder fences instead.
            claim.expire().await?;
            return Err(error);
        }
        Ok(Some(claim))
    }

    /// The highest generation of any document. If the lock was deleted, generations continue from
    /// it; below it, every write would be refused.
    async fn last_fence(&self, cluster: &str) -> Result<u64> {
        let mut last = 0;
        for name in FENCED {
            let document = key(cluster).join(name);
            if let Some(content) = self.objects.get(&document).await? {
                let envelope = Envelope::parse(&self.objects.origin(&document), &content)?;
                last = last.max(envelope.fence());
            }
        }
        Ok(last)
    }
}
