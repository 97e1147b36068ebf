//! `replace`: puts a new replica in another one's place.

use super::replicate::suffix;
use super::up::tell_next;
use super::{Operation, conduct, preflight, quota};
use crate::request::Request;
use crate::{Means, Session, Stored};
use hakube_error::Result;
use hakube_model::replace_replica;

/// What `hakube replace` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceRequest {
    /// The replica to remove.
    pub name: String,
    /// Whether to delete pods that a budget protects or that no controller recreates.
    pub force: bool,
}

/// Replaces a replica. It may be healthy, unhealthy or dead, and the cluster's first one too.
///
/// # Errors
/// No such replica; refused: etcd is unreachable or has no quorum; a step failed.
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
    let stored = quota::raised(session, session.present().await?);
    let mut means = operation.connect_existing(&stored).await?;
    means.drain.force = request.force;
    let mut edited = edit(operation, &stored, &request.name, &means).await?;
    operation.converge(&mut edited, &means).await?;
    tell_next(session, &edited.intent);
    Ok(())
}

/// Resumes the same request if it is unfinished. The replica in it may be gone by then.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    name: &str,
    means: &Means,
) -> Result<Stored> {
    let asked = Request::Replace {
        replica: name.to_owned(),
    };
    if operation.goes_on(stored, &asked)? {
        return Ok(stored.clone());
    }
    let observed = operation.observe(&stored.intent, means).await?;
    let free = preflight::free_hosts(means).await?;
    let intent = replace_replica(&stored.intent, &observed, name, free.as_ref(), suffix)?;
    preflight::made(&intent, &observed, means).await?;
    preflight::drainable(&intent, &observed, means).await?;
    operation.store(&intent, asked, Some(&stored.intent)).await
}
