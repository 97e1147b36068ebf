//! Whole commands, run in process against a world that is stricter than the real one.
//!
//! A process is a runtime with a paused clock. To kill it, the runtime is dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addons;
mod belief;
mod certificates;
mod conditions;
mod converged;
mod crashes;
mod drain;
mod drift;
mod external;
mod faults;
mod histories;
mod lost_data;
mod migration;
mod nodes;
mod restore;
mod rotation;
mod scenarios;
mod shared_address;
mod site;
mod unfinished;
mod unhealthy;
mod unreachable;
mod upgrade;
mod world;
mod zones;

use hakube_testing::counts;

/// Records the number of cases of a matrix, and fails if any failed.
fn report(matrix: &str, name: &str, cases: usize, failures: &[String]) {
    let failed = failures.len();
    counts::tell(&format!("{matrix}: {name}"), cases, failed, None);
    let shown = failures.iter().take(12).cloned().collect::<Vec<_>>();
    assert!(
        failures.is_empty(),
        "{name}: {failed} of {cases} cases failed:\n{}",
        shown.join("\n")
    );
    assert!(cases > 0);
}
