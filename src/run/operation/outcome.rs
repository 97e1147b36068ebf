//! What a run of a plan that failed in part comes to.

use super::Operation;
use crate::cluster::Observed;
use crate::error::{Error, Result};
use crate::output::Event;
use crate::plan::plan;
use crate::run::Stored;
use crate::run::scheduler::RunReport;

impl Operation<'_> {
    /// Some steps failed, and what didn't need them was done. If that was all of the operation, it is finished, and what is
    /// wrong besides is named.
    ///
    /// # Errors
    /// The operation's own failure, or that of what is wrong besides.
    pub(super) async fn failed(
        &self,
        stored: &mut Stored,
        now: &Observed,
        report: &RunReport,
    ) -> Result<()> {
        let failures = || report.steps.iter().filter_map(|step| step.error.as_ref());
        let Some(first) = failures().next() else {
            return Ok(());
        };
        let Ok(left) = plan(&stored.intent, now) else {
            return Err(first.clone());
        };
        if left.is_empty() {
            // A call that failed took effect all the same, or what failed came right by itself.
            return self.finished(stored).await;
        }
        if !stored.is_done_but_for(&left) {
            return Err(first.clone());
        }
        self.finished(stored).await?;
        let mut besides = Error::failed(format!(
            "{} is done, and something else of cluster {} is wrong",
            self.name,
            self.session.cluster()
        ));
        for error in failures() {
            besides.causes.push(error.to_string());
            besides.hints.extend(error.hints.clone());
        }
        besides.hints.dedup();
        Err(besides.hint("see what is wrong: hakube status; to try again: hakube repair"))
    }

    /// Whether a step failed because a member turned out to have lost its data: a machine that was off can't tell
    /// before it runs. That makes another plan.
    pub(super) fn has_lost_more(&self, before: &Observed, now: &Observed) -> bool {
        let mut found = now.data.iter();
        let found =
            found.find(|(name, data)| data.kind.is_loss() && !before.data.contains_key(*name));
        if let Some((name, data)) = found {
            let note = format!("etcd on {name} doesn't run: {}", data.why);
            self.session.reporter.event(&Event::note(note));
        }
        found.is_some()
    }

    /// An inventory that was named is the cluster's from here on, also where nothing else is written: the next command,
    /// without it, would put the old one's labels back.
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
