//! Why a process doesn't hold the lock.

use super::record::LockRecord;
use crate::StateError;

/// Why the lock isn't held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "cluster {cluster} is locked: {holder}; wait for it to end (--wait 10m) and retry \
         (if that process died, the lock expires at {expires:.0})",
        expires = record.expires
    )]
    Held {
        /// The cluster.
        cluster: String,
        /// The record, for other formats.
        record: Box<LockRecord>,
        /// The holder in words, such as ``up by root@build-7, pid 123, since 3m``.
        holder: String,
    },
    /// Too many processes try at once.
    #[error("cluster {cluster}: too many processes are trying to lock it at the same time; retry")]
    Contended {
        /// The cluster.
        cluster: String,
    },
    /// Another process holds it by now.
    #[error(
        "cluster {cluster}: the lock (generation {generation}) was lost to another process, because this \
         one didn't renew it in time or hakube unlock was run; nothing more was changed: see hakube history \
         for the other process's operation, and retry"
    )]
    Lost {
        /// The cluster.
        cluster: String,
        /// The generation that was held.
        generation: u64,
    },
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<LockError> for hakube_error::Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::State(error) => error.into(),
            error => Self::new(hakube_error::Kind::Locked, error.to_string()),
        }
    }
}
