//! Writing under the lock. Every document carries the generation that it was written under, and is
//! replaced only if it hasn't changed since it was read. So the store itself refuses a write under
//! a lower generation than the document's, however late it arrives.

use object_store::path::Path;

use super::error::LockError;
use super::guard::{Claim, LockGuard};
use crate::document::{Envelope, Origin};
use crate::store::{FENCED, INTENT, document_key, journal_prefix, key, lock_prefix};
use crate::{Document, Operation, Result, Revision, Seal};

/// Attempts to replace a document while others write it. At most one other holder can do so, once
/// or twice, before it is fenced.
const ATTEMPTS: u32 = 8;

impl LockGuard {
    /// Replaces the cluster's document of this type, atomically. Returns its new version.
    ///
    /// # Errors
    /// [`LockError::Lost`] if another process holds the lock by now: nothing was written.
    pub async fn write<T: Document>(&self, document: &T) -> Result<Revision, LockError> {
        self.put(document, self.seal::<T>(), Predecessor::Intact)
            .await
    }

    /// Replaces a document that may be damaged or out of date, with a version later than `known`.
    ///
    /// # Errors
    /// The errors of [`Self::write`].
    pub async fn rebuild<T: Document>(
        &self,
        document: &T,
        known: u64,
    ) -> Result<Revision, LockError> {
        self.put(document, self.seal::<T>(), Predecessor::Any { known })
            .await
    }

    fn seal<T: Document>(&self) -> Option<&Seal> {
        let seal = self.claim().store().seal.as_ref();
        Some(seal).filter(|seal| T::SECRET && seal.0.is_set())
    }

    /// The same as [`Self::write`], but never encrypted.
    ///
    /// # Errors
    /// The errors of [`Self::write`].
    pub async fn write_in_the_clear<T: Document>(
        &self,
        document: &T,
    ) -> Result<Revision, LockError> {
        self.put(document, None, Predecessor::Intact).await
    }

    async fn put<T: Document>(
        &self,
        document: &T,
        seal: Option<&Seal>,
        predecessor: Predecessor,
    ) -> Result<Revision, LockError> {
        self.check().await?;
        let claim = self.claim();
        let key = document_key::<T>(claim.cluster());
        let origin = claim.store().objects.origin(&key);
        let plain = Envelope::of(&origin, T::FORMAT, document)?;
        let envelope = match seal {
            Some(seal) => plain.sealed(&origin, seal)?,
            None => plain,
        };
        let (damaged, known) = match predecessor {
            Predecessor::Intact => (Damaged::Refuse, 0),
            Predecessor::Any { known } => (Damaged::Replace, known),
        };
        let next = |_: &Origin<'_>, found: Option<Envelope>| {
            let last = found.map_or(0, |found| found.generation()).max(known);
            Ok(Some(envelope.clone().counted(last + 1)))
        };
        let written = claim.replace(&key, damaged, next).await?;
        Ok(written
            .map(|written| written.revision())
            .unwrap_or_default())
    }

    /// Adds the operation to the cluster's journal. Appending it again (same `id` and `started`)
    /// replaces it: once when it begins, once when it has ended. The oldest operations beyond
    /// [`KEPT`](crate::journal::KEPT) become part of the summary.
    ///
    /// # Errors
    /// [`LockError::Lost`] if another process holds the lock by now.
    pub async fn journal_append(&self, operation: &Operation) -> Result<(), LockError> {
        // Only this operation writes the entry: a write between this check and the next line is harmless.
        self.check().await?;
        let claim = self.claim();
        let store = claim.store();
        store.journal_put(claim.cluster(), operation).await?;
        Ok(store.journal_compact(claim.cluster(), operation).await?)
    }

    /// Deletes the cluster's PKI, journal and, last, intent. After a crash, the remaining intent
    /// shows that deletion is incomplete, and it can be repeated.
    ///
    /// The lock's last record and empty documents remain, without secrets. Otherwise generations
    /// would start over, and an earlier holder could pass for a later one.
    ///
    /// # Errors
    /// [`LockError::Lost`] if another process holds the lock by now: its writes are untouched.
    pub async fn delete_cluster(&self) -> Result<(), LockError> {
        self.check().await?;
        let claim = self.claim();
        let (store, cluster) = (claim.store(), claim.cluster());
        let lock = lock_prefix(cluster);
        let fenced = FENCED.map(|name| key(cluster).join(name));
        // Listed before the first fenced write, which fails if another holder wrote before the
        // listing: so the list contains none of its entries.
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
                .replace(document, Damaged::Replace, |_, found| {
                    let vacate = |found: Envelope| Envelope::vacant().counted(found.generation());
                    Ok(found.map(vacate))
                })
                .await?;
        }
        Ok(())
    }
}

/// What a document may overwrite.
#[derive(Clone, Copy)]
enum Predecessor {
    /// A readable document, or none.
    Intact,
    /// Anything. The new version is later than the known generation.
    Any { known: u64 },
}

/// How to handle an unreadable document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Damaged {
    /// Return an error.
    Refuse,
    /// Replace it, as if it were missing.
    Replace,
    /// Keep it: no writer can overwrite it, so none needs to be fenced.
    Leave,
}

impl Claim {
    /// Sets this generation on everything that an earlier holder may still be about to write. From
    /// then on its writes are refused, and later reads see all that it wrote.
    pub(super) async fn fence(&self) -> Result<(), LockError> {
        for name in FENCED {
            let document = key(self.cluster()).join(name);
            self.replace(&document, Damaged::Leave, |_, found| {
                Ok(Some(found.unwrap_or_else(Envelope::vacant)))
            })
            .await?;
        }
        Ok(())
    }

    /// Replaces the object with the result of `next`, unless it was written under a later
    /// generation. `None` leaves it unchanged. Returns what was written.
    pub(super) async fn replace(
        &self,
        key: &Path,
        damaged: Damaged,
        next: impl Fn(&Origin<'_>, Option<Envelope>) -> Result<Option<Envelope>>,
    ) -> Result<Option<Envelope>, LockError> {
        let objects = &self.store().objects;
        let origin = objects.origin(key);
        for _ in 0..ATTEMPTS {
            let found = objects.get_version(key).await?;
            let (found, version) = match found {
                Some((content, version)) => match (Envelope::parse(&origin, &content), damaged) {
                    (Ok(found), _) => (Some(found), Some(version)),
                    (Err(_), Damaged::Replace) => (Some(Envelope::vacant()), Some(version)),
                    (Err(_), Damaged::Leave) => return Ok(None),
                    (Err(error), Damaged::Refuse) => return Err(error.into()),
                },
                None => (None, None),
            };
            if found
                .as_ref()
                .is_some_and(|found| found.fence() > self.generation())
            {
                return Err(self.lost());
            }
            let Some(next) = next(&origin, found)? else {
                return Ok(None);
            };
            let next = next.fenced(self.generation());
            let content = next.encode(&origin)?;
            let done = match version {
                Some(version) => objects.replace(key, version, content).await?,
                None => objects.create(key, content).await?,
            };
            if done {
                return Ok(Some(next));
            }
        }
        Err(LockError::Contended {
            cluster: self.cluster().to_owned(),
        })
    }
}
