//! `down --replica`: removes one replica.

use super::up::tell_next;
use super::{Operation, conduct, preflight};
use crate::request::Request;
use crate::{Means, Session, Stored};
use hakube_error::Result;
use hakube_model::{RemovalRequest, choose_removal};
use hakube_output::Event;

/// Removes one replica, if etcd keeps its quorum without it.
///
/// # Errors
/// No such replica; refused: etcd would lose quorum, it is the last one, or another operation is unfinished; a step
/// failed.
pub async fn remove_replica(session: &Session, request: &RemovalRequest) -> Result<()> {
    conduct(session, "down --replica", async |operation| {
        run(session, operation, request).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &RemovalRequest,
) -> Result<()> {
    let stored = session.present().await?;
    let mut means = operation.connect_existing(&stored).await?;
    means.drain.force = request.force;
    let mut edited = edit(session, operation, &stored, request, &means).await?;
    operation.converge(&mut edited, &means).await?;
    tell_next(session, &edited.intent);
    Ok(())
}

async fn edit(
    session: &Session,
    operation: &Operation<'_>,
    stored: &Stored,
    request: &RemovalRequest,
    means: &Means,
) -> Result<Stored> {
    let asked = Request::RemoveReplica {
        replica: request.name.clone(),
        zone: request.zone.clone(),
    };
    if operation.goes_on(stored, &asked)? {
        return Ok(stored.clone());
    }
    let observed = operation.observe(&stored.intent, means).await?;
    let removal = choose_removal(&stored.intent, &observed, request)?;
    preflight::drainable(&removal.intent, &observed, means).await?;
    session.reporter.event(&Event::note(format!(
        "removing {} in {}",
        removal.replica.name, removal.replica.zone
    )));
    operation
        .store(&removal.intent, asked, Some(&stored.intent))
        .await
}
