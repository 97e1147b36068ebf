//! `abandon`: an unfinished operation is dropped, and what is healthy stays.

use super::{Operation, conduct};
use crate::cluster::{abandoned, replica_names};
use crate::error::{Error, Result};
use crate::output::Event;
use crate::run::Session;

/// Drops the unfinished operation: what it had made and isn't healthy is removed, what it hadn't removed yet stays.
///
/// # Errors
/// Nothing is unfinished; it is a deletion, or the cluster's first `up`; a step failed.
pub async fn abandon(session: &Session) -> Result<()> {
    conduct(session, "abandon", async |operation| {
        run(session, operation).await
    })
    .await
}

async fn run(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let stored = session.present().await?;
    let Some(begun) = stored.unfinished.clone() else {
        return Err(Error::refused(format!(
            "cluster {} has no unfinished operation",
            session.cluster()
        ))
        .hint("see how it is: hakube status"));
    };
    let means = operation.connect_existing(&stored).await?;
    let mut edited = if begun.is("abandon", "") {
        stored
    } else {
        let observed = operation.observe(&stored.intent, &means).await?;
        let intent = abandoned(
            &stored.intent,
            &observed,
            &begun.previous,
            begun.previous_nodes.as_deref(),
        )?;
        session.reporter.event(&Event::note(format!(
            "dropping {}, begun {} by {}; replicas that stay: {}",
            begun.operation,
            begun.started,
            begun.by,
            replica_names(&intent)
        )));
        operation.store(&intent, "", Some(&intent)).await?
    };
    operation.converge(&mut edited, &means).await
}
