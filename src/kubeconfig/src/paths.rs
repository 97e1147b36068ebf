//! The kubeconfig files, and which of them is changed.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::file::{KubeconfigFile, read};
use super::{Access, Result};

/// The kubeconfig files, in the order in which kubectl merges them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    first: PathBuf,
    rest: Vec<PathBuf>,
}

impl Paths {
    /// These files; if empty, a kubeconfig in the working directory, as in kubectl.
    pub fn new(files: &[PathBuf]) -> Self {
        let (first, rest) = match files.split_first() {
            Some((first, rest)) => (first.clone(), rest.to_vec()),
            None => (PathBuf::from("config"), Vec::new()),
        };
        Self { first, rest }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.first)
            .chain(&self.rest)
            .map(PathBuf::as_path)
    }

    /// The file for new entries (client-go's `GetDefaultFilename`): the first that exists, or the last one.
    fn default_file(&self) -> &Path {
        let last = self.rest.last().unwrap_or(&self.first);
        self.iter().find(|path| path.exists()).unwrap_or(last)
    }

    /// Whether new entries go to a device, as with KUBECONFIG=/dev/null, which means that none are wanted.
    pub(super) fn discards(&self) -> bool {
        let kind = std::fs::metadata(self.default_file()).map(|there| there.file_type());
        kind.is_ok_and(|kind| kind.is_char_device())
    }

    /// The file with entries of this name, or otherwise the file for new ones.
    fn file_of(&self, name: &str) -> Result<&Path> {
        for path in self.iter() {
            if read(path)?.is_some_and(|document| document.has(name)) {
                return Ok(path);
            }
        }
        Ok(self.default_file())
    }
}

/// Whether any file has a cluster with this name and server, verified with this CA (PEM).
/// Unreadable files are ignored. True if new entries go to a device, since none are wanted.
pub fn reaches(paths: &Paths, name: &str, server: &str, ca: &str) -> bool {
    paths.discards()
        || paths.iter().any(|path| {
            read(path)
                .ok()
                .flatten()
                .is_some_and(|document| document.reaches(name, server, ca))
        })
}

/// The client certificate (PEM) of the user with this name, from the first file with such a user,
/// and that file. `None` if the user has other credentials.
pub fn client_certificate(paths: &Paths, name: &str) -> Option<(PathBuf, String)> {
    paths.iter().find_map(|path| {
        let document = read(path).ok().flatten()?;
        let certificate = document.client_certificate(name)?;
        Some((path.to_owned(), certificate))
    })
}

/// Whether kubectl has a current context that exists. Unreadable files are ignored.
pub fn has_current(paths: &Paths) -> bool {
    let documents: Vec<_> = paths
        .iter()
        .filter_map(|path| read(path).ok().flatten())
        .collect();
    let current = documents.iter().find_map(|document| document.current());
    current.is_some_and(|name| {
        let mut documents = documents.iter();
        documents.any(|document| document.find("contexts", name).is_some())
    })
}

/// Checks that [`install`] could write entries with this name now: every file is a kubeconfig, and
/// the one to write can be locked, and changed without affecting other entries. Blocks on files.
pub fn check(paths: &Paths, name: &str) -> Result<()> {
    if paths.discards() {
        return Ok(());
    }
    KubeconfigFile::load(paths.file_of(name)?)?.can_hold(name)
}

/// What becomes of kubectl's current context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrentContext {
    /// The installed one becomes the current one.
    Switch,
    /// It stays as it is.
    Keep,
}

/// Merges the access into the kubeconfig files. Returns the changed file. Blocks on files.
pub fn install(paths: &Paths, access: &Access, current: CurrentContext) -> Result<PathBuf> {
    let path = paths.file_of(&access.context)?;
    if paths.discards() {
        return Ok(path.to_owned());
    }
    // The first file with a current context takes precedence: so it is set in the default one,
    // which may not be the one with the entries.
    let default = paths.default_file();
    let mut file = KubeconfigFile::load(path)?;
    file.set(access);
    let switches = current == CurrentContext::Switch;
    if switches && path == default {
        file.make_current(&access.context);
    }
    file.save()?;
    if switches && path != default {
        let mut file = KubeconfigFile::load(default)?;
        file.make_current(&access.context);
        file.save()?;
    }
    Ok(path.to_owned())
}

/// Removes the entries with this name from all kubeconfig files. Returns the changed files. Blocks on files.
pub fn uninstall(paths: &Paths, name: &str) -> Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for path in paths.iter() {
        let concerned = |d: super::document::Document| d.has(name) || d.current() == Some(name);
        if read(path)?.is_some_and(concerned) {
            let mut file = KubeconfigFile::load(path)?;
            file.remove(name);
            file.save()?;
            changed.push(path.to_owned());
        }
    }
    Ok(changed)
}
