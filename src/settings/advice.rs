//! What is valid, but perhaps not what somebody thinks.

use super::table;
use super::types::Settings;
use super::validate::KUBERNETES_MINORS;
use super::warning::Warning;

/// etcd's authors' advice.
const QUOTA_ADVISED: u64 = 8 << 30;

/// Everything that an operator should know about these settings.
pub fn on(settings: &Settings) -> Vec<Warning> {
    let version = &settings.versions.kubernetes;
    let quorum = settings
        .quorum_reads
        .warning(table::QUORUM_READ.key, version);
    let last = KUBERNETES_MINORS.end();
    let newer = ((version.major, version.minor) > (1, *last)).then(|| {
        let key = table::KUBE_VERSION.key;
        Warning::new(
            key,
            format!(
                "{key} is v{version}, newer than the newest that hakube knows the flags of, 1.{last}: a \
                 component may refuse to start."
            ),
        )
    });
    let quota = settings.etcd.quota_bytes;
    let large = (quota > QUOTA_ADVISED).then(|| {
        let key = table::ETCD_QUOTA.key;
        Warning::new(
            key,
            format!("{key} is {quota}: etcd's authors advise against more than {QUOTA_ADVISED}."),
        )
    });
    quorum.into_iter().chain(newer).chain(large).collect()
}
