//! The lock's object.

use object_store::path::Path;

use super::record::LockRecord;
use crate::document::decode;
use crate::objects::Version;
use crate::store::lock_prefix;
use crate::{Result, StateError, Store};

/// The lock's object, as it was read.
pub(super) struct LockObject {
    /// The record of the last holder.
    pub record: Option<LockRecord>,
    /// What a replacement replaces; `None` if there is no object.
    pub version: Option<Version>,
}

pub(super) fn lock_key(cluster: &str) -> Path {
    lock_prefix(cluster).join("holder.json")
}

impl Store {
    /// Reads the lock's object.
    pub(super) async fn lock_object(&self, cluster: &str) -> Result<LockObject> {
        let key = lock_key(cluster);
        Ok(match self.objects.get_version(&key).await? {
            Some((content, version)) => LockObject {
                record: Some(self.parse_record(&key, &content)?),
                version: Some(version),
            },
            None => LockObject {
                record: self.earlier_record(cluster).await?,
                version: None,
            },
        })
    }

    pub(super) fn parse_record(&self, key: &Path, content: &[u8]) -> Result<LockRecord> {
        match decode(&self.objects.origin(key), LockRecord::FORMAT, content) {
            Err(StateError::Malformed {
                object,
                store,
                reason,
            }) => Err(StateError::Lock {
                object,
                store,
                reason,
            }),
            read => read,
        }
    }
}
