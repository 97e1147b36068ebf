//! Runs a plan's steps: each as soon as those that it needs are done, and again while its failure may
//! pass.

use super::retry::retried;
use crate::error::{Error, Result};
use crate::output::{Event, Reporter, StepEvent};
use crate::plan::{Plan, Step};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

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
    /// Whether it was told to stop before all steps were done.
    pub interrupted: bool,
}

impl RunReport {
    /// The first failure.
    pub fn failure(&self) -> Option<&Error> {
        self.steps.iter().find_map(|step| step.error.as_ref())
    }
}

/// Runs the plan. Steps that don't need one that failed go on: a part that is sick stops nothing else. When `stop` is
/// cancelled the steps in flight are waited for, but not tried again, and none begins.
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
    let mut done: BTreeSet<&str> = BTreeSet::new();
    // Those that failed, and those that need one of them.
    let mut lost: BTreeSet<&str> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        if !stop.is_cancelled() {
            // A plan's steps need only steps before them.
            for step in &waiting {
                if step.needs.iter().any(|need| lost.contains(need.as_str())) {
                    lost.insert(&step.key);
                }
            }
            let has_ended =
                |key: &String| done.contains(key.as_str()) || lost.contains(key.as_str());
            let (ready, rest): (Vec<&Step>, Vec<&Step>) = waiting.into_iter().partition(|step| {
                step.needs.iter().all(|need| done.contains(need.as_str()))
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
        tracing::debug!(step = step.key, %error, "trying again");
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
        key: step.key.clone(),
        took,
        error,
    }
}
