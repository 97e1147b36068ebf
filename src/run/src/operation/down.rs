//! `down`: deletes a cluster, or lists what remains.

use super::{Operation, conduct, preflight};
use crate::request::Request;
use crate::{Means, Session, Stored, programs};
use hakube_error::{Error, Kind, Result};
use hakube_model::{Identity, Intent, Phase, begin_teardown};
use hakube_output::Event;
use hakube_pki::Authorities;

/// The cluster to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doomed {
    /// The one in the store.
    Stored,
    /// One whose state is lost, by its id. `None`: it was created before clusters had ids.
    Lost(Option<String>),
}

/// Deletes everything with the cluster's ownership label, and checks that nothing remains. The label is enough to
/// find a cluster whose state is lost.
///
/// # Errors
/// There is no such cluster, or another one of its name; resources remain, and are listed.
pub async fn down(session: &Session, doomed: &Doomed) -> Result<()> {
    conduct(session, "down", async |operation| {
        let Doomed::Lost(id) = doomed else {
            return finish(session, operation).await;
        };
        match session.stored().await? {
            None => delete_lost(session, operation, id.clone()).await,
            Some(stored) if stored.intent.spec.owner().id == *id => {
                finish(session, operation).await
            }
            Some(stored) => Err(Error::refused(format!(
                "the store has {}, which has another id",
                stored.intent.spec.owner()
            ))
            .hint("to delete the one in the store: hakube down")
            .hint("to delete the other one, use an empty store: --state URL")),
        }
    })
    .await
}

/// Deletes a cluster that isn't in the store.
async fn delete_lost(
    session: &Session,
    operation: &mut Operation<'_>,
    id: Option<String>,
) -> Result<()> {
    let mut intent = unknown_cluster(session)?;
    intent.spec.identity = id.map(Identity::new);
    let authorities = Authorities::generate(intent.spec.pki, session.clock.now())?;
    let means = operation.connect(&intent.spec, None, authorities).await?;
    let inventory = means.inventory(&intent.spec.mark()).await?;
    if inventory.resources.is_empty() && inventory.unreachable.is_empty() {
        return Err(
            Error::bad_input(format!("no resources of {} found", intent.spec.owner()))
                .hint("to list the clusters of that name: hakube plan down"),
        );
    }
    teardown(session, operation, None, intent, &means).await
}

/// Deletes the cluster, or resumes an interrupted deletion.
pub(super) async fn finish(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let known = session.stored().await?;
    let intent = match &known {
        Some(stored) => stored.intent.clone(),
        None => unknown_cluster(session)?,
    };
    let authorities = match session.authorities().await? {
        Some(authorities) => authorities,
        // No deletion uses them.
        None => Authorities::generate(intent.spec.pki, session.clock.now())?,
    };
    let begun = known.as_ref().and_then(|stored| stored.unfinished.as_ref());
    let means = operation.connect(&intent.spec, begun, authorities).await?;
    if known.is_none() {
        let others = means.provider.namesakes(session.cluster()).await?;
        return match others.as_slice() {
            [] => session.existing().await.map(drop),
            [first, ..] => {
                Err(preflight::namesakes(session, &others)
                    .hint(preflight::delete_by_id(&first.owner)))
            }
        };
    }
    teardown(session, operation, known.as_ref(), intent, &means).await
}

async fn teardown(
    session: &Session,
    operation: &mut Operation<'_>,
    known: Option<&Stored>,
    intent: Intent,
    means: &Means,
) -> Result<()> {
    let intent = begin_teardown(&intent);
    let mut stored = match known {
        // Resumed: keeps who started it, and when.
        Some(stored) if stored.intent.phase == Phase::Absent => stored.clone(),
        Some(stored) => {
            if let Some(begun) = &stored.unfinished {
                session
                    .reporter
                    .event(&Event::note(format!("{begun}; deleting anyway")));
            }
            operation
                .store(&intent, Request::Down, Some(&stored.intent))
                .await?
        }
        None => Stored {
            intent,
            unfinished: None,
        },
    };
    if let Err(error) = operation.converge(&mut stored, means).await {
        return Err(list_leftovers(session, &stored.intent, means, error).await);
    }
    operation.forget().await
}

/// An intent from the settings, for a cluster that isn't in the store.
fn unknown_cluster(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    Ok(Intent::new(settings.spec(programs::none()?)))
}

async fn list_leftovers(session: &Session, intent: &Intent, means: &Means, error: Error) -> Error {
    if error.kind == Kind::LeftBehind || session.stop.is_cancelled() {
        return error;
    }
    let Ok(inventory) = means.inventory(&intent.spec.mark()).await else {
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
            "{} resources of cluster {} remain",
            names.len(),
            session.cluster()
        ),
    )
    .because(names.join("\n"))
    .because(&error);
    left.hints = error.hints;
    left.hint("retry: hakube down")
}
