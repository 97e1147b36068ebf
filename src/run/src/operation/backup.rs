//! `backup`: saves, lists and verifies backups.

use super::status::connect;
use crate::backup::{Backup, check, sum};
use crate::machines::running;
use crate::{Session, Stored};
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_etcd::{CLIENT_PORT, MemberStatus};
use hakube_output::{BackupLine, BackupList, Event};
use hakube_pki::AuthorityDocuments;
use hakube_state::{Backups, Holder};

/// The name of the newest backup.
pub(super) const LATEST: &str = "latest";

/// How to save a backup.
#[derive(Debug, Clone, Default)]
pub struct SaveRequest {
    /// The replica whose data to save; `None` for the one with the newest data.
    pub replica: Option<String>,
    /// How many backups to keep; older ones are deleted. `None` keeps all.
    pub keep: Option<usize>,
}

/// Where this session's backups are.
pub(crate) fn backups(session: &Session) -> Backups {
    let settings = &session.resolved.settings;
    Backups::at(settings.backups.clone(), settings.seal.clone())
}

/// Saves a snapshot of etcd with the cluster's intent and keys. It needs no quorum: any member that responds will do.
///
/// # Errors
/// There is no such cluster; no member responds; the backup can't be written.
pub async fn save(session: &Session, request: &SaveRequest) -> Result<()> {
    let cluster = session.cluster();
    let (stored, generation, keys) = documents(session).await?;
    let backups = backups(session);
    if !backups.is_sealed() {
        if session
            .store
            .is_sealed::<AuthorityDocuments>(cluster)
            .await?
        {
            return Err(Error::refused(format!(
                "the stored keys of cluster {cluster} are encrypted, but a backup wouldn't be"
            ))
            .hint("set what backups are encrypted to: HAKUBE_STATE_RECIPIENTS or HAKUBE_STATE_PASSPHRASE_FILE"));
        }
        session.reporter.event(&Event::warning(
            "the backup isn't encrypted: it has the cluster's keys and Secrets; to encrypt backups, \
             set HAKUBE_STATE_RECIPIENTS and HAKUBE_STATE_IDENTITY",
        ));
    }
    let means = connect(session, &stored).await?;
    let inventory = means.inventory(&stored.intent.spec.mark()).await?;
    let mut members: Vec<(Door, MemberStatus)> = Vec::new();
    let mut failed = Error::failed(format!("no etcd member of cluster {cluster} responds"))
        .hint("start machines that are off: hakube repair");
    for machine in running(&inventory) {
        if request
            .replica
            .as_ref()
            .is_some_and(|name| *name != machine.name)
        {
            continue;
        }
        match means.channel.reach(machine, CLIENT_PORT).await {
            Ok(door) => match means.etcd.learner_status(&door).await {
                Ok(status) => members.push((door, status)),
                Err(error) => failed = failed.because(error),
            },
            Err(error) => failed = failed.because(error),
        }
    }
    // A follower, if it has the newest data: the leader has other work.
    members.sort_by_key(|(_, status)| (status.revision, status.leader != status.id));
    let Some((door, status)) = members.pop() else {
        return Err(match &request.replica {
            Some(name) => failed.because(format!("only {name} was asked: --from")),
            None => failed,
        });
    };
    let replica = door.machine.clone();
    if status.leader == 0 {
        session.reporter.event(&Event::warning(format!(
            "etcd on {replica} has no leader: its data may lack the last acknowledged writes"
        )));
    }
    let unread = |why: String| {
        Error::failed(format!("could not take a snapshot of etcd on {replica}")).because(why)
    };
    let snapshot = means.etcd.snapshot(&door, means.timeout).await;
    let snapshot = snapshot.map_err(|error| unread(error.to_string()))?;
    check(&snapshot).map_err(unread)?;
    let taken = session.clock.now();
    let name = taken.strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let by = Holder::current("backup save").by;
    let backup = Backup {
        cluster: cluster.to_owned(),
        id: stored.intent.spec.id().map(str::to_owned),
        taken,
        by: format!("{}@{}", by.user, by.host),
        replica: replica.clone(),
        etcd_revision: status.revision,
        etcd_version: status.version,
        bytes: snapshot.len() as u64,
        snapshot_sha256: sum(&snapshot),
        stored,
        generation,
        keys,
    };
    let saved = backups.save(cluster, &name, &backup, snapshot).await;
    saved.map_err(|error| {
        Error::failed(format!("could not save a backup of cluster {cluster}"))
            .because(error)
            .hint("save it elsewhere: --backups URL")
    })?;
    // Reads it back: a backup that can't be read is none.
    Backup::load(&backups, cluster, &name).await?;
    session.reporter.event(&Event::note(format!(
        "saved backup {name} of cluster {cluster} in {}: {}, revision {} of {replica}",
        session.resolved.settings.backups,
        megabytes(backup.bytes),
        backup.etcd_revision,
    )));
    prune(session, &backups, request.keep).await
}

