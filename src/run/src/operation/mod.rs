//! The commands that change a cluster. Each makes one edit to the stored intent under the lock, then runs the same
//! loop: observe, plan, show, run, observe.

mod abandon;
mod adopt;
mod backup;
mod belief;
mod certificates;
mod clusters;
mod conditions;
mod down;
mod keep;
mod ledger;
mod nodes;
mod outcome;
mod patience;
mod preflight;
mod quota;
mod reconcile;
mod remove;
mod repair;
mod replace;
mod replicate;
mod restore;
mod rotate;
mod status;
mod up;
mod upgrade;
mod upgrade_gate;

pub use abandon::abandon;
pub use adopt::adopt;
pub(crate) use backup::backups;
pub use backup::{SaveRequest, list_backups, save, verify_backup};
pub use certificates::{certificates, renew};
pub use clusters::clusters;
pub use down::{Doomed, down};
pub use keep::{Keeping, keep};
pub use nodes::{NodesRequest, nodes};
pub use reconcile::reconcile;
pub use remove::remove_replica;
pub use repair::{repair, watch};
pub use replace::{ReplaceRequest, replace};
pub use replicate::{ReplicateRequest, replicate};
pub use restore::{RestoreRequest, restore};
pub use rotate::{RotateUntil, rotate_ca};
pub use status::{admin_kubeconfig, status};
pub use up::up;
pub use upgrade::{UpgradeRequest, program_sources, upgrade};

use super::connect::Purpose;
use super::execute::Execution;
use super::retry::looked;
use super::scheduler::{self, RunReport};
use super::{Means, Session, Stored, Unfinished, observe};
use crate::request::Request;
use hakube_error::{Error, Result};
use hakube_model::{ClusterSpec, Endpoint, Intent, Observed, Phase};
use hakube_output::{Event, Summary};
use hakube_pki::{Authorities, AuthorityDocuments};
use hakube_plan::{Plan, Step, plan};
use hakube_provider::{OperationKey, Provider};
use hakube_state::{Document, Holder, LockGuard, Operation as JournalEntry, Outcome, StepRecord};
use ledger::StoredLedger;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Gives up after this many plans, if the cluster keeps changing meanwhile.
const ROUNDS: usize = 6;

/// A changing command in progress. It holds the lock until it is dropped.
struct Operation<'a> {
    session: &'a Session,
    name: &'static str,
    /// `None` for a dry run, which changes nothing.
    lock: Option<LockGuard>,
    entry: JournalEntry,
    /// The id of its calls to the provider: that of the operation it resumes, or its own.
    calls: String,
    /// The steps done, for the journal.
    steps: Mutex<Vec<StepRecord>>,
    /// Set once connected.
    provider: Option<Arc<dyn Provider>>,
}

