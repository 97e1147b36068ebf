//! What can go wrong with keys and certificates.

use jiff::Timestamp;

/// Why a key or a certificate could not be made or read. No variant carries key material.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The random generator or the encoder failed.
    #[error("can't make {what}: {source}")]
    Make {
        /// The key or certificate that was being made.
        what: String,
        /// rcgen's own words.
        source: rcgen::Error,
    },
    /// A document that belongs to a cluster's PKI isn't there.
    #[error(
        "the cluster's PKI has no `{name}`; restore pki.json of the state store from a backup: \
         a new one would cut off every machine and client of the cluster"
    )]
    Missing {
        /// The document's name.
        name: String,
    },
    /// A document isn't what its name says.
    #[error("`{name}` can't be read as {expected}: {reason}")]
    Malformed {
        /// The document's name.
        name: String,
        /// What it should have been.
        expected: &'static str,
        /// The parser's own words.
        reason: String,
    },
    /// A private key and the certificate beside it do not belong together.
    #[error(
        "the private key of `{name}` doesn't belong to its certificate; restore both from the same \
         backup of pki.json"
    )]
    Mismatch {
        /// The authority's name.
        name: String,
    },
    /// A certificate isn't what its authority signed.
    #[error(
        "the certificate of `{name}` is damaged: its signature doesn't fit what is in it; restore \
         pki.json from a backup"
    )]
    Damaged {
        /// The authority's name.
        name: String,
    },
    /// Nothing can be signed any more.
    #[error(
        "the certificate of `{name}` expired on {since}; the authority has to be replaced first"
    )]
    Expired {
        /// The authority's name.
        name: String,
        /// The end of its validity.
        since: Timestamp,
    },
    /// A name that no certificate can carry.
    #[error("`{value}` is neither an IP address nor a DNS name, so no certificate can carry it")]
    InvalidName {
        /// What was asked for.
        value: String,
    },
    /// A lifetime that runs over the end of the calendar.
    #[error("a certificate can't be valid from {now} for {days} days; choose a shorter lifetime")]
    Lifetime {
        /// The start of the validity.
        now: Timestamp,
        /// The lifetime asked for, in days.
        days: u32,
    },
}
