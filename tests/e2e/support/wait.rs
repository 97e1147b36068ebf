//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Far beyond what anything takes on a busy machine: whoever waits this long waits for ever.
pub const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Looks until there is something, and returns it.
///
/// # Panics
/// There is nothing by the deadline: `what` was waited for.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, look).await
}

/// The same where more takes longer: machines that are emulated.
///
/// # Panics
/// There is nothing by the deadline: `what` was waited for.
pub async fn eventually_within<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            started.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        tokio::time::sleep(POLL).await;
    }
}
