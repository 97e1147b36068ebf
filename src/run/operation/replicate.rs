//! `replicate`: more replicas.

use super::up::tell_next;
use super::{Operation, conduct, preflight};
use crate::cluster::{Zones, add_replicas};
use crate::error::{Error, Result};
use crate::output::Event;
use crate::run::letters::random;
use crate::run::{Means, Session, Stored};

/// What `replicate` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateRequest {
    /// The zone that was named.
    pub zone: Option<String>,
    /// How many replicas.
    pub count: usize,
}

impl ReplicateRequest {
    /// The same words for the same request.
    fn words(&self) -> String {
        format!(
            "{} in {}",
            self.count,
            self.zone.as_deref().unwrap_or("any zone")
        )
    }
}

/// Adds replicas, one after another.
///
/// # Errors
/// A zone that won't do; a step failed for good, and everything that was made for it is gone again.
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
    let stored = session.present().await?;
    let means = operation.connect_existing(&stored).await?;
    let mut edited = edit(operation, &stored, request, &means).await?;
    match operation.converge(&mut edited, &means).await {
        Ok(()) => {
            tell_next(session, &edited.intent);
            Ok(())
        }
        Err(error) if session.stop.is_cancelled() || edited.unfinished.is_none() => Err(error),
        Err(error) => turn_back(session, operation, edited, &means, error).await,
    }
}

/// The same request, begun and not finished, goes on; it isn't made twice.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    request: &ReplicateRequest,
    means: &Means,
) -> Result<Stored> {
    let words = request.words();
    // One that was turning back from this same request when it was stopped is done with: the plan
    // removes what is left of it.
    let turned_back = turning_back_from(&words);
    let begun = stored.unfinished.as_ref();
    let is_anew = begun.is_some_and(|begun| begun.is("replicate", &turned_back));
    if !is_anew && operation.goes_on(stored, &words)? {
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
    operation.store(&intent, &words, Some(&stored.intent)).await
}

/// Another request, so that the same command run again after a crash doesn't go on with it.
fn turning_back_from(request: &str) -> String {
    format!("turning back from {request}")
}

/// The intent goes back to what it was, and the same loop removes what was made since.
async fn turn_back(
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
        "turning back: what was made for the new replica goes again",
    ));
    let previous = unfinished.previous.clone();
    let mut dropped = std::mem::replace(&mut stored.intent.replicas, previous);
    dropped.retain(|replica| stored.intent.replica(&replica.name).is_none());
    unfinished.request = turning_back_from(&unfinished.request);
    operation.write(&stored).await?;
    match operation.converge(&mut stored, means).await {
        Ok(()) => {
            let inventory = means.provider.inspect(session.cluster()).await;
            let unreachable = inventory.map(|inventory| inventory.unreachable);
            let all_seen = unreachable
                .is_ok_and(|zones| dropped.iter().all(|new| !zones.contains_key(&new.zone)));
            Err(if all_seen {
                error.hint("the cluster is as it was before; nothing of the new replica is left")
            } else {
                error.hint("what may be left of the new replica where nobody could be asked: hakube repair")
            })
        }
        Err(second) => Err(error
            .because(format!("and turning back failed: {second}"))
            .hint("to go on with turning back: hakube reconcile")),
    }
}

/// Three letters or digits, as kube-up has them.
pub(super) fn suffix() -> String {
    random(3)
}
