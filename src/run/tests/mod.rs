//! Commands, run whole and in process, against a world that is stricter than the real one.
//!
//! A process is a runtime with a paused clock: killing it is dropping it, and its hours take no time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addons;
mod certificates;
mod converged;
mod crashes;
mod drain;
mod drift;
mod external;
mod faults;
mod histories;
mod lost_data;
mod nodes;
mod scenarios;
mod shared_address;
mod sick;
mod site;
mod unfinished;
mod unreachable;
mod world;
mod zones;

use crate::testing::counts;

/// Tells how many cases of a matrix there were, and fails if any of them did.
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
