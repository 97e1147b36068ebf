//! The commands that change a cluster. Each makes one edit to the stored intent, under the lock, and
//! then runs the same loop: observe, plan, show, run, observe.

mod down;
mod reconcile;
mod remove;
mod replicate;
mod status;
mod up;

pub use down::down;
pub use reconcile::reconcile;
pub use remove::remove_replica;
pub use replicate::{ReplicateRequest, replicate};
pub use status::{admin_kubeconfig, status};
pub use up::up;

use super::execute::{Execution, Ledger};
use super::scheduler::{self, OnFailure, RunReport};
use super::{Means, Session, Stored, Unfinished, observe};
use crate::cluster::{Intent, Observed, Phase};
use crate::error::{Error, Result};
use crate::output::{Event, Summary};
use crate::plan::plan;
use crate::state::{Holder, LockGuard, Operation as JournalEntry, Outcome, StepRecord, Store};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};

/// A plan whose world keeps changing under it is given up after this many rounds.
const ROUNDS: usize = 4;

/// A changing command in progress. The lock is held for as long as this lives.
struct Operation<'a> {
    session: &'a Session,
    name: &'static str,
    lock: Option<LockGuard>,
    entry: JournalEntry,
}

impl<'a> Operation<'a> {
    /// Takes the lock. A dry run changes nothing and so needs none.
    async fn begin(session: &'a Session, name: &'static str) -> Result<Self> {
        let holder = Holder::current(name);
        let lock = if session.dry_run {
            None
        } else {
            Some(session.store.lock(session.cluster(), holder.clone()).await?)
        };
        if let Some(lock) = &lock {
            // Whoever loses the lock begins nothing more: somebody else may have it.
            let (lost, stop) = (lock.lost(), session.stop.clone());
            tokio::spawn(async move {
                lost.cancelled().await;
                stop.cancel();
            });
        }
        let entry = JournalEntry {
            id: format!("{:08x}", rand::random::<u32>()),
            operation: name.to_owned(),
            by: holder.by,
            started: Timestamp::now(),
            finished: None,
            outcome: None,
            steps: Vec::new(),
            endpoint_gap_ms: None,
        };
        Ok(Self { session, name, lock, entry })
    }

    /// Stores an edited intent as begun.
    async fn store(&self, intent: &Intent, request: &str, previous: Option<&Intent>) -> Result<Stored> {
        let previous = previous.map(|intent| intent.replicas.clone()).unwrap_or_default();
        let stored = Stored {
            intent: intent.clone(),
            unfinished: Some(Unfinished {
                operation: self.name.to_owned(),
                request: request.to_owned(),
                started: self.entry.started,
                by: format!("{}@{}", self.entry.by.user, self.entry.by.host),
                previous,
            }),
        };
        self.write(&stored).await?;
        Ok(stored)
    }

    async fn write(&self, stored: &Stored) -> Result<()> {
        let Some(lock) = &self.lock else { return Ok(()) };
        lock.check().await?;
        Ok(self.session.store.write(self.session.cluster(), stored).await?)
    }

    /// Makes the world what the intent says, and says that it is finished.
    async fn converge(&mut self, stored: &mut Stored, means: &Means) -> Result<()> {
        for round in 0..ROUNDS {
            let observed = self.observe(&stored.intent, means).await?;
            let plan = plan(&stored.intent, &observed)?;
            if round == 0 || self.session.dry_run {
                self.session.reporter.event(&Event::plan(&plan));
            }
            if self.session.dry_run {
                return Ok(());
            }
            if plan.is_empty() {
                return self.finished(stored).await;
            }
            let on_failure = match stored.intent.phase {
                Phase::Present => OnFailure::Stop,
                Phase::Absent => OnFailure::GoOn,
            };
            let report = self.run(&plan, stored, &observed, means, on_failure).await;
            if report.interrupted {
                return Err(interrupted(self.name));
            }
            if let Some(error) = report.failure() {
                return Err(error.clone());
            }
            if stored.intent.phase == Phase::Absent {
                return Ok(());
            }
        }
        Err(Error::failed(format!("after {ROUNDS} rounds there was still something to do"))
            .hint("something else may be changing the same cluster; then: hakube reconcile"))
    }

