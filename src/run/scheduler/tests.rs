//! What runs when, what is tried again, and what no longer begins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::plan::Action;
use std::sync::Mutex;
use tokio::sync::Barrier;

/// The first wait between two tries is at least this long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// What happened, in its order: `+a` began, `~a` is tried again, `-a` is done, `!a` failed.
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
            Event::StepStarted(step) => format!("+{}", step.step),
            Event::StepRetried { step, .. } => format!("~{}", step.step),
            Event::StepFinished { step, .. } => format!("-{}", step.step),
            Event::StepFailed { step, .. } => format!("!{}", step.step),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A plan of steps, those that each needs, and those that it only comes after: `"c: a b | d"`.
fn plan(steps: &[&str]) -> Plan {
    let step = |text: &&str| {
        let (key, others) = text.split_once(':').unwrap_or((text, ""));
        let (needs, after) = others.split_once('|').unwrap_or((others, ""));
        let keys = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Step {
            key: key.to_owned(),
            says: format!("do {key}"),
            // What a step does is the executor's affair.
            action: Action::AwaitEndpoint,
            needs: keys(needs),
            after: keys(after),
            quorum: None,
        }
    };
    Plan {
        steps: steps.iter().map(step).collect(),
    }
}

fn ended(report: &RunReport) -> Vec<&str> {
    report.steps.iter().map(|step| step.key.as_str()).collect()
}

#[tokio::test]
async fn a_step_begins_when_all_that_it_needs_is_done() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a", "b", "c: a b", "d: c"]);
    let report = run(&plan, LONG, &stop, &log, async |step: &Step| {
        // b takes longer than a.
        for _ in 0..if step.key == "b" { 10 } else { 0 } {
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
async fn steps_that_need_nothing_of_each_other_run_at_the_same_time() {
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
        match step.key.as_str() {
            "a" => Err(Error::failed("no capacity")),
            _ => Ok(()),
        }
    });
    (report.await, log)
}

#[tokio::test]
async fn after_a_failure_only_what_needs_it_is_left_out() {
    let (report, log) = run_with_failing_a(&["a", "b", "c: a", "d: b", "e: c"]).await;
    assert_eq!(report.failure().unwrap().message, "no capacity");
    assert_eq!(
        (log.count("+c"), log.count("-d"), log.count("+e")),
        (0, 1, 0)
    );
    assert!(!report.interrupted, "a failure is no interruption");
}

#[tokio::test]
async fn what_can_do_without_a_step_waits_for_its_end_and_goes_on() {
    let (_, log) = run_with_failing_a(&["b", "a: b", "c: | a", "d: a", "e: | d"]).await;
    assert!(log.at("!a") < log.at("+c"), "{:?}", log.lines());
    // One that never begins has ended.
    assert_eq!((log.count("+d"), log.count("-e")), (0, 1));
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let tries = Mutex::new(0);
    let plan = plan(&["a", "b: a"]);
    let report = run(&plan, LONG, &stop, &log, async |step: &Step| {
        if step.key == "b" {
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
async fn trying_again_ends_when_its_time_is_over() {
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
async fn when_told_to_stop_what_runs_is_waited_for_and_nothing_begins() {
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

/// Ctrl-C doesn't wait for the next try, nor for the minutes that tries may take.
#[tokio::test]
async fn when_told_to_stop_nothing_is_tried_again() {
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
async fn a_stop_after_the_last_step_interrupts_nothing() {
    let (log, stop) = (Log::default(), CancellationToken::new());
    let plan = plan(&["a"]);
    let report = run(&plan, LONG, &stop, &log, async |_: &Step| {
        stop.cancel();
        Ok(())
    });
    assert!(!report.await.interrupted);
}
