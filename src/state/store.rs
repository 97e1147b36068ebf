//! The store: documents of a cluster, and which clusters there are. Reading is anybody's; writing is for
//! who holds the lock, by [`LockGuard`](super::LockGuard).

use std::sync::Arc;

use object_store::path::Path;

use super::document::Envelope;
use super::objects::Objects;
use super::{Document, Location, Result, Seal};
use crate::clock::Clock;

/// What decides that a cluster exists: written first, forgotten last.
pub(super) const INTENT: &str = "intent.json";

/// The documents that a lock's generation fences, in the order in which they are forgotten.
pub(super) const FENCED: [&str; 2] = ["pki.json", INTENT];

/// What hakube keeps. Cloning is cheap; clones share the store.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) objects: Objects,
    /// What holds of the lock are dated by.
    pub(super) clock: Clock,
    /// How secret documents are encrypted.
    pub(super) seal: Arc<Seal>,
}

impl Store {
    /// The store at a location. A directory is made if need be, and made its owner's only; a bucket must
    /// exist, which the first read finds out.
    pub fn open(location: &Location) -> Result<Self> {
        Ok(Self::of(Objects::open(location)?))
    }

    fn of(objects: Objects) -> Self {
        Self {
            objects,
            clock: Clock::default(),
            seal: Arc::default(),
        }
    }

    /// The same store, with its secret documents encrypted like this.
    pub fn sealed(self, seal: Seal) -> Self {
        let seal = Arc::new(seal);
        Self { seal, ..self }
    }

    /// The store in a directory.
    #[cfg(test)]
    pub fn in_directory(root: &std::path::Path) -> Result<Self> {
        Ok(Self::of(Objects::in_directory(root)?))
    }

    /// A store that is gone with the last clone.
    #[cfg(test)]
    #[allow(clippy::expect_used)]
    pub fn memory() -> Self {
        Self::open(&Location::Memory).expect("memory needs no opening")
    }

    /// A store over these objects, which the test watches.
    #[cfg(test)]
    pub fn over(objects: Arc<dyn object_store::ObjectStore>) -> Self {
        Self::of(Objects::over(objects))
    }

    /// The same store, used from a host with this clock.
    #[cfg(test)]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The names of the clusters that have an intent, sorted.
    pub async fn clusters(&self) -> Result<Vec<String>> {
        let mut clusters = Vec::new();
        for name in self.objects.top().await? {
            if self.envelope(&key(&name).join(INTENT)).await?.is_some() {
                clusters.push(name);
            }
        }
        Ok(clusters)
    }

    /// The cluster's document of this type; `None` if there is none.
    pub async fn read<T: Document>(&self, cluster: &str) -> Result<Option<T>> {
        let key = document_key::<T>(cluster);
        let envelope = self.envelope(&key).await?;
        let open =
            |envelope: Envelope| envelope.open(&self.objects.origin(&key), T::FORMAT, &self.seal);
        envelope.map(open).transpose()
    }

    /// Whether the cluster's document of this type lies in the clear though it should be encrypted.
    pub async fn is_exposed<T: Document>(&self, cluster: &str) -> Result<bool> {
        let found = self.envelope(&document_key::<T>(cluster)).await?;
        Ok(T::SECRET && self.seal.is_set() && found.is_some_and(|found| !found.is_sealed()))
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
