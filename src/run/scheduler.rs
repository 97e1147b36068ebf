//! Runs a plan's steps: each as soon as those that it needs are done, and again while its failure may
//! pass.

use crate::error::{Error, Result};
use crate::output::{Event, Reporter, StepEvent};
use crate::plan::{Plan, Step};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What becomes of the other steps when one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// No further step begins.
    Stop,
    /// Steps that don't need the failed one go on: what can be deleted is.
    GoOn,
}

/// How a step ended.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step's key.
    pub key: String,
    /// What it took.
    pub took: Duration,
    /// Why it failed, when it did.
    pub error: Option<Error>,
}

/// How a plan's run ended.
#[derive(Debug, Default)]
pub struct RunReport {
    /// The steps that were begun, in the order in which they ended.
    pub steps: Vec<StepRecord>,
    /// Whether it was told to stop before all steps were begun.
    pub interrupted: bool,
}

impl RunReport {
    /// The first failure.
    pub fn failure(&self) -> Option<&Error> {
        self.steps.iter().find_map(|step| step.error.as_ref())
    }
}

/// Runs the plan. When `stop` is cancelled the steps in flight are waited for and none begins.
pub async fn run<F>(
    plan: &Plan,
    on_failure: OnFailure,
    retry_for: Duration,
    stop: &CancellationToken,
    reporter: &dyn Reporter,
    execute: F,
) -> RunReport
where
    F: AsyncFn(&Step) -> Result<()>,
{
    let mut report = RunReport::default();
    let mut waiting: Vec<&Step> = plan.steps.iter().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        let halted = stop.is_cancelled()
            || (on_failure == OnFailure::Stop && report.failure().is_some());
        if !halted {
            let (ready, rest): (Vec<&Step>, Vec<&Step>) = waiting
                .into_iter()
                .partition(|step| step.needs.iter().all(|need| done.contains(need.as_str())));
            waiting = rest;
            for step in ready {
                let execute = &execute;
                running.push(async move {
                    (step, one(step, retry_for, reporter, execute).await)
                });
            }
        }
        let Some((step, record)) = running.next().await else { break };
        if record.error.is_none() {
            done.insert(&step.key);
        }
        report.steps.push(record);
    }
    report.interrupted = stop.is_cancelled() && !waiting.is_empty();
    report
}

async fn one<F>(step: &Step, retry_for: Duration, reporter: &dyn Reporter, execute: &F) -> StepRecord
where
    F: AsyncFn(&Step) -> Result<()>,
{
    let event = StepEvent { step: step.key.clone(), says: step.says.clone() };
    reporter.event(&Event::StepStarted(event.clone()));
    let started = Instant::now();
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
        .build();
    let error = loop {
        let error = match execute(step).await {
            Ok(()) => break None,
            Err(error) => error,
        };
        let wait = waits.next().unwrap_or(Duration::from_secs(10));
        if !error.transient {
            break Some(error);
        }
        if started.elapsed() + wait > retry_for {
            break Some(error.hint("it may pass by itself: do the same again later, or give it longer with --timeout"));
        }
        tracing::debug!(step = step.key, %error, "trying again");
        reporter.event(&Event::StepRetried { step: event.clone(), error: error.to_string() });
        tokio::time::sleep(wait).await;
    };
    let took = started.elapsed();
    reporter.event(&match &error {
        None => Event::StepFinished { step: event, seconds: took.as_secs_f64() },
        Some(error) => Event::StepFailed { step: event, error: error.to_string() },
    });
    StepRecord { key: step.key.clone(), took, error }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::plan::Action;
    use std::cell::Cell;

    struct Silent;

    impl Reporter for Silent {
        fn event(&self, _: &Event) {}
    }

    async fn failure(retry_for: Duration, execute: impl AsyncFn(&Step) -> Result<()>) -> Option<Error> {
        let step = Step {
            key: "await-endpoint".to_owned(),
            says: "wait".to_owned(),
            needs: Vec::new(),
            quorum: None,
            action: Action::AwaitEndpoint,
        };
        let plan = Plan { steps: vec![step] };
        let stop = CancellationToken::new();
        run(&plan, OnFailure::Stop, retry_for, &stop, &Silent, execute).await.failure().cloned()
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_until_it_does() {
        let tries = Cell::new(0);
        let failed = failure(Duration::from_secs(60), async |_| {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(Error::failed("busy").transient()) } else { Ok(()) }
        });
        assert_eq!(failed.await, None);
        assert_eq!(tries.get(), 3);
    }

    #[tokio::test]
    async fn what_did_not_pass_in_time_may_yet_and_the_error_says_so() {
        let failed = failure(Duration::ZERO, async |_| Err(Error::failed("busy").transient())).await.unwrap();
        assert!(failed.hints.iter().any(|hint| hint.contains("--timeout")), "{failed:?}");
        let failed = failure(Duration::ZERO, async |_| Err(Error::failed("refused"))).await.unwrap();
        assert_eq!(failed.hints, Vec::<String>::new());
    }
}
