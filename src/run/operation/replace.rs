//! `replace`: a new replica in the place of another.

use super::replicate::suffix;
use super::up::tell_next;
use super::{Operation, conduct, preflight};
use crate::cluster::replace_replica;
use crate::error::Result;
use crate::run::{Means, Session, Stored};

/// What `replace` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceRequest {
    /// The replica that goes.
    pub name: String,
    /// Whether its pods go that a budget keeps, or that nothing recreates.
    pub force: bool,
}

/// Puts a new replica in the place of another, which may be dead, sick or well, and the first one too.
///
/// # Errors
/// No such replica; refused because etcd can't be asked or has no quorum; a step failed.
pub async fn replace(session: &Session, request: &ReplaceRequest) -> Result<()> {
    conduct(session, "replace", async |operation| {
        run(session, operation, request).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &ReplaceRequest,
) -> Result<()> {
    let stored = session.present().await?;
    let mut means = operation.connect_existing(&stored).await?;
    means.drain.force = request.force;
    let mut edited = edit(operation, &stored, &request.name, &means).await?;
    operation.converge(&mut edited, &means).await?;
    tell_next(session, &edited.intent);
    Ok(())
}

/// The same request, begun and not finished, goes on: the name in it is that of a replica that may be
/// gone by now.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    name: &str,
    means: &Means,
) -> Result<Stored> {
    if operation.goes_on(stored, name)? {
        return Ok(stored.clone());
    }
    let observed = operation.observe(&stored.intent, means).await?;
    let free = preflight::free_hosts(means).await?;
    let intent = replace_replica(&stored.intent, &observed, name, free.as_ref(), suffix)?;
    preflight::made(&intent, &observed, means).await?;
    preflight::drainable(&intent, &observed, means).await?;
    operation.store(&intent, name, Some(&stored.intent)).await
}
