//! `down --replica`: one replica less.

use super::up::tell_next;
use super::{Operation, conduct, preflight};
use crate::cluster::{RemovalRequest, choose_removal};
use crate::error::Result;
use crate::output::Event;
use crate::run::{Means, Session, Stored};

/// Removes one replica, if etcd keeps its quorum without it.
///
/// # Errors
/// No such replica; refused because quorum would be lost, because it is the last one, or because
/// another operation is unfinished; a step failed.
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
    let words = format!(
        "{} in {}",
        request.name.as_deref().unwrap_or("any replica"),
        request.zone.as_deref().unwrap_or("any zone")
    );
    if operation.goes_on(stored, &words)? {
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
        .store(&removal.intent, &words, Some(&stored.intent))
        .await
}
