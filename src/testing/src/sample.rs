//! The choice of test cases, by environment variables.

/// `HAKUBE_TEST_SEED`, or a new seed.
pub fn seed() -> u64 {
    variable("HAKUBE_TEST_SEED").unwrap_or_else(|| rand::random::<u32>().into())
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
