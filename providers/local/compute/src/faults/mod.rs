//! Fault injection: rules that make the cloud reject, drop, or delay requests or fail operations, and a
//! request log for writing such rules.
//!
//! Rules live in memory and don't survive the daemon. The fault of an operation is stored with the
//! operation, since a client knows about it already.

mod log;
mod operation;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hakube_local_client::{Act, FaultReport, FaultRule, LoggedRequest};
use hakube_local_resources::ApiError;
use hakube_local_resources::types::Stuck;
use regex::Regex;
use tokio::sync::watch;

use log::RequestLog;
pub use operation::OperationFault;

/// The active rules, and the requests since the daemon started.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    /// Counts changes of the rules. Stuck operations resume at the next one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    rules: Vec<Armed>,
    log: RequestLog,
}

struct Armed {
    rule: FaultRule,
    path: Regex,
    seen: u64,
    acted: u64,
}

impl Armed {
    /// Counts a matching call and returns whether the rule applies to it.
    fn is_due(&mut self, method: &str, path: &str) -> bool {
        let wanted = self.rule.method.as_deref();
        let matches = wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.is_match(path);
        if !matches {
            return false;
        }
        self.seen += 1;
        self.seen > self.rule.skip && self.rule.times.is_none_or(|times| self.acted < times)
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters and a log: after a panic, at worst one request is missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all rules. Counters start at 0, and stuck operations resume.
    ///
    /// # Errors
    /// The first invalid rule and the reason; then nothing is replaced.
    pub fn set(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        let armed: Result<Vec<Armed>, String> = rules.into_iter().enumerate().map(arm).collect();
        self.lock().rules = armed?;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// The operation fault of an act; empty if the act concerns only the request.
    pub fn operation_fault(&self, act: &Act) -> OperationFault {
        match act {
            Act::OperationError { code, message } => OperationFault {
                error: Some(ApiError::operation(code, message.clone())),
                stuck: None,
            },
            Act::OperationStuck { milliseconds } => OperationFault {
                error: None,
                stuck: Some(match milliseconds {
                    Some(milliseconds) => Stuck::For(Duration::from_millis(*milliseconds)),
                    None => Stuck::Until(*self.changes.borrow()),
                }),
            },
            _ => OperationFault::default(),
        }
    }

    /// Returns when a stuck operation may resume.
    pub async fn unstuck(&self, stuck: Stuck) {
        match stuck {
            Stuck::For(time) => tokio::time::sleep(time).await,
            Stuck::Until(changes) => {
                // The sender lives in self: this can't fail.
                let _ = self
                    .changes
                    .subscribe()
                    .wait_for(|now| *now != changes)
                    .await;
            }
        }
    }

    /// The rules, with their counters.
    pub fn report(&self) -> Vec<FaultReport> {
        let state = self.lock();
        let reports = state.rules.iter().map(|armed| FaultReport {
            rule: armed.rule.clone(),
            seen: armed.seen,
            acted: armed.acted,
        });
        reports.collect()
    }

    /// The requests with an ordinal above `after`, oldest first.
    pub fn requests(&self, after: u64) -> Vec<LoggedRequest> {
        self.lock().log.after(after)
    }

    /// Logs a request and returns the act to apply. Every rule counts what it matches; the first one that is
    /// due acts.
    pub fn arrived(&self, method: &str, path: &str) -> (u64, Option<Act>) {
        let mut state = self.lock();
        let mut due = None;
        for (index, armed) in state.rules.iter_mut().enumerate() {
            if armed.is_due(method, path) && due.is_none() {
                armed.acted += 1;
                due = Some((index, armed.rule.act.clone()));
            }
        }
        let rule = due.as_ref().map(|(index, _)| *index);
        let ordinal = state.log.arrived(method, path, rule);
        (ordinal, due.map(|(_, act)| act))
    }

    /// Records the status of a request.
    pub fn answered(&self, ordinal: u64, status: u16) {
        self.lock().log.answered(ordinal, status);
    }
}

fn arm((index, rule): (usize, FaultRule)) -> Result<Armed, String> {
    let path = Regex::new(&rule.path).map_err(|error| format!("rule {index}: path: {error}"))?;
    rule.act
        .check()
        .map_err(|why| format!("rule {index}: {why}"))?;
    Ok(Armed {
        rule,
        path,
        seen: 0,
        acted: 0,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use hakube_local_client::Moment;

    use super::*;

    fn acts(faults: &Faults, method: &str, path: &str) -> Option<Act> {
        faults.arrived(method, path).1
    }

    #[test]
    fn a_rule_skips_then_acts_then_is_spent_and_counts_only_what_it_matches() {
        let faults = Faults::default();
        let refuse = Act::refuse(503, "backendError");
        let rule = FaultRule::on("POST", "/disks$", refuse.clone())
            .skip(1)
            .times(2);
        faults.set(vec![rule]).unwrap();
        let path = "/compute/v1/projects/p/zones/z/disks";
        assert_eq!(acts(&faults, "GET", path), None);
        assert_eq!(acts(&faults, "POST", &format!("{path}/d/resize")), None);
        let due: Vec<bool> = (0..4)
            .map(|_| acts(&faults, "POST", path) == Some(refuse.clone()))
            .collect();
        assert_eq!(due, [false, true, true, false]);
        let report = faults.report();
        assert_eq!((report[0].seen, report[0].acted), (4, 2));
        let rules: Vec<Option<usize>> = faults.requests(2).iter().map(|r| r.rule).collect();
        assert_eq!(rules, [None, Some(0), Some(0), None]);
    }

    #[test]
    fn of_two_rules_that_match_the_first_acts_and_both_count() {
        let faults = Faults::default();
        let rules = [
            FaultRule::on_any("disks", Act::delay_ms(1)).times(1),
            FaultRule::on_any("disks", Act::drop(Moment::Before)),
        ];
        faults.set(rules.to_vec()).unwrap();
        assert_eq!(acts(&faults, "GET", "/disks"), Some(Act::delay_ms(1)));
        assert_eq!(
            acts(&faults, "GET", "/disks"),
            Some(Act::drop(Moment::Before))
        );
        assert_eq!(faults.report()[1].seen, 2);
        assert_eq!(faults.report()[1].acted, 1);
    }

    #[test]
    fn a_bad_rule_is_named_and_the_old_ones_stay() {
        let faults = Faults::default();
        let good = FaultRule::on_any("a", Act::delay_ms(1));
        faults.set(vec![good.clone()]).unwrap();
        let bad = FaultRule::on_any("(", Act::delay_ms(1));
        let why = faults.set(vec![good.clone(), bad]).unwrap_err();
        assert!(why.starts_with("rule 1: path:"), "{why}");
        let why = faults.set(vec![FaultRule::on_any("", Act::refuse(200, "x"))]);
        assert!(why.unwrap_err().contains("400 to 599"));
        assert_eq!(faults.report()[0].rule, good);
    }
}
