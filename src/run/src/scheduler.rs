//! Runs a plan's steps. A step starts as soon as the steps that it needs are done; transient failures are retried.

use super::retry::retried;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hakube_error::{Error, Result};
use hakube_output::{Event, Reporter, StepEvent};
use hakube_plan::{Plan, Step, StepId};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// A step's result.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step's key.
    pub key: String,
    pub took: Duration,
    /// Its failure, if any.
    pub error: Option<Error>,
}

/// The result of running a plan.
#[derive(Debug, Default)]
pub struct RunReport {
    /// The steps that were started, in the order in which they ended.
    pub steps: Vec<StepRecord>,
    /// Whether it was stopped before all steps were done.
    pub interrupted: bool,
}

impl RunReport {
    /// The first failure.
    pub fn failure(&self) -> Option<&Error> {
        self.steps.iter().find_map(|step| step.error.as_ref())
    }
}

/// Runs the plan. Steps that don't need a failed step still run. When `stop` is cancelled, running steps finish without
/// retries, and no further step starts.
pub async fn run<F>(
    plan: &Plan,
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
    let mut done: BTreeSet<&StepId> = BTreeSet::new();
    // Steps that failed, and steps that need one of them.
    let mut lost: BTreeSet<&StepId> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        if !stop.is_cancelled() {
            // A plan's steps only need steps before them.
            for step in &waiting {
                if step.needs.iter().any(|need| lost.contains(need)) {
                    lost.insert(&step.key);
                }
            }
            let has_ended = |id: &StepId| done.contains(id) || lost.contains(id);
            let (ready, rest): (Vec<&Step>, Vec<&Step>) = waiting.into_iter().partition(|step| {
                step.needs.iter().all(|need| done.contains(need))
                    && step.after.iter().all(has_ended)
            });
            waiting = rest;
            for step in ready {
                let execute = &execute;
                running.push(
                    async move { (step, one(step, retry_for, stop, reporter, execute).await) },
                );
            }
        }
        let Some((step, record)) = running.next().await else {
            break;
        };
        if record.error.is_none() {
            done.insert(&step.key);
        } else {
            lost.insert(&step.key);
        }
        report.steps.push(record);
    }
    report.interrupted = stop.is_cancelled() && done.len() < plan.steps.len();
    report
}

async fn one<F>(
    step: &Step,
    retry_for: Duration,
    stop: &CancellationToken,
    reporter: &dyn Reporter,
    execute: &F,
) -> StepRecord
where
    F: AsyncFn(&Step) -> Result<()>,
{
    let event = StepEvent::of(step);
    reporter.event(&Event::StepStarted(event.clone()));
    let started = Instant::now();
    let tell = |error: &Error| {
        tracing::debug!(step = %step.key, %error, "retrying");
        reporter.event(&Event::StepRetried {
            step: event.clone(),
            error: error.to_string(),
        });
    };
    let error = retried(retry_for, stop, tell, async || execute(step).await)
        .await
        .err();
    let took = started.elapsed();
    reporter.event(&match &error {
        None => Event::StepFinished {
            step: event,
            seconds: took.as_secs_f64(),
        },
        Some(error) => Event::StepFailed {
            step: event,
            error: error.to_string(),
        },
    });
    StepRecord {
        key: step.key.to_string(),
        took,
        error,
    }
}
