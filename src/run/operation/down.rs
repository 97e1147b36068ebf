//! `down`: nothing is left, or what is left is named.

use super::{Operation, conduct};
use crate::cluster::{ClusterSpec, Intent, Phase, begin_teardown};
use crate::error::{Error, Kind, Result};
use crate::output::Event;
use crate::pki::Authorities;
use crate::run::{Means, Session, Stored, programs};

/// Deletes everything that bears the cluster's mark, and proves it. A cluster whose state is lost is
/// found by its mark alone.
///
/// # Errors
/// There is no such cluster; something is left, by name.
pub async fn down(session: &Session) -> Result<()> {
    conduct(session, "down", async |operation| {
        finish(session, operation).await
    })
    .await
}

/// Deletes the cluster, from wherever an earlier run of this was stopped.
pub(super) async fn finish(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let known = session.stored().await?;
    let intent = match &known {
        Some(stored) => stored.intent.clone(),
        None => unknown_cluster(session)?,
    };
    let authorities = match session.authorities().await? {
        Some(authorities) => authorities,
        // Nothing that is deleted asks for them.
        None => Authorities::generate(intent.spec.pki, session.clock.now())?,
    };
    let begun = known.as_ref().and_then(|stored| stored.unfinished.as_ref());
    let means = operation.connect(&intent.spec, begun, authorities).await?;
    teardown(session, operation, known.as_ref(), intent, &means).await
}

async fn teardown(
    session: &Session,
    operation: &mut Operation<'_>,
    known: Option<&Stored>,
    intent: Intent,
    means: &Means,
) -> Result<()> {
    if known.is_none() {
        let inventory = means.provider.inspect(session.cluster()).await?;
        if inventory.resources.is_empty() && inventory.unreachable.is_empty() {
            return session.existing().await.map(drop);
        }
    }
    let intent = begin_teardown(&intent);
    let mut stored = match known {
        // Begun already: who began it and when stays in the record.
        Some(stored) if stored.intent.phase == Phase::Absent => stored.clone(),
        Some(stored) => {
            if let Some(begun) = &stored.unfinished {
                session
                    .reporter
                    .event(&Event::note(format!("{begun}; deleting all the same")));
            }
            operation
                .store(&intent, "down", Some(&stored.intent))
                .await?
        }
        None => Stored {
            intent,
            unfinished: None,
        },
    };
    if let Err(error) = operation.converge(&mut stored, means).await {
        return Err(name_what_is_left(session, &stored.intent, means, error).await);
    }
    operation.forget().await
}

/// The settings' own cluster, for one that the store knows nothing of.
fn unknown_cluster(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    Ok(Intent::new(ClusterSpec::new(settings, programs::none()?)))
}

async fn name_what_is_left(
    session: &Session,
    intent: &Intent,
    means: &Means,
    error: Error,
) -> Error {
    if error.kind == Kind::LeftBehind || session.stop.is_cancelled() {
        return error;
    }
    let Ok(inventory) = means.provider.inspect(session.cluster()).await else {
        return error;
    };
    let left = inventory
        .resources
        .iter()
        .filter(|resource| !intent.keeps(resource));
    let names: Vec<String> = left.map(ToString::to_string).collect();
    if names.is_empty() {
        return error;
    }
    let mut left = Error::new(
        Kind::LeftBehind,
        format!(
            "{} resources of cluster {} are left",
            names.len(),
            session.cluster()
        ),
    )
    .because(names.join("\n"))
    .because(&error);
    left.hints = error.hints;
    left.hint("to try again: hakube down")
}
