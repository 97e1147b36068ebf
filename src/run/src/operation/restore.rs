//! `restore`: replaces etcd's data with a backup's.

use super::backup::{LATEST, backups, named};
use super::{Operation, conduct};
use crate::backup::Backup;
use crate::machines::running;
use crate::request::Request;
use crate::{Means, Session, Stored, wait};
use futures::future::join_all;
use hakube_error::{Error, Result};
use hakube_machine::JOIN_ENV;
use hakube_model::{Intent, Observed, Phase, Restoring, replica_names};
use hakube_output::Event;
use hakube_pki::Authorities;
use hakube_plan::plan;
use std::collections::BTreeSet;

/// What to restore.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The backup's name, or `latest`.
    pub backup: String,
    /// Whether to replace the data of an etcd that has its quorum.
    pub force: bool,
    /// Replicas whose machines never run again: the cluster continues without them.
    pub without: BTreeSet<String>,
}

/// Restores the cluster's data from a backup: on the replicas that there are, or on new machines.
///
/// `confirm` gets the question before anything changes. An error from it ends the command.
///
/// # Errors
/// There is no such backup, or it is another cluster's; etcd has quorum; a replica is unreachable; a step failed.
pub async fn restore(
    session: &Session,
    request: &RestoreRequest,
    confirm: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    conduct(session, "restore", async |operation| {
        let (mut begun, means) = match resumed(session, operation, request).await? {
            Some(resumed) => resumed,
            None => begin(session, operation, request, confirm).await?,
        };
        operation.converge(&mut begun, &means).await
    })
    .await
}

/// The unfinished restore, if this is the same. It starts over if etcd lost its quorum again while
/// others joined.
async fn resumed(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &RestoreRequest,
) -> Result<Option<(Stored, Means)>> {
    let Some(stored) = session.stored().await? else {
        return Ok(None);
    };
    let Some(begun) = stored.unfinished.clone() else {
        return Ok(None);
    };
    let Request::Restore { backup } = &begun.request else {
        return Ok(None);
    };
    if request.backup != LATEST && request.backup != *backup {
        return Ok(None);
    }
    let means = operation.connect_existing(&stored).await?;
    if stored.intent.restoring.is_none() {
        let observed = operation.observe(&stored.intent, &means).await?;
        if !has_quorum(&observed) {
            return Ok(None);
        }
    }
    session.reporter.event(&Event::note(begun.going_on()));
    Ok(Some((stored, means)))
}

async fn begin(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &RestoreRequest,
    confirm: impl Fn(&str) -> Result<()>,
) -> Result<(Stored, Means)> {
    let cluster = session.cluster();
    let backups = backups(session);
    let name = named(session, &backups, &request.backup).await?;
    // The whole backup is read before anything changes.
    let (backup, _) = Backup::load(&backups, cluster, &name).await?;
    let stored = session.stored().await?;
    let is_lost = stored.is_none();
    let stored = match stored {
        Some(stored) => same_cluster(stored, &backup)?,
        None => of_backup(session, &backup),
    };
    if stored.intent.phase == Phase::Absent {
        return Err(
            Error::refused(format!("cluster {cluster} is being deleted"))
                .hint("to finish the deletion: hakube down"),
        );
    }
    // Stored keys may be newer than the backup's: machines trust those.
    let known = session.authorities().await?;
    let takes_keys = known.is_none();
    let keys = match known {
        Some(keys) => keys,
        None => Authorities::from_documents(&backup.keys)?,
    };
    let means = operation.connect(&stored.intent.spec, None, keys).await?;
    if !request.force && stored.intent.restoring.is_none() {
        check_lost(operation, &stored.intent, &means).await?;
    }
    let mut intent = wanted(&stored.intent, request)?;
    intent.restoring = Some(Restoring {
        backup: name.clone(),
        location: backups.location(),
        sha256: backup.snapshot_sha256.clone(),
        revision: backup.etcd_revision,
        attempt: rand::random(),
        without: request.without.clone(),
    });
    intent.spec.local_cloud.clone_from(&means.local_cloud);
    let observed = operation.observe(&intent, &means).await?;
    check_machines(&observed, &means).await?;
    if let Some(begun) = &stored.unfinished {
        let note = format!("{begun}; restoring replaces it, and keeps the replicas that it wanted");
        session.reporter.event(&Event::note(note));
    }
    // Nothing is stored if the plan is refused.
    plan(&intent, &observed)?;
    if session.dry_run {
        return Ok((Stored { intent, ..stored }, means));
    }
    confirm(&format!(
        "This replaces the data of cluster {cluster} with backup {name}, taken {}. Writes since then are lost.",
        backup.taken
    ))?;
    if let (true, Some(lock)) = (is_lost, &operation.lock) {
        if takes_keys {
            lock.write(&backup.keys).await?;
        }
        // The cluster's record may be of the same generation.
        lock.rebuild(&stored, backup.generation).await?;
    }
    let request = Request::Restore { backup: name };
    let stored = operation
        .store(&intent, request, Some(&stored.intent))
        .await?;
    Ok((stored, means))
}

