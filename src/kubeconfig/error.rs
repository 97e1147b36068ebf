//! What can go wrong with somebody's kubeconfig.

use std::io;
use std::path::PathBuf;

/// Why a kubeconfig was not read or written. In every case the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file isn't YAML.
    #[error(
        "{path}:{line}:{column}: not YAML: {reason}; left untouched: mend it, or name another file with \
         --kubeconfig", path = path.display()
    )]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// Counted from 1; 0 where the parser names no place.
        line: u64,
        /// Counted from 1; 0 where the parser names no place.
        column: u64,
        /// The parser's own words, without the text around the place: that may be a secret.
        reason: String,
    },
    /// The file is YAML, of something else.
    #[error(
        "{path}: not a kubeconfig: {reason}; left untouched: name another file with --kubeconfig",
        path = path.display()
    )]
    NotKubeconfig {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// Somebody else is writing the file, or died doing it.
    #[error(
        "{path} is being written by another program: {lock} exists; if kubectl isn't running, delete \
         that file and run this again", path = path.display(), lock = lock.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// kubectl's lock file beside it.
        lock: PathBuf,
    },
    /// The operating system refused.
    #[error("can't {action} {path}: {source}", path = path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
}

impl KubeconfigError {
    /// For `map_err` on an operation on `path`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
