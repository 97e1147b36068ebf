//! A backup: a snapshot of etcd, with everything that a cluster with its data needs.

use crate::Stored;
use hakube_error::{Error, Result};
use hakube_pki::AuthorityDocuments;
use hakube_state::{Backups, StateError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The length of the checksum that etcd appends to a snapshot.
const SUM: usize = 32;
/// Databases have whole pages of this size or a multiple.
const PAGE: usize = 512;

/// A backup's document.
#[derive(Serialize, Deserialize)]
pub struct Backup {
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's id; `None` if it is from before ids.
    pub id: Option<String>,
    /// When the snapshot was taken.
    pub taken: Timestamp,
    /// Who took it: `user@host`.
    pub by: String,
    /// The replica that it is from.
    pub replica: String,
    /// The revision of etcd's data.
    pub etcd_revision: i64,
    /// The version of etcd.
    pub etcd_version: String,
    /// The snapshot's size in bytes.
    pub bytes: u64,
    /// The snapshot's SHA-256, in lower-case hexadecimal digits.
    pub snapshot_sha256: String,
    /// The stored intent.
    pub stored: Stored,
    /// The generation of the stored intent.
    pub generation: u64,
    /// The cluster's authorities.
    pub keys: AuthorityDocuments,
}

impl Backup {
    /// A backup's document.
    ///
    /// # Errors
    /// There is no such backup, or it can't be read.
    pub async fn read(backups: &Backups, cluster: &str, name: &str) -> Result<Self> {
        let found = backups.read(cluster, name).await;
        found.map_err(|error| unread(name, error))?.ok_or_else(|| {
            Error::bad_input(format!("cluster {cluster} has no backup {name}"))
                .hint("list the backups: hakube backup list")
        })
    }

    /// A backup with its snapshot, verified.
    ///
    /// # Errors
    /// There is no such backup, or it is damaged.
    pub async fn load(
        backups: &Backups,
        cluster: &str,
        name: &str,
    ) -> Result<(Self, Zeroizing<Vec<u8>>)> {
        let backup = Self::read(backups, cluster, name).await?;
        let snapshot = backups.snapshot(cluster, name).await;
        let snapshot = snapshot
            .map_err(|error| unread(name, error))?
            .ok_or_else(|| unusable(Error::failed(format!("backup {name} has no snapshot"))))?;
        let damaged =
            |why: &str| unusable(Error::failed(format!("backup {name} is damaged")).because(why));
        if backup.cluster != cluster {
            return Err(damaged(&format!("it is of cluster {}", backup.cluster)));
        }
        check(&snapshot).map_err(|why| damaged(&why))?;
        if sum(&snapshot) != backup.snapshot_sha256 {
            return Err(damaged("the snapshot's SHA-256 isn't the recorded one"));
        }
        Ok((backup, snapshot))
    }
}

/// The error of a backup that can't be used, with the commands that find another one.
fn unusable(error: Error) -> Error {
    error
        .hint("list the backups: hakube backup list")
        .hint("check one: hakube backup verify NAME")
}

fn unread(name: &str, error: StateError) -> Error {
    unusable(Error::failed(format!("could not read backup {name}")).because(error))
}

/// A SHA-256 in lower-case hexadecimal digits.
pub fn sum(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the checksum that etcd appends to a snapshot, as `etcdutl snapshot restore` does.
///
/// # Errors
/// Why it isn't a whole snapshot.
pub fn check(snapshot: &[u8]) -> Result<(), String> {
    let Some((data, own)) = snapshot.split_last_chunk::<SUM>() else {
        return Err("the snapshot is empty".to_owned());
    };
    if data.len() % PAGE != 0 || data.is_empty() {
        return Err("the snapshot is incomplete".to_owned());
    }
    if Sha256::digest(data).as_slice() != own {
        return Err("the snapshot's own checksum doesn't match".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_snapshots_pass() {
        let mut snapshot = vec![7; 2 * PAGE];
        let own = Sha256::digest(&snapshot);
        snapshot.extend_from_slice(&own);
        assert_eq!(check(&snapshot), Ok(()));
        for broken in [&snapshot[..snapshot.len() - 1], &snapshot[..PAGE], &[]] {
            assert!(check(broken).is_err());
        }
        snapshot[3] ^= 1;
        assert!(check(&snapshot).is_err());
    }
}
