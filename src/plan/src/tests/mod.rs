//! Plans: their steps, and the worlds that result from running them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addons;
mod blocked;
mod certificates;
mod crashes;
mod growing;
mod histories;
mod lost_data;
mod nodes;
mod replacing;
mod restore;
mod shared_address;
mod shrinking;
mod teardown;
mod unreachable;
mod up;
mod upgrade;
pub(super) mod world;

use super::{Plan, StepId};
use std::fmt::Write as _;

/// The plan as the user sees it, with the steps that each one waits for.
fn shown(plan: &Plan) -> String {
    let number = |key: &StepId| {
        plan.steps
            .iter()
            .position(|step| step.key == *key)
            .map_or(0, |at| at + 1)
    };
    let mut text = String::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let _ = write!(text, "{:>2}. {}", index + 1, step.says);
        let mut needs: Vec<usize> = step.needs.iter().chain(&step.after).map(number).collect();
        needs.sort_unstable();
        if !needs.is_empty() {
            let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
            let _ = write!(text, "  (after {})", needs.join(", "));
        }
        if let Some(change) = step.quorum {
            let _ = write!(text, "  [etcd: {}; then {}]", change.before, change.after);
        }
        text.push('\n');
    }
    text
}

/// Whether `one` is done before `other` starts, in every order that the needs allow.
fn is_before(plan: &Plan, one: &str, other: &str) -> bool {
    let step = plan
        .steps
        .iter()
        .find(|step| step.key == other)
        .unwrap_or_else(|| panic!("no {other} in {plan:#?}"));
    step.needs
        .iter()
        .any(|need| *need == *one || is_before(plan, one, &need.to_string()))
}
