//! The commands that change a cluster. Each makes one edit to the stored intent, under the lock, and
//! then runs the same loop: observe, plan, show, run, observe.

mod abandon;
mod certificates;
mod conditions;
mod down;
mod keep;
mod nodes;
mod outcome;
mod preflight;
mod reconcile;
mod remove;
mod repair;
mod replace;
mod replicate;
mod status;
mod up;

pub use abandon::abandon;
pub use certificates::{certificates, renew};
pub use down::down;
pub use keep::{Keeping, keep};
pub use nodes::{NodesRequest, nodes};
pub use reconcile::reconcile;
pub use remove::remove_replica;
pub use repair::{repair, watch};
pub use replace::{ReplaceRequest, replace};
pub use replicate::{ReplicateRequest, replicate};
pub use status::{admin_kubeconfig, status};
pub use up::up;

use super::execute::{Execution, Ledger};
use super::retry::looked;
use super::scheduler::{self, RunReport};
use super::session::Purpose;
use super::{Means, Session, Stored, Unfinished, observe};
use crate::cluster::{ClusterSpec, Endpoint, Intent, Observed, Phase};
use crate::error::{Error, Result};
use crate::output::{Event, Summary};
use crate::pki::{Authorities, AuthorityDocuments};
use crate::plan::{Plan, Step, plan};
use crate::state::{Document, Holder, LockGuard, Operation as JournalEntry, Outcome, StepRecord};
use async_trait::async_trait;
use hakube_provider::{OperationKey, Provider};
use status::look;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A plan whose world keeps changing under it is given up after this many rounds.
const ROUNDS: usize = 4;

/// A changing command in progress. The lock is held for as long as this lives.
struct Operation<'a> {
    session: &'a Session,
    name: &'static str,
    /// `None` for a dry run, which changes nothing.
    lock: Option<LockGuard>,
    entry: JournalEntry,
    /// Under which the provider knows its calls: that of what it goes on with, else its own.
    calls: String,
    /// The steps that were done, for the journal.
    steps: Mutex<Vec<StepRecord>>,
    /// Known once it is connected.
    provider: Option<Arc<dyn Provider>>,
}

