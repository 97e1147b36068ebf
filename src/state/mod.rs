//! What hakube keeps: the intent, the PKI, the journal of operations and the lock, per cluster.
//!
//! | object                              | what                                   |
//! |-------------------------------------|----------------------------------------|
//! | `<cluster>/intent.json`             | what the operator asked for            |
//! | `<cluster>/pki.json`                | the authorities, private keys included |
//! | `<cluster>/journal/<time>-<id>.json`| one operation: who, when, which steps  |
//! | `<cluster>/journal/earlier.json`    | a summary of those before              |
//! | `<cluster>/lock/<generation>.json`  | who may change the cluster             |
//!
//! Documents and journal are written by whoever holds the lock, through its [`LockGuard`]. The journal keeps
//! the last 200 operations, and counts of those before. Of a cluster that is gone the lock's last record stays, and documents that say
//! that there is none.
//!
//! Everything that can be observed instead is not here. Objects are replaced whole or not at all: after
//! a crash or a full disk the old one is there. In a directory, files have mode 0600 and directories
//! 0700.

mod actor;
mod document;
mod error;
mod journal;
mod location;
mod lock;
mod objects;
mod seal;
mod store;

#[cfg(test)]
mod tests;

pub use actor::Actor;
pub use document::Document;
pub use error::{Result, StateError};
pub use journal::{Earlier, Operation, Outcome, StepRecord};
pub use location::Location;
pub use lock::{Holder, LockError, LockGuard, LockRecord};
pub use seal::{Seal, SealError};
pub use store::Store;
