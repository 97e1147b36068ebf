//! When certificates expire, are renewed, and are warned about: those of replicas, the user's kubeconfig and the
//! authorities.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A certificate with less time left is a warning.
const WARN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A certificate with less time left is an error.
const ALARM: SignedDuration = SignedDuration::from_hours(7 * 24);

/// All certificates, observed at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// The time of observation, by the clock of the operator's host.
    pub at: Timestamp,
    /// Those of each replica with a running machine, by the replica's name.
    pub replicas: BTreeMap<String, ReplicaCertificates>,
    /// The endpoint's address in each replica's serving certificate, by the replica's name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, IpAddr>,
    /// The user's kubeconfig's, if it has this cluster.
    pub kubeconfig: Option<Certificate>,
    /// Those of the authorities.
    pub authorities: Vec<Certificate>,
}

/// The certificates of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaCertificates {
    /// Its certificates; empty before it has any.
    Known(Vec<Certificate>),
    /// They couldn't be read.
    Unknown {
        /// Why.
        why: String,
    },
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its location: a path on the machine, the user's file, or a document of the store.
    pub file: String,
    /// What it is for.
    pub purpose: String,
    /// The authority that signed it.
    pub authority: String,
    /// When it is valid; `None` if the file is missing or isn't a certificate.
    pub life: Option<Life>,
    /// The expiry of a certificate that would be signed now.
    pub renewable_until: Timestamp,
}

/// A certificate's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it becomes valid.
    pub begins: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// How urgent an expiry or a clock skew is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Not urgent.
    Ok,
    /// Less than 30 days left, or a third of a short life.
    Warning,
    /// Less than 7 days left, or a tenth of a short life; or expired.
    Error,
}

/// How many seconds another clock is ahead; negative when it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skew(pub i64);

impl Skew {
    /// A warning above 5 s, an error above 5 minutes. The HTTP date that it is read from has a resolution of 1 s.
    pub fn severity(self) -> Option<Severity> {
        match self.0.unsigned_abs() {
            0..=5 => None,
            6..=300 => Some(Severity::Warning),
            _ => Some(Severity::Error),
        }
    }
}

impl Life {
    /// Whether it has expired.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// The time left; negative after expiry.
    pub fn left(self, now: Timestamp) -> SignedDuration {
        self.expires.duration_since(now)
    }

    fn whole(self) -> SignedDuration {
        self.expires.duration_since(self.begins)
    }

    fn severity(self, now: Timestamp) -> Severity {
        let left = self.left(now);
        if left <= ALARM.min(self.whole() / 10) {
            Severity::Error
        } else if left <= WARN.min(self.whole() / 3) {
            Severity::Warning
        } else {
            Severity::Ok
        }
    }
}

impl Certificate {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.life.is_some_and(|life| life.is_over(now))
    }

    /// Whether to renew it: less than a third of its life is left, or it is missing. A certificate that ends with its
    /// authority can't be extended.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.life.is_none_or(|life| {
            life.left(now) < life.whole() / 3 && life.expires < self.renewable_until
        })
    }

    /// How urgent its expiry is.
    pub fn severity(&self, now: Timestamp) -> Severity {
        self.life.map_or(Severity::Error, |life| life.severity(now))
    }
}

impl Certificates {
    /// A replica's certificates; empty if they couldn't be read.
    pub fn of(&self, replica: &str) -> &[Certificate] {
        match self.replicas.get(replica) {
            Some(ReplicaCertificates::Known(certificates)) => certificates,
            Some(ReplicaCertificates::Unknown { .. }) | None => &[],
        }
    }

    /// Whether a replica has an expired certificate.
    pub fn has_expired(&self, replica: &str) -> bool {
        let mut certificates = self.of(replica).iter();
        certificates.any(|certificate| certificate.is_expired(self.at))
    }

    /// Whether a replica has a certificate to renew.
    pub fn is_due(&self, replica: &str) -> bool {
        let mut certificates = self.of(replica).iter();
        certificates.any(|certificate| certificate.is_due(self.at))
    }

    /// All certificates, each with its owner.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Certificate)> {
        let replicas = self.replicas.iter();
        let replicas = replicas.flat_map(|(name, certificates)| {
            let certificates = match certificates {
                ReplicaCertificates::Known(certificates) => certificates.as_slice(),
                ReplicaCertificates::Unknown { .. } => &[],
            };
            certificates.iter().map(move |one| (name.as_str(), one))
        });
        let kubeconfig = self.kubeconfig.iter().map(|one| ("kubeconfig", one));
        let authorities = self.authorities.iter().map(|one| ("authority", one));
        replicas.chain(kubeconfig).chain(authorities)
    }

    /// The replicas whose certificates couldn't be read, and why.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &str)> {
        let replicas = self.replicas.iter();
        replicas.filter_map(|(name, certificates)| match certificates {
            ReplicaCertificates::Unknown { why } => Some((name.as_str(), why.as_str())),
            ReplicaCertificates::Known(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * 24 * 3600).unwrap()
    }

    /// Valid from day 0 to `expires`; a renewal now would be valid until day `until`.
    fn certificate(expires: i64, until: i64) -> Certificate {
        Certificate {
            file: "apiserver.crt".to_owned(),
            purpose: "serves the API".to_owned(),
            authority: "kubernetes-ca".to_owned(),
            life: Some(Life {
                begins: day(0),
                expires: day(expires),
            }),
            renewable_until: day(until),
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_less_than_a_third_of_its_life_is_left() {
        let of_a_year = |now: i64| certificate(365, now + 365);
        for (now, due) in [
            (1, false),
            (243, false),
            (244, true),
            (364, true),
            (400, true),
        ] {
            assert_eq!(of_a_year(now).is_due(day(now)), due, "day {now}");
        }
    }

    #[test]
    fn a_certificate_that_ends_with_its_authority_isnt_renewed() {
        assert!(!certificate(365, 365).is_due(day(360)));
        assert!(certificate(365, 366).is_due(day(360)));
    }

    #[test]
    fn a_missing_certificate_is_due_and_an_error() {
        let missing = Certificate {
            life: None,
            ..certificate(365, 365)
        };
        assert!(missing.is_due(day(1)) && !missing.is_expired(day(1)));
        assert_eq!(missing.severity(day(1)), Severity::Error);
    }

    #[test]
    fn expiry_is_a_warning_a_month_before_and_an_error_a_week_before() {
        let table = [
            (1, Severity::Ok),
            (334, Severity::Ok),
            (335, Severity::Warning),
            (357, Severity::Warning),
            (358, Severity::Error),
            (400, Severity::Error),
        ];
        for (now, severity) in table {
            assert_eq!(
                certificate(365, 365).severity(day(now)),
                severity,
                "day {now}"
            );
        }
    }

    #[test]
    fn skew_of_more_than_seconds_is_reported() {
        let table = [
            (0, None),
            (-5, None),
            (6, Some(Severity::Warning)),
            (-300, Some(Severity::Warning)),
            (301, Some(Severity::Error)),
            (-86400, Some(Severity::Error)),
        ];
        for (seconds, severity) in table {
            assert_eq!(Skew(seconds).severity(), severity, "{seconds}");
        }
    }

    #[test]
    fn short_lives_are_judged_in_proportion() {
        let of_ten_days = certificate(10, 20);
        assert_eq!(of_ten_days.severity(day(1)), Severity::Ok);
        assert_eq!(of_ten_days.severity(day(7)), Severity::Warning);
        assert_eq!(of_ten_days.severity(day(9)), Severity::Error);
    }
}
