//! The object store, with errors that name the object.

mod bucket;
mod directory;

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, UpdateVersion};

use self::directory::Directory;
use super::document::Origin;
use super::{Result, StateError};
use hakube_settings::Location;

/// Named objects, each replaced atomically.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The location, for messages.
    location: String,
    /// The directory, if objects are files.
    directory: Option<Directory>,
}

/// What a store's objects are, which decides how long requests may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sizes {
    /// Small documents.
    Documents,
    /// Also snapshots of etcd.
    Snapshots,
}

/// A version of an object's content.
pub(super) type Version = UpdateVersion;

impl Objects {
    pub fn open(location: &Location, sizes: Sizes) -> Result<Self> {
        let store: Arc<dyn ObjectStore> = match location {
            Location::Directory(root) => return Self::in_directory(root),
            Location::Memory => Arc::new(InMemory::new()),
            Location::Bucket(bucket) => {
                bucket::open(bucket, sizes).map_err(|source| StateError::Open {
                    store: location.to_string(),
                    source: Box::new(source),
                })?
            }
        };
        Ok(Self {
            store,
            location: location.to_string(),
            directory: None,
        })
    }

    /// Objects as files in a directory, which is created if necessary and accessible only to its owner.
    pub fn in_directory(root: &FilePath) -> Result<Self> {
        let failed = |source| StateError::Directory {
            path: root.to_owned(),
            source,
        };
        let directory = Directory::open(root).map_err(failed)?;
        let store = directory.store().map_err(|e| failed(io::Error::other(e)))?;
        Ok(Self {
            store: Arc::new(store),
            location: directory.path().display().to_string(),
            directory: Some(directory),
        })
    }

    /// The objects of this store.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            location: "memory".into(),
            directory: None,
        }
    }

    pub fn origin<'a>(&'a self, key: &'a Path) -> Origin<'a> {
        Origin {
            object: key.as_ref(),
            store: &self.location,
        }
    }

    pub async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        let found = self.get_version(key).await?;
        Ok(found.map(|(content, _)| content))
    }

    /// Returns the object and its version, for [`Self::replace`].
    pub async fn get_version(&self, key: &Path) -> Result<Option<(Bytes, Version)>> {
        let read = async {
            let found = self.store.get(key).await?;
            let version = Version {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            Ok((found.bytes().await?, version))
        };
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error("read", key)(e)),
        }
    }

    /// Writes the object, replacing any earlier one.
    pub async fn put(&self, key: &Path, content: Vec<u8>) -> Result<()> {
        self.write(key, content, PutMode::Overwrite)
            .await
            .map_err(self.error("write", key))
    }

    /// Creates the object unless it exists, and returns whether it did. Of several concurrent
    /// attempts, one succeeds.
    pub async fn create(&self, key: &Path, content: Vec<u8>) -> Result<bool> {
        match self.write(key, content, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(e) => Err(self.error("create", key)(e)),
        }
    }

    /// Replaces this version of the object, and returns whether it was still current. Of several
    /// concurrent attempts to replace the same version, one succeeds.
    pub async fn replace(&self, key: &Path, version: Version, content: Vec<u8>) -> Result<bool> {
        let done = match &self.directory {
            None => self.write(key, content, PutMode::Update(version)).await,
            Some(directory) => self.replace_file(directory, key, &version, content).await,
        };
        match done {
            Ok(()) => Ok(true),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.error("write", key)(e)),
        }
    }

    async fn replace_file(
        &self,
        directory: &Directory,
        key: &Path,
        version: &Version,
        content: Vec<u8>,
    ) -> object_store::Result<()> {
        let _alone = directory.alone().await.map_err(generic)?;
        let now = self.store.head(key).await?.e_tag;
        if now != version.e_tag {
            return Err(Error::Precondition {
                path: key.to_string(),
                source: "its version differs".into(),
            });
        }
        self.write(key, content, PutMode::Overwrite).await
    }

    async fn write(&self, key: &Path, content: Vec<u8>, mode: PutMode) -> object_store::Result<()> {
        self.store
            .put_opts(key, content.into(), mode.into())
            .await?;
        match &self.directory {
            Some(directory) => directory.make_object_private(key).map_err(generic),
            None => Ok(()),
        }
    }

    /// Deletes the object, if it exists.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.error("delete", key)(e)),
        }
    }

    /// Returns the keys below a prefix, sorted.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<Path>> {
        let objects: Vec<_> = self
            .store
            .list(Some(prefix))
            .try_collect()
            .await
            .map_err(self.error("list", prefix))?;
        let mut keys: Vec<_> = objects.into_iter().map(|object| object.location).collect();
        keys.sort();
        Ok(keys)
    }

    /// Returns the top-level names, sorted.
    pub async fn top(&self) -> Result<Vec<String>> {
        let root = Path::default();
        let listed = self.store.list_with_delimiter(None).await;
        let prefixes = listed.map_err(self.error("list", &root))?.common_prefixes;
        let mut names: Vec<_> = prefixes
            .iter()
            .filter_map(|prefix| Some(prefix.filename()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// See [`Directory::sweep_staged`]; other stores leave no half-written objects.
    pub fn sweep_staged(&self, prefix: &Path) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        directory
            .sweep_staged(prefix)
            .map_err(|source| StateError::Directory {
                path: directory.path().to_owned(),
                source,
            })
    }

    fn error(&self, action: &'static str, key: &Path) -> impl FnOnce(Error) -> StateError {
        let (object, store) = (key.to_string(), self.location.clone());
        move |source| StateError::Store {
            action,
            object,
            store,
            source: Box::new(source),
        }
    }
}

fn generic(source: io::Error) -> Error {
    Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(source),
    }
}
