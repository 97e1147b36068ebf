//! `reconcile`: finishes what is unfinished.

use super::{Operation, conduct, down, rotate};
use crate::Session;
use hakube_error::Result;
use hakube_model::Phase;

/// Makes the cluster match its intent. This also finishes a deletion.
///
/// # Errors
/// There is no such cluster; a step failed.
pub async fn reconcile(session: &Session) -> Result<()> {
    conduct(session, "reconcile", async |operation| {
        run(session, operation).await
    })
    .await
}

async fn run(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let mut stored = session.existing().await?;
    operation.tell_unfinished(&stored);
    if stored.intent.phase == Phase::Absent {
        return down::finish(session, operation).await;
    }
    if stored.intent.rotation.is_some() && !session.dry_run {
        return rotate::finish(session, operation, stored, rotate::RotateUntil::Done).await;
    }
    let means = operation.connect_existing(&stored).await?;
    operation.converge(&mut stored, &means).await
}
