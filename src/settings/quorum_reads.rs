//! kube-up's wish for quorum reads, and what has become of it.
//!
//! The API server had a flag for them; it became true by default in 1.9 and was removed in 1.13. Ever
//! since, its reads from etcd are linearizable and nothing can be done about that.

use super::warning::Warning;
use semver::Version;
use serde::{Deserialize, Serialize};

/// The wish. Recorded with the cluster and inherited by its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumReads {
    /// What was wished for. The API server's reads are linearizable whatever it says, and so are those by
    /// which hakube tells whether a member is healthy.
    pub enabled: bool,
    /// Who set it, in words ("from the environment"); `None` when nobody did.
    pub set_by: Option<String>,
}

impl QuorumReads {
    /// The API server's flag, for a version that has it and an operator who set it.
    pub fn api_server_flag(&self, version: &Version) -> Option<String> {
        (has_flag(version) && self.set_by.is_some())
            .then(|| format!("--etcd-quorum-read={}", self.enabled))
    }

    /// What an operator who set it should know.
    pub fn warning(&self, variable: &str, version: &Version) -> Option<Warning> {
        let set_by = self.set_by.as_ref().filter(|_| !has_flag(version))?;
        Some(if self.enabled {
            Warning::note(
                variable,
                format!("{variable}, {set_by}: always in force since 1.13; no flag emitted."),
            )
        } else {
            Warning::new(
                variable,
                format!(
                    "{variable} is false, {set_by}, but quorum reads can't be switched off since Kubernetes \
                     1.13: the API server of {version} always reads through etcd's quorum. It is recorded, and \
                     changes nothing. Unset it."
                ),
            )
        })
    }
}

fn has_flag(version: &Version) -> bool {
    (version.major, version.minor) < (1, 13)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::warning::Severity;
    use super::*;

    #[test]
    fn the_flag_is_emitted_only_where_it_exists_and_was_asked_for() {
        let set = |enabled, by: Option<&str>| QuorumReads {
            enabled,
            set_by: by.map(str::to_owned),
        };
        let cases = [
            (
                "1.12.0",
                set(true, Some("x")),
                Some("--etcd-quorum-read=true"),
            ),
            (
                "1.12.0",
                set(false, Some("x")),
                Some("--etcd-quorum-read=false"),
            ),
            ("1.12.0", set(true, None), None),
            ("1.13.0", set(true, Some("x")), None),
            ("1.36.0", set(false, Some("x")), None),
        ];
        for (version, reads, flag) in cases {
            let version = Version::parse(version).unwrap();
            assert_eq!(
                reads.api_server_flag(&version).as_deref(),
                flag,
                "{version}"
            );
        }
    }

    #[test]
    fn a_wish_that_cannot_be_met_is_a_warning_and_one_that_always_is_a_note() {
        let version = Version::new(1, 36, 0);
        let severity = |enabled, by: Option<&str>| {
            let set_by = by.map(str::to_owned);
            QuorumReads { enabled, set_by }
                .warning("ENABLE_ETCD_QUORUM_READ", &version)
                .map(|warning| warning.severity)
        };
        assert_eq!(severity(true, None), None);
        assert_eq!(severity(true, Some("from x")), Some(Severity::Note));
        assert_eq!(severity(false, Some("from x")), Some(Severity::Warning));
    }
}
