//! How long certificates last.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use super::{PkiError, Result};
use crate::cluster::Life;

/// How far a certificate's validity reaches back, so that a machine whose clock is behind, by a wrong time
/// zone at worst, accepts one that was made just now; and so that a cluster lives on when the clock is set
/// back after it was made.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Lifetimes of new certificates, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Of the authorities.
    pub ca_days: u32,
    /// Of all that they sign. Cut to the authority's own end where that comes first.
    pub leaf_days: u32,
}

impl Default for Lifetimes {
    /// Ten years for authorities and one for the rest, as kubeadm has it.
    fn default() -> Self {
        Self {
            ca_days: 3650,
            leaf_days: 365,
        }
    }
}

impl Lifetimes {
    /// The end of a certificate that is signed now, by an authority that ends then.
    pub fn leaf_end(self, now: Timestamp, authority: Timestamp) -> Timestamp {
        let lifetime = SignedDuration::from_hours(24 * i64::from(self.leaf_days));
        now.checked_add(lifetime)
            .map_or(authority, |end| end.min(authority))
    }
}

/// A stretch of time in which a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Validity {
    pub fn starting(now: Timestamp, days: u32) -> Result<Self> {
        let too_long = |_| PkiError::Lifetime { now, days };
        let lifetime = SignedDuration::from_hours(24 * i64::from(days));
        Ok(Self {
            from: now.checked_sub(CLOCK_SKEW).map_err(too_long)?,
            until: now.checked_add(lifetime).map_err(too_long)?,
        })
    }

    /// The same, ending no later than `end`: a leaf never outlives the authority that signed it.
    pub fn within(self, end: Timestamp) -> Self {
        Self {
            until: self.until.min(end),
            ..self
        }
    }

    /// Sets the validity of a certificate that is about to be signed. X.509 counts in whole seconds.
    pub fn apply(self, params: &mut rcgen::CertificateParams) {
        params.not_before = whole_seconds(self.from);
        params.not_after = whole_seconds(self.until);
    }
}

fn whole_seconds(at: Timestamp) -> OffsetDateTime {
    // Both types cover the years -9999 to 9999, so there is nothing to fall back to in practice.
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// When the certificate in `pem` ends; of a bundle, when the first of them does.
pub fn expiry(pem: &str) -> Result<Timestamp> {
    life(pem).map(|life| life.expires)
}

/// From when to when the certificate in `pem` is valid; of a bundle, all of them.
pub fn life(pem: &str) -> Result<Life> {
    let malformed = |reason: String| PkiError::Malformed {
        name: "certificate".into(),
        expected: "a PEM certificate",
        reason,
    };
    Pem::iter_from_buffer(pem.as_bytes())
        .map(|block| {
            let block = block.map_err(|e| malformed(e.to_string()))?;
            let certificate = block.parse_x509().map_err(|e| malformed(e.to_string()))?;
            let at = |time: ASN1Time| {
                Timestamp::from_second(time.timestamp()).map_err(|e| malformed(e.to_string()))
            };
            let validity = certificate.validity();
            Ok(Life {
                begins: at(validity.not_before)?,
                expires: at(validity.not_after)?,
            })
        })
        .reduce(|first, next| {
            let (first, next) = (first?, next?);
            Ok(Life {
                begins: first.begins.max(next.begins),
                expires: first.expires.min(next.expires),
            })
        })
        .unwrap_or_else(|| Err(malformed("there is none in it".into())))
}