    /// A cluster that goes away is only looked at for what is to be deleted.
    async fn observe(&self, intent: &Intent, means: &Means) -> Result<Observed> {
        match intent.phase {
            Phase::Present => observe(intent, means).await,
            Phase::Absent => Ok(Observed {
                inventory: means.provider.inspect(&intent.spec.cluster).await?,
                ..Observed::default()
            }),
        }
    }

    async fn run(
        &mut self,
        plan: &crate::plan::Plan,
        stored: &mut Stored,
        observed: &Observed,
        means: &Means,
        on_failure: OnFailure,
    ) -> RunReport {
        let session = self.session;
        let ledger = StoredLedger {
            store: &session.store,
            stored: stored.clone(),
            formed: AtomicBool::new(stored.intent.formed),
        };
        let intent = stored.intent.clone();
        let reporter = session.reporter.as_ref();
        let execution = Execution::new(&intent, means, &observed.inventory, &ledger, reporter);
        let run = scheduler::run(plan, on_failure, means.timeout, &session.stop, reporter, async |step| {
            execution.run(step).await
        });
        let report = run.await;
        stored.intent.formed = ledger.formed.load(Ordering::Acquire);
        self.record(&report, &execution);
        report
    }

    fn record(&mut self, report: &RunReport, execution: &Execution<'_>) {
        self.entry.steps.extend(report.steps.iter().map(|step| StepRecord {
            key: step.key.clone(),
            seconds: step.took.as_secs_f64(),
            outcome: match &step.error {
                None => Outcome::Done,
                Some(error) => Outcome::Failed { error: error.to_string() },
            },
        }));
        let gap = execution.endpoint_gap().map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        self.entry.endpoint_gap_ms = self.entry.endpoint_gap_ms.max(gap);
    }

    async fn finished(&self, stored: &mut Stored) -> Result<()> {
        if stored.unfinished.take().is_some() {
            self.write(stored).await?;
        }
        Ok(())
    }

    /// Writes the journal, gives the lock back and sums up. `result` decides how it ended.
    async fn end(mut self, result: Result<()>, api_calls: u64) -> Result<()> {
        if self.session.dry_run {
            return result;
        }
        self.entry.finished = Some(Timestamp::now());
        self.entry.outcome = Some(match &result {
            Ok(()) => Outcome::Done,
            Err(_) if self.session.stop.is_cancelled() => Outcome::Interrupted,
            Err(error) => Outcome::Failed { error: error.to_string() },
        });
        let cluster = self.session.cluster();
        // A cluster that is gone has no journal.
        if self.session.stored().await.is_ok_and(|stored| stored.is_some())
            && let Err(error) = self.session.store.journal_append(cluster, &self.entry).await
        {
            self.session.reporter.event(&Event::warning(format!("the journal wasn't written: {error}")));
        }
        if let Some(lock) = self.lock.take()
            && let Err(error) = lock.release().await
        {
            self.session.reporter.event(&Event::warning(format!("the lock wasn't given back: {error}")));
        }
        if let Err(error) = &result {
            self.session.reporter.event(&Event::error(error));
        }
        self.session.reporter.event(&Event::Summary(Summary {
            operation: self.name.to_owned(),
            ok: result.is_ok(),
            seconds: self.session.started.elapsed().as_secs_f64(),
            steps: self.entry.steps.len(),
            api_calls,
            endpoint_gap_ms: self.entry.endpoint_gap_ms,
        }));
        result
    }
}

fn interrupted(name: &str) -> Error {
    Error::failed(format!("{name} was stopped before it was done; what was begun is as it was left"))
        .hint("to finish it: hakube reconcile")
}

/// Remembers in the store that etcd holds data.
struct StoredLedger<'a> {
    store: &'a Store,
    stored: Stored,
    formed: AtomicBool,
}

#[async_trait]
impl Ledger for StoredLedger<'_> {
    async fn etcd_is_formed(&self) -> Result<()> {
        let mut stored = self.stored.clone();
        stored.intent.formed = true;
        self.store.write(&stored.intent.spec.cluster, &stored).await?;
        self.formed.store(true, Ordering::Release);
        Ok(())
    }
}
