//! What time it is.

use jiff::{SignedDuration, Timestamp};

/// The host's clock. Times that are kept, and compared with those that others kept, are read from one of
/// these: so a test can have one that is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    ahead: SignedDuration,
}

impl Clock {
    /// One that is ahead of the host's, or behind it.
    #[cfg(test)]
    pub fn ahead(by: SignedDuration) -> Self {
        Self { ahead: by }
    }

    /// The time by this clock.
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.ahead).unwrap_or(now)
    }
}
