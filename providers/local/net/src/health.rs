//! The health of backends, which are probed for as long as a forwarding rule uses their service.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::desired::{BackendId, Probe};
use crate::probe;

/// All running health checks.
pub struct Health {
    checks: Mutex<HashMap<BackendId, Check>>,
    changed: Arc<Notify>,
    stop: CancellationToken,
}

struct Check {
    probe: Probe,
    verdict: watch::Receiver<Option<bool>>,
    _stop: DropGuard,
}

/// How long the data plane waits for the first results of new backends. Compute Engine takes longer than
/// that to apply a rule.
const FIRST_VERDICT: Duration = Duration::from_secs(1);

impl Health {
    /// No checks yet. `stop` ends later ones.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            checks: Mutex::default(),
            changed: Arc::default(),
            stop,
        }
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, HashMap<BackendId, Check>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a backend is known to be healthy.
    pub fn is_healthy(&self, id: &BackendId) -> bool {
        let checks = self.checks();
        checks
            .get(id)
            .is_some_and(|check| *check.verdict.borrow() == Some(true))
    }

    /// Resolves when a verdict has changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Runs exactly these checks. Returns when the new ones have a result, and whether there are new ones.
    pub async fn apply(&self, desired: BTreeMap<BackendId, Probe>) -> bool {
        let mut fresh = Vec::new();
        {
            let mut checks = self.checks();
            checks.retain(|id, check| desired.get(id) == Some(&check.probe));
            for (id, probe) in desired {
                checks.entry(id).or_insert_with_key(|id| {
                    let check = self.start(id.clone(), probe);
                    fresh.push(check.verdict.clone());
                    check
                });
            }
        }
        let first = join_all(fresh.iter_mut().map(async |verdict| {
            // An error means that the check was stopped meanwhile.
            let _ = verdict.wait_for(Option::is_some).await;
        }));
        // A backend without a result by then counts as unhealthy.
        let _ = tokio::time::timeout(FIRST_VERDICT, first).await;
        !fresh.is_empty()
    }

    fn start(&self, id: BackendId, probe: Probe) -> Check {
        let (sender, verdict) = watch::channel(None);
        let stop = self.stop.child_token();
        let own = probe.clone();
        let running = stop.clone();
        let changed = Arc::clone(&self.changed);
        tokio::spawn(async move {
            running
                .run_until_cancelled(check_forever(id, own, sender, changed))
                .await;
        });
        Check {
            probe,
            verdict,
            _stop: stop.drop_guard(),
        }
    }
}

async fn check_forever(
    id: BackendId,
    probe: Probe,
    verdict: watch::Sender<Option<bool>>,
    changed: Arc<Notify>,
) {
    let mut streak = Streak::new(probe.healthy_after, probe.unhealthy_after);
    loop {
        let next = Instant::now() + probe.interval;
        let is_well = probe.admitted && probe::answers_well(&probe).await;
        let now = Some(streak.observe(is_well));
        if verdict.send_replace(now) != now {
            let healthy = now == Some(true);
            tracing::info!(of = id.of, instance = id.instance, healthy, "backend");
            changed.notify_one();
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Turns probe results into a stable verdict.
#[derive(Debug)]
struct Streak {
    verdict: Option<bool>,
    against: u32,
    healthy_after: u32,
    unhealthy_after: u32,
}

impl Streak {
    fn new(healthy_after: u32, unhealthy_after: u32) -> Self {
        Self {
            verdict: None,
            against: 0,
            healthy_after,
            unhealthy_after,
        }
    }

    /// Updates the verdict with a result. The first one decides at once.
    fn observe(&mut self, is_well: bool) -> bool {
        let verdict = *self.verdict.get_or_insert(is_well);
        if verdict == is_well {
            self.against = 0;
            return verdict;
        }
        self.against += 1;
        let needed = if is_well {
            self.healthy_after
        } else {
            self.unhealthy_after
        };
        if self.against < needed {
            return verdict;
        }
        self.against = 0;
        self.verdict = Some(is_well);
        is_well
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_changes_after_as_many_answers_in_a_row_as_the_threshold_says() {
        let mut streak = Streak::new(2, 3);
        let answers = [
            true, false, false, true, false, false, false, true, false, true, true,
        ];
        let verdicts: Vec<bool> = answers
            .iter()
            .map(|answer| streak.observe(*answer))
            .collect();
        assert_eq!(
            verdicts,
            [
                true, true, true, true, true, true, false, false, false, false, true
            ]
        );
    }
}
