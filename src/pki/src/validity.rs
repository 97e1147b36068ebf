//! The validity of certificates.

use jiff::{SignedDuration, Timestamp};
use time::OffsetDateTime;
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use super::{PkiError, Result};
use hakube_model::Life;

/// How far a certificate's validity starts in the past. A machine whose clock is behind, at worst
/// by a wrong time zone, accepts a new certificate; and the cluster survives if the clock is set
/// back after its creation.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// A certificate's period of validity.
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

    /// Limits it to end no later than `end`: a leaf never outlives its CA.
    pub fn within(self, end: Timestamp) -> Self {
        Self {
            until: self.until.min(end),
            ..self
        }
    }

    /// Sets the validity of a certificate to sign. X.509 has a resolution of whole seconds.
    pub fn apply(self, params: &mut rcgen::CertificateParams) {
        params.not_before = whole_seconds(self.from);
        params.not_after = whole_seconds(self.until);
    }
}

fn whole_seconds(at: Timestamp) -> OffsetDateTime {
    // Both types cover the years -9999 to 9999, so the fallback is never used in practice.
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// When the certificate in `pem` expires; for a bundle, the earliest.
pub fn expiry(pem: &str) -> Result<Timestamp> {
    life(pem).map(|life| life.expires)
}

/// The validity of the certificate in `pem`; for a bundle, the intersection.
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
        .unwrap_or_else(|| Err(malformed("it has no certificate".into())))
}
