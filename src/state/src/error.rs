//! Errors of the state store.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::SealError;
use super::store::INTENT;

/// The result type of this module.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory can't be used.
    #[error("could not use the state directory {path}: {source}; {hint}", path = path.display(),
            hint = hint(source).unwrap_or("set HAKUBE_HOME to a writable directory"))]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The store's configuration is invalid.
    #[error(
        "could not use the state store {store}: {source}; its credentials and endpoint come from the \
             variables AWS_* (s3://) and GOOGLE_* (gs://)"
    )]
    Open {
        /// The store's location.
        store: String,
        /// The store's error.
        source: Box<object_store::Error>,
    },
    /// The store failed. Its earlier content is intact.
    #[error("could not {action} {object} in {store}: {source}{}", advice(source))]
    Store {
        /// The verb.
        action: &'static str,
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The store's error.
        source: Box<object_store::Error>,
    },
    /// A malformed document.
    #[error("could not read {object} in {store}: {reason}{}", way_back(object))]
    Malformed {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The parser's error.
        reason: String,
    },
    /// A damaged document.
    #[error(
        "{object} in {store} is damaged or was edited: its checksum is {found}, not {expected}{}",
        way_back(object)
    )]
    Damaged {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The checksum that it was written with.
        expected: String,
        /// Its actual checksum.
        found: String,
    },
    /// A malformed lock record.
    #[error(
        "could not read {object} in {store}: {reason}; the holder of the cluster's lock is unknown: make sure that no \
         hakube is running on the cluster, delete that object and retry"
    )]
    Lock {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The parser's error.
        reason: String,
    },
    /// A document that can't be encrypted or decrypted.
    #[error("{object} in {store}: {source}")]
    Sealed {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The cause.
        source: SealError,
    },
    /// A document of a newer format.
    #[error(
        "{object} in {store} has format {found}; this hakube supports formats up to {known}: use the \
         version that wrote it, or a later one"
    )]
    NewerFormat {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
        /// The document's format.
        found: u64,
        /// The newest supported format.
        known: u32,
    },
    /// A document without a format.
    #[error("{object} in {store} has no format, so hakube didn't write it; move it elsewhere")]
    NoFormat {
        /// The object's key.
        object: String,
        /// The store's location.
        store: String,
    },
}

/// What to do about an unusable document: the cluster has a copy of its intent.
fn way_back(object: &str) -> &'static str {
    if object.ends_with(INTENT) {
        "; to rebuild it from the cluster itself: hakube state adopt"
    } else {
        "; restore it from a backup"
    }
}

fn advice(source: &object_store::Error) -> String {
    if let object_store::Error::Unauthenticated { .. }
    | object_store::Error::PermissionDenied { .. } = source
    {
        return "; check the credentials in the environment (AWS_*, GOOGLE_*) and their permissions"
            .into();
    }
    // object_store wraps the operating system's errors, several levels deep.
    let mut cause: Option<&(dyn Error + 'static)> = Some(source);
    while let Some(error) = cause {
        if let Some(hint) = error.downcast_ref().and_then(hint) {
            return format!("; {hint}");
        }
        cause = error.source();
    }
    String::new()
}

fn hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the earlier state is intact: free some space, then run the same command again")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
            "run hakube as the user who created it, or set HAKUBE_HOME to a writable directory",
        ),
        _ => None,
    }
}

impl From<StateError> for hakube_error::Error {
    fn from(error: StateError) -> Self {
        Self::bad_input("could not use the state store").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_error_still_gets_its_hint() {
        let refused = |kind: io::ErrorKind| StateError::Store {
            action: "write",
            object: "c/intent.json".into(),
            store: "/home/x/.hakube/state".into(),
            source: Box::new(object_store::Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(object_store::Error::Generic {
                    store: "LocalFileSystem",
                    source: Box::new(io::Error::from(kind)),
                }),
            }),
        };
        let denied = refused(io::ErrorKind::PermissionDenied).to_string();
        assert!(
            denied.contains("/home/x/.hakube/state") && denied.contains("HAKUBE_HOME"),
            "{denied}"
        );
        let full = refused(io::ErrorKind::StorageFull).to_string();
        assert!(full.contains("free some space"), "{full}");
    }
}
