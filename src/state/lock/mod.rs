//! The lock on a cluster: one writer at a time, over any store that can create an object exclusively.
//!
//! # How it works
//!
//! A record `<cluster>/lock/<generation>.json` names a holder and when its hold expires. To take the
//! lock: read all records; if one is *live* (neither released, nor expired, nor of a process that is
//! known to be gone), somebody holds it. Else create the record of the next generation, exclusively;
//! then read all records again, and hold the lock only if none is of a higher generation and no other
//! is live. Otherwise delete the own record and start over. Whoever wins sweeps the lower records away.
//!
//! To keep it, the holder rewrites its own record with a later expiry, every third of a minute; then it
//! looks for a higher generation, and has lost the lock if there is one. To release it, it marks its
//! record as released. The highest record is never deleted by anyone but a loser that made it, so
//! generations count up: they are fencing tokens.
//!
//! # Why no two hold it
//!
//! - Two who start from the same records want the same generation: exclusive creation admits one.
//! - One who starts from old records, and so creates a generation that has been used and swept before,
//!   finds a higher one when it reads again.
//! - A holder that renews at the instant at which another finds it expired: the holder writes (its own
//!   record) and then reads (the generations); the other writes (the next generation) and then reads
//!   (the holder's record). Whatever the order of these four, at least one of the two reads sees the
//!   other's write, and whoever sees it yields. Maybe both do; never neither. (Reads see every write
//!   that ended before they began: so do local files, and so do S3 and GCS since they are strongly
//!   consistent.)
//!
//! # Fencing
//!
//! A holder that is suspended (a closed laptop) past its expiry doesn't know that it lost the lock until
//! it runs again and renews. So documents are written through the [`LockGuard`] alone, bear its
//! generation, and are replaced conditionally: whoever takes over a lock that wasn't given back first
//! puts its own generation on them, and from then on the store refuses the late writer, who learns with
//! [`LockError::Lost`] where it stands. `hakube unlock` is such a takeover, given back at once.
//!
//! What the store can't fence is a provider: between two steps a holder asks ([`LockGuard::check`]) or is
//! told ([`LockGuard::lost`]); a call in flight is carried out. Clocks of hosts that share a store should
//! agree to well within a minute.

mod fence;
mod guard;
mod process;
mod record;
mod takeover;
mod wait;

#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use object_store::path::Path;
use rand::Rng as _;

pub use guard::LockGuard;
pub use record::{Holder, LockRecord};

use self::guard::Claim;
use super::document::{Envelope, decode};
use super::store::{FENCED, key, lock_prefix};
use super::{Result, StateError, Store};

/// How long a hold lasts that nobody renews.
const HOLD: Duration = Duration::from_secs(60);

/// Rounds against others who try at the same instant. Each round has a winner in practice.
const ROUNDS: u32 = 16;