/// The intent with its generation, and the keys. All are of the same time.
async fn documents(session: &Session) -> Result<(Stored, u64, AuthorityDocuments)> {
    let cluster = session.cluster();
    let generation = async || -> Result<u64> {
        let found = session.store.read_version::<Stored>(cluster).await?;
        Ok(found.map_or(0, |(_, revision)| revision.generation))
    };
    let before = generation().await?;
    let stored = session.existing().await?;
    let keys: Option<AuthorityDocuments> = session.store.read(cluster).await?;
    let keys = keys.ok_or_else(|| {
        Error::failed(format!(
            "the keys of cluster {cluster} are missing from the store"
        ))
    })?;
    if generation().await? != before {
        return Err(Error::failed(format!(
            "another command changed cluster {cluster} while its intent and keys were read"
        ))
        .hint("run this again"));
    }
    Ok((stored, before, keys))
}

async fn prune(session: &Session, backups: &Backups, keep: Option<usize>) -> Result<()> {
    let Some(keep) = keep else {
        return Ok(());
    };
    let names = backups.names(session.cluster()).await?;
    let surplus = names.len().saturating_sub(keep);
    for name in names.iter().take(surplus) {
        backups.delete(session.cluster(), name).await?;
        session
            .reporter
            .event(&Event::note(format!("deleted backup {name}")));
    }
    Ok(())
}

/// The cluster's backups, oldest first.
///
/// # Errors
/// They can't be listed.
pub async fn list_backups(session: &Session) -> Result<BackupList> {
    let backups = backups(session);
    let mut lines = Vec::new();
    for name in backups.names(session.cluster()).await? {
        let line = match Backup::read(&backups, session.cluster(), &name).await {
            Ok(backup) => BackupLine {
                taken: Some(backup.taken),
                replica: Some(backup.replica),
                revision: Some(backup.etcd_revision),
                bytes: Some(backup.bytes),
                etcd: Some(backup.etcd_version),
                error: None,
                name,
            },
            Err(error) => BackupLine {
                error: Some(error.to_string()),
                name,
                ..BackupLine::default()
            },
        };
        lines.push(line);
    }
    Ok(BackupList {
        cluster: session.cluster().to_owned(),
        location: session.resolved.settings.backups.to_string(),
        backups: lines,
    })
}

/// Reads a whole backup and verifies its checksums. `latest` is the newest one.
///
/// # Errors
/// There is no such backup, or it is damaged.
pub async fn verify_backup(session: &Session, name: &str) -> Result<()> {
    let backups = backups(session);
    let name = named(session, &backups, name).await?;
    let (backup, _) = Backup::load(&backups, session.cluster(), &name).await?;
    session.reporter.event(&Event::note(format!(
        "backup {name} is whole: {}, revision {} of {}, taken {}",
        megabytes(backup.bytes),
        backup.etcd_revision,
        backup.replica,
        backup.taken
    )));
    Ok(())
}

/// The backup's name, `latest` resolved.
pub(super) async fn named(session: &Session, backups: &Backups, name: &str) -> Result<String> {
    if name != LATEST {
        return Ok(name.to_owned());
    }
    let names = backups.names(session.cluster()).await?;
    names.last().cloned().ok_or_else(|| {
        Error::bad_input(format!(
            "cluster {} has no backup in {}",
            session.cluster(),
            session.resolved.settings.backups
        ))
        .hint("set where backups are: --backups URL")
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
