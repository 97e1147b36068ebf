//! `certs rotate-ca`: replaces the authorities in three phases, without downtime for clients.
//!
//! The stored intent has the phase to reach. The keys follow it, and machines follow the keys. So the same command
//! resumes after a crash at any point, and `repair` updates machines that were unreachable.

use super::{Operation, ROUNDS, conduct, interrupted, preflight};
use crate::request::Request;
use crate::{Means, Session, Stored};
use hakube_error::{Error, Result};
use hakube_model::{Intent, NextPhase, Observed, Rotation, RotationPhase, next_phase, obstacles};
use hakube_output::Event;
use hakube_pki::{Authorities, Stage};
use hakube_plan::plan;

/// The operation's name.
pub(super) const NAME: &str = "certs rotate-ca";

/// How far to rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateUntil {
    /// Until the new ones are trusted everywhere.
    Trusted,
    /// Until the old ones are trusted nowhere.
    Done,
}

/// Replaces the cluster's authorities.
///
/// # Errors
/// There is no such cluster; a machine can't follow, or doesn't: which.
pub async fn rotate_ca(session: &Session, until: RotateUntil) -> Result<()> {
    conduct(session, NAME, async |operation| {
        let stored = session.present().await?;
        match begin(session, operation, stored).await? {
            Some(begun) => finish(session, operation, begun, until).await,
            None => Ok(()),
        }
    })
    .await
}

/// The rotation to finish; `None` in a dry run.
async fn begin(
    session: &Session,
    operation: &mut Operation<'_>,
    stored: Stored,
) -> Result<Option<Stored>> {
    if operation.goes_on(&stored, &Request::RotateAuthorities)? && stored.intent.rotation.is_some()
    {
        return Ok(Some(stored).filter(|_| !session.dry_run));
    }
    let means = operation.connect_existing(&stored).await?;
    let rotating = |observed: &Observed| Intent {
        rotation: Some(Rotation::starting(
            RotationPhase::Trust,
            &stored.intent,
            observed,
        )),
        ..stored.intent.clone()
    };
    // With the rotation in the intent, nodes are observed too.
    let draft = rotating(&Observed::default());
    let observed = operation.observe(&draft, &means).await?;
    let intent = rotating(&observed);
    let obstacles = obstacles(&draft, &observed);
    if !obstacles.is_empty() {
        let error = Error::refused(format!(
            "can't rotate the authorities of cluster {} now",
            session.cluster()
        ));
        return Err(named(error, &obstacles)
            .hint("fix it first: hakube repair")
            .hint(
                "if a machine can't be reached, replace it: hakube replace, hakube nodes scale",
            ));
    }
    preflight::drainable(&intent, &observed, &means).await?;
    if session.dry_run {
        for phase in [
            RotationPhase::Trust,
            RotationPhase::Sign,
            RotationPhase::Drop,
        ] {
            session
                .reporter
                .event(&Event::note(format!("phase {phase}")));
        }
        return Ok(None);
    }
    let stored = operation
        .store(&intent, Request::RotateAuthorities, Some(&stored.intent))
        .await?;
    Ok(Some(stored))
}

/// Continues the rotation from its current phase.
pub(super) async fn finish(
    session: &Session,
    operation: &mut Operation<'_>,
    mut stored: Stored,
    until: RotateUntil,
) -> Result<()> {
    let mut last = None;
    while let Some(rotation) = stored.intent.rotation.clone() {
        let authorities = keys(session, operation, &stored, rotation.phase).await?;
        session
            .reporter
            .event(&Event::note(format!("phase {}", rotation.phase)));
        let begun = stored.unfinished.clone();
        let means = operation
            .connect(&stored.intent.spec, begun.as_ref(), authorities)
            .await?;
        let observed = follow(session, operation, &mut stored, &means).await?;
        stored.intent.rotation = match next_phase(&rotation, &stored.intent, &observed) {
            NextPhase::Wait(behind) => {
                let error = Error::failed(format!(
                    "can't start the next phase: not all machines have finished phase {}",
                    rotation.phase
                ));
                return Err(named(error, &behind)
                    .hint("bring them back, or replace them; then: hakube certs rotate-ca"));
            }
            NextPhase::Begin(RotationPhase::Sign) if until == RotateUntil::Trusted => {
                session.reporter.event(&Event::note(
                    "the new authorities are trusted everywhere; restart pods that talk to the API, then: \
                     hakube certs rotate-ca",
                ));
                return Ok(());
            }
            NextPhase::Begin(phase) => Some(Rotation::starting(phase, &stored.intent, &observed)),
            NextPhase::Done => None,
        };
        if stored.intent.rotation.is_some() {
            operation.write(&stored).await?;
        }
        last = Some((observed, means));
    }
    if stored.unfinished.is_none() {
        operation.write(&stored).await?;
    }
    if let Some((observed, means)) = last {
        operation.finished(&mut stored, &observed, &means).await?;
    }
    session.reporter.event(&Event::note(format!(
        "cluster {} has new authorities; update kubeconfigs on other hosts: hakube kubeconfig",
        session.cluster()
    )));
    Ok(())
}

