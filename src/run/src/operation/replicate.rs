//! `replicate`: adds replicas.

use super::up::tell_next;
use super::{Operation, conduct, preflight, quota};
use crate::letters::random;
use crate::request::Request;
use crate::stored::Unfinished;
use crate::{Means, Session, Stored};
use hakube_error::{Error, Result};
use hakube_model::{Zones, add_replicas};
use hakube_output::Event;

/// What `hakube replicate` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateRequest {
    /// The zone, if one was given.
    pub zone: Option<String>,
    /// How many replicas.
    pub count: usize,
}

/// Adds replicas, one after another.
///
/// # Errors
/// The zone isn't valid; a step failed, and everything created for the new replica is removed again.
pub async fn replicate(session: &Session, request: &ReplicateRequest) -> Result<()> {
    conduct(session, "replicate", async |operation| {
        run(session, operation, request).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &ReplicateRequest,
) -> Result<()> {
    let stored = quota::raised(session, session.present().await?);
    let means = operation.connect_existing(&stored).await?;
    let mut edited = edit(operation, &stored, request, &means).await?;
    match operation.converge(&mut edited, &means).await {
        Ok(()) => {
            tell_next(session, &edited.intent);
            Ok(())
        }
        Err(error) if session.stop.is_cancelled() || edited.unfinished.is_none() => Err(error),
        Err(error) => roll_back(session, operation, edited, &means, error).await,
    }
}

/// Resumes the same request if it is unfinished.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    request: &ReplicateRequest,
    means: &Means,
) -> Result<Stored> {
    let asked = Request::Replicate {
        count: request.count,
        zone: request.zone.clone(),
    };
    // If the same request was being rolled back when it was interrupted, it starts over: the plan removes its
    // leftovers.
    let rolls_back =
        |begun: &Unfinished| matches!(&begun.request, Request::RollBack { of } if **of == asked);
    let starts_over = stored.unfinished.as_ref().is_some_and(rolls_back);
    if !starts_over && operation.goes_on(stored, &asked)? {
        return Ok(stored.clone());
    }
    let zones = Zones {
        asked: request.zone.clone(),
        up: preflight::zones(means).await?,
        free: preflight::free_hosts(means).await?,
    };
    let intent = add_replicas(&stored.intent, &zones, request.count, suffix)?;
    let observed = operation.observe(&intent, means).await?;
    preflight::made(&intent, &observed, means).await?;
    operation.store(&intent, asked, Some(&stored.intent)).await
}

/// Restores the previous intent, and lets the same loop remove what was created since.
async fn roll_back(
    session: &Session,
    operation: &mut Operation<'_>,
    mut stored: Stored,
    means: &Means,
    error: Error,
) -> Result<()> {
    let Some(unfinished) = &mut stored.unfinished else {
        return Err(error);
    };
    session.reporter.event(&Event::note(
        "rolling back: removing what was created for the new replica",
    ));
    let previous = unfinished.previous.clone();
    let mut dropped = std::mem::replace(&mut stored.intent.replicas, previous);
    dropped.retain(|replica| stored.intent.replica(&replica.name).is_none());
    unfinished.request = Request::RollBack {
        of: Box::new(unfinished.request.clone()),
    };
    operation.write(&stored).await?;
    match operation.converge(&mut stored, means).await {
        Ok(()) => {
            let inventory = means.inventory(&stored.intent.spec.mark()).await;
            let unreachable = inventory.map(|inventory| inventory.unreachable);
            let all_seen = unreachable
                .is_ok_and(|zones| dropped.iter().all(|new| !zones.contains_key(&new.zone)));
            Err(if all_seen {
                error.hint("rolled back: nothing of the new replica remains")
            } else {
                error.hint("to remove leftovers in zones that were unreachable: hakube repair")
            })
        }
        Err(second) => Err(error
            .because(format!("rolling back failed too: {second}"))
            .hint("to finish rolling back: hakube reconcile")),
    }
}

/// Three random letters or digits, as kube-up uses.
pub(super) fn suffix() -> String {
    random(3)
}
