//! kill -9 of a running hakube.
//!
//! The crash matrix: every command is killed at every call that it makes to the provider, and then finished.
//! The calls are recorded from an undisturbed run, so new calls are covered automatically.
//!
//! - `HAKUBE_TEST_DEEP=1` runs all cases; the default is one of each command, always the same.
//! - `HAKUBE_TEST_SEED=random` chooses others, `HAKUBE_TEST_SEED=N` repeats that.
//! - `HAKUBE_TEST_CASES=N` chooses more of each command.
//! - `HAKUBE_TEST_ONLY=TEXT` runs the cases whose names contain the text.

mod case;
mod command;
mod life;
mod steps;

use crate::counts;
use crate::sample;
use case::Case;
use command::Command;
use futures::FutureExt as _;
use life::Life;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

/// The number of parallel lifecycles.
const WORKERS: usize = 3;

#[derive(Default)]
struct Tally {
    cases: usize,
    /// The command ended before the moment was reached.
    missed: usize,
    failures: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_killed_at_any_call_can_be_finished_without_loss() {
    let seed = sample::seed();
    eprintln!("crash matrix, built program: HAKUBE_TEST_SEED={seed}");
    let (total, lives) = lives(record(seed).await, seed);
    let queue = Mutex::new(lives.into_iter().enumerate().collect::<VecDeque<_>>());
    let tally = Mutex::new(Tally::default());
    let work = (0..WORKERS).map(|_| async {
        loop {
            let next = queue.lock().unwrap().pop_front();
            let Some((number, cases)) = next else { break };
            live(cases, seed.wrapping_add(number as u64), &tally).await;
        }
    });
    futures::future::join_all(work).await;

    let Tally {
        cases,
        missed,
        failures,
    } = tally.into_inner().unwrap();
    assert!(cases > 0, "no cases match");
    let name = format!("crash matrix, built program: a sample of {total} ({missed} not reached)");
    counts::tell(&name, cases, failures.len(), Some(seed));
    assert!(failures.is_empty(), "{failures:#?}");
}

/// All cases of each command, in the order of the lifecycle.
async fn record(seed: u64) -> Vec<Vec<Case>> {
    let mut life = Life::begin(seed).await;
    let mut all = Vec::new();
    for command in Command::LIFE {
        let calls = life.does(command).await;
        all.push(Case::all(command, &calls));
    }
    all
}

/// The total number of cases, and those of this run: one of each command per lifecycle.
fn lives(mut all: Vec<Vec<Case>>, seed: u64) -> (usize, Vec<Vec<Option<Case>>>) {
    let total = all.iter().map(Vec::len).sum();
    let only = std::env::var("HAKUBE_TEST_ONLY").ok();
    let deep = sample::is_deep() || only.is_some();
    let mut rng = StdRng::seed_from_u64(seed);
    for cases in &mut all {
        cases.shuffle(&mut rng);
        cases.retain(|case| {
            only.as_ref()
                .is_none_or(|text| case.to_string().contains(text))
        });
    }
    let most = all.iter().map(Vec::len).max().unwrap_or(0);
    let count = if deep {
        most
    } else {
        sample::variable("HAKUBE_TEST_CASES").map_or(1, |cases| cases as usize)
    };
    let life = |number| all.iter().map(|cases| cases.get(number).cloned()).collect();
    (total, (0..count).map(life).collect())
}

/// Runs one lifecycle. After a failure, starts another one.
async fn live(cases: Vec<Option<Case>>, seed: u64, tally: &Mutex<Tally>) {
    let Some(last) = cases.iter().rposition(Option::is_some) else {
        return;
    };
    let mut life = Life::begin(seed).await;
    for (index, command) in Command::LIFE.into_iter().enumerate().take(last + 1) {
        let Some(case) = &cases[index] else {
            life.does(command).await;
            continue;
        };
        let result = AssertUnwindSafe(life.dies(case)).catch_unwind().await;
        {
            let mut tally = tally.lock().unwrap();
            tally.cases += 1;
            eprintln!(
                "{} {case}",
                if result.is_ok() { "ok    " } else { "FAILED" }
            );
            match result {
                Ok(true) => continue,
                Ok(false) => {
                    tally.missed += 1;
                    continue;
                }
                Err(_) => tally.failures.push(case.to_string()),
            }
        }
        if index == last {
            break;
        }
        life = Life::begin(seed).await;
        for earlier in &Command::LIFE[..=index] {
            life.does(*earlier).await;
        }
    }
}