/// Runs a changing command: under the lock, into the journal, with a summary at its end however it
/// ends.
async fn conduct(
    session: &Session,
    name: &'static str,
    command: impl AsyncFnOnce(&mut Operation<'_>) -> Result<()>,
) -> Result<()> {
    let mut operation = Operation::new(session, name);
    let result = match operation.take_lock().await {
        Ok(()) => command(&mut operation).await,
        Err(error) => Err(error),
    };
    operation.end(&result).await;
    result
}

impl<'a> Operation<'a> {
    fn new(session: &'a Session, name: &'static str) -> Self {
        let entry = JournalEntry {
            id: format!("{:08x}", rand::random::<u32>()),
            operation: name.to_owned(),
            by: Holder::current(name).by,
            started: session.clock.now(),
            finished: None,
            outcome: None,
            steps: Vec::new(),
            endpoint_gap_ms: None,
        };
        Self {
            session,
            name,
            lock: None,
            calls: entry.id.clone(),
            entry,
            steps: Mutex::new(Vec::new()),
            provider: None,
        }
    }

    async fn take_lock(&mut self) -> Result<()> {
        let session = self.session;
        if session.dry_run {
            return Ok(());
        }
        let lock = session.store.lock_within(
            session.cluster(),
            Holder::current(self.name),
            session.resolved.settings.wait,
            &session.stop,
            |held| {
                session
                    .reporter
                    .event(&Event::note(format!("waiting for {held} to end")))
            },
        );
        let lock = lock.await?;
        // Whoever loses the lock begins nothing more: somebody else may have it.
        let (lost, stop) = (lock.lost(), session.stop.clone());
        tokio::spawn(async move {
            lost.cancelled().await;
            stop.cancel();
        });
        self.lock = Some(lock);
        Ok(())
    }

    /// Connects to the provider, and to a cluster with these authorities. Of what was `begun` calls may
    /// have been made, and be under way still.
    async fn connect(
        &mut self,
        spec: &ClusterSpec,
        begun: Option<&Unfinished>,
        authorities: Authorities,
    ) -> Result<Means> {
        let begun = begun.filter(|begun| !begun.calls.is_empty());
        if let Some(begun) = begun {
            self.calls.clone_from(&begun.calls);
        }
        let key = OperationKey {
            id: self.calls.clone(),
            resumed: begun.is_some(),
        };
        let backend = self
            .session
            .backend(spec, &authorities, Purpose::Change(key))
            .await?;
        self.provider = Some(Arc::clone(&backend.provider));
        self.session.means(spec, backend, authorities)
    }

    /// The same for a cluster whose authorities are in the store.
    async fn connect_existing(&mut self, stored: &Stored) -> Result<Means> {
        let session = self.session;
        let authorities = session.existing_authorities().await?;
        if session
            .store
            .is_exposed::<AuthorityDocuments>(session.cluster())
            .await?
        {
            session.reporter.event(&Event::warning(
                "the cluster's keys are kept in the clear, as they were before recipients or a passphrase \
                 were set: hakube state encrypt",
            ));
        }
        let begun = stored.unfinished.as_ref();
        self.connect(&stored.intent.spec, begun, authorities).await
    }

    /// Stores an edited intent as begun.
    async fn store(
        &self,
        intent: &Intent,
        request: &str,
        previous: Option<&Intent>,
    ) -> Result<Stored> {
        let previous_nodes = previous.map(|intent| intent.nodes.clone());
        let previous = previous
            .map(|intent| intent.replicas.clone())
            .unwrap_or_default();
        let stored = Stored {
            intent: intent.clone(),
            unfinished: Some(Unfinished {
                operation: self.name.to_owned(),
                request: request.to_owned(),
                started: self.entry.started,
                by: format!("{}@{}", self.entry.by.user, self.entry.by.host),
                calls: self.calls.clone(),
                previous,
                previous_nodes,
            }),
        };
        self.write(&stored).await?;
        // Begun: what is killed from here on is in the journal all the same.
        if let Some(lock) = &self.lock {
            lock.journal_append(&self.entry).await?;
        }
        Ok(stored)
    }

    /// Whether this same request was begun and goes on now. Beside another operation that is unfinished
    /// none begins: it may have lowered a margin, and one that can't be finished would take this with it.
    fn goes_on(&self, stored: &Stored, request: &str) -> Result<bool> {
        let Some(begun) = &stored.unfinished else {
            return Ok(false);
        };
        if !begun.is(self.name, request) {
            return Err(Error::refused(begun.to_string())
                .hint("finish it first: hakube reconcile")
                .hint("or drop it, and keep what is healthy: hakube abandon"));
        }
        self.session.reporter.event(&Event::note(begun.going_on()));
        Ok(true)
    }

    /// That this finishes what was begun, too, where something was.
    fn tell_unfinished(&self, stored: &Stored) {
        if let Some(begun) = &stored.unfinished {
            self.session.reporter.event(&Event::note(format!(
                "finishing {}, begun {} by {}",
                begun.operation, begun.started, begun.by
            )));
        }
    }

    /// A dry run writes nothing.
    async fn write(&self, document: &impl Document) -> Result<()> {
        match &self.lock {
            Some(lock) => Ok(lock.write(document).await?),
            None => Ok(()),
        }
    }

    /// Forgets the cluster; a dry run doesn't.
    async fn forget(&self) -> Result<()> {
        match &self.lock {
            Some(lock) => Ok(lock.delete_cluster().await?),
            None => Ok(()),
        }
    }

    /// Makes the world what the intent says, and says that it is finished.
    async fn converge(&mut self, stored: &mut Stored, means: &Means) -> Result<()> {
        self.keep_inventory(stored).await?;
        for round in 0..ROUNDS {
            let observed = self.observe(&stored.intent, means).await?;
            if round == 0 {
                self.tell_unreachable(&observed);
            }
            let plan = plan(&stored.intent, &observed)?;
            if round == 0 || self.session.dry_run {
                let calls = |step: &Step| {
                    let change = step.action.change();
                    change.map_or_else(Vec::new, |change| {
                        means.provider.calls_for(&change, &observed.inventory)
                    })
                };
                self.session.reporter.event(&Event::plan(&plan, calls));
            }
            if self.session.dry_run {
                return Ok(());
            }
            if plan.is_empty() {
                self.tell_backends(&stored.intent, &observed);
                return self.finished(stored).await;
            }
            let report = self.run(&plan, stored, &observed, means).await;
            if report.interrupted {
                return Err(interrupted(self.name));
            }
            if let Some(error) = report.failure() {
                if stored.intent.phase == Phase::Absent {
                    return Err(error.clone());
                }
                let Ok(now) = self.observe(&stored.intent, means).await else {
                    return Err(error.clone());
                };
                if self.has_lost_more(&observed, &now) {
                    continue;
                }
                return self.failed(stored, &now, &report).await;
            }
            if stored.intent.phase == Phase::Absent {
                return Ok(());
            }
        }
        Err(Error::failed(format!(
            "after {ROUNDS} rounds there was still something to do"
        ))
        .hint("something else may be changing the same cluster; then: hakube reconcile"))
    }

    /// What the user's own balancer should have behind it.
    fn tell_backends(&self, intent: &Intent, observed: &Observed) {
        if let Endpoint::External(endpoint) = intent.spec.endpoint {
            let backends = observed.backends(intent);
            let event = Event::Backends { endpoint, backends };
            self.session.reporter.event(&event);
        }
    }

    /// What is left alone, and why.
    fn tell_unreachable(&self, observed: &Observed) {
        for (zone, why) in &observed.inventory.unreachable {
            self.session.reporter.event(&Event::warning(format!(
                "zone {zone} can't be asked, so what is there is left alone: {why}"
            )));
        }
    }

    /// A cluster that goes away is only looked at for what is to be deleted.
    async fn observe(&self, intent: &Intent, means: &Means) -> Result<Observed> {
        let observed = self.look(intent, means).await?;
        if intent.phase == Phase::Present && self.renew_expired(intent, &observed, means).await? {
            return self.look(intent, means).await;
        }
        Ok(observed)
    }

    async fn look(&self, intent: &Intent, means: &Means) -> Result<Observed> {
        looked(means.timeout, async || match intent.phase {
            Phase::Present => observe(intent, means).await,
            Phase::Absent => Ok(Observed {
                inventory: means.provider.inspect(&intent.spec.cluster).await?,
                ..Observed::default()
            }),
        })
        .await
    }

    async fn run(
        &mut self,
        plan: &Plan,
        stored: &mut Stored,
        observed: &Observed,
        means: &Means,
    ) -> RunReport {
        let session = self.session;
        let ledger = StoredLedger {
            lock: self.lock.as_ref(),
            stored: tokio::sync::Mutex::new(stored.clone()),
        };
        let intent = stored.intent.clone();
        let reporter = session.reporter.as_ref();
        let execution = Execution::new(&intent, means, &observed.inventory, &ledger, reporter);
        let run = scheduler::run(plan, means.timeout, &session.stop, reporter, async |step| {
            execution.run(step).await
        });
        let report = run.await;
        let noted = ledger.stored.lock().await.intent.clone();
        (stored.intent.formed, stored.intent.joining) = (noted.formed, noted.joining);
        let gap = execution.endpoint_gap();
        self.record(&report, gap);
        report
    }

    fn record(&mut self, report: &RunReport, gap: Option<Duration>) {
        self.note(report);
        let gap = gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        self.entry.endpoint_gap_ms = self.entry.endpoint_gap_ms.max(gap);
    }

    /// Writes steps down, for the journal.
    fn note(&self, report: &RunReport) {
        let records = report.steps.iter().map(|step| StepRecord {
            key: step.key.clone(),
            seconds: step.took.as_secs_f64(),
            outcome: match &step.error {
                None => Outcome::Done,
                Some(error) => Outcome::Failed {
                    error: error.to_string(),
                },
            },
        });
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.extend(records);
    }

    async fn finished(&self, stored: &mut Stored) -> Result<()> {
        let was_joining = !std::mem::take(&mut stored.intent.joining).is_empty();
        if stored.unfinished.take().is_some() || was_joining {
            self.write(stored).await?;
        }
        Ok(())
    }

    /// Writes the journal, gives the lock back and sums up.
    async fn end(mut self, result: &Result<()>) {
        let steps = self.steps.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.entry.steps = std::mem::take(steps);
        let reporter = &self.session.reporter;
        if let Some(lock) = self.lock.take() {
            self.entry.finished = Some(self.session.clock.now());
            self.entry.outcome = Some(match result {
                Ok(()) => Outcome::Done,
                Err(_) if self.session.stop.is_cancelled() => Outcome::Interrupted,
                Err(error) => Outcome::Failed {
                    error: error.to_string(),
                },
            });
            // A cluster that is gone has no journal.
            let exists = self
                .session
                .stored()
                .await
                .is_ok_and(|stored| stored.is_some());
            if exists && let Err(error) = lock.journal_append(&self.entry).await {
                reporter.event(&Event::warning(format!(
                    "the journal wasn't written: {error}"
                )));
            }
            if let Err(error) = lock.release().await {
                reporter.event(&Event::warning(format!(
                    "the lock wasn't given back: {error}"
                )));
            }
        }
        if let Err(error) = result {
            reporter.event(&Event::error(error));
        }
        if self.session.dry_run {
            return;
        }
        reporter.event(&Event::Summary(Summary {
            operation: self.name.to_owned(),
            ok: result.is_ok(),
            seconds: self.session.started.elapsed().as_secs_f64(),
            steps: self.entry.steps.len(),
            api_calls: self
                .provider
                .as_ref()
                .map_or(0, |provider| provider.calls()),
            endpoint_gap_ms: self.entry.endpoint_gap_ms,
        }));
    }
}

fn interrupted(name: &str) -> Error {
    Error::failed(format!(
        "{name} was stopped before it was done; what was begun is as it was left"
    ))
    .hint("to finish it: hakube reconcile")
}

/// Remembers in the store what can't be observed.
struct StoredLedger<'a> {
    lock: Option<&'a LockGuard>,
    stored: tokio::sync::Mutex<Stored>,
}

impl StoredLedger<'_> {
    async fn note(&self, note: impl FnOnce(&mut Intent)) -> Result<()> {
        let mut stored = self.stored.lock().await;
        let mut noted = stored.clone();
        note(&mut noted.intent);
        if noted != *stored
            && let Some(lock) = self.lock
        {
            lock.write(&noted).await?;
        }
        *stored = noted;
        Ok(())
    }
}

#[async_trait]
impl Ledger for StoredLedger<'_> {
    async fn etcd_is_formed(&self) -> Result<()> {
        self.note(|intent| intent.formed = true).await
    }

    async fn learner_joins(&self, peer_url: &str) -> Result<()> {
        self.note(|intent| {
            intent.joining.insert(peer_url.to_owned());
        })
        .await
    }
}
