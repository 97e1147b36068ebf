//! kube-up's setting of quorum reads.
//!
//! The API server's flag for them became true by default in 1.9 and was removed in 1.13. Since
//! then, its reads from etcd are always linearizable.

use super::warning::Warning;
use hakube_model::{QuorumReads, has_flag};
use semver::Version;

/// What an operator who set it should know.
pub fn warning(reads: &QuorumReads, variable: &str, version: &Version) -> Option<Warning> {
    let set_by = reads.set_by.as_ref().filter(|_| !has_flag(version))?;
    Some(if reads.enabled {
        Warning::note(
            variable,
            format!(
                "{variable}, {set_by}: quorum reads are always on since Kubernetes 1.13; no flag is needed."
            ),
        )
    } else {
        Warning::new(
            variable,
            format!(
                "{variable} is false, {set_by}, but quorum reads can't be switched off since Kubernetes \
                 1.13: the API server of {version} always reads through etcd's quorum. The setting is \
                 recorded, but has no effect. Unset it."
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::warning::Severity;
    use super::*;

    #[test]
    fn the_flag_is_set_only_if_it_exists_and_was_requested() {
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
    fn switching_off_is_a_warning_and_switching_on_a_note() {
        let version = Version::new(1, 36, 0);
        let severity = |enabled, by: Option<&str>| {
            let set_by = by.map(str::to_owned);
            warning(
                &QuorumReads { enabled, set_by },
                "ENABLE_ETCD_QUORUM_READ",
                &version,
            )
            .map(|warning| warning.severity)
        };
        assert_eq!(severity(true, None), None);
        assert_eq!(severity(true, Some("from x")), Some(Severity::Note));
        assert_eq!(severity(false, Some("from x")), Some(Severity::Warning));
    }
}
