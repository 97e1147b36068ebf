//! The fault matrix: every provider call of each mutating command, with all faults, for the built binary,
//! the local cloud and real etcd.
//!
//! - `HAKUBE_TEST_DEEP=1` runs all cases; the default is a sample, always the same.
//! - `HAKUBE_TEST_SEED=random` chooses another, `HAKUBE_TEST_SEED=N` repeats it, `HAKUBE_TEST_CASES=N` sets its size.
//! - `HAKUBE_TEST_ONLY=TEXT` runs the cases whose names contain the text.
//! - `HAKUBE_TEST_BINARY=FILE` is the program to test, instead of the one just built.
//!
//! docs/emulator.md describes how to write a case manually.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../shared/calls.rs"]
mod calls;
mod case;
mod command;
use hakube_testing::{counts, sample};
mod fault;
mod recording;
mod verdict;
mod world;

use std::collections::VecDeque;
use std::sync::Mutex;

use case::Case;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use world::World;

const SAMPLE: usize = 60;
const WORKERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_faults_are_retried_and_permanent_ones_rolled_back() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let all = case::all(&recording::record().await);
    let seed = sample::seed();
    let (total, chosen) = (all.len(), choose(all, seed));
    let count = chosen.len();
    assert!(count > 0, "no cases match");
    eprintln!("fault matrix: {count} of {total} cases, HAKUBE_TEST_SEED={seed}");

    let queue = Mutex::new(VecDeque::from(chosen));
    let failures = Mutex::new(Vec::new());
    let workers = (0..WORKERS.min(count)).map(|_| work(&queue, &failures));
    futures::future::join_all(workers).await;

    let failures = failures.into_inner().unwrap();
    let name = format!("fault matrix, built program: a sample of {total}");
    counts::tell(&name, count, failures.len(), Some(seed));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Runs cases until none is left. After a failed case, the world is replaced.
async fn work(queue: &Mutex<VecDeque<Case>>, failures: &Mutex<Vec<String>>) {
    let mut world = World::new();
    loop {
        let Some(case) = queue.lock().unwrap().pop_front() else {
            break;
        };
        let started = std::time::Instant::now();
        let result = case.run(&mut world).await;
        let seconds = started.elapsed().as_secs_f32();
        match result {
            Ok(()) => eprintln!("ok     {case} ({seconds:.1} s)"),
            Err(why) => {
                eprintln!("FAILED {case} ({seconds:.1} s)\n{why}");
                failures.lock().unwrap().push(format!("{case}: {why}"));
                world = World::new();
            }
        }
    }
}

/// The cases of this run, grouped by command for cheap transitions.
fn choose(mut all: Vec<Case>, seed: u64) -> Vec<Case> {
    if let Ok(text) = std::env::var("HAKUBE_TEST_ONLY") {
        all.retain(|case| case.to_string().contains(&text));
        return all;
    }
    if !sample::is_deep() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        all.shuffle(&mut rng);
        let count = sample::variable("HAKUBE_TEST_CASES").map_or(SAMPLE, |cases| cases as usize);
        all.truncate(count);
        all.sort_by_key(|case| case.command);
    }
    all
}
