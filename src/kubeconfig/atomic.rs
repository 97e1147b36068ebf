//! Replacing somebody's file: all of it or nothing, and nobody else at the same time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{KubeconfigError, Result};

/// kubectl holds its lock for milliseconds: what is still there after 40 tries of 50 ms is stale.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// kubectl's lock on a kubeconfig: a file `<name>.lock` beside it. Removed when dropped.
#[derive(Debug)]
pub(super) struct LockFile(PathBuf);

impl LockFile {
    /// Takes the lock. Blocks for up to two seconds while another program holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        for _ in 0..LOCK_TRIES {
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&lock)
            {
                Ok(_) => return Ok(Self(lock)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => thread::sleep(LOCK_PAUSE),
                Err(e) => return Err(KubeconfigError::io("create", lock)(e)),
            }
        }
        Err(KubeconfigError::Locked {
            path: path.to_owned(),
            lock,
        })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Nothing to do about a failure here; the next one to need the lock names the file.
        let _ = fs::remove_file(&self.0);
    }
}

/// The directory exists; whatever had to be made is its owner's only.
pub(super) fn ensure_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(KubeconfigError::io("make the directory", directory))
}

/// Where a file really is: the end of a chain of symbolic links, whether or not it exists.
pub(super) fn follow_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // Linux gives up after 40, too.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Replaces the file by one of mode 0600 with this content, on disk before it returns. After a failure
/// or a crash, the old file is there, whole.
pub(super) fn replace(path: &Path, content: &str) -> Result<()> {
    let directory = parent(path);
    let write = || -> io::Result<()> {
        // Made with mode 0600 by `tempfile`, and removed again unless it takes the file's place.
        let mut new = tempfile::Builder::new()
            .prefix(".hakube-kubeconfig-")
            .tempfile_in(directory)?;
        new.write_all(content.as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            // `sudo hakube` must not take the file from its owner. Without the right to give it back,
            // it is ours already.
            let _ = fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
        }
        new.as_file().sync_all()?;
        new.persist(path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(KubeconfigError::io("write", path))
}

pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
