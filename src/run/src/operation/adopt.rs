//! `state adopt`: rebuilds the intent from the cluster.

use super::{Operation, conduct};
use crate::observe::open_doors;
use crate::record::{self, Record};
use crate::{Means, Session, Stored, observe, programs};
use hakube_error::{Error, Result};
use hakube_model::{Identity, Intent, Observed, RecordView, rebuilt, replica_names};
use hakube_output::Event;
use hakube_provider::Owner;
use hakube_state::StateError;

/// Rebuilds the stored intent from the cluster's record and its resources, if the stored document is damaged, lost or
/// out of date.
///
/// The new intent is printed before `confirm` is called. An error from it ends the command.
///
/// # Errors
/// The cluster's etcd is unreachable; there is no record and no stored intent; `confirm` refused.
pub async fn adopt(session: &Session, confirm: impl Fn() -> Result<()>) -> Result<()> {
    conduct(session, "state adopt", async |operation| {
        run(session, operation, confirm).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    confirm: impl Fn() -> Result<()>,
) -> Result<()> {
    let cluster = session.cluster();
    // A document that can't be read is the reason to adopt.
    let found = session.store.read_version::<Stored>(cluster).await;
    let (document, generation) = match found {
        Ok(Some((stored, revision))) => (Some(stored), revision.generation),
        Ok(None) | Err(StateError::Damaged { .. } | StateError::Malformed { .. }) => (None, 0),
        Err(error) => return Err(error.into()),
    };
    let authorities = session.existing_authorities().await?;
    let base = match &document {
        Some(stored) => stored.intent.clone(),
        None => from_settings(session)?,
    };
    let means = operation.connect(&base.spec, None, authorities).await?;
    let base = match &document {
        Some(_) => base,
        None => with_mark(session, base, &means).await?,
    };
    let inventory = means.inventory(&base.spec.mark()).await?;
    let doors = open_doors(&inventory, &means).await;
    let record = record::read(means.etcd.as_ref(), &doors).await;
    let record = record.map_err(|error| {
        Error::refused(format!(
            "could not read from etcd of cluster {cluster}; the intent is unchanged"
        ))
        .because(error)
        .hint("check which machines are running: hakube status")
    })?;
    let known = match (&record, &document) {
        (Some(record), _) => read_record(record)?,
        (None, Some(stored)) => stored.clone(),
        (None, None) => {
            return Err(Error::refused(format!(
                "cluster {cluster} has no record of its intent, and the store has no readable one"
            ))
            .hint("restore intent.json from a backup, and run this again"));
        }
    };
    let observed = observe(&known.intent, &means).await?;
    let intent = rebuilt(&known.intent, &observed)?;
    tell(session, document.as_ref(), record.as_ref(), &intent);
    if session.dry_run {
        return Ok(());
    }
    confirm()?;
    let rebuilt = Stored {
        intent,
        unfinished: None,
    };
    if let Some(lock) = &operation.lock {
        let recorded = record.map_or(0, |record| record.version().generation);
        lock.rebuild(&rebuilt, generation.max(recorded)).await?;
    }
    let unrecorded = Observed {
        record: RecordView::Absent,
        ..observed
    };
    operation.tell_cluster(&unrecorded, &means).await;
    session.reporter.event(&Event::note(format!(
        "rebuilt the intent of cluster {cluster}; check the differences: hakube status"
    )));
    Ok(())
}

/// An intent from the settings, for a lost document: enough to find the cluster.
fn from_settings(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    Ok(Intent::new(settings.spec(programs::none()?)))
}

/// The intent with the id of the only cluster of this name.
async fn with_mark(session: &Session, mut intent: Intent, means: &Means) -> Result<Intent> {
    let cluster = session.cluster();
    let found = means.provider.namesakes(cluster).await?;
    match found.as_slice() {
        [one] => {
            let Owner { id, .. } = one.owner.clone();
            intent.spec.identity = id.map(Identity::new);
            Ok(intent)
        }
        [] => Err(Error::bad_input(format!(
            "found no resources of cluster {cluster} to rebuild its intent from"
        ))
        .hint("set the provider, project and zone that it was created with: hakube state adopt --provider ... --zone ...")),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Error::refused(format!(
                "there are {} clusters named {cluster}, and the store has no id to tell them apart",
                several.len()
            ))
            .because(names.join("\n"))
            .hint("restore intent.json from a backup"))
        }
    }
}

fn read_record(record: &Record) -> Result<Stored> {
    record.stored().map_err(|error| {
        Error::failed("the cluster's record of its intent can't be read")
            .because(error)
            .hint("a later version of hakube wrote it; use that version")
    })
}

fn tell(session: &Session, document: Option<&Stored>, record: Option<&Record>, intent: &Intent) {
    let nodes = |intent: &Intent| intent.node_count();
    let then = match document {
        Some(stored) => format!(
            "replicas: {}; nodes: {}",
            replica_names(&stored.intent),
            nodes(&stored.intent)
        ),
        None => "nothing readable".to_owned(),
    };
    let source = match record {
        Some(record) => format!(
            "the cluster's own record (revision {})",
            record.version().generation
        ),
        None => "the stored intent: the cluster has no record".to_owned(),
    };
    let lines = [
        format!("the store says: {then}"),
        format!(
            "the intent will say: replicas: {}; nodes: {}",
            replica_names(intent),
            nodes(intent)
        ),
        format!("everything else is taken from {source}"),
    ];
    for line in lines {
        session.reporter.event(&Event::note(line));
    }
}
