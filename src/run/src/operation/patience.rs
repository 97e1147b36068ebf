//! Waits for etcd while its machines may be booting.

use super::Operation;
use crate::Means;
use hakube_error::Result;
use hakube_model::{EtcdView, Intent, Observed};
use hakube_output::Event;
use hakube_provider::MachineState;
use std::time::Duration;
use tokio::time::Instant;

/// The time in which a running machine boots and its etcd finds the other members.
const GRACE: Duration = Duration::from_secs(30);
/// Each check observes everything.
const BETWEEN: Duration = Duration::from_secs(2);

/// Whether etcd is unreachable, but enough machines run for a quorum, so they may be booting.
fn may_come(intent: &Intent, observed: &Observed) -> bool {
    let runs = |name: &str| {
        let machine = observed.inventory.machine(name);
        machine.is_some_and(|machine| machine.state == MachineState::Running)
    };
    let running = intent.replicas.iter().filter(|one| runs(&one.name)).count();
    let is_silent = matches!(observed.etcd, EtcdView::Unknown { .. });
    intent.formed
        && is_silent
        && observed.data.is_empty()
        && running >= intent.full_quorum().needed()
}

impl Operation<'_> {
    /// Observes, and waits for etcd if it may be starting.
    pub(super) async fn observe_patiently(
        &self,
        intent: &Intent,
        means: &Means,
    ) -> Result<Observed> {
        let started = Instant::now();
        let mut observed = self.observe(intent, means).await?;
        let grace = GRACE.min(means.timeout);
        if may_come(intent, &observed) && !self.session.dry_run {
            let note = "etcd doesn't respond; waiting, because its machines may be booting";
            self.session.reporter.event(&Event::note(note.to_owned()));
        }
        while may_come(intent, &observed)
            && started.elapsed() < grace
            && !self.session.stop.is_cancelled()
            && !self.session.dry_run
        {
            tokio::time::sleep(means.pace.max(BETWEEN)).await;
            observed = self.observe(intent, means).await?;
        }
        Ok(observed)
    }
}
