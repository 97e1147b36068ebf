//! `reconcile`: finish whatever is unfinished.

use super::Operation;
use crate::error::{Error, Result};
use crate::output::Event;
use crate::run::{Means, Session, Stored};

/// Makes the cluster what its intent says.
///
/// # Errors
/// There is no such cluster; a step failed.
pub async fn reconcile(session: &Session) -> Result<()> {
    let mut operation = Operation::begin(session, "reconcile").await?;
    let mut calls = 0;
    let result = run(session, &mut operation, &mut calls).await;
    operation.end(result, calls).await
}

async fn run(session: &Session, operation: &mut Operation<'_>, calls: &mut u64) -> Result<()> {
    let mut stored = session.existing().await?;
    if stored.intent.phase == crate::cluster::Phase::Absent {
        return Err(Error::refused(format!("cluster {} is being deleted", session.cluster()))
            .hint("to finish that: hakube down"));
    }
    if let Some(begun) = &stored.unfinished {
        session.reporter.event(&Event::note(format!(
            "finishing {}, begun {} by {}",
            begun.operation, begun.started, begun.by
        )));
    }
    let means = connect(session, &stored).await?;
    let result = operation.converge(&mut stored, &means).await;
    *calls = means.provider.calls();
    result
}

/// The means for a cluster that exists.
pub(super) async fn connect(session: &Session, stored: &Stored) -> Result<Means> {
    let spec = &stored.intent.spec;
    let authorities = session.authorities().await?.ok_or_else(|| {
        Error::failed(format!("the keys of cluster {} aren't in the store", session.cluster()))
            .hint("an up that was stopped early makes them when it is run again: hakube up")
    })?;
    let backend = session.backend(spec, true).await?;
    session.means(spec, backend, authorities)
}
