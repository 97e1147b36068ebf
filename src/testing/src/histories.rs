//! Tests many random histories, with a printed seed.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic;
use std::sync::Once;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};

use super::counts;
use super::sample::{is_deep, seed, variable};

/// Tests random histories. `HAKUBE_TEST_DEEP=1` runs 10,000 of them, `HAKUBE_TEST_CASES` that many,
/// `HAKUBE_TEST_SEED=random` others, and `HAKUBE_TEST_SEED` with a number repeats those.
///
/// # Panics
/// One failed: prints the smallest that fails in the same way, and the seed.
pub fn hold<S>(
    name: &str,
    usually: u32,
    past: &S,
    judge: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy,
    S::Value: Debug,
{
    let usually = if is_deep() { 10_000 } else { usually };
    let cases = variable("HAKUBE_TEST_CASES").map_or(usually, |cases| cases as u32);
    let seed = seed();
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    };
    quiet_panics();
    let outcome = TestRunner::new(config).run(past, |value| {
        TRYING.set(true);
        let verdict = judge(value);
        TRYING.set(false);
        verdict
    });
    TRYING.set(false);
    counts::tell(name, cases as usize, outcome.is_err().into(), Some(seed));
    if let Err(error) = outcome {
        panic!("to reproduce it: HAKUBE_TEST_SEED={seed}:\n{error}");
    }
}

thread_local! {
    /// Whether this thread is running a history.
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// While a failure is being minimized, each smaller history panics too. This suppresses hundreds of
/// backtraces before the error, which has all that is needed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !TRYING.get() {
                usual(info);
            }
        }));
    });
}
