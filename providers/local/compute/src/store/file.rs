//! `state.json`: written to a temporary file and renamed, so it is complete at all times.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hakube_local_resources::{State, VERSION};

/// The reason that a state file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("can't read the local cloud's state {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The content is invalid.
    #[error(
        "the local cloud's state {} is damaged: {source}. Move the file away to start with an empty cloud",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error and its position.
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error(
        "the local cloud's state {} has version {found}; this program supports {VERSION}. Use the newer \
         program, or move the file away to start with an empty cloud",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// Reads a state; `None` if the file doesn't exist.
pub fn load(path: &Path) -> Result<Option<State>, LoadError> {
    let path_buf = || path.to_owned();
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(LoadError::Unreadable {
                path: path_buf(),
                source,
            });
        }
    };
    let damaged = |source| LoadError::Damaged {
        path: path_buf(),
        source,
    };
    let value: serde_json::Value = serde_json::from_slice(&content).map_err(damaged)?;
    let found = value["version"].as_u64().unwrap_or(0);
    if found > u64::from(VERSION) {
        return Err(LoadError::TooNew {
            path: path_buf(),
            found,
        });
    }
    serde_json::from_value(value).map(Some).map_err(damaged)
}

/// Replaces the file. It holds user data, so only the owner may read it.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".state-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}
