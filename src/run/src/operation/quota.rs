//! etcd's quota, which can only grow.

use crate::{Session, Stored};
use hakube_settings::table;

/// Raises the quota for new machines to the setting's value, if that is larger. Existing data may not fit into
/// a smaller one.
pub(super) fn raised(session: &Session, mut stored: Stored) -> Stored {
    let resolved = &session.resolved;
    let wanted = resolved.settings.etcd.quota_bytes;
    let intent = &mut stored.intent;
    if resolved.is_given(&table::ETCD_QUOTA) && wanted > intent.spec.etcd.quota_bytes {
        intent.spec.etcd.quota_bytes = wanted;
        let key = table::ETCD_QUOTA.key.to_owned();
        if let Some(given) = intent.given.get_mut(&key) {
            *given = wanted.to_string();
        }
    }
    stored
}
