//! What can go wrong with the state store.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::SealError;

/// Result of this module.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// Why something was not kept or not found again.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory can't be used.
    #[error("can't use the state directory {path}: {source}; {hint}", path = path.display(),
            hint = hint(source).unwrap_or("set HAKUBE_HOME to a directory that can be written"))]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The store can't be used as it is configured.
    #[error(
        "can't use the state store {store}: {source}; its credentials and endpoint are taken from the \
             variables AWS_* (s3://) and GOOGLE_* (gs://)"
    )]
    Open {
        /// Where the store is.
        store: String,
        /// The store's own words.
        source: Box<object_store::Error>,
    },
    /// The store refused or failed. What was there before is there still.
    #[error("can't {action} {object} in {store}: {source}{}", advice(source))]
    Store {
        /// The verb.
        action: &'static str,
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
        /// The store's own words.
        source: Box<object_store::Error>,
    },
    /// A document that isn't what its name says.
    #[error("{object} in {store} can't be read: {reason}; restore it from a backup")]
    Malformed {
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
        /// The parser's own words.
        reason: String,
    },
    /// A record of a lock that isn't one.
    #[error(
        "{object} in {store} can't be read: {reason}; nobody can tell who holds the cluster's lock: once no \
         hakube is at work on it, delete that object and run this again"
    )]
    Lock {
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
        /// The parser's own words.
        reason: String,
    },
    /// A document that can't be encrypted or decrypted.
    #[error("{object} in {store}: {source}")]
    Sealed {
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
        /// Why.
        source: SealError,
    },
    /// A document from the future.
    #[error(
        "{object} in {store} has format {found}; this hakube knows formats up to {known}: use the \
         version that wrote it, or a later one"
    )]
    NewerFormat {
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
        /// The document's format.
        found: u64,
        /// The newest format that can be read.
        known: u32,
    },
    /// A document whose format isn't stated.
    #[error("{object} in {store} doesn't say its format, so hakube didn't write it; move it away")]
    NoFormat {
        /// The object's key.
        object: String,
        /// Where the store is.
        store: String,
    },
}

fn advice(source: &object_store::Error) -> String {
    if let object_store::Error::Unauthenticated { .. }
    | object_store::Error::PermissionDenied { .. } = source
    {
        return "; check the credentials in the environment (AWS_*, GOOGLE_*) and what they may do"
            .into();
    }
    // object_store wraps the operating system's errors in its own, some levels deep.
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
            Some("what was there before is intact: make room, then run the same command again")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
            "run hakube as the user who made it, or set HAKUBE_HOME to a directory that can be written",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_deep_down_still_gets_its_advice() {
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
        assert!(full.contains("make room"), "{full}");
    }
}
