//! The store: clusters and their documents. Any process may read; only the lock's holder writes,
//! through [`LockGuard`](super::LockGuard).

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;

use super::document::Envelope;
use super::objects::{Objects, Sizes};
use super::{Document, Result, Revision, Seal};
use crate::clock::Clock;
use hakube_settings::Location;

/// The object that decides whether a cluster exists: written first, deleted last.
pub const INTENT: &str = "intent.json";

/// How many documents are read at once. A bucket takes tens of milliseconds for each.
const AT_ONCE: usize = 32;

/// The documents that a lock's generation fences, in order of deletion.
pub(super) const FENCED: [&str; 2] = ["pki.json", INTENT];

/// The store of hakube's state. Cloning is cheap; clones share the store.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) objects: Objects,
    /// The clock for the lock's times.
    pub(super) clock: Clock,
    /// How secret documents are encrypted.
    pub(super) seal: Arc<Seal>,
}

impl Store {
    /// Opens the store at a location. A directory is created if necessary, accessible only to its
    /// owner; a bucket must exist, which the first read checks.
    pub fn open(location: &Location) -> Result<Self> {
        Ok(Self::of(
            Objects::open(location, Sizes::Documents)?,
            Clock::default(),
        ))
    }

    /// A store over these objects, used from a host with this clock.
    pub fn over(objects: Arc<dyn object_store::ObjectStore>, clock: Clock) -> Self {
        Self::of(Objects::over(objects), clock)
    }

    fn of(objects: Objects, clock: Clock) -> Self {
        Self {
            objects,
            clock,
            seal: Arc::default(),
        }
    }

    /// The same store, with its secret documents encrypted like this.
    pub fn sealed(self, seal: impl Into<Seal>) -> Self {
        let seal = Arc::new(seal.into());
        Self { seal, ..self }
    }

    /// Returns the names of the clusters that have an intent, sorted.
    pub async fn clusters(&self) -> Result<Vec<String>> {
        let names = self.objects.top().await?.into_iter();
        let found = names.map(async |name| {
            let intent = self.envelope(&key(&name).join(INTENT)).await?;
            Ok(intent.map(|_| name))
        });
        let found = stream::iter(found).buffered(AT_ONCE);
        found
            .try_filter_map(async |name| Ok(name))
            .try_collect()
            .await
    }

    /// Returns all clusters' documents of this type, by the cluster's name. A document that can't be read is an error of
    /// that cluster only.
    ///
    /// # Errors
    /// The store can't be listed.
    pub async fn every<T: Document>(&self) -> Result<Vec<(String, Result<T>)>> {
        let names = self.objects.top().await?.into_iter();
        let found = names.map(async |name| {
            let document = self.read::<T>(&name).await.transpose();
            document.map(|document| (name, document))
        });
        let found = stream::iter(found).buffered(AT_ONCE);
        Ok(found.filter_map(async |found| found).collect().await)
    }

    /// Returns the cluster's document of this type; `None` if there is none.
    pub async fn read<T: Document>(&self, cluster: &str) -> Result<Option<T>> {
        let key = document_key::<T>(cluster);
        let envelope = self.envelope(&key).await?;
        let open =
            |envelope: Envelope| envelope.open(&self.objects.origin(&key), T::FORMAT, &self.seal);
        envelope.map(open).transpose()
    }

    /// Returns the cluster's document of this type with its version; `None` if there is none.
    ///
    /// # Errors
    /// The errors of [`Self::read`].
    pub async fn read_version<T: Document>(&self, cluster: &str) -> Result<Option<(T, Revision)>> {
        let key = document_key::<T>(cluster);
        let Some(envelope) = self.envelope(&key).await? else {
            return Ok(None);
        };
        let revision = envelope.revision();
        let document = envelope.open(&self.objects.origin(&key), T::FORMAT, &self.seal)?;
        Ok(Some((document, revision)))
    }

    /// Whether the cluster's document of this type is unencrypted but should be encrypted.
    pub async fn is_exposed<T: Document>(&self, cluster: &str) -> Result<bool> {
        let found = self.envelope(&document_key::<T>(cluster)).await?;
        Ok(T::SECRET && self.seal.0.is_set() && found.is_some_and(|found| !found.is_sealed()))
    }

    /// Whether the cluster's document of this type is encrypted.
    ///
    /// # Errors
    /// It can't be read.
    pub async fn is_sealed<T: Document>(&self, cluster: &str) -> Result<bool> {
        let found = self.envelope(&document_key::<T>(cluster)).await?;
        Ok(found.is_some_and(|found| found.is_sealed()))
    }

    async fn envelope(&self, key: &Path) -> Result<Option<Envelope>> {
        let Some(content) = self.objects.get(key).await? else {
            return Ok(None);
        };
        let envelope = Envelope::parse(&self.objects.origin(key), &content)?;
        Ok(Some(envelope).filter(|envelope| !envelope.is_vacant()))
    }
}

pub(super) fn key(cluster: &str) -> Path {
    Path::from_iter([cluster])
}

pub(super) fn lock_prefix(cluster: &str) -> Path {
    key(cluster).join("lock")
}

pub(super) fn journal_prefix(cluster: &str) -> Path {
    key(cluster).join("journal")
}

pub(super) fn document_key<T: Document>(cluster: &str) -> Path {
    key(cluster).join(format!("{}.json", T::NAME))
}
