//! hakube's state of each cluster: the intent, the PKI, the journal of operations and the lock.
//!
//! | object                              | what                                   |
//! |-------------------------------------|----------------------------------------|
//! | `<cluster>/intent.json`             | the operator's intent                  |
//! | `<cluster>/pki.json`                | the authorities, private keys included |
//! | `<cluster>/journal/<time>-<id>.json`| one operation: who, when, which steps  |
//! | `<cluster>/journal/earlier.json`    | a summary of those before              |
//! | `<cluster>/lock/holder.json`        | the lock's holder                      |
//!
//! The lock's holder writes documents and the journal, through its [`LockGuard`]. The journal keeps
//! the last 200 operations, and counts of earlier ones. After a cluster is deleted, the lock's last
//! record and placeholders of its documents remain.
//!
//! Each document has a checksum, and a generation that counts its writes. The cluster stores its
//! own generation, which reveals an old copy of the intent.
//!
//! Anything that can be observed isn't stored. Objects are replaced atomically: after a crash or with a full
//! disk the old one is intact. In a directory, files have mode 0600 and directories 0700.

mod actor;
mod backup;
mod clock;
mod document;
mod error;
mod journal;
mod lock;
mod objects;
mod seal;
mod store;

#[cfg(test)]
mod tests;

pub use actor::Actor;
pub use backup::Backups;
pub use clock::Clock;
pub use document::{Document, Revision};
pub use error::{Result, StateError};
pub use journal::{Earlier, Operation, Outcome, StepRecord};
pub use lock::{Holder, LockError, LockGuard, LockRecord};
pub use seal::{Seal, SealError};
pub use store::{INTENT, Store};
