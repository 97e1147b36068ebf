//! `abandon`: drops an unfinished operation and keeps the healthy parts.

use super::{Operation, conduct, rotate, upgrade};
use crate::Session;
use crate::request::Request;
use hakube_error::{Error, Result};
use hakube_model::{abandoned, replica_names};
use hakube_output::Event;

/// Drops the unfinished operation. Removes what it created that isn't healthy; keeps what it hadn't removed yet.
///
/// # Errors
/// No operation is unfinished; it is a deletion, or the cluster's first `up`; a step failed.
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
        .hint("check its state: hakube status"));
    };
    let is_rotation = stored.intent.rotation.is_some();
    let stored = rotate::abandon(session, operation, &stored).await?;
    let means = operation.connect_existing(&stored).await?;
    let mut edited = if begun.request == Request::Abandon || is_rotation {
        stored
    } else if let Some(progress) = stored.intent.upgrade.clone() {
        session.reporter.event(&Event::note(format!(
            "going back to Kubernetes v{}",
            progress.from.kubernetes
        )));
        upgrade::abandon(operation, &stored, &progress, &means).await?
    } else {
        let observed = operation.observe(&stored.intent, &means).await?;
        let intent = abandoned(
            &stored.intent,
            &observed,
            &begun.previous,
            begun.previous_nodes.as_deref(),
        )?;
        session.reporter.event(&Event::note(format!(
            "dropping {}, started {} by {}; replicas kept: {}",
            begun.operation,
            begun.started,
            begun.by,
            replica_names(&intent)
        )));
        operation
            .store(&intent, Request::Abandon, Some(&intent))
            .await?
    };
    operation.converge(&mut edited, &means).await
}
