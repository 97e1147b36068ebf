//! The choice of test cases, by environment variables.

/// The seed of ordinary runs, so that a change fails because of what it changes, not because of the day's cases.
const USUAL: u64 = 20_261_129;

/// The seed of a sample: `HAKUBE_TEST_SEED`. It is random if that says `random`, and in deep runs. Otherwise it is
/// always the same.
pub fn seed() -> u64 {
    match std::env::var("HAKUBE_TEST_SEED").as_deref() {
        Err(_) if !is_deep() => USUAL,
        _ => new_seed(),
    }
}

/// The seed of a run that is different each time: `HAKUBE_TEST_SEED`, or a random one.
pub fn new_seed() -> u64 {
    match std::env::var("HAKUBE_TEST_SEED").as_deref() {
        Err(_) | Ok("random") => rand::random::<u32>().into(),
        Ok(_) => variable("HAKUBE_TEST_SEED").unwrap_or(USUAL),
    }
}

/// `HAKUBE_TEST_DEEP`: all cases.
pub fn is_deep() -> bool {
    std::env::var_os("HAKUBE_TEST_DEEP").is_some_and(|value| value == "1")
}

/// A number, if it is set.
///
/// # Panics
/// It is not a number.
pub fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}
