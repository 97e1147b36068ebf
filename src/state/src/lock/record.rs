//! The lock's records.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::Actor;

/// A lock's holder, for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process that holds it.
    pub by: Actor,
    /// Its operation: `up`, `replicate`, …
    pub operation: String,
}

impl Holder {
    /// This process, running `operation`.
    pub fn current(operation: &str) -> Self {
        Self {
            by: Actor::current(),
            operation: operation.to_owned(),
        }
    }
}

/// A record of a holder in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Increases with every holder: a fencing token.
    pub generation: u64,
    /// The holder.
    pub holder: Holder,
    /// When it took the lock.
    pub acquired: Timestamp,
    /// When the lock expires unless it is renewed.
    pub expires: Timestamp,
    /// Whether it was released.
    pub released: bool,
    /// The holder's process. Another process on the same kernel can tell whether it has ended.
    process: Option<Process>,
    /// Makes the record unique, even among those of the same process at the same instant.
    #[serde(default)]
    nonce: u64,
}

impl LockRecord {
    /// 2: one object that each holder replaces. Before, each holder had its own.
    pub(super) const FORMAT: u32 = 2;

    pub(super) fn new(generation: u64, holder: Holder, now: Timestamp, hold: Duration) -> Self {
        Self {
            generation,
            process: Process::observe(holder.by.pid),
            holder,
            acquired: now,
            expires: later(now, hold),
            released: false,
            nonce: rand::random(),
        }
    }

    /// Renews the lock from `now` for `hold`.
    pub(super) fn renewed(&self, now: Timestamp, hold: Duration) -> Self {
        Self {
            expires: later(now, hold),
            ..self.clone()
        }
    }

    /// Whether this is a record of the same holder.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (self.generation, self.nonce) == (other.generation, other.nonce)
    }

    pub(super) fn released(&self) -> Self {
        Self {
            released: true,
            ..self.clone()
        }
    }

    /// Whether this record keeps others out.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        !self.released && now < self.expires && !self.process.as_ref().is_some_and(Process::is_gone)
    }

    /// The holder and the time held, such as ``up by root@build-7, pid 123, since 3m``.
    pub fn describe(&self, now: Timestamp) -> String {
        // Whole seconds, and never negative if clocks disagree.
        let held = now.duration_since(self.acquired).as_secs().max(0);
        let held = SignedDuration::from_secs(held);
        format!("{self}, since {held:#}")
    }
}

impl fmt::Display for LockRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder { by, operation } = &self.holder;
        write!(f, "{operation} by {by}")
    }
}

fn later(now: Timestamp, hold: Duration) -> Timestamp {
    // Beyond the year 9999, the lock may as well never expire.
    now.checked_add(hold).unwrap_or(Timestamp::MAX)
}
