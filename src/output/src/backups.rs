//! The backups in `hakube backup list`. The fields are a contract.

use super::Table;
use jiff::Timestamp;
use serde::Serialize;

/// A backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupLine {
    /// Its name.
    pub name: String,
    /// When its snapshot was taken, RFC 3339; `None`, like the others, if it can't be read.
    pub taken: Option<Timestamp>,
    /// The replica that it is from.
    pub replica: Option<String>,
    /// The revision of etcd's data.
    pub revision: Option<i64>,
    /// The snapshot's size in bytes.
    pub bytes: Option<u64>,
    /// The version of etcd.
    pub etcd: Option<String>,
    /// Why it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The backups of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupList {
    /// The cluster.
    pub cluster: String,
    /// Where they are.
    pub location: String,
    /// Oldest first.
    pub backups: Vec<BackupLine>,
}

impl BackupList {
    /// Renders text for people.
    pub fn render(&self) -> String {
        if self.backups.is_empty() {
            return format!(
                "cluster {} has no backup in {}; to save one: hakube backup save\n",
                self.cluster, self.location
            );
        }
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let mut table = Table::new(&["NAME", "TAKEN", "REPLICA", "REVISION", "BYTES", "ETCD", ""]);
        for backup in &self.backups {
            table.row([
                backup.name.clone(),
                text(backup.taken.map(|taken| taken.to_string())),
                text(backup.replica.clone()),
                text(backup.revision.map(|revision| revision.to_string())),
                text(backup.bytes.map(|bytes| bytes.to_string())),
                text(backup.etcd.clone()),
                backup.error.clone().unwrap_or_default(),
            ]);
        }
        table.render()
    }
}
