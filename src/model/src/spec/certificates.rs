//! How long certificates last.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Lifetimes of new certificates, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Of CAs.
    pub ca_days: u32,
    /// Of all other certificates, limited by the CA's own expiry.
    pub leaf_days: u32,
}

impl Default for Lifetimes {
    /// Ten years for CAs and one for the rest, as in kubeadm.
    fn default() -> Self {
        Self {
            ca_days: 3650,
            leaf_days: 365,
        }
    }
}

impl Lifetimes {
    /// The expiry of a certificate that is signed now by a CA with this expiry.
    pub fn leaf_end(self, now: Timestamp, authority: Timestamp) -> Timestamp {
        let lifetime = SignedDuration::from_hours(24 * i64::from(self.leaf_days));
        now.checked_add(lifetime)
            .map_or(authority, |end| end.min(authority))
    }
}
