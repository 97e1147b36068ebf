//! The cloud fails on demand: rules that make it refuse, break off, stall, or end an operation badly,
//! and a log of the requests that they can be aimed at.
//!
//! Rules live in memory: a daemon that starts has none. What an operation was to end with is kept with
//! the operation, since it was told to a client already.

mod connection;
mod layer;
mod log;
mod operation;
mod routes;
mod rule;

use std::sync::{Mutex, MutexGuard, PoisonError};

use regex::Regex;
use tokio::sync::watch;

pub use connection::{Connection, Resettable};
pub use layer::inject;
pub use log::{LoggedRequest, RequestLog};
pub use operation::{OperationFault, Stuck};
pub use routes::routes;
pub use rule::{Act, FaultReport, FaultRule, Moment};

/// The rules in force, and what was asked since the daemon started.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    /// Counts the changes of the rules: what is stuck goes on with the next one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    rules: Vec<Armed>,
    log: RequestLog,
}

/// A rule and its counters.
struct Armed {
    rule: FaultRule,
    path: Regex,
    seen: u64,
    acted: u64,
}

impl Armed {
    /// Counts a call that matches, and says whether it is one of those that fail.
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
        // Counters and a log: at worst one request is missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all rules; their counters start at 0, and what is stuck goes on.
    ///
    /// # Errors
    /// The first rule that can't be one, and why; then nothing is replaced.
    pub fn set(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        let armed: Result<Vec<Armed>, String> = rules.into_iter().enumerate().map(arm).collect();
        self.lock().rules = armed?;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
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

    /// The requests with an ordinal above this one, oldest first.
    pub fn requests(&self, after: u64) -> Vec<LoggedRequest> {
        self.lock().log.after(after)
    }

    /// Logs a request and says what is to happen to it. Every rule counts what it matches; the first
    /// that is due acts.
    fn arrived(&self, method: &str, path: &str) -> (u64, Option<Act>) {
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

    fn answered(&self, ordinal: u64, status: u16) {
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