/// The keys for this phase. They are stored before any machine gets them.
async fn keys(
    session: &Session,
    operation: &Operation<'_>,
    stored: &Stored,
    phase: RotationPhase,
) -> Result<Authorities> {
    let keys = session.existing_authorities().await?;
    let changed = match (phase, keys.stage()) {
        (RotationPhase::Trust, Stage::Settled) => {
            keys.with_next(stored.intent.spec.pki, session.clock.now())?
        }
        (RotationPhase::Sign, Stage::Trusting) => keys.signing_with_next(),
        (RotationPhase::Drop, Stage::Signing) => keys.without_previous(),
        (RotationPhase::Trust, Stage::Trusting)
        | (RotationPhase::Sign, Stage::Signing)
        | (RotationPhase::Drop, Stage::Settled) => return Ok(keys),
        (RotationPhase::Trust, Stage::Signing)
        | (RotationPhase::Sign, Stage::Settled)
        | (RotationPhase::Drop, Stage::Trusting) => {
            return Err(Error::refused(format!(
                "the keys of cluster {} don't match phase {phase}",
                session.cluster()
            ))
            .hint("if pki.json or intent.json was restored from a backup, restore the other one from the same backup"));
        }
    };
    operation.write(&changed.to_documents()).await?;
    Ok(changed)
}

/// Runs plans until nothing is left to do, and returns the last observation.
async fn follow(
    session: &Session,
    operation: &mut Operation<'_>,
    stored: &mut Stored,
    means: &Means,
) -> Result<Observed> {
    for _ in 0..ROUNDS {
        let observed = operation.observe(&stored.intent, means).await?;
        let plan = plan(&stored.intent, &observed)?;
        if plan.is_empty() {
            return Ok(observed);
        }
        session.reporter.event(&Event::plan(&plan, |_| Vec::new()));
        let report = operation.run(&plan, stored, &observed, means).await;
        if report.interrupted {
            return Err(interrupted(operation.name));
        }
        if let Some(error) = report.failure() {
            return Err(error.clone().hint("to continue: hakube certs rotate-ca"));
        }
    }
    operation.observe(&stored.intent, means).await
}

/// Adds each machine that is behind, with the reason.
fn named(error: Error, behind: &[(String, String)]) -> Error {
    behind.iter().fold(error, |error, (name, why)| {
        error.because(format!("{name}: {why}"))
    })
}

/// Drops a rotation in its first phase, in which no certificate of the new authorities is in use.
///
/// # Errors
/// The rotation has gone further.
pub(super) async fn abandon(
    session: &Session,
    operation: &Operation<'_>,
    stored: &Stored,
) -> Result<Stored> {
    let Some(rotation) = &stored.intent.rotation else {
        return Ok(stored.clone());
    };
    let keys = session.existing_authorities().await?;
    if rotation.phase != RotationPhase::Trust || keys.stage() == Stage::Signing {
        return Err(Error::refused(format!(
            "the rotation of the authorities is in phase {}, so it can only be finished",
            rotation.phase
        ))
        .hint("to finish it: hakube certs rotate-ca"));
    }
    let intent = Intent {
        rotation: None,
        ..stored.intent.clone()
    };
    let next = operation
        .store(&intent, Request::Abandon, Some(&intent))
        .await?;
    operation.write(&keys.without_next().to_documents()).await?;
    Ok(next)
}
