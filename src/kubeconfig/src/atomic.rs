//! Atomic and exclusive replacement of a user's file.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{KubeconfigError, Result};

/// kubectl holds its lock for milliseconds: after 40 attempts every 50 ms, it is stale.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The content of hakube's lock files; kubectl's are empty.
const MARK: &str = "hakube\n";

/// kubectl's lock on a kubeconfig: a file `<name>.lock` next to it. Removed when dropped.
///
/// hakube's lock file has identifying content, and hakube holds a kernel lock on it. If the process is
/// killed, the file remains but the kernel lock doesn't, so another hakube can take the file over.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    _held: Flock<File>,
}

impl LockFile {
    /// Takes the lock. Blocks for up to two seconds while another program holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        for _ in 0..LOCK_TRIES {
            let taken = Self::create(&lock).and_then(|made| match made {
                Some(held) => Ok(Some(held)),
                None => Self::take_over(&lock),
            });
            match taken {
                Ok(Some(held)) => {
                    return Ok(Self {
                        path: lock,
                        _held: held,
                    });
                }
                Ok(None) => thread::sleep(LOCK_PAUSE),
                Err(e) => return Err(KubeconfigError::io("create", lock)(e)),
            }
        }
        Err(KubeconfigError::Locked {
            path: path.to_owned(),
            lock,
        })
    }

    /// Creates the file with its content and kernel lock, atomically; `None` if it exists.
    fn create(lock: &Path) -> io::Result<Option<Flock<File>>> {
        let mut new = tempfile::Builder::new()
            .prefix(".hakube-kubeconfig-")
            .tempfile_in(parent(lock))?;
        new.write_all(MARK.as_bytes())?;
        let held =
            Flock::lock(new.reopen()?, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| e)?;
        match fs::hard_link(new.path(), lock) {
            Ok(()) => Ok(Some(held)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Takes over the file of a killed hakube; `None` if it is another program's, or its holder is alive.
    fn take_over(lock: &Path) -> io::Result<Option<Flock<File>>> {
        let file = match File::open(lock) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let Ok(mut held) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            return Ok(None);
        };
        let mut content = String::new();
        held.read_to_string(&mut content)?;
        // Its holder may have deleted it since it was opened.
        let there = fs::metadata(lock).is_ok_and(|there| {
            held.metadata()
                .is_ok_and(|opened| there.ino() == opened.ino())
        });
        Ok((there && content == MARK).then_some(held))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Errors are ignored: the next process that needs the lock reports the file.
        let _ = fs::remove_file(&self.path);
    }
}

/// Creates the directory, accessible only to its owner, unless it exists.
pub(super) fn ensure_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(KubeconfigError::io("create the directory", directory))
}

/// Follows a chain of symbolic links to its end, which may not exist.
pub(super) fn follow_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // Linux also gives up after 40.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Replaces the file with one of mode 0600 with this content, synced to disk. After a failure or
/// crash, the old file is intact.
pub(super) fn replace(path: &Path, content: &str) -> Result<()> {
    let directory = parent(path);
    let write = || -> io::Result<()> {
        // Created with mode 0600 by `tempfile`, and deleted unless it replaces the file.
        let mut new = tempfile::Builder::new()
            .prefix(".hakube-kubeconfig-")
            .tempfile_in(directory)?;
        new.write_all(content.as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            // `sudo hakube` must not change the file's owner. If there is no permission to restore
            // it, the file is already ours.
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
