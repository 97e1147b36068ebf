//! `replicate`: more replicas.

use super::Operation;
use super::up::tell_next;
use crate::cluster::{Phase, Zones, add_replicas};
use crate::error::{Error, Result};
use crate::output::Event;
use crate::run::{Means, Session, Stored};
use hakube_provider::PreflightSpec;
use rand::Rng as _;

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
        format!("{} in {}", self.count, self.zone.as_deref().unwrap_or("any zone"))
    }
}

/// Adds replicas, one after another.
///
/// # Errors
/// A zone that won't do; a step failed for good, and everything that was made for it is gone again.
pub async fn replicate(session: &Session, request: &ReplicateRequest) -> Result<()> {
    let mut operation = Operation::begin(session, "replicate").await?;
    let mut calls = 0;
    let result = run(session, &mut operation, request, &mut calls).await;
    operation.end(result, calls).await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &ReplicateRequest,
    calls: &mut u64,
) -> Result<()> {
    let stored = session.existing().await?;
    if stored.intent.phase == Phase::Absent {
        return Err(Error::refused(format!("cluster {} is being deleted", session.cluster()))
            .hint("to finish that: hakube down"));
    }
    let means = super::reconcile::connect(session, &stored).await?;
    let mut edited = edit(session, operation, &stored, request, &means).await?;
    let result = operation.converge(&mut edited, &means).await;
    let result = match result {
        Err(error) if !session.stop.is_cancelled() => turn_back(session, operation, edited, &means, error).await,
        Err(error) => Err(error),
        Ok(()) => {
            if !session.dry_run {
                tell_next(session, &edited.intent);
            }
            Ok(())
        }
    };
    *calls = means.provider.calls();
    result
}

/// The same request, begun and not finished, goes on; it isn't made twice.
async fn edit(
    session: &Session,
    operation: &Operation<'_>,
    stored: &Stored,
    request: &ReplicateRequest,
    means: &Means,
) -> Result<Stored> {
    let begun = stored.unfinished.as_ref();
    if let Some(begun) = begun.filter(|begun| begun.operation == "replicate" && begun.request == request.words()) {
        session.reporter.event(&Event::note(format!(
            "going on with the replicate that {} began {}",
            begun.by, begun.started
        )));
        return Ok(stored.clone());
    }
    let spec = &stored.intent.spec;
    let zones = Zones { asked: request.zone.clone(), up: means.provider.zones().await? };
    let intent = add_replicas(&stored.intent, &zones, request.count, suffix)?;
    let new = intent.replicas.iter().filter(|replica| stored.intent.replica(&replica.name).is_none());
    let preflight = PreflightSpec {
        zones: new.map(|replica| replica.zone.clone()).collect(),
        machine_types: vec![spec.replica_machines.machine_type.clone()],
    };
    if let Some(finding) = means.provider.preflight(&preflight).await?.into_iter().next() {
        return Err(finding.into());
    }
    operation.store(&intent, &request.words(), Some(&stored.intent)).await
}

/// The intent goes back to what it was, and the same loop removes what was made since.
async fn turn_back(
    session: &Session,
    operation: &mut Operation<'_>,
    mut stored: Stored,
    means: &Means,
    error: Error,
) -> Result<()> {
    let Some(unfinished) = &stored.unfinished else { return Err(error) };
    session.reporter.event(&Event::note("turning back: what was made for the new replica goes again"));
    stored.intent.replicas.clone_from(&unfinished.previous);
    operation.write(&stored).await?;
    match operation.converge(&mut stored, means).await {
        Ok(()) => Err(error.hint("the cluster is as it was before; nothing of the new replica is left")),
        Err(second) => Err(error
            .because(format!("and turning back failed: {second}"))
            .hint("to go on with turning back: hakube reconcile")),
    }
}

/// Three letters or digits, as kube-up has them.
fn suffix() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    (0..3).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}
