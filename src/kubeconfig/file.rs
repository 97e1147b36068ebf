//! One kubeconfig file, open for a change.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::atomic::{LockFile, ensure_directory, follow_links, parent, replace};
use super::document::Document;
use super::{Access, KubeconfigError, Result};

/// A kubeconfig file between being read and being written, locked against kubectl until dropped.
#[derive(Debug)]
pub struct KubeconfigFile {
    path: PathBuf,
    document: Document,
    /// What the file holds; `None` before it exists.
    saved: Option<Document>,
    _lock: LockFile,
}

impl KubeconfigFile {
    /// Locks and reads the file. One that doesn't exist is an empty one; its directory is made.
    pub fn load(path: &Path) -> Result<Self> {
        ensure_directory(parent(path))?;
        let lock = LockFile::acquire(path)?;
        let saved = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            document: saved.clone().unwrap_or_default(),
            saved,
            _lock: lock,
        })
    }

    /// Puts the access's cluster, user and context in, each in the place of one of the same name.
    pub fn set(&mut self, access: &Access) {
        self.document.set(access);
    }

    /// Makes this the context that kubectl uses when it is told nothing.
    pub fn make_current(&mut self, context: &str) {
        self.document.make_current(context);
    }

    /// Takes out the cluster, user and context of this name. No context is current afterwards if it was
    /// this one.
    pub fn remove(&mut self, name: &str) {
        self.document.remove(name);
    }

    /// Writes the file, atomically, with mode 0600; where it is a symbolic link, what it points to.
    /// Does nothing if nothing changed.
    pub fn save(self) -> Result<()> {
        let target = follow_links(&self.path);
        if self.saved.as_ref() == Some(&self.document) && is_private(&target) {
            return Ok(());
        }
        ensure_directory(parent(&target))?;
        replace(&target, &self.document.to_yaml())
    }
}

/// The file's content; `None` if it doesn't exist.
pub(super) fn read(path: &Path) -> Result<Option<Document>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(KubeconfigError::NotKubeconfig {
                path: path.to_owned(),
                reason: "it isn't text (UTF-8)".into(),
            });
        }
        Err(e) => return Err(KubeconfigError::io("read", path)(e)),
    };
    if text.trim().is_empty() {
        return Ok(Some(Document::default()));
    }
    // Snippets off: an error must not show a token.
    let options = serde_saphyr::options! { with_snippet: false };
    let value = serde_saphyr::from_str_with_options(&text, options).map_err(|e| {
        let place = e.location();
        KubeconfigError::NotYaml {
            path: path.to_owned(),
            line: place.map_or(0, |place| place.line()),
            column: place.map_or(0, |place| place.column()),
            reason: e.to_string(),
        }
    })?;
    Document::new(value)
        .map(Some)
        .map_err(|reason| KubeconfigError::NotKubeconfig {
            path: path.to_owned(),
            reason,
        })
}

fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}
