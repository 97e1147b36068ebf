//! Errors of keys and certificates.

use jiff::Timestamp;

/// Why a key or certificate could not be created or parsed. No variant contains key material.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The random generator or the encoder failed.
    #[error("could not create {what}: {source}")]
    Make {
        /// The key or certificate.
        what: String,
        /// rcgen's error.
        source: rcgen::Error,
    },
    /// The operating system's random generator failed.
    #[error("could not create a key: the system has no random numbers")]
    Random,
    /// A document of a cluster's PKI is missing.
    #[error(
        "the cluster's PKI has no `{name}`; restore the state store's pki.json from a backup: \
         a new one would lock out all machines and clients of the cluster"
    )]
    Missing {
        /// The document's name.
        name: String,
    },
    /// A malformed document.
    #[error("could not parse `{name}` as {expected}: {reason}")]
    Malformed {
        /// The document's name.
        name: String,
        /// The expected content.
        expected: &'static str,
        /// The parser's error.
        reason: String,
    },
    /// A private key and a certificate don't match.
    #[error(
        "the private key of `{name}` doesn't match its certificate; restore both from the same \
         backup of pki.json"
    )]
    Mismatch {
        /// The CA's name.
        name: String,
    },
    /// A certificate's signature is invalid.
    #[error(
        "the certificate of `{name}` is damaged: its signature doesn't match its content; restore \
         pki.json from a backup"
    )]
    Damaged {
        /// The CA's name.
        name: String,
    },
    /// The CA has expired, and can't sign.
    #[error("the certificate of `{name}` expired on {since}; the CA must be replaced first")]
    Expired {
        /// The CA's name.
        name: String,
        /// The end of its validity.
        since: Timestamp,
    },
    /// An invalid name for a certificate.
    #[error("`{value}` is neither an IP address nor a DNS name, so it can't be in a certificate")]
    InvalidName {
        /// The name.
        value: String,
    },
    /// A lifetime that exceeds the calendar.
    #[error("a certificate can't be valid from {now} for {days} days; use a shorter lifetime")]
    Lifetime {
        /// The start of the validity.
        now: Timestamp,
        /// The lifetime in days.
        days: u32,
    },
}

impl From<PkiError> for hakube_error::Error {
    fn from(error: PkiError) -> Self {
        Self::failed("could not use the cluster's keys and certificates").because(error)
    }
}
