//! Writing under the lock. Every document bears the generation that it was written under, and is replaced
//! only if the store still has what was looked at: so a write under a lower generation than the
//! document's is refused, by the store itself, however late it comes.

use object_store::path::Path;

use super::LockError;
use super::guard::{Claim, LockGuard};
use crate::state::document::{Envelope, Origin};
use crate::state::store::{FENCED, INTENT, document_key, journal_prefix, key, lock_prefix};
use crate::state::{Document, Operation, Result, Seal};

/// Attempts to replace a document that others write at the same time. At most one other holder can, once
/// or twice, before it finds itself fenced.
const ATTEMPTS: u32 = 8;

impl LockGuard {
    /// Replaces the cluster's document of this type, whole or not at all.
    ///
    /// # Errors
    /// [`LockError::Lost`] if somebody else holds the lock by now: nothing was written.
    pub async fn write<T: Document>(&self, document: &T) -> Result<(), LockError> {
        let seal = &self.claim().store().seal;
        let seal = Some(seal.as_ref()).filter(|seal| T::SECRET && seal.is_set());
        self.put(document, seal).await
    }

    /// The same, not encrypted however the store encrypts secrets.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_in_the_clear<T: Document>(&self, document: &T) -> Result<(), LockError> {
        self.put(document, None).await
    }

    async fn put<T: Document>(&self, document: &T, seal: Option<&Seal>) -> Result<(), LockError> {
        self.check().await?;
        let claim = self.claim();
        let key = document_key::<T>(claim.cluster());
        let origin = claim.store().objects.origin(&key);
        let plain = Envelope::of(&origin, T::FORMAT, document)?;
        let envelope = match seal {
            Some(seal) => plain.sealed(&origin, seal)?,
            None => plain,
        };
        claim.replace(&key, |_, _| Ok(Some(envelope.clone()))).await
    }

    /// Adds the operation to the cluster's journal. Appending it again (same `id` and `started`)
    /// replaces it: once when it begins, once when it has ended. The oldest operations beyond
    /// [`KEPT`](crate::state::journal::KEPT) become part of the summary.
    ///
    /// # Errors
    /// [`LockError::Lost`] if somebody else holds the lock by now.
    pub async fn journal_append(&self, operation: &Operation) -> Result<(), LockError> {
        // An entry is its operation's own: a write between this look and the next line harms nobody's.
        self.check().await?;
        let claim = self.claim();
        let store = claim.store();
        store.journal_put(claim.cluster(), operation).await?;
        Ok(store.journal_compact(claim.cluster(), operation).await?)
    }

    /// Forgets the cluster: PKI, journal and, last, intent; so that what a crash leaves half done can
    /// be seen, and done again.
    ///
    /// The lock's last record and empty documents stay (they hold no secret): generations must not
    /// start over, lest a holder from before pass for one from after.
    ///
    /// # Errors
    /// [`LockError::Lost`] if somebody else holds the lock by now: what that one wrote is untouched.
    pub async fn delete_cluster(&self) -> Result<(), LockError> {
        self.check().await?;
        let claim = self.claim();
        let (store, cluster) = (claim.store(), claim.cluster());
        let lock = lock_prefix(cluster);
        let fenced = FENCED.map(|name| key(cluster).join(name));
        // Listed before the first fenced write, which fails if somebody else was here before the list
        // was made: so no entry of theirs is on it.
        let listed = store.objects.list(&key(cluster)).await?;
        for document in &fenced {
            if *document == key(cluster).join(INTENT) {
                for object in &listed {
                    if !fenced.contains(object) && !object.prefix_matches(&lock) {
                        store.objects.delete(object).await?;
                    }
                }
                store.objects.sweep_staged(&key(cluster))?;
                store.objects.sweep_staged(&journal_prefix(cluster))?;
            }
            claim
                .replace(document, |_, found| Ok(found.map(|_| Envelope::vacant())))
                .await?;
        }
        Ok(())
    }
}

impl Claim {
    /// Puts this generation on everything that a holder before may still be about to write. From then on
    /// its writes are refused; and none of them is missed by who reads after this.
    pub(super) async fn fence(&self) -> Result<(), LockError> {
        for name in FENCED {
            let document = key(self.cluster()).join(name);
            self.replace(&document, |_, found| {
                Ok(Some(found.unwrap_or_else(Envelope::vacant)))
            })
            .await?;
        }
        Ok(())
    }

    /// Replaces the object by what `next` makes of it, unless it was written under a later generation.
    /// `None` leaves it alone.
    pub(super) async fn replace(
        &self,
        key: &Path,
        next: impl Fn(&Origin<'_>, Option<Envelope>) -> Result<Option<Envelope>>,
    ) -> Result<(), LockError> {
        let objects = &self.store().objects;
        let origin = objects.origin(key);
        for _ in 0..ATTEMPTS {
            let found = objects.get_version(key).await?;
            let (found, version) = match found {
                Some((content, version)) => {
                    (Some(Envelope::parse(&origin, &content)?), Some(version))
                }
                None => (None, None),
            };
            if found
                .as_ref()
                .is_some_and(|found| found.fence() > self.generation())
            {
                return Err(self.lost());
            }
            let Some(next) = next(&origin, found)? else {
                return Ok(());
            };
            let content = next.fenced(self.generation()).encode(&origin)?;
            let done = match version {
                Some(version) => objects.replace(key, version, content).await?,
                None => objects.create(key, content).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(LockError::Contended {
            cluster: self.cluster().to_owned(),
        })
    }
}
