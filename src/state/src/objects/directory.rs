//! Objects as private files, replaced by one writer at a time.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use object_store::local::LocalFileSystem;
use object_store::path::Path;

/// How long other writers may take to replace an object; it usually takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between attempts to lock.
const PACE: Duration = Duration::from_millis(2);

/// The directory that holds the objects, accessible only to its owner.
#[derive(Debug, Clone)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Opens the directory, creating it if necessary.
    pub fn open(path: &FilePath) -> io::Result<Self> {
        make_private(path)?;
        let root = path.canonicalize()?;
        if fs::metadata(&root)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&root, Permissions::from_mode(0o700))?;
        }
        Ok(Self(root))
    }

    pub fn path(&self) -> &FilePath {
        &self.0
    }

    pub fn store(&self) -> object_store::Result<LocalFileSystem> {
        // Objects are synced to disk: a power cut must not undo a write.
        Ok(LocalFileSystem::new_with_prefix(&self.0)?.with_fsync(true))
    }

    /// Keeps all other processes and tasks from replacing objects here until the result is dropped,
    /// since files have no conditional writes. The kernel releases it when a process dies.
    pub async fn alone(&self) -> io::Result<Flock<File>> {
        let deadline = Instant::now() + PATIENCE;
        let mut directory = File::open(&self.0)?;
        loop {
            // Polled rather than waited for in a thread, which couldn't be cancelled.
            directory = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Ok(locked),
                Err((directory, Errno::EWOULDBLOCK | Errno::EINTR))
                    if Instant::now() < deadline =>
                {
                    directory
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another hakube process is writing here and makes no progress \
                         (is it suspended? see `fuser -v` on that directory)",
                    ));
                }
                Err((_, errno)) => return Err(errno.into()),
            };
            tokio::time::sleep(PACE).await;
        }
    }

    /// object_store creates files and directories according to the umask. Mode 0700 of the root
    /// keeps other users out anyway; this protects copies of it.
    pub fn make_object_private(&self, key: &Path) -> io::Result<()> {
        let file = self.0.join(key.as_ref());
        match fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            // Another process has already deleted it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done?,
        }
        let above = file.ancestors().skip(1);
        for directory in above.take_while(|directory| *directory != self.0) {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Deletes half-written objects that a crash may have left below a prefix: object_store stages them as
    /// `<name>#<number>`, and doesn't list them. Call this only while no process is writing.
    pub fn sweep_staged(&self, prefix: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(self.0.join(prefix.as_ref())) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains(".json#") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Creates the directory and its parents, and syncs each to disk.
fn make_private(path: &FilePath) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => FilePath::new("."),
    };
    make_private(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process may create it at the same time.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e),
        Ok(()) => File::open(parent)?.sync_all(),
    }
}
