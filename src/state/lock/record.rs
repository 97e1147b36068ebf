//! What a lock's record says.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::state::Actor;

/// Who holds a lock, for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Whose process it is.
    pub by: Actor,
    /// What it is doing: `up`, `replicate`, …
    pub operation: String,
}

impl Holder {
    /// This process, doing `operation`.
    pub fn current(operation: &str) -> Self {
        Self {
            by: Actor::current(),
            operation: operation.to_owned(),
        }
    }
}

/// A hold of the lock, as it is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Counts up with every hold: a fencing token.
    pub generation: u64,
    /// Who.
    pub holder: Holder,
    /// Since when.
    pub acquired: Timestamp,
    /// When it ends unless it is renewed.
    pub expires: Timestamp,
    /// Whether it was given back.
    pub released: bool,
    /// The holder's process, by which another one on the same kernel can tell that it is gone.
    process: Option<Process>,
    /// Told from every other record by this, also from one of the same process at the same instant.
    #[serde(default)]
    nonce: u64,
}

impl LockRecord {
    pub(super) const FORMAT: u32 = 1;

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

    /// The same hold, from `now` on for `hold`.
    pub(super) fn renewed(&self, now: Timestamp, hold: Duration) -> Self {
        Self {
            expires: later(now, hold),
            ..self.clone()
        }
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

    /// Who and since when, such as ``up by root@build-7, pid 123, since 3m``.
    pub fn describe(&self, now: Timestamp) -> String {
        // Whole seconds; a clock that disagrees must not make it "3m ago" in the future.
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
    // Beyond the year 9999, a hold may as well last for ever.
    now.checked_add(hold).unwrap_or(Timestamp::MAX)
}
