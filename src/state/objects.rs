//! The object store itself, with errors that name the object, and private files where it is a directory.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
#[cfg(test)]
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode};

use super::document::Origin;
use super::{Result, StateError};

/// Named objects, each replaced as a whole.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// For people.
    location: String,
    /// Where the objects are files.
    directory: Option<PathBuf>,
}

impl Objects {
    /// Objects as files below a directory, which is made if need be, and its owner's only.
    pub fn in_directory(root: &FilePath) -> Result<Self> {
        let failed = |source| StateError::Directory {
            path: root.to_owned(),
            source,
        };
        make_private_directory(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let mode = fs::metadata(&root).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let store = LocalFileSystem::new_with_prefix(&root)
            .map_err(|e| failed(io::Error::other(e)))?
            // On disk before it counts: a state that a power cut can undo is none.
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            location: root.display().to_string(),
            directory: Some(root),
        })
    }

    /// Objects that last as long as this value and its clones.
    #[cfg(test)]
    pub fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    /// Objects of a test's own.
    #[cfg(test)]
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
        let content = match self.store.get(key).await {
            Ok(found) => found.bytes().await,
            Err(e) => Err(e),
        };
        match content {
            Ok(content) => Ok(Some(content)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error("read", key)(e)),
        }
    }

    /// Writes the object, in the place of the old one.
    pub async fn put(&self, key: &Path, content: Vec<u8>) -> Result<()> {
        self.write(key, content, PutMode::Overwrite)
            .await
            .map_err(self.error("write", key))
    }

    /// Writes the object if there is none of this name, and says whether it did. Of several who try at
    /// the same time, one succeeds.
    pub async fn create(&self, key: &Path, content: Vec<u8>) -> Result<bool> {
        match self.write(key, content, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(e) => Err(self.error("create", key)(e)),
        }
    }

    async fn write(&self, key: &Path, content: Vec<u8>, mode: PutMode) -> object_store::Result<()> {
        self.store
            .put_opts(key, content.into(), mode.into())
            .await?;
        match self.make_private(key) {
            // Gone already: somebody deleted it after us.
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(e),
            }),
            _ => Ok(()),
        }
    }

    /// object_store makes files and directories as the umask has it. No other user gets past the mode
    /// 0700 of the root in any case; this is for the copies that people make of it.
    fn make_private(&self, key: &Path) -> io::Result<()> {
        let Some(root) = &self.directory else {
            return Ok(());
        };
        let file = root.join(key.as_ref());
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        let above = file.ancestors().skip(1);
        for directory in above.take_while(|directory| directory != root) {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Deletes the object; one that doesn't exist is deleted.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.error("delete", key)(e)),
        }
    }

    /// The keys below a prefix, sorted.
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

    /// The names at the top, sorted.
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

    /// Deletes what a crash may have left of half-written objects below a prefix: object_store stages
    /// them as `<name>#<number>`, and lists none of them. Only for who knows that nobody is writing.
    pub fn sweep_staged(&self, prefix: &Path) -> Result<()> {
        let Some(root) = &self.directory else {
            return Ok(());
        };
        let sweep = || -> io::Result<()> {
            for entry in fs::read_dir(root.join(prefix.as_ref()))? {
                let entry = entry?;
                let name = entry.file_name();
                if name.to_string_lossy().contains(".json#") {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        match sweep() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StateError::Directory {
                path: root.clone(),
                source: e,
            }),
            _ => Ok(()),
        }
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

/// Makes the directory and those above it, each on disk before it counts.
fn make_private_directory(path: &FilePath) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => FilePath::new("."),
    };
    make_private_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Two may start at the same time.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e),
        Ok(()) => File::open(parent)?.sync_all(),
    }
}
