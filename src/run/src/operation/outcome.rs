//! The result of a plan that failed in part.

use super::Operation;
use crate::scheduler::RunReport;
use crate::{Means, Stored};
use hakube_error::{Error, Result};
use hakube_model::{Alarm, Observed};
use hakube_output::Event;
use hakube_plan::plan;

impl Operation<'_> {
    /// Judges a plan of which some steps failed. If the operation's own steps are done, it is finished, and the error
    /// names the other problems.
    ///
    /// # Errors
    /// The operation's own failure, or the other problems.
    pub(super) async fn failed(
        &self,
        stored: &mut Stored,
        now: &Observed,
        report: &RunReport,
        means: &Means,
    ) -> Result<()> {
        let failures = || report.steps.iter().filter_map(|step| step.error.as_ref());
        let Some(first) = failures().next() else {
            return Ok(());
        };
        let Ok(left) = plan(&stored.intent, now) else {
            return Err(first.clone());
        };
        if left.is_empty() {
            // A failed call took effect after all, or the problem resolved itself.
            let note = "what failed took effect after all: nothing is left to do";
            self.session.reporter.event(&Event::note(note));
            return self.finished(stored, now, means).await;
        }
        if !stored.is_done_but_for(&left) {
            return Err(first.clone());
        }
        self.finished(stored, now, means).await?;
        let mut other = Error::failed(format!(
            "{} is done, but cluster {} has other problems",
            self.name,
            self.session.cluster()
        ));
        for error in failures() {
            other.causes.push(error.to_string());
            other.hints.extend(error.hints.clone());
        }
        other.hints.dedup();
        Err(other.hint("check the cluster: hakube status; to retry: hakube repair"))
    }

    /// Whether a step failed because a member turned out to have lost its data, which can't be seen while its
    /// machine is off. That needs another plan.
    pub(super) fn has_lost_more(&self, before: &Observed, now: &Observed) -> bool {
        let mut found = now.data.iter();
        let found =
            found.find(|(name, data)| data.kind.is_loss() && !before.data.contains_key(*name));
        if let Some((name, data)) = found {
            let note = format!("etcd on {name} isn't running: {}", data.why);
            self.session.reporter.event(&Event::note(note));
        }
        found.is_some()
    }

    /// Whether etcd turned out to be full, which couldn't be seen while its machines were off.
    pub(super) fn has_filled_up(&self, before: &Observed, now: &Observed) -> bool {
        let is_full = |observed: &Observed| {
            let mut alarms = observed.alarms.iter();
            alarms.any(|raised| raised.alarm == Alarm::NoSpace)
        };
        is_full(now) && !is_full(before)
    }

    /// Stores a new inventory, even if nothing else changes. Otherwise the next command without it would
    /// restore the old one's labels.
    pub(super) async fn keep_inventory(&self, stored: &Stored) -> Result<()> {
        let session = self.session;
        if session.resolved.settings.hosts.is_none() {
            return Ok(());
        }
        let there: Option<Stored> = session.store.read(session.cluster()).await?;
        let hosts = &stored.intent.spec.hosts;
        if there.is_some_and(|there| there.intent.spec.hosts != *hosts) {
            self.write(stored).await?;
        }
        Ok(())
    }
}
