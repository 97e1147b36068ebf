//! Which kubeconfig files there are, and which of them a change goes to.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::file::{KubeconfigFile, read};
use super::{Access, Result};

/// The kubeconfig files in use, in the order in which kubectl merges them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    first: PathBuf,
    rest: Vec<PathBuf>,
}

impl Paths {
    /// These files; with none, a kubeconfig in the working directory, as kubectl has it.
    pub fn new(files: &[PathBuf]) -> Self {
        let (first, rest) = match files.split_first() {
            Some((first, rest)) => (first.clone(), rest.to_vec()),
            None => (PathBuf::from("config"), Vec::new()),
        };
        Self { first, rest }
    }

    fn iter(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.first)
            .chain(&self.rest)
            .map(PathBuf::as_path)
    }

    /// Where new entries go (client-go's `GetDefaultFilename`): the first file that exists, else the
    /// last one.
    fn default_file(&self) -> &Path {
        let last = self.rest.last().unwrap_or(&self.first);
        self.iter().find(|path| path.exists()).unwrap_or(last)
    }

    /// Whether new entries go to a device, as with KUBECONFIG=/dev/null: none are wanted.
    fn discards(&self) -> bool {
        let kind = std::fs::metadata(self.default_file()).map(|there| there.file_type());
        kind.is_ok_and(|kind| kind.is_char_device())
    }

    /// Where entries of this name are; else where new ones go.
    fn file_of(&self, name: &str) -> Result<&Path> {
        for path in self.iter() {
            if read(path)?.is_some_and(|document| document.has(name)) {
                return Ok(path);
            }
        }
        Ok(self.default_file())
    }
}

/// Whether some file has a cluster of this name that is this server, verified with this authority
/// (PEM). A file that can't be read has none. Where new entries would go to a device, none are wanted: that is as good.
pub fn reaches(paths: &Paths, name: &str, server: &str, ca: &str) -> bool {
    paths.discards()
        || paths.iter().any(|path| {
            read(path)
                .ok()
                .flatten()
                .is_some_and(|document| document.reaches(name, server, ca))
        })
}

/// The client certificate (PEM) that the user of this name has in the first file that has such a user, and that file.
/// A user who is known otherwise has none.
pub fn client_certificate(paths: &Paths, name: &str) -> Option<(PathBuf, String)> {
    paths.iter().find_map(|path| {
        let document = read(path).ok().flatten()?;
        let certificate = document.client_certificate(name)?;
        Some((path.to_owned(), certificate))
    })
}

/// Whether [`install`] could write entries of this name now: every file is a kubeconfig, and the one
/// that would be written can be locked. Blocks on files.
pub fn check(paths: &Paths, name: &str) -> Result<()> {
    if paths.discards() {
        return Ok(());
    }
    KubeconfigFile::load(paths.file_of(name)?).map(drop)
}

/// Merges the access into the kubeconfig files and, if asked, makes it kubectl's current context.
/// Returns the file that holds it. Blocks on files.
pub fn install(paths: &Paths, access: &Access, make_current: bool) -> Result<PathBuf> {
    let path = paths.file_of(&access.context)?;
    if paths.discards() {
        return Ok(path.to_owned());
    }
    // Of several files, the first to name a current context wins: so it is set in the default one,
    // which need not be the one that has the entries.
    let default = paths.default_file();
    let mut file = KubeconfigFile::load(path)?;
    file.set(access);
    if make_current && path == default {
        file.make_current(&access.context);
    }
    file.save()?;
    if make_current && path != default {
        let mut file = KubeconfigFile::load(default)?;
        file.make_current(&access.context);
        file.save()?;
    }
    Ok(path.to_owned())
}

/// Takes the entries of this name out of all kubeconfig files. Returns the files that had any. Blocks
/// on files.
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