/// The intent with data to restore, and without the replicas that are given up.
fn wanted(intent: &Intent, request: &RestoreRequest) -> Result<Intent> {
    let mut wanted = intent.clone();
    wanted.formed = false;
    wanted
        .replicas
        .retain(|replica| !request.without.contains(&replica.name));
    if wanted.replicas.is_empty() {
        return Err(Error::bad_input(format!(
            "without these, cluster {} would have no replica",
            intent.spec.cluster
        ))
        .hint(format!("its replicas: {}", replica_names(intent))));
    }
    Ok(wanted)
}

/// The cluster's stored document, if the backup is the same cluster's.
fn same_cluster(stored: Stored, backup: &Backup) -> Result<Stored> {
    let own = stored.intent.spec.id();
    match (own, &backup.id) {
        (Some(own), Some(theirs)) if own != theirs => Err(Error::refused(format!(
            "the backup is of cluster {} with id {theirs}, but this cluster's id is {own}",
            backup.cluster
        ))
        .hint("list the backups: hakube backup list")),
        _ => Ok(stored),
    }
}

/// The backup's intent, for a store that has none.
fn of_backup(session: &Session, backup: &Backup) -> Stored {
    session.reporter.event(&Event::note(format!(
        "the store has no cluster {}: its intent is the backup's",
        session.cluster()
    )));
    let mut intent = backup.stored.intent.clone();
    // The local cloud that it was in may be gone too.
    intent.spec.local_cloud = None;
    Stored {
        intent,
        unfinished: None,
    }
}

fn has_quorum(observed: &Observed) -> bool {
    let quorum = observed.etcd.quorum();
    quorum.voters > 0 && quorum.holds()
}

/// Checks that etcd is of no use any more. It may only need a while.
async fn check_lost(operation: &Operation<'_>, intent: &Intent, means: &Means) -> Result<()> {
    let observed = operation.observe_patiently(intent, means).await?;
    let serving = observed.apis.iter().find(|(_, api)| api.ready);
    let why = match serving {
        _ if has_quorum(&observed) => format!("it has its quorum: {}", observed.etcd.quorum()),
        Some((name, _)) => format!("the API server of {name} is ready, so it has its quorum"),
        None => return Ok(()),
    };
    Err(
        Error::refused(format!("etcd of cluster {} works", intent.spec.cluster))
            .because(why)
            .because("restoring would discard the writes since the backup")
            .hint("to save its present data first: hakube backup save")
            .hint("to replace it anyway: hakube restore NAME --force"),
    )
}

/// Checks that etcd can be stopped on every machine that runs: a restore that has begun has to be finished.
async fn check_machines(observed: &Observed, means: &Means) -> Result<()> {
    let machines = running(&observed.inventory).map(async |machine| {
        let place = machine.machine_ref();
        // It may be booting.
        let reached = wait::until("an answer", means.timeout, means.pace, async || {
            let read = means.channel.read(&place, JOIN_ENV).await;
            read.map(drop).map_err(|error| error.to_string())
        });
        reached.await.map_err(|error| (machine.name.clone(), error))
    });
    let failed = join_all(machines).await.into_iter().find_map(Result::err);
    match failed {
        None => Ok(()),
        Some((name, error)) => Err(Error::refused(format!(
            "can't stop etcd on {name}, which runs but can't be reached"
        ))
        .because(error)
        .hint(format!(
            "if it hangs, switch {name} off or delete it at the provider; then run this again"
        ))),
    }
}
