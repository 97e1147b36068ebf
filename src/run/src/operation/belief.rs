//! Compares the stored intent with the cluster's own record before a command changes anything.

use super::Operation;
use crate::letters::random;
use crate::observe::open_doors;
use crate::record::{self, Record};
use crate::{Means, Session, Stored};
use hakube_error::Result;
use hakube_model::{Identity, Intent, Observed, Phase, RecordView, Version, adopted, check_belief};
use hakube_output::Event;

/// An id for a new cluster.
pub(super) fn new_id() -> String {
    random(Identity::LENGTH)
}

/// Checks that the cluster's record isn't newer than the stored intent. `intent` is the stored one, or an edit of it.
///
/// # Errors
/// Refused: the stored intent is older than the cluster's record, or another cluster's.
pub(super) async fn believe(session: &Session, intent: &Intent, observed: &Observed) -> Result<()> {
    let found = session.store.read_version::<Stored>(session.cluster());
    let Some((stored, revision)) = found.await? else {
        return Ok(());
    };
    let begun = stored.unfinished.as_ref();
    let begun_with = begun.map(|begun| begun.previous.as_slice());
    check_belief(intent, begun_with, &Version::from(revision), observed)
}

impl Operation<'_> {
    /// Writes the stored intent to the cluster's record, unless it is there. If that fails, the cluster keeps its older
    /// record, and the stored intent still counts as newer.
    pub(super) async fn tell_cluster(&self, observed: &Observed, means: &Means) {
        let session = self.session;
        if self.lock.is_none() || observed.etcd.members().is_empty() {
            return;
        }
        let found = session.store.read_version::<Stored>(session.cluster());
        let Ok(Some((stored, revision))) = found.await else {
            return;
        };
        let record = Record::new(&stored, revision.into());
        if record.view() == observed.record || stored.intent.phase == Phase::Absent {
            return;
        }
        let doors = open_doors(&observed.inventory, means).await;
        if let Err(error) = record::write(means.etcd.as_ref(), &doors, &record).await {
            tracing::warn!(%error, "could not update the cluster's record of its intent");
        }
    }

    /// Gives an id to a cluster from before ids existed, once it has proved to be the operator's.
    pub(super) async fn adopt_identity(
        &self,
        stored: &mut Stored,
        observed: &Observed,
        means: &Means,
    ) -> Result<()> {
        if self.lock.is_none() || observed.record == RecordView::Unknown {
            return Ok(());
        }
        let Some(mut intent) = adopted(&stored.intent, observed, new_id) else {
            return Ok(());
        };
        intent.spec.local_cloud.clone_from(&means.local_cloud);
        stored.intent = intent;
        self.write(stored).await?;
        let id = stored.intent.spec.id().unwrap_or_default();
        let cluster = self.session.cluster();
        self.session.reporter.event(&Event::note(format!(
            "cluster {cluster} now has the id {id}, which distinguishes it from others of its name"
        )));
        Ok(())
    }
}
