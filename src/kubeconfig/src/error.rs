//! Errors of kubeconfig files.

use std::io;
use std::path::PathBuf;

/// Why a kubeconfig was not read or written. The file is always unchanged.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file isn't YAML.
    #[error(
        "{path}:{line}:{column}: not YAML: {reason}; left unchanged: fix it, or use another file with \
         --kubeconfig", path = path.display()
    )]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// From 1; 0 if unknown.
        line: u64,
        /// From 1; 0 if unknown.
        column: u64,
        /// The parser's error, without the surrounding text, which may be a secret.
        reason: String,
    },
    /// The file is YAML, but not a kubeconfig.
    #[error(
        "{path}: not a kubeconfig: {reason}; left unchanged: use another file with --kubeconfig",
        path = path.display()
    )]
    NotKubeconfig {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// hakube's entries can't be changed separately.
    #[error(
        "{path}: hakube's entries can't be changed without affecting others (an anchor \
         that others refer to, or a merged list); left unchanged: run `kubectl config set-context ANY` once, which \
         rewrites the file, or use another file with --kubeconfig", path = path.display()
    )]
    Entangled {
        /// The file.
        path: PathBuf,
    },
    /// Another program is writing the file, or died while doing so.
    #[error(
        "{path} is being written by another program: {lock} exists; if kubectl isn't running, delete \
         that file and retry", path = path.display(), lock = lock.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// kubectl's lock file next to it.
        lock: PathBuf,
    },
    /// An I/O error.
    #[error("could not {action} {path}: {source}", path = path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl KubeconfigError {
    /// Returns a function for `map_err` on an operation on `path`.
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

impl From<KubeconfigError> for hakube_error::Error {
    fn from(error: KubeconfigError) -> Self {
        Self::bad_input("could not use the kubeconfig").because(error)
    }
}
