//! Chaos: a cluster of three whose processes, including hakube, are killed and frozen at random, while two
//! clients write: one through the endpoint, one to etcd directly.
//!
//! At most one replica is faulty at a time, and the next fault waits until all are healthy again: three or
//! four voters tolerate one failure. Under that condition, no acknowledged write is lost, the address stays,
//! and `reconcile` or `repair` fixes everything. The number of writes meanwhile is only reported.
//!
//! - `scripts/test chaos` runs for 10 minutes, or `HAKUBE_CHAOS_SECONDS`.
//! - `HAKUBE_TEST_SEED=N` repeats a run's faults.

mod blow;
mod order;
mod report;
mod storm;
mod writers;

use crate::sample;
use report::Report;
use std::time::{Duration, Instant};
use storm::Storm;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_storm_loses_nothing() {
    let mut storm = Storm::gather(sample::new_seed()).await;
    for _ in 0..5 {
        storm.round().await;
    }
    finish(storm, "chaos, short").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten minutes: scripts/test chaos"]
async fn a_long_storm_loses_nothing() {
    let seconds = sample::variable("HAKUBE_CHAOS_SECONDS").unwrap_or(600);
    let mut storm = Storm::gather(sample::new_seed()).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        storm.round().await;
    }
    finish(storm, "chaos").await;
}

async fn finish(storm: Storm, name: &str) {
    let report: Report = storm.end().await;
    println!("{report}");
    report.count(name);
    let lost = report.lost();
    assert!(
        lost.is_empty(),
        "acknowledged and lost, or changed: {lost:?}"
    );
}