/// Why the lock isn't held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error(
        "cluster {cluster} is locked: {holder}; wait for that to end (--wait 10m) and run this again \
         (should that process have died, the lock falls free by itself at {expires:.0})",
        expires = record.expires
    )]
    Held {
        /// The cluster.
        cluster: String,
        /// The record, for whoever wants to print it otherwise.
        record: Box<LockRecord>,
        /// The holder in words, such as ``up by root@build-7, pid 123, since 3m``.
        holder: String,
    },
    /// Too many try at once.
    #[error("cluster {cluster}: others keep trying to lock it at the same time; run this again")]
    Contended {
        /// The cluster.
        cluster: String,
    },
    /// Somebody else holds it by now.
    #[error(
        "cluster {cluster}: the lock (generation {generation}) was lost to another process, since this \
         one did not renew it in time or somebody ran hakube unlock; nothing more is changed: see what the \
         other did, and run this again"
    )]
    Lost {
        /// The cluster.
        cluster: String,
        /// The generation that was held.
        generation: u64,
    },
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Store {
    /// Takes the cluster's lock, or says who has it. It is renewed until the guard is released, dropped
    /// or the process ends; a process of this host that ended without releasing it doesn't count.
    ///
    /// Must be called in a tokio runtime that goes on running while the lock is held.
    pub async fn lock(&self, cluster: &str, holder: Holder) -> Result<LockGuard, LockError> {
        self.lock_for(cluster, holder, HOLD).await
    }

    /// The record of whoever holds the cluster's lock now.
    pub async fn lock_holder(&self, cluster: &str) -> Result<Option<LockRecord>> {
        let now = self.clock.now();
        let mut records = self.lock_records(cluster).await?;
        records.retain(|record| record.is_live(now));
        Ok(records.pop())
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

    /// Takes the lock for a holder, past the hold of one generation if need be.
    async fn claim(
        &self,
        cluster: &str,
        holder: Holder,
        hold: Duration,
        ousted: Option<u64>,
    ) -> Result<Claim, LockError> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let records = self.lock_records(cluster).await?;
            let keeps_out =
                |record: &&LockRecord| record.is_live(now) && Some(record.generation) != ousted;
            if let Some(held) = records.iter().find(keeps_out) {
                return Err(LockError::Held {
                    cluster: cluster.to_owned(),
                    holder: held.describe(now),
                    record: Box::new(held.clone()),
                });
            }
            let generation = match records.last() {
                Some(last) => last.generation,
                None => self.last_fence(cluster).await?,
            }
            .saturating_add(1);
            let record = LockRecord::new(generation, holder.clone(), now, hold);
            let claim = Claim::new(self.clone(), cluster, record, hold);
            if claim.create().await? {
                if self.is_ours(cluster, generation, ousted).await? {
                    return self.settle(claim, &records).await;
                }
                claim.withdraw().await?;
            }
            // A random pause, so that two who got into each other's way don't do it again.
            let pause = rand::rng().random_range(1..20);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(LockError::Contended {
            cluster: cluster.to_owned(),
        })
    }

    /// The highest generation that a document bears. Where somebody deleted the lock's records, generations go
    /// on from it: below it, every write would be refused.
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

    /// Makes a claim that has won good against those before it: first fenced, then swept away.
    async fn settle(&self, claim: Claim, before: &[LockRecord]) -> Result<Claim, LockError> {
        // Who gave the lock back writes no more; who didn't may.
        if before.iter().any(|record| !record.released)
            && let Err(error) = claim.fence().await
        {
            claim.withdraw().await?;
            return Err(error);
        }
        for lower in before {
            self.objects
                .delete(&record_key(claim.cluster(), lower.generation))
                .await?;
        }
        Ok(claim)
    }

    /// Whether the record of this generation, which exists, is the lock: none is higher, no other live
    /// but perhaps that of the generation `ousted`.
    async fn is_ours(&self, cluster: &str, generation: u64, ousted: Option<u64>) -> Result<bool> {
        let now = self.clock.now();
        let records = self.lock_records(cluster).await?;
        Ok(records.iter().all(|record| {
            record.generation == generation
                || (record.generation < generation
                    && (!record.is_live(now) || Some(record.generation) == ousted))
        }))
    }

    /// All records of the cluster's lock, lowest generation first.
    async fn lock_records(&self, cluster: &str) -> Result<Vec<LockRecord>> {
        let mut records = Vec::new();
        for key in self.objects.list(&lock_prefix(cluster)).await? {
            // Swept since it was listed, if there is nothing.
            if let Some(content) = self.objects.get(&key).await? {
                let origin = self.objects.origin(&key);
                let record: LockRecord = match decode(&origin, LockRecord::FORMAT, &content) {
                    Err(StateError::Malformed {
                        object,
                        store,
                        reason,
                    }) => {
                        return Err(StateError::Lock {
                            object,
                            store,
                            reason,
                        });
                    }
                    read => read?,
                };
                records.push(record);
            }
        }
        records.sort_by_key(|record| record.generation);
        Ok(records)
    }

    /// Whether somebody took the lock after this generation.
    async fn has_successor(&self, cluster: &str, generation: u64) -> Result<bool> {
        let own = record_key(cluster, generation);
        let keys = self.objects.list(&lock_prefix(cluster)).await?;
        Ok(keys.last().is_some_and(|last| *last > own))
    }
}

/// Of one width, so that keys sort as their generations do.
fn record_key(cluster: &str, generation: u64) -> Path {
    lock_prefix(cluster).join(format!("{generation:020}.json"))
}
