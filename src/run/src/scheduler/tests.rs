//! When steps run, are retried, or are skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use hakube_plan::{Action, Verb};
use std::sync::Mutex;
use tokio::sync::Barrier;

/// The minimum of the first wait between two attempts.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// The events in order: `+a` started, `~a` is retried, `-a` is done, `!a` failed.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|found| *found == line).count()
    }

    fn at(&self, line: &str) -> usize {
        let lines = self.lines();
        lines
            .iter()
            .position(|found| found == line)
            .unwrap_or_else(|| panic!("no {line} in {lines:?}"))
    }
}

impl Reporter for Log {
    fn event(&self, event: &Event) {
        let line = match event {
            Event::StepStarted(step) => format!("+{}", name(&step.step)),
            Event::StepRetried { step, .. } => format!("~{}", name(&step.step)),
            Event::StepFinished { step, .. } => format!("-{}", name(&step.step)),
            Event::StepFailed { step, .. } => format!("!{}", name(&step.step)),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A plan of steps, with those that each needs and those that it only follows: `"c: a b | d"`.
fn plan(steps: &[&str]) -> Plan {
    let step = |text: &&str| {
        let (key, others) = text.split_once(':').unwrap_or((text, ""));
        let (needs, after) = others.split_once('|').unwrap_or((others, ""));
        let id = |name: &str| Verb::Nodes.of(name);
        let ids = |text: &str| text.split_whitespace().map(id).collect();
        Step {
            key: id(key),
            says: format!("do {key}"),
            // The action doesn't matter here.
            action: Action::AwaitEndpoint,
            needs: ids(needs),
            after: ids(after),
            quorum: None,
        }
    };
    Plan {
        steps: steps.iter().map(step).collect(),
    }
}

/// What a step of [`plan`] is called there.
fn name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn ended(report: &RunReport) -> Vec<&str> {
    report.steps.iter().map(|step| name(&step.key)).collect()
}

#[tokio::test]
async fn a_step_starts_when_all_that_it_needs_is_done() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a", "b", "c: a b", "d: c"]);
    let report = run(&plan, LONG, &stop, &log, async |step: &Step| {
        // b takes longer than a.
        for _ in 0..if step.key.is_of("b") { 10 } else { 0 } {
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    let report = report.await;
    assert_eq!(ended(&report), ["a", "b", "c", "d"]);
    assert!(log.at("+c") > log.at("-b") && log.at("+d") > log.at("-c"));
    assert!(report.failure().is_none() && !report.interrupted);
}

#[tokio::test]
async fn independent_steps_run_concurrently() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    // Each waits for the other two.
    let barrier = Barrier::new(3);
    let plan = plan(&["a", "b", "c"]);
    let report = run(&plan, LONG, &stop, &log, async |_: &Step| {
        barrier.wait().await;
        Ok(())
    });
    let report = tokio::time::timeout(LONG, report)
        .await
        .expect("they ran one after another");
    assert_eq!(report.steps.len(), 3);
}

async fn run_with_failing_a(steps: &[&str]) -> (RunReport, Log) {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(steps);
    let report = run(&plan, LONG, &stop, &log, async |step: &Step| {
        if step.key.is_of("a") {
            return Err(Error::failed("no capacity"));
        }
        Ok(())
    });
    (report.await, log)
}

#[tokio::test]
async fn after_a_failure_only_dependent_steps_are_skipped() {
    let (report, log) = run_with_failing_a(&["a", "b", "c: a", "d: b", "e: c"]).await;
    assert_eq!(report.failure().unwrap().message, "no capacity");
    assert_eq!(
        (log.count("+c"), log.count("-d"), log.count("+e")),
        (0, 1, 0)
    );
    assert!(!report.interrupted, "a failure isn't an interruption");
}

#[tokio::test]
async fn a_step_after_a_failed_one_still_runs() {
    let (_, log) = run_with_failing_a(&["b", "a: b", "c: | a", "d: a", "e: | d"]).await;
    assert!(log.at("!a") < log.at("+c"), "{:?}", log.lines());
    // A skipped step counts as ended.
    assert_eq!((log.count("+d"), log.count("-e")), (0, 1));
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let tries = Mutex::new(0);
    let plan = plan(&["a", "b: a"]);
    let report = run(&plan, LONG, &stop, &log, async |step: &Step| {
        if step.key.is_of("b") {
            return Ok(());
        }
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        if *tries < 3 {
            Err(Error::failed("rate limit").transient())
        } else {
            Ok(())
        }
    });
    let report = report.await;
    assert_eq!(log.lines(), ["+a", "~a", "~a", "-a", "+b", "-b"]);
    assert!(report.failure().is_none());
}

#[tokio::test]
async fn retries_end_at_the_limit() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a"]);
    let report = run(&plan, FIRST_WAIT / 2, &stop, &log, async |_: &Step| {
        Err(Error::failed("rate limit").transient())
    });
    let report = report.await;
    assert_eq!(report.failure().unwrap().message, "rate limit");
    assert_eq!(log.lines(), ["+a", "!a"]);
}

#[tokio::test]
async fn when_stopped_running_steps_finish_and_none_starts() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a", "b: a"]);
    let report = run(&plan, LONG, &stop, &log, async |_: &Step| {
        stop.cancel();
        tokio::task::yield_now().await;
        Ok(())
    });
    let report = report.await;
    assert!(report.interrupted);
    assert_eq!(log.lines(), ["+a", "-a"]);
}

/// Ctrl-C doesn't wait for the next attempt, nor for the minutes that retries may take.
#[tokio::test]
async fn when_stopped_nothing_is_retried() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a"]);
    let report = run(&plan, LONG * 60, &stop, &log, async |_: &Step| {
        stop.cancel();
        Err(Error::failed("rate limit").transient())
    });
    let report = report.await;
    assert!(report.interrupted && report.failure().is_some());
    assert_eq!(log.lines(), ["+a", "!a"]);
}

#[tokio::test]
async fn a_stop_after_the_last_step_isnt_an_interruption() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a"]);
    let report = run(&plan, LONG, &stop, &log, async |_: &Step| {
        stop.cancel();
        Ok(())
    });
    assert!(!report.await.interrupted);
}
