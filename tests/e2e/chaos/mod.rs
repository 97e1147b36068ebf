//! Chaos: a cluster of three whose processes are killed and frozen at random, hakube among them, while two
//! clients write: one through the endpoint, one to etcd itself.
//!
//! One replica at most is hurt at a time, and the next one only when all are well again: three voters bear
//! one failure, four bear one. Within that, what is promised holds: no acknowledged write is lost, the
//! address stays, and `reconcile` or `repair` puts everything right. How much is written meanwhile is no
//! promise but a figure.
//!
//! - `scripts/test chaos` goes on for 10 minutes, or `HAKUBE_CHAOS_SECONDS`.
//! - `HAKUBE_TEST_SEED=N` chooses the same disturbances again.

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
    let mut storm = Storm::gather(sample::seed()).await;
    for _ in 0..5 {
        storm.round().await;
    }
    finish(storm, "chaos, short").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten minutes: scripts/test chaos"]
async fn a_long_storm_loses_nothing() {
    let seconds = sample::variable("HAKUBE_CHAOS_SECONDS").unwrap_or(600);
    let mut storm = Storm::gather(sample::seed()).await;
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
