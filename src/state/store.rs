//! The store: documents of a cluster, and which clusters there are.

use std::path::Path as FilePath;

use object_store::path::Path;

use super::document::{decode, encode};
use super::objects::Objects;
use super::{Document, Result};

/// What decides that a cluster exists: written first, deleted last.
const INTENT: &str = "intent.json";

/// What hakube keeps. Cloning is cheap; clones share the store.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) objects: Objects,
}

impl Store {
    /// The store in a directory. Makes it if need be, and makes it its owner's only.
    pub fn open(root: &FilePath) -> Result<Self> {
        Ok(Self {
            objects: Objects::in_directory(root)?,
        })
    }

    #[cfg(test)]
    /// A store that is gone with the last clone.
    pub fn memory() -> Self {
        Self {
            objects: Objects::in_memory(),
        }
    }

    #[cfg(test)]
    /// A store over these objects, which the test watches.
    pub fn over(objects: std::sync::Arc<dyn object_store::ObjectStore>) -> Self {
        Self {
            objects: Objects::over(objects),
        }
    }

    /// The names of the clusters that have an intent, sorted.
    pub async fn clusters(&self) -> Result<Vec<String>> {
        let mut clusters = Vec::new();
        for name in self.objects.top().await? {
            if self.objects.get(&key(&name).join(INTENT)).await?.is_some() {
                clusters.push(name);
            }
        }
        Ok(clusters)
    }

    /// The cluster's document of this type; `None` if there is none.
    pub async fn read<T: Document>(&self, cluster: &str) -> Result<Option<T>> {
        let key = document_key::<T>(cluster);
        match self.objects.get(&key).await? {
            Some(content) => decode(&self.objects.origin(&key), T::FORMAT, &content).map(Some),
            None => Ok(None),
        }
    }

    /// Replaces the cluster's document of this type, whole or not at all. For the lock's holder.
    pub async fn write<T: Document>(&self, cluster: &str, document: &T) -> Result<()> {
        let key = document_key::<T>(cluster);
        let content = encode(&self.objects.origin(&key), T::FORMAT, document)?;
        self.objects.put(&key, content).await
    }

    /// Forgets the cluster: PKI, journal and, last, intent; so that what a crash leaves half done can
    /// be seen, and done again. For the lock's holder.
    ///
    /// The lock's last record stays (it holds no secret): its generation must not start over, lest
    /// a holder from before pass for one from after.
    pub async fn delete_cluster(&self, cluster: &str) -> Result<()> {
        let (intent, lock) = (key(cluster).join(INTENT), lock_prefix(cluster));
        for object in self.objects.list(&key(cluster)).await? {
            if object != intent && !object.prefix_matches(&lock) {
                self.objects.delete(&object).await?;
            }
        }
        self.objects.sweep_staged(&key(cluster))?;
        self.objects.sweep_staged(&journal_prefix(cluster))?;
        self.objects.delete(&intent).await
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

fn document_key<T: Document>(cluster: &str) -> Path {
    key(cluster).join(format!("{}.json", T::NAME))
}
