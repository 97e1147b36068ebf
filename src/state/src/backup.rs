//! Backups of clusters: a snapshot of etcd's data, and a document that describes it.
//!
//! | object                          | what                                            |
//! |---------------------------------|-------------------------------------------------|
//! | `<cluster>/<name>/etcd.db`      | the snapshot; `etcd.db.age` if it is encrypted  |
//! | `<cluster>/<name>/backup.json`  | the document, written last: the backup is whole |

use std::sync::Arc;

use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::document::Envelope;
use super::objects::{Objects, Sizes};
use super::{Result, Seal, StateError};
use hakube_settings::Location;

const DOCUMENT: &str = "backup.json";
const SNAPSHOT: &str = "etcd.db";
const SEALED_SNAPSHOT: &str = "etcd.db.age";

/// The format of the documents.
const FORMAT: u32 = 1;

/// The store of backups. It is opened when it is used: most commands don't.
#[derive(Debug, Clone)]
pub struct Backups {
    location: Location,
    seal: Arc<Seal>,
}

impl Backups {
    /// The store at a location. A directory is created if necessary, accessible only to its owner.
    pub fn at(location: Location, seal: impl Into<Seal>) -> Self {
        Self {
            location,
            seal: Arc::new(seal.into()),
        }
    }

    /// The store at another location, with the same keys.
    ///
    /// # Errors
    /// It isn't a location.
    pub fn elsewhere(&self, location: &str) -> Result<Self> {
        let location = Location::parse(location).map_err(|why| StateError::Open {
            store: location.to_owned(),
            source: Box::new(object_store::Error::NotSupported { source: why.into() }),
        })?;
        Ok(Self {
            location,
            seal: Arc::clone(&self.seal),
        })
    }

    /// Its location, as a URL.
    pub fn location(&self) -> String {
        self.location.to_string()
    }

    fn objects(&self) -> Result<Objects> {
        Objects::open(&self.location, Sizes::Snapshots)
    }

    /// Whether backups are encrypted.
    pub fn is_sealed(&self) -> bool {
        self.seal.0.is_set()
    }

    /// Saves a backup. It exists once this returns, or not at all.
    ///
    /// # Errors
    /// It can't be written, or not encrypted so that it can be read again.
    pub async fn save<T: Serialize>(
        &self,
        cluster: &str,
        name: &str,
        document: &T,
        snapshot: Vec<u8>,
    ) -> Result<()> {
        let objects = self.objects()?;
        let (object, content) = if self.is_sealed() {
            let key = key(cluster, name).join(SEALED_SNAPSHOT);
            let sealed = self.seal.seal(&Zeroizing::new(snapshot));
            let sealed = sealed.map_err(|error| objects.origin(&key).sealed(error))?;
            (key, sealed.into_bytes())
        } else {
            (key(cluster, name).join(SNAPSHOT), snapshot)
        };
        objects.put(&object, content).await?;
        let key = key(cluster, name).join(DOCUMENT);
        let origin = objects.origin(&key);
        let mut envelope = Envelope::of(&origin, FORMAT, document)?;
        if self.is_sealed() {
            envelope = envelope.sealed(&origin, &self.seal)?;
        }
        let content = envelope.counted(1).encode(&origin)?;
        objects.put(&key, content).await
    }

    /// Returns the names of the cluster's backups, sorted.
    ///
    /// # Errors
    /// They can't be listed.
    pub async fn names(&self, cluster: &str) -> Result<Vec<String>> {
        let keys = self.objects()?.list(&Path::from_iter([cluster])).await?;
        let names = keys.iter().filter_map(|key| {
            let mut parts = key.parts().skip(1);
            let (name, object) = (parts.next()?, parts.next()?);
            (object.as_ref() == DOCUMENT).then(|| name.as_ref().to_owned())
        });
        Ok(names.collect())
    }

    /// Returns a backup's document; `None` if there is no such backup.
    ///
    /// # Errors
    /// It can't be read or decrypted, is damaged, or is of a later format.
    pub async fn read<T: DeserializeOwned>(&self, cluster: &str, name: &str) -> Result<Option<T>> {
        let objects = self.objects()?;
        let key = key(cluster, name).join(DOCUMENT);
        let Some(content) = objects.get(&key).await? else {
            return Ok(None);
        };
        let origin = objects.origin(&key);
        let envelope = Envelope::parse(&origin, &content)?;
        envelope.open(&origin, FORMAT, &self.seal).map(Some)
    }

    /// Returns a backup's snapshot; `None` if it is missing.
    ///
    /// # Errors
    /// It can't be read or decrypted.
    pub async fn snapshot(&self, cluster: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let objects = self.objects()?;
        let plain = key(cluster, name).join(SNAPSHOT);
        if let Some(found) = objects.get(&plain).await? {
            return Ok(Some(Zeroizing::new(found.to_vec())));
        }
        let key = key(cluster, name).join(SEALED_SNAPSHOT);
        let Some(found) = objects.get(&key).await? else {
            return Ok(None);
        };
        let origin = objects.origin(&key);
        let text = str::from_utf8(&found).map_err(|error| origin.malformed(error))?;
        let opened = self.seal.open(text).map_err(|error| origin.sealed(error))?;
        Ok(Some(opened))
    }

    /// Deletes a backup, if it exists.
    ///
    /// # Errors
    /// It can't be deleted.
    pub async fn delete(&self, cluster: &str, name: &str) -> Result<(), StateError> {
        let objects = self.objects()?;
        for object in [DOCUMENT, SNAPSHOT, SEALED_SNAPSHOT] {
            objects.delete(&key(cluster, name).join(object)).await?;
        }
        Ok(())
    }
}

fn key(cluster: &str, name: &str) -> Path {
    Path::from_iter([cluster, name])
}
