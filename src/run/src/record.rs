//! The cluster's own record of its intent: the newest document, stored in its etcd. It reveals an old copy in
//! the store, and a lost document is rebuilt from it.

use super::Stored;
use hakube_channel::Door;
use hakube_etcd::{Etcd, EtcdResult};
use hakube_model::{RecordView, Version};
use serde::{Deserialize, Serialize};

/// Its key in etcd, outside Kubernetes' prefix.
const KEY: &str = "/hakube/cluster";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The cluster's id.
    id: Option<String>,
    /// The document's version.
    version: Version,
    /// The document. This version of hakube may be unable to read one that a later version wrote.
    intent: serde_json::Value,
}

impl Record {
    /// The record of this document, which the store has as that version.
    pub fn new(stored: &Stored, version: Version) -> Self {
        Self {
            id: stored.intent.spec.id().map(str::to_owned),
            version,
            // All keys are strings, so this can't fail.
            intent: serde_json::to_value(stored).unwrap_or_default(),
        }
    }

    /// The document.
    ///
    /// # Errors
    /// A later version of hakube wrote it.
    pub fn stored(&self) -> Result<Stored, serde_json::Error> {
        serde_json::from_value(self.intent.clone())
    }

    /// The record, as observed.
    pub fn view(&self) -> RecordView {
        RecordView::Known {
            id: self.id.clone(),
            version: self.version.clone(),
        }
    }

    /// The document's version.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

/// The cluster's record; `None` if it has none that can be read.
///
/// # Errors
/// etcd is unreachable.
pub async fn read(etcd: &dyn Etcd, via: &[Door]) -> EtcdResult<Option<Record>> {
    let value = etcd.get(via, KEY).await?;
    Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// Observes the cluster's record.
pub async fn look(etcd: &dyn Etcd, via: &[Door]) -> RecordView {
    match read(etcd, via).await {
        Ok(Some(record)) => record.view(),
        Ok(None) => RecordView::Absent,
        Err(_) => RecordView::Unknown,
    }
}

/// Writes the newest document to the cluster's record.
///
/// # Errors
/// etcd is unreachable, or refuses writes.
pub async fn write(etcd: &dyn Etcd, via: &[Door], record: &Record) -> EtcdResult<()> {
    let value = serde_json::to_vec(record).unwrap_or_default();
    etcd.put(via, KEY, value).await
}
