//! Frees space in etcd's database, member by member.

use super::Execution;
use crate::wait;
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_etcd::{CLIENT_PORT, EtcdError};
use hakube_model::{Alarm, DatabaseSize};
use hakube_provider::MachineRef;
use std::time::Duration;

/// A member frees old revisions gradually after a compaction. It is done when this many checks find no less in use.
const LOOKS: usize = 5;
/// How often to retry the defragmentation before the database counts as full of current data.
const PATIENT_LOOKS: usize = 3;
/// The wait before each retry.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two checks. etcd updates the size in use when it commits, ten times a second.
const BETWEEN: Duration = Duration::from_millis(150);

impl Execution<'_> {
    /// Compacts the whole history. Current data stays.
    pub(super) async fn compact_etcd(&self) -> Result<()> {
        let via = self.others("").await?;
        let compacted = self.means.etcd.compact(&via, self.means.timeout).await;
        compacted.map_err(|error| failed("could not compact etcd's history", error))
    }

    /// Defragments the member, unless that gains nothing, and waits until it serves again.
    pub(super) async fn defragment(&self, machine: &MachineRef) -> Result<()> {
        let door = self.door(machine, CLIENT_PORT).await?;
        if !self.gains(&door, machine).await? {
            return Ok(());
        }
        self.defragment_behind(&door).await
    }

    async fn defragment_behind(&self, door: &Door) -> Result<()> {
        let name = &door.machine;
        let done = self.means.etcd.defragment(door, self.means.timeout).await;
        done.map_err(|error| failed(&format!("could not defragment etcd on {name}"), error))?;
        let what = format!("etcd on {name} to serve again");
        wait::until(&what, self.means.timeout, self.means.pace, async || {
            let status = self.means.etcd.status(door).await;
            match status.map_err(|error| error.to_string())?.leader {
                0 => Err("it has no leader yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Whether defragmentation shrinks the member's file. Waits for its compaction to finish.
    async fn gains(&self, door: &Door, machine: &MachineRef) -> Result<bool> {
        let mut database = self.database(door, &machine.name).await?;
        let mut same = 0;
        while same < LOOKS {
            tokio::time::sleep(self.means.pace.max(BETWEEN)).await;
            let now = self.database(door, &machine.name).await?;
            same = if now.in_use < database.in_use {
                0
            } else {
                same + 1
            };
            database = now;
        }
        // A full member commits rarely, so the size in use may be stale.
        Ok(database.is_fragmented() || database.is_full(self.intent.spec.etcd.quota_bytes))
    }

    async fn database(&self, door: &Door, name: &str) -> Result<DatabaseSize> {
        let status = self.means.etcd.status(door).await;
        let status = status.map_err(|error| {
            failed(
                &format!("could not get the status of etcd on {name}"),
                error,
            )
        });
        Ok(status?.database)
    }

    /// The members whose database is full. An unreachable one raises the alarm again when it is back.
    async fn full<'a>(&self, via: &'a [Door], quota: u64) -> Vec<(&'a Door, DatabaseSize)> {
        let mut full = Vec::new();
        for door in via {
            let status = self.means.etcd.status(door).await;
            let database = status.ok().map(|status| status.database);
            full.extend(
                database
                    .filter(|database| database.is_full(quota))
                    .map(|database| (door, database)),
            );
        }
        full
    }

    /// Disarms the alarm, so that etcd accepts writes. If the database is still full, the next write would
    /// raise it again.
    pub(super) async fn disarm_nospace(&self) -> Result<()> {
        let quota = self.intent.spec.etcd.quota_bytes;
        let via = self.others("").await?;
        let mut full = self.full(&via, quota).await;
        // A busy member compacts later than others.
        let mut looks = 0;
        while !full.is_empty() && looks < PATIENT_LOOKS {
            tokio::time::sleep(PATIENCE).await;
            for (door, _) in &full {
                self.defragment_behind(door).await?;
            }
            full = self.full(&via, quota).await;
            looks += 1;
        }
        if !full.is_empty() {
            let mut error = Error::failed(
                "etcd's database is full even after compaction and defragmentation; etcd still refuses writes",
            );
            for (door, database) in &full {
                let name = &door.machine;
                error = error.because(format!("{name}: {}", database.describe(quota)));
            }
            return Err(error
                .hint("delete objects you don't need (etcd still accepts deletions): kubectl delete; then: hakube repair")
                .hint(format!(
                    "then give etcd a larger quota, replica by replica: ETCD_QUOTA_BACKEND_BYTES={} hakube replace NAME",
                    quota.saturating_mul(2)
                )));
        }
        let disarmed = self.means.etcd.disarm(&via, Alarm::NoSpace).await;
        disarmed.map_err(|error| failed("could not disarm etcd's alarm NOSPACE", error))
    }
}

fn failed(what: &str, error: EtcdError) -> Error {
    let transient = error.is_transient();
    let error = Error::failed(what).because(error);
    if transient { error.transient() } else { error }
}
