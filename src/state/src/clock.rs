//! The host's clock.

use jiff::{SignedDuration, Timestamp};

/// The host's clock, for stored times and comparisons with them. Tests can skew it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    ahead: SignedDuration,
}

impl Clock {
    /// One that is ahead of the host's, or behind it.
    pub fn ahead(by: SignedDuration) -> Self {
        Self { ahead: by }
    }

    /// The current time.
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.ahead).unwrap_or(now)
    }
}
