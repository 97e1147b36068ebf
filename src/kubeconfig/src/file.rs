//! A kubeconfig file that is being changed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::atomic::{LockFile, ensure_directory, follow_links, parent, replace};
use super::document::Document;
use super::edit;
use super::yaml::Tree;
use super::{Access, Credentials, KubeconfigError, Result};
use hakube_secret::Secret;

/// A kubeconfig file between reading and writing, locked against kubectl until dropped.
#[derive(Debug)]
pub struct KubeconfigFile {
    path: PathBuf,
    document: Document,
    /// The file's content; `None` before it exists.
    saved: Option<Saved>,
    _lock: LockFile,
}

impl KubeconfigFile {
    /// Locks and reads the file. A missing file is treated as empty, and its directory is created.
    pub fn load(path: &Path) -> Result<Self> {
        ensure_directory(parent(path))?;
        let lock = LockFile::acquire(path)?;
        let saved = saved(path)?;
        Ok(Self {
            path: path.to_owned(),
            document: saved
                .as_ref()
                .map(|saved| saved.document.clone())
                .unwrap_or_default(),
            saved,
            _lock: lock,
        })
    }

    /// Checks that entries with this name could be added to the file's text.
    pub fn can_hold(&self, name: &str) -> Result<()> {
        let Some(saved) = &self.saved else {
            return Ok(());
        };
        let mut trial = self.document.clone();
        trial.set(&Access {
            cluster: name.to_owned(),
            user: name.to_owned(),
            context: name.to_owned(),
            id: None,
            server: String::new(),
            ca: String::new(),
            credentials: Credentials::Token(Secret::new(String::new())),
        });
        trial.make_current(name);
        self.changed(saved, &trial).map(drop)
    }

    fn changed(&self, saved: &Saved, document: &Document) -> Result<String> {
        edit::apply(&saved.text, &saved.document, document).map_err(|_| {
            KubeconfigError::Entangled {
                path: self.path.clone(),
            }
        })
    }

    /// Sets the cluster, user and context of this access, replacing entries with the same name.
    pub fn set(&mut self, access: &Access) {
        self.document.set(access);
    }

    /// Sets kubectl's default context.
    pub fn make_current(&mut self, context: &str) {
        self.document.make_current(context);
    }

    /// Removes the cluster, user and context with this name. If it was the current context, there
    /// is none afterwards.
    pub fn remove(&mut self, name: &str) {
        self.document.remove(name);
    }

    /// Writes the file atomically, with mode 0600. A symbolic link is followed. Does nothing if
    /// nothing changed. Other entries keep their text.
    pub fn save(self) -> Result<()> {
        let target = follow_links(&self.path);
        let content = match &self.saved {
            Some(saved) if saved.document == self.document => {
                if is_private(&target) {
                    return Ok(());
                }
                saved.text.clone()
            }
            Some(saved) => self.changed(saved, &self.document)?,
            None => self.document.to_yaml(),
        };
        ensure_directory(parent(&target))?;
        replace(&target, &content)
    }
}

/// A file as stored.
#[derive(Debug)]
struct Saved {
    text: String,
    document: Document,
}

/// Reads the file; `None` if it doesn't exist.
pub(super) fn read(path: &Path) -> Result<Option<Document>> {
    Ok(saved(path)?.map(|saved| saved.document))
}

fn saved(path: &Path) -> Result<Option<Saved>> {
    let no_kubeconfig = |reason: String| KubeconfigError::NotKubeconfig {
        path: path.to_owned(),
        reason,
    };
    match fs::metadata(path).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_file() => {}
        // Treated as empty: it is /dev/null, which stores nothing.
        Ok(kind) if kind.is_char_device() => {
            return Ok(Some(Saved {
                text: String::new(),
                document: Document::default(),
            }));
        }
        Ok(kind) => {
            let what = if kind.is_dir() {
                "directory"
            } else {
                "pipe or the like"
            };
            return Err(no_kubeconfig(format!("it is a {what}, not a file")));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(KubeconfigError::io("read", path)(e)),
    }
    let bytes =
        hakube_input::read(path, hakube_input::SMALL).map_err(KubeconfigError::io("read", path))?;
    let text =
        decode(&bytes).ok_or_else(|| no_kubeconfig("it isn't valid UTF-8 or UTF-16".into()))?;
    let value = Tree::parse(&text).and_then(|tree| tree.value());
    let value = value.map_err(|e| KubeconfigError::NotYaml {
        path: path.to_owned(),
        line: e.line,
        column: e.column,
        reason: e.reason,
    })?;
    let document = Document::new(value).map_err(no_kubeconfig)?;
    Ok(Some(Saved { text, document }))
}

/// Decodes text, without its byte order mark. Windows editors write UTF-16, which kubectl reads.
fn decode(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            return Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned());
        }
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().skip(1).map(|pair| unit(*pair)).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}
