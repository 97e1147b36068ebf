//! `reconcile`: finish whatever is unfinished.

use super::{Operation, conduct, down};
use crate::cluster::Phase;
use crate::error::Result;
use crate::run::Session;

/// Makes the cluster what its intent says: a deletion that was begun is finished too.
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
    let means = operation.connect_existing(&stored).await?;
    operation.converge(&mut stored, &means).await
}