/// Runs a changing command under the lock, then writes the journal and a summary, also if it fails.
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
                    .event(&Event::note(format!("waiting for {held} to finish")))
            },
        );
        let lock = lock.await?;
        // Once the lock is lost, another process may hold it: start no further step.
        let (lost, stop) = (lock.lost(), session.stop.clone());
        tokio::spawn(async move {
            lost.cancelled().await;
            stop.cancel();
        });
        self.lock = Some(lock);
        Ok(())
    }

    /// Connects to the provider, and to a cluster with these authorities. Calls of the operation that was `begun` may
    /// still be in progress.
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

    /// Connects to a cluster whose authorities are in the store.
    async fn connect_existing(&mut self, stored: &Stored) -> Result<Means> {
        let session = self.session;
        let authorities = session.existing_authorities().await?;
        if session
            .store
            .is_exposed::<AuthorityDocuments>(session.cluster())
            .await?
        {
            session.reporter.event(&Event::warning(
                "the cluster's stored keys aren't encrypted, although recipients or a passphrase are set; \
                 to encrypt them: hakube state encrypt",
            ));
        }
        let begun = stored.unfinished.as_ref();
        self.connect(&stored.intent.spec, begun, authorities).await
    }

    /// Stores an edited intent as unfinished.
    async fn store(
        &self,
        intent: &Intent,
        request: Request,
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
                request,
                started: self.entry.started,
                by: format!("{}@{}", self.entry.by.user, self.entry.by.host),
                calls: self.calls.clone(),
                previous,
                previous_nodes,
            }),
        };
        self.write(&stored).await?;
        // From here on, the journal shows the operation even if it is killed.
        if let Some(lock) = &self.lock {
            lock.journal_append(&self.entry).await?;
        }
        Ok(stored)
    }

    /// Whether this resumes the same request. No operation starts while another one is unfinished: that one may have
    /// reduced redundancy, and if it can't finish, this one couldn't either.
    fn goes_on(&self, stored: &Stored, request: &Request) -> Result<bool> {
        let Some(begun) = &stored.unfinished else {
            return Ok(false);
        };
        if begun.request != *request {
            return Err(Error::refused(begun.to_string())
                .hint("finish it first: hakube reconcile")
                .hint("or drop it, and keep the healthy parts: hakube abandon"));
        }
        self.session.reporter.event(&Event::note(begun.going_on()));
        Ok(true)
    }

    /// Reports that this also finishes an unfinished operation, if there is one.
    fn tell_unfinished(&self, stored: &Stored) {
        if let Some(begun) = &stored.unfinished {
            self.session.reporter.event(&Event::note(format!(
                "finishing {}, started {} by {}",
                begun.operation, begun.started, begun.by
            )));
        }
    }

    /// Writes a document, except in a dry run.
    async fn write(&self, document: &impl Document) -> Result<()> {
        match &self.lock {
            Some(lock) => Ok(lock.write(document).await.map(drop)?),
            None => Ok(()),
        }
    }

    /// Deletes the cluster's documents, except in a dry run.
    async fn forget(&self) -> Result<()> {
        match &self.lock {
            Some(lock) => Ok(lock.delete_cluster().await?),
            None => Ok(()),
        }
    }

    /// Runs plans until the cluster matches the intent, then marks the operation finished.
    async fn converge(&mut self, stored: &mut Stored, means: &Means) -> Result<()> {
        self.keep_inventory(stored).await?;
        for round in 0..ROUNDS {
            let observed = self.observe_patiently(&stored.intent, means).await?;
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
            if round == 0 {
                self.adopt_identity(stored, &observed, means).await?;
                self.tell_cluster(&observed, means).await;
            }
            if plan.is_empty() {
                self.tell_backends(&stored.intent, &observed);
                return self.finished(stored, &observed, means).await;
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
                if self.has_lost_more(&observed, &now) || self.has_filled_up(&observed, &now) {
                    continue;
                }
                return self.failed(stored, &now, &report, means).await;
            }
            if stored.intent.phase == Phase::Absent {
                return Ok(());
            }
        }
        Err(Error::failed(format!(
            "the cluster still differed from the intent after {ROUNDS} rounds"
        ))
        .hint("check whether something else is changing the cluster; then: hakube reconcile"))
    }

    /// Reports the backends that the operator's own balancer needs.
    fn tell_backends(&self, intent: &Intent, observed: &Observed) {
        if let Endpoint::External(endpoint) = intent.spec.endpoint {
            let backends = observed.backends(intent);
            let event = Event::Backends { endpoint, backends };
            self.session.reporter.event(&event);
        }
    }

    /// Reports the zones that are left alone.
    fn tell_unreachable(&self, observed: &Observed) {
        for (zone, why) in &observed.inventory.unreachable {
            self.session.reporter.event(&Event::warning(format!(
                "zone {zone} is unreachable; its resources are left alone: {why}"
            )));
        }
    }

    /// For a cluster that is being deleted, observes only its resources.
    async fn observe(&self, intent: &Intent, means: &Means) -> Result<Observed> {
        let observed = self.look(intent, means).await?;
        if intent.phase == Phase::Present {
            belief::believe(self.session, intent, &observed).await?;
        }
        if intent.phase == Phase::Present && self.renew_expired(intent, &observed, means).await? {
            return self.look(intent, means).await;
        }
        Ok(observed)
    }

    async fn look(&self, intent: &Intent, means: &Means) -> Result<Observed> {
        looked(means.timeout, async || match intent.phase {
            Phase::Present => observe(intent, means).await,
            Phase::Absent => Ok(Observed {
                inventory: means.provider.inspect(&intent.spec.mark()).await?,
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
        stored.intent.restoring = noted.restoring;
        let gap = execution.endpoint_gap();
        self.record(&report, gap);
        report
    }

    fn record(&mut self, report: &RunReport, gap: Option<Duration>) {
        self.note(report);
        let gap = gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        self.entry.endpoint_gap_ms = self.entry.endpoint_gap_ms.max(gap);
    }

    /// Adds steps to the journal's entry.
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

    async fn finished(
        &self,
        stored: &mut Stored,
        observed: &Observed,
        means: &Means,
    ) -> Result<()> {
        // A rotation isn't finished by a repair on the way: see `rotate`.
        if stored.intent.rotation.is_some() {
            // A restore on the way is: the rotation goes on.
            if let Some(begun) = &mut stored.unfinished
                && matches!(begun.request, Request::Restore { .. })
            {
                begun.request = Request::RotateAuthorities;
                begun.operation = rotate::NAME.to_owned();
                self.write(stored).await?;
            }
            self.tell_cluster(observed, means).await;
            return Ok(());
        }
        upgrade::complete(&mut stored.intent, observed)?;
        let was_joining = !std::mem::take(&mut stored.intent.joining).is_empty();
        if stored.unfinished.take().is_some() || was_joining {
            self.write(stored).await?;
        }
        self.tell_cluster(observed, means).await;
        Ok(())
    }

    /// Writes the journal, releases the lock and prints the summary.
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
            // A deleted cluster has no journal.
            let exists = self
                .session
                .stored()
                .await
                .is_ok_and(|stored| stored.is_some());
            if exists && let Err(error) = lock.journal_append(&self.entry).await {
                reporter.event(&Event::warning(format!(
                    "could not write the journal: {error}"
                )));
            }
            if let Err(error) = lock.release().await {
                reporter.event(&Event::warning(format!(
                    "could not release the lock: {error}"
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
    Error::failed(format!("{name} was interrupted before it finished"))
        .hint("to finish it: hakube reconcile")
}
