//! What ends when: certificates of replicas, of the user's kubeconfig, and of the authorities; when each is renewed, and
//! when people are warned.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From here on people are warned.
const WARN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// From here on it is an error.
const ALARM: SignedDuration = SignedDuration::from_hours(7 * 24);

/// All certificates that were seen at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// When they were looked at, by the clock of the operator's host.
    pub at: Timestamp,
    /// Those of each replica whose machine runs, by the replica's name.
    pub replicas: BTreeMap<String, ReplicaCertificates>,
    /// That of the user's kubeconfig, where it has one for this cluster.
    pub kubeconfig: Option<Certificate>,
    /// Those of the authorities.
    pub authorities: Vec<Certificate>,
}

/// The certificates of one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaCertificates {
    /// These; none before the replica has been given any.
    Known(Vec<Certificate>),
    /// They couldn't be read.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Where it is: a path on the machine, a file of the user's, a document of the store.
    pub file: String,
    /// What it is for.
    pub purpose: String,
    /// The authority that signed it.
    pub authority: String,
    /// When it is valid; `None` when the file is missing or isn't a certificate.
    pub life: Option<Life>,
    /// Until when one that is signed now would be valid.
    pub renewable_until: Timestamp,
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its first moment.
    pub begins: Timestamp,
    /// Its last moment.
    pub expires: Timestamp,
}

/// Whether people have to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// There is time.
    Ok,
    /// Less than 30 days, or a third of a life that is short.
    Warning,
    /// Less than 7 days, or a tenth of a life that is short; or expired.
    Error,
}

/// How many seconds another clock is ahead; negative when it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skew(pub i64);

impl Skew {
    /// Whether people have to be told: of more than 5 s, and of more than 5 minutes as of an error. The answer that it
    /// is read from has whole seconds.
    pub fn severity(self) -> Option<Severity> {
        match self.0.unsigned_abs() {
            0..=5 => None,
            6..=300 => Some(Severity::Warning),
            _ => Some(Severity::Error),
        }
    }
}

impl Life {
    /// Whether it is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// What is left of it; negative when it is over.
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

    /// Whether it is to be renewed: less than a third of its life is left, or there is none. A certificate that ends
    /// with its authority can't be renewed any further.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.life.is_none_or(|life| {
            life.left(now) < life.whole() / 3 && life.expires < self.renewable_until
        })
    }

    /// Whether people have to be told.
    pub fn severity(&self, now: Timestamp) -> Severity {
        self.life.map_or(Severity::Error, |life| life.severity(now))
    }
}

impl Certificates {
    /// The certificates of a replica; none when they aren't known.
    pub fn of(&self, replica: &str) -> &[Certificate] {
        match self.replicas.get(replica) {
            Some(ReplicaCertificates::Known(certificates)) => certificates,
            Some(ReplicaCertificates::Unknown { .. }) | None => &[],
        }
    }

    /// Whether a replica has a certificate that has expired.
    pub fn has_expired(&self, replica: &str) -> bool {
        let mut certificates = self.of(replica).iter();
        certificates.any(|certificate| certificate.is_expired(self.at))
    }

    /// Whether a replica has a certificate that is to be renewed.
    pub fn is_due(&self, replica: &str) -> bool {
        let mut certificates = self.of(replica).iter();
        certificates.any(|certificate| certificate.is_due(self.at))
    }

    /// All of them, each with its owner.
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

    /// Valid from day 0 to that day; one signed on `now` would be valid until `until`.
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
    fn one_that_ends_with_its_authority_is_not_renewed_again_and_again() {
        assert!(!certificate(365, 365).is_due(day(360)));
        assert!(certificate(365, 366).is_due(day(360)));
    }

    #[test]
    fn one_that_is_missing_is_to_be_renewed_and_an_error() {
        let missing = Certificate {
            life: None,
            ..certificate(365, 365)
        };
        assert!(missing.is_due(day(1)) && !missing.is_expired(day(1)));
        assert_eq!(missing.severity(day(1)), Severity::Error);
    }

    #[test]
    fn people_are_warned_a_month_before_and_alarmed_a_week_before() {
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
    fn people_are_told_of_clocks_that_differ_by_more_than_seconds() {
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
    fn of_a_short_life_people_are_warned_in_proportion() {
        let of_ten_days = certificate(10, 20);
        assert_eq!(of_ten_days.severity(day(1)), Severity::Ok);
        assert_eq!(of_ten_days.severity(day(7)), Severity::Warning);
        assert_eq!(of_ten_days.severity(day(9)), Severity::Error);
    }
}
